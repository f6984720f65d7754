# test_config and fuzz_config link the configuration besides the pure rooms (config_o: docs.mk).
unit_extra_test_config := $(config_o) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
$B/unit/test_config: $(config_o)

$B/fuzz/fuzz_config: tests/fuzz/fuzz_config.c $(fuzz_main) $(config_o) $(pure_o) $B/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -o $@ $< $(fuzz_main) $(config_o) $(pure_o) $(LIBS)

# Who calls is found out without a socket.
unit_extra_test_caller := $B/o/gateway/caller.o
$B/unit/test_caller: $B/o/gateway/caller.o

# What a passthrough request asks for is read without a socket, too.
unit_extra_test_asking := $B/o/gateway/asking.o
$B/unit/test_asking: $B/o/gateway/asking.o

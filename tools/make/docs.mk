# Documents that come from the code's own tables.


# The configuration, and what it knows of certificates.
config_o := $(patsubst src/%.c,$B/o/%.o,$(wildcard src/gateway/config*.c) src/net/tls_identity.c src/net/tls_tickets.c)

$B/manpage: tools/manpage.c $(config_o) $(pure_o) $B/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -o $@ $< $(config_o) $(pure_o) $(LIBS)

$B/lastword.1: $B/manpage
	$< > $@

.PHONY: docs
docs: $B/lastword.1 ## the man page

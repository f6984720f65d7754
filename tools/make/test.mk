# Tests: `make check` is the inner loop, `make test` is everything.

$B/unit/%: tests/unit/%.c $(pure_o) $B/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Itests/unit -MMD -MP $(LDFLAGS_ALL) -o $@ $< $(unit_extra_$*) $(pure_o) $(LIBS) -lcmocka

.PHONY: unit
unit: $(units) ## unit tests of the rooms without I/O
	@tools/run-units $(units)

# Corpora are replayed with any compiler; `make fuzz` searches with clang's libFuzzer.
$B/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(pure_o) $B/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -o $@ $< tests/fuzz/replay.c $(pure_o) $(LIBS)

.PHONY: replay
replay: $(fuzzers) ## replay the fuzz corpora
	@for f in $(fuzzers); do $$f tests/fuzz/corpus/$${f##*/fuzz_}/* || exit 1; done

# Tests: `make check` is the inner loop, `make test` is everything.

$B/unit/%: tests/unit/%.c $(pure_o) $B/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Itests/unit -MMD -MP $(LDFLAGS_ALL) -o $@ $< $(unit_extra_$*) $(pure_o) $(LIBS) -lcmocka -lz

.PHONY: unit
unit: $(units) ## unit tests of the rooms without I/O
	@tools/run-units $(units)

# Corpora are replayed with any compiler; `make fuzz` searches with clang's libFuzzer (fuzz.mk), which has a main of its own.
fuzz_main := $(if $(filter fuzzer,$V),,tests/fuzz/replay.c)
$B/fuzz/%: tests/fuzz/%.c $(fuzz_main) $(pure_o) $B/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP $(LDFLAGS_ALL) -o $@ $< $(fuzz_main) $(pure_o) $(LIBS) -lz

.PHONY: replay
replay: $(fuzzers) ## replay the fuzz corpora
	@for f in $(fuzzers); do $$f tests/fuzz/corpus/$${f##*/fuzz_}/* || exit 1; done

# The gateway as a process, between scripted upstreams and a judge that shares no code with it. `make setup` once, with a
# network; the tests themselves need only the loopback interface. LASTWORD says which build they start.
PYTEST = LASTWORD=$(CURDIR)/$B/lastword build/venv/bin/python3 -m pytest -q

.PHONY: setup e2e check
setup: ## make build/venv, the Python of the tests
	@tools/venv tests/requirements.txt

build/venv/bin/pytest:
	@echo 'the tests need build/venv: run `make setup` once' >&2; exit 1

e2e: $B/lastword build/venv/bin/pytest ## all end-to-end tests
	$(PYTEST) tests/e2e

check: unit replay $B/lastword build/venv/bin/pytest ## the inner loop: units, corpora, thirty dialogues
	$(PYTEST) -m check tests/e2e

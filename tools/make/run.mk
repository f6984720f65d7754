# From a fresh clone to something that runs: each of these installs what it needs first. The inner make reads the
# libraries' flags again, after they were installed.

SUBMAKE = $(MAKE) --no-print-directory -j$(shell nproc)

.PHONY: run test packages unit-programs fuzz-programs
run: ## install what is missing, build, fetch the model, start: http://127.0.0.1:8080 (ARGS="--listen …")
	@tools/phase "setting up" tools/setup build
	@tools/phase "building" $(SUBMAKE) -s all
	@tools/phase "fetching the model" tools/get-model
	@echo "lastword: logs go to build/lastword.log; Ctrl-C stops everything" >&2
	@build/lastword $(ARGS) 2>build/lastword.log || { status=$$?; tail -n 3 build/lastword.log >&2; exit $$status; }

test: ## install what is missing, build, run every test, also under ASan and UBSan
	@tools/phase "setting up" tools/setup test
	@tools/run-tests

setup: packages
packages:
	@tools/setup test

unit-programs: $(units)

fuzz-programs: $(fuzzers)

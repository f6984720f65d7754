# The search for inputs that break a parser; `make replay` runs those that ever did, and the seeds. ARGS="--target sse
# --seconds 600" chooses, ARGS=--write adds what was run to docs/fuzzing.md; `tools/fuzz --help` names the rest.

.PHONY: fuzz
fuzz: ## search with libFuzzer for inputs that break a parser, a minute for each target (ARGS="--seconds 600 --target sse")
	@command -v clang >/dev/null || { echo 'make fuzz needs clang' >&2; exit 1; }
	@tools/phase "building" $(SUBMAKE) -s V=fuzzer CC=clang fuzz-programs
	@nice tools/fuzz $(ARGS)

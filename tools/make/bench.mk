# What an event costs on its way through lastword, and through what one would use instead. A program, never a test:
# figures of a shared machine pass and fail nothing. ARGS=--quick takes some minutes, ARGS=--write puts the results into
# docs/figures.md; `python3 tests/bench/bench.py --help` names the rest.

bench_flags := -std=c17 -D_GNU_SOURCE -O2 -g $(WARN)
bench_load  := $(addprefix tests/bench/,load.c load_client.c load_meter.c load_upstream.c)

build/bench/load: $(bench_load) tests/bench/load.h
	@mkdir -p $(@D)
	$(CC) $(bench_flags) -o $@ $(bench_load)

build/bench/relay build/bench/fan: build/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(bench_flags) -o $@ $<

# Left out, and said to be left out, where there is no Go.
build/bench/goproxy: tests/bench/goproxy/main.go tests/bench/goproxy/go.mod
	@mkdir -p $(@D)
	cd tests/bench/goproxy && go build -o $(CURDIR)/$@ .


# Only where the model is measured: not when other parts were named.
bench_model := $(if $(findstring --only,$(ARGS)),$(findstring model,$(ARGS)),model)

.PHONY: bench bench-programs
bench-programs: $B/lastword build/bench/load build/bench/relay build/bench/fan $(if $(shell command -v go),build/bench/goproxy)
bench-programs: $(if $(bench_model),$B/lastword-model build/bench/llama-batched-bench model)

bench: ## measure against a bare relay, nginx, HAProxy and a Go proxy, and llama.cpp (ARGS=--quick: some minutes)
	@tools/phase "setting up" tools/setup bench
	@tools/phase "building" $(SUBMAKE) -s bench-programs ARGS="$(ARGS)"
	@LASTWORD=$B/lastword python3 tests/bench/bench.py $(ARGS)

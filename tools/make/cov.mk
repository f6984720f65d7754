# Which lines the tests run. ARGS=--no-dialogues takes a minute, ARGS="--again --lines net,server" looks elsewhere;
# `tools/cov --help` names the rest.

.PHONY: cov
cov: build/venv/bin/pytest ## the lines that units, corpora and dialogues run, by file
	@tools/cov $(ARGS)

# Official clients x faults, directly and through lastword. `make test` runs the half through lastword; ARGS=--write puts
# both into docs/sdks.md, ARGS="--client anthropic" asks some; `python3 tests/sdk/matrix.py --help` names the rest.

.PHONY: sdk
sdk: ## what official SDKs make of each fault, directly and through lastword (ARGS=--write: docs/sdks.md)
	@tools/phase "setting up" tools/setup sdk
	@tools/phase "building" $(SUBMAKE) -s $B/lastword
	@LASTWORD=$B/lastword python3 tests/sdk/matrix.py $(ARGS)

# Faults by the thousand: slower than tests, and each prints what it counted.

.PHONY: faults cuts kills reloads resumes
faults: $B/lastword $B/lastword-model build/venv/bin/pytest ## the thinned faults, as `make test` runs them
	$(PYTEST) tests/faults

cuts: $B/lastword ## cut answers of every dialect at every byte, in every way: 367,000 runs
	LASTWORD=$B/lastword python3 tests/faults/cut_everywhere.py

kills: $B/lastword $B/lastword-model ## kill -9 the model server in mid-answer, 100 times
	LASTWORD=$B/lastword python3 tests/faults/kill_model.py

reloads: $B/lastword ## 200 SIGHUPs under 200 new streams/s, and a drain among 1,000 live streams and 100 viewers that come back
	LASTWORD=$B/lastword python3 tests/faults/reload_under_load.py

resumes: $B/lastword ## viewers that come back 100,000 times, each answered as a model predicts
	LASTWORD=$B/lastword python3 tests/faults/resume_model.py

# Faults by the thousand: slower than tests, and each prints what it counted.

.PHONY: faults cuts kills mallocs reloads resumes
faults: $B/lastword $B/lastword-model failing build/venv/bin/pytest ## the thinned faults, as `make test` runs them
	$(PYTEST) tests/faults

cuts: $B/lastword ## cut answers of every dialect at every byte, in every way: 367,000 runs
	LASTWORD=$B/lastword python3 tests/faults/cut_everywhere.py

kills: $B/lastword $B/lastword-model ## kill -9 the model server in mid-answer, 100 times
	LASTWORD=$B/lastword python3 tests/faults/kill_model.py

# What lets allocations fail: preloaded, or under a sanitizer linked in.
failing_flags := -std=c17 -D_GNU_SOURCE -g $(WARN)
build/faults/failing_malloc.so: tests/faults/failing_malloc.c
	@mkdir -p $(@D)
	$(CC) $(failing_flags) -O2 -fPIC -shared -o $@ $< -ldl

$B/faults/lastword: tests/faults/failing_malloc.c $B/o/main.o $(rooms_o) $B/o/web.o
	@mkdir -p $(@D)
	$(CC) $(failing_flags) $(FLAGS_$V) -DWRAPPED $(LDFLAGS_ALL) -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -o $@ $^ $(LIBS) -ldl

.PHONY: failing
failing: $(if $(filter asan,$V),$B/faults/lastword,build/faults/failing_malloc.so)

mallocs: $B/lastword failing build/venv/bin/pytest ## let each allocation of a gateway fail, alone and with those behind it (V=asan: under AddressSanitizer)
	LASTWORD=$B/lastword build/venv/bin/python3 tests/faults/nth_malloc.py $(ARGS)
	LASTWORD=$B/lastword build/venv/bin/python3 tests/faults/nth_malloc.py --many 8 --workers 2 $(ARGS)
	LASTWORD=$B/lastword build/venv/bin/python3 tests/faults/nth_malloc.py --tls $(ARGS)

reloads: $B/lastword ## 200 SIGHUPs under 200 new streams/s, and a drain among 1,000 live streams and 100 viewers that come back
	LASTWORD=$B/lastword python3 tests/faults/reload_under_load.py

resumes: $B/lastword ## viewers that come back 100,000 times, each answered as a model predicts
	LASTWORD=$B/lastword python3 tests/faults/resume_model.py

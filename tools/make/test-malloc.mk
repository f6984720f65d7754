# Unit tests that let memory run out (tests/unit/failing_malloc.h).
failing_malloc := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
unit_extra_test_journal := $(failing_malloc)
unit_extra_test_shelf := $(failing_malloc)
unit_extra_test_generation := $(failing_malloc)
unit_extra_test_generation_dialects := $(failing_malloc)
unit_extra_test_generation_frames := $(failing_malloc)

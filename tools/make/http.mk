# test_http1 and test_url let memory run out.
unit_extra_test_http1 := -Wl,--wrap=realloc
unit_extra_test_url   := -Wl,--wrap=realloc

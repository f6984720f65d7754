# test_probe links the pure parts of `lastword check` besides the pure rooms.
probe_pure_o := $(foreach f,advice gauge look,$B/o/gateway/probe_$f.o)
unit_extra_test_probe := $(probe_pure_o)
$B/unit/test_probe: $(probe_pure_o)

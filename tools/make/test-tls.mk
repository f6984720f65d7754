# test_tls links the files of net that know no socket.
tls_o := $(patsubst %,$B/o/net/%.o,tls tls_identity tls_tickets)
unit_extra_test_tls := $(tls_o)
$B/unit/test_tls: $(tls_o)

# lastword: `make help` says what there is.

V       ?= release
B       := build$(if $(filter-out release,$V),/$V)
CC      ?= cc
CSTD    := -std=c17 -D_GNU_SOURCE
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wno-unused-parameter
ifdef CI
WARN    += -Werror
endif
HARDEN  := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
FLAGS_release := -O2 -g $(HARDEN)
FLAGS_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FLAGS_tsan    := -O1 -g -fsanitize=thread
FLAGS_cov     := -O0 -g --coverage
FLAGS_fuzzer  := -O2 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
PKGS    := libuv openssl yaml-0.1 libdeflate jansson
VERSION := $(shell cat VERSION)
CFLAGS_ALL := $(CSTD) $(WARN) $(FLAGS_$V) -Isrc -DLASTWORD_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CFLAGS)
LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread
LDFLAGS_ALL := $(FLAGS_$V) -pie -Wl,-z,relro,-z,now $(LDFLAGS)
ifneq ($(filter asan tsan cov,$V),)
LDFLAGS_ALL := $(FLAGS_$V) $(LDFLAGS)
else ifeq ($V,fuzzer)
LDFLAGS_ALL := $(subst fuzzer-no-link,fuzzer,$(FLAGS_fuzzer)) $(LDFLAGS)
endif

# Rooms without a socket, a clock or a thread; then those that have them.
PURE    := base http sse json dialect stream
ROOMS   := $(PURE) net server upstream gateway
pure_o  := $(foreach r,$(PURE),$(patsubst src/%.c,$B/o/%.o,$(wildcard src/$r/*.c)))
rooms_o := $(foreach r,$(ROOMS),$(patsubst src/%.c,$B/o/%.o,$(wildcard src/$r/*.c)))
# What the model server shares with the gateway.
shared_o:= $(foreach r,base http sse json net server,$(patsubst src/%.c,$B/o/%.o,$(wildcard src/$r/*.c)))
units   := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/test_*.c))
fuzzers := $(patsubst tests/fuzz/%.c,$B/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all gateway help clean
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

include tools/make/*.mk

all: $B/lastword $B/lastword-model ## build the gateway and the model server

gateway: $B/lastword ## build the gateway alone (no libllama needed)

help: ## this list
	@echo "make TARGET [V=release|asan|tsan|cov]"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | sort -u | expand -t 18

clean: ## remove what was built (downloads stay)
	rm -rf build/o build/unit build/fuzz build/asan build/tsan build/cov build/fuzzer build/lastword build/lastword-model

# A changed flag or compiler rebuilds.
$B/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL)' | cmp -s - $@ || echo '$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL)' > $@
FORCE:

$B/o/%.o: src/%.c $B/flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$B/lastword: $B/o/main.o $(rooms_o) $B/o/web.o
	$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# The page, embedded byte for byte.
$B/o/web.o: tools/embed.S $(wildcard web/*.html web/*.js web/*.css)
	@mkdir -p $(@D)
	$(CC) -Iweb -c -o $@ $<

-include $(shell find $B -name '*.d' 2>/dev/null)

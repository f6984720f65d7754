# The model server: C by our own flags, libllama (C++) as tools/get-llama built it: once, for every variant.
# LLAMA_SRC=DIR builds libllama from a llama.cpp tree of yours.

LLAMA   := build/llama
model_o := $(patsubst src/%.c,$B/o/%.o,$(wildcard src/model/*.c))
# Those that include llama.h; and those that know neither libllama nor a loop.
llama_o := $(foreach f,batch engine prompt sequence,$B/o/model/$f.o)
model_pure_o := $(foreach f,chat frames line options stop,$B/o/model/$f.o)

# Asked each time, because a build that is tuned to another CPU must be made again; it answers within milliseconds.
$(LLAMA)/built: FORCE
	@tools/get-llama

$(llama_o): CFLAGS_ALL += -isystem $(LLAMA)/include
$(llama_o): | $(LLAMA)/built

$B/lastword-model: $(model_o) $(shared_o) $(LLAMA)/built
	$(CXX) $(LDFLAGS_ALL) -o $@ $(model_o) $(shared_o) -L$(LLAMA)/lib -lllama -lggml -lggml-cpu -lggml-base $(LIBS) -lm -ldl

.PHONY: model
model: ## fetch the small model that is served by default (98 MB, into build/models)
	@tools/get-model

unit_extra_test_model := $(model_pure_o)
$B/unit/test_model: $(model_pure_o)

# The life of a call, between a client and an engine that the test plays.
unit_extra_test_model_call := $(model_pure_o) $B/o/model/call.o $B/o/model/serve.o
$B/unit/test_model_call: $(model_pure_o) $B/o/model/call.o $B/o/model/serve.o

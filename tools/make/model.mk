# The model server: C by our own flags, libllama (C++) as tools/get-llama built it: once, for every variant.
# LLAMA_SRC=DIR builds libllama from a llama.cpp tree of yours.

LLAMA   := build/llama
model_o := $(patsubst src/%.c,$B/o/%.o,$(wildcard src/model/*.c))
# Of the model server's files those that know neither libllama nor a loop.
model_pure_o := $(foreach f,chat frames line options stop,$B/o/model/$f.o)

# Asked each time, because a build that is tuned to another CPU must be made again; it answers within milliseconds.
$(LLAMA)/built: FORCE
	@tools/get-llama

$(model_o): CFLAGS_ALL += -isystem $(LLAMA)/include
$(model_o): | $(LLAMA)/built

$B/lastword-model: $(model_o) $(shared_o) $(LLAMA)/built
	$(CXX) $(LDFLAGS_ALL) -o $@ $(model_o) $(shared_o) -L$(LLAMA)/lib -lllama -lggml -lggml-cpu -lggml-base $(LIBS) -lm -ldl

.PHONY: model
model: ## fetch the small model that is served by default (98 MB, into build/models)
	@tools/get-model

unit_extra_test_model := $(model_pure_o)
$B/unit/test_model: $(model_pure_o)

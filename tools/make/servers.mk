# Real model servers. llama.cpp's own takes many minutes to build, so it is no part of `make test`.

llama_tree = $(or $(LLAMA_SRC),$(LLAMA)/source)

# llama.cpp's own programs, out of the tree that libllama came from and linked with it.
build_llama = mkdir -p build/servers $(@D) && \
	echo 'building $(@F): some minutes; what is said goes to build/servers/llama.log' >&2 && \
	cmake -S tests/servers/llama -B build/servers/llama -DLLAMA=$(abspath $(LLAMA)) -DSOURCE=$(abspath $(llama_tree)) \
		-DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 >build/servers/llama.log 2>&1 && \
	cmake --build build/servers/llama --target $(@F) -j "$${LLAMA_JOBS:-$$(nproc)}" >>build/servers/llama.log 2>&1 && \
	mv build/servers/llama/tools/$(patsubst llama-%,%,$(@F))/$(@F) $@

build/servers/llama-server build/bench/llama-batched-bench: tests/servers/llama/CMakeLists.txt build/llama/built
	@$(build_llama)

.PHONY: llama-server servers
llama-server: build/servers/llama-server ## llama.cpp's own server, with the libllama that lastword-model has

servers: $B/lastword build/servers/llama-server model build/venv/bin/pytest ## the gateway before llama.cpp's own server
	$(PYTEST) tests/servers

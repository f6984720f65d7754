/* Where the embedded model's two files are: its program and its weights. */
#ifndef UPSTREAM_MODEL_FIND_H
#define UPSTREAM_MODEL_FIND_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

#define MODEL_DEFAULT_FILE "SmolLM2-135M-Instruct.Q4_1.gguf"

/* A name with a '/' is taken as it is; a bare one (NULL: MODEL_DEFAULT_FILE) is looked for in the working directory, in
 * models/ beside the executable, /usr/local/share/lastword and /usr/share/lastword. False: there is none, and why is a
 * sentence that says how to get one. */
MUST bool model_find_file(const char *file, char *path, size_t path_bytes, char *why, size_t why_bytes);

/* lastword-model: `program` as it is; NULL: beside our own executable, else by that name in PATH. */
MUST bool model_find_program(const char *program, char *path, size_t path_bytes, char *why, size_t why_bytes);

#endif

/* Finding the embedded model.
 *
 * A build tree and an installed system must both work without a word of configuration, and a container must be able to
 * put the weights anywhere. So a path is a path, and only a bare name is looked for, in a short list that --help and
 * the error sentence can name whole. The directory of our own executable comes from /proc/self/exe: argv[0] may lie. A
 * program that was replaced while it runs is shown there as "… (deleted)", whose directory is still the right one.
 *
 * Nothing is opened here: a file that is there but cannot be read, or is no GGUF, is the model server's to complain
 * about, in its own words, when it loads it. */
#include "upstream/model_find.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_file(const char *path)
{
	struct stat s;
	return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static bool is_program(const char *path) { return is_file(path) && access(path, X_OK) == 0; }

/* directory/between/name, when it fits and `is` likes it. */
static bool try(bool (*is)(const char *), const char *directory, const char *between, const char *name, char *path,
                size_t path_bytes)
{
	int n = snprintf(path, path_bytes, "%s%s%s", directory, between, name);
	return n > 0 && (size_t)n < path_bytes && is(path);
}

static void our_directory(char directory[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", directory, PATH_MAX - 1);
	directory[n > 0 ? n : 0] = 0;
	char *slash = strrchr(directory, '/');
	strcpy(slash ? slash : directory, slash ? "" : ".");
}

bool model_find_file(const char *file, char *path, size_t path_bytes, char *why, size_t why_bytes)
{
	if (!file)
		file = MODEL_DEFAULT_FILE;
	if (try(is_file, "", "", file, path, path_bytes))
		return true;
	if (strchr(file, '/')) {
		snprintf(why, why_bytes, "there is no model file %s (`make model` fetches a small one into build/models/)",
		         file);
		return false;
	}
	char ours[PATH_MAX];
	our_directory(ours);
	if (try(is_file, ours, "/models/", file, path, path_bytes) ||
	    try(is_file, "/usr/local/share/lastword", "/", file, path, path_bytes) ||
	    try(is_file, "/usr/share/lastword", "/", file, path, path_bytes))
		return true;
	snprintf(why, why_bytes,
	         "the model file %s is neither here nor in %s/models, /usr/local/share/lastword or /usr/share/lastword: "
	         "`make model` fetches it, --model FILE names another GGUF, --upstream URL does without", file, ours);
	return false;
}

static bool find_in_path(const char *name, char *path, size_t path_bytes)
{
	const char *list = getenv("PATH");
	while (list && *list) {
		char directory[PATH_MAX];
		size_t n = strcspn(list, ":");
		snprintf(directory, sizeof directory, "%.*s", n < PATH_MAX ? (int)n : 0, list);
		if (try(is_program, *directory ? directory : ".", "/", name, path, path_bytes))
			return true;
		list += n + (list[n] == ':');
	}
	return false;
}

bool model_find_program(const char *program, char *path, size_t path_bytes, char *why, size_t why_bytes)
{
	if (program) {
		if (try(is_program, "", "", program, path, path_bytes))
			return true;
		snprintf(why, why_bytes, "%s is no program", program);
		return false;
	}
	char ours[PATH_MAX];
	our_directory(ours);
	if (try(is_program, ours, "/", "lastword-model", path, path_bytes) ||
	    find_in_path("lastword-model", path, path_bytes))
		return true;
	snprintf(why, why_bytes,
	         "the program lastword-model is neither in %s nor in PATH: `make` builds it, --upstream URL does without",
	         ours);
	return false;
}

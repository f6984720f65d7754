/* Runs a fuzz target over files, so that every compiler can replay the corpora and a crash's input can be debugged. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		if (!f) {
			perror(argv[i]);
			return 1;
		}
		size_t n = 0, cap = 1 << 20;
		uint8_t *data = malloc(cap);
		for (size_t got; data && (got = fread(data + n, 1, cap - n, f)) > 0;)
			if ((n += got) == cap)
				data = realloc(data, cap *= 2);
		fclose(f);
		uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees one byte too far */
		if (!data || !exact)
			return 1;
		for (size_t k = 0; k < n; k++)
			exact[k] = data[k];
		LLVMFuzzerTestOneInput(exact, n);
		free(exact);
		free(data);
	}
	printf("%s: %d inputs replayed\n", argv[0], argc - 1);
	return 0;
}

/* What it cost: CPU time and memory of the processes under test, from /proc, and latencies, every one of them kept.
 *
 * schedstat counts nanoseconds on a core, of user and kernel together; times(2) counts ticks of 10 ms, too coarse for
 * windows of some seconds. Memory is PSS, so that pages which a fork shares are counted once. A sample of latencies or
 * a histogram would be smaller; a run has a million events at most, and sorted they have no error to explain. */
#include "load.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool recording;

static uint32_t *latencies; /* ns, capped at 4 s */
static size_t n, cap;
static bool sorted;

void latency_add(uint64_t ns)
{
	if (n == cap) {
		cap = cap ? cap * 2 : 1 << 16;
		latencies = realloc(latencies, cap * sizeof *latencies);
		if (!latencies)
			die("no memory for latencies");
	}
	latencies[n++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
	sorted = false;
}

void latency_clear(void) { n = 0; }

size_t latency_count(void) { return n; }

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

double latency_us(double quantile)
{
	if (!n)
		return 0;
	if (!sorted)
		qsort(latencies, n, sizeof *latencies, by_size);
	sorted = true;
	return latencies[(size_t)(quantile * (double)(n - 1))] / 1e3;
}

static uint64_t cpu_of_thread(const char *task, const char *tid)
{
	char path[512];
	unsigned long long ns = 0;
	snprintf(path, sizeof path, "%s/%s/schedstat", task, tid);
	FILE *f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &ns) != 1)
		die("%s cannot be read", path);
	fclose(f);
	return ns;
}

static uint64_t cpu_of_process(int pid)
{
	char task[64];
	uint64_t sum = 0;
	snprintf(task, sizeof task, "/proc/%d/task", pid);
	DIR *d = opendir(task);
	if (!d)
		die("process %d has gone", pid);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			sum += cpu_of_thread(task, e->d_name);
	closedir(d);
	return sum;
}

static uint64_t pss_of_process(int pid)
{
	char path[64], line[256];
	unsigned long long kib = 0;
	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
	FILE *f = fopen(path, "r");
	if (!f)
		die("process %d has gone", pid);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "Pss: %llu kB", &kib) == 1)
			break;
	fclose(f);
	return kib * 1024;
}

static uint64_t sum(uint64_t (*of)(int pid))
{
	uint64_t all = 0;
	for (int i = 0; i < plan.pids_n; i++)
		all += of(plan.pids[i]);
	return all;
}

uint64_t meter_cpu_ns(void) { return sum(cpu_of_process); }

uint64_t meter_pss_bytes(void) { return sum(pss_of_process); }

// SPDX-License-Identifier: GPL-2.0-only
/*
 * scale_write.c - one-byte writes to many files by several threads, timed.
 *
 *	scale_write LIST
 *
 * LIST names files, one a line, which are made. Reads lines "THREADS MS" and answers each
 * with a line of JSON. Every thread goes round its own share of the files; one alone
 * stays on the first CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CHUNK	    100 /* writes that are timed together */
#define MAX_CHUNKS  20000
#define MAX_THREADS 256

struct writer {
	pthread_t thread;
	unsigned first, step;
	uint64_t end_ns;
	uint64_t operations, failed;
	double p10;
};

static int *fds;
static unsigned fds_len;

static void die(const char *what)
{
	fprintf(stderr, "scale_write: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double write_chunk(struct writer *w, unsigned *at)
{
	uint64_t start = now_ns();
	unsigned i;

	for (i = 0; i < CHUNK; i++) {
		w->failed += pwrite(fds[*at], "x", 1, 0) != 1;
		*at += w->step;
		if (*at >= fds_len)
			*at = w->first;
	}
	w->operations += CHUNK;
	return (double)(now_ns() - start) / CHUNK;
}

static void *write_for_a_while(void *arg)
{
	double *chunks = calloc(MAX_CHUNKS, sizeof(*chunks));
	struct writer *w = arg;
	unsigned at = w->first, n = 0;

	if (!chunks)
		die("memory");
	do {
		chunks[n++] = write_chunk(w, &at);
	} while (n < MAX_CHUNKS && now_ns() < w->end_ns);
	qsort(chunks, n, sizeof(chunks[0]), compare);
	w->p10 = chunks[n / 10];
	free(chunks);
	return NULL;
}

static void pin(int only_first)
{
	cpu_set_t set;
	int cpu;

	CPU_ZERO(&set);
	for (cpu = 0; cpu < (only_first ? 1 : CPU_SETSIZE); cpu++)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static void run(unsigned threads, unsigned ms)
{
	static struct writer writers[MAX_THREADS];
	double p10s[MAX_THREADS];
	uint64_t operations = 0, failed = 0;
	unsigned i;

	pin(threads == 1);
	for (i = 0; i < threads; i++) {
		writers[i] = (struct writer){
			.first = i, .step = threads, .end_ns = now_ns() + ms * 1000000ull};
		if (pthread_create(&writers[i].thread, NULL, write_for_a_while, &writers[i]))
			die("pthread_create");
	}
	for (i = 0; i < threads; i++) {
		pthread_join(writers[i].thread, NULL);
		p10s[i] = writers[i].p10;
		operations += writers[i].operations;
		failed += writers[i].failed;
	}
	qsort(p10s, threads, sizeof(p10s[0]), compare);
	printf("{\"p10\":%.2f,\"operations\":%llu,\"failed\":%llu}\n", p10s[threads / 2],
	       (unsigned long long)operations, (unsigned long long)failed);
}

static void open_files(const char *list)
{
	FILE *f = fopen(list, "re");
	char line[4096];
	int *more;

	if (!f)
		die(list);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		more = realloc(fds, (fds_len + 1) * sizeof(*fds));
		if (!more)
			die("memory");
		fds = more;
		fds[fds_len] = open(line, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (fds[fds_len] < 0 || pwrite(fds[fds_len], "x", 1, 0) != 1)
			die(line);
		fds_len++;
	}
	fclose(f);
}

int main(int argc, char **argv)
{
	unsigned threads, ms;
	struct rlimit limit;
	char line[128];

	if (argc != 2) {
		fprintf(stderr, "usage: scale_write LIST\n");
		return 2;
	}
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_files(argv[1]);
	printf("{\"ready\":%d}\n", (int)getpid());
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%u %u", &threads, &ms) == 2 && threads &&
		    threads <= MAX_THREADS && threads <= fds_len)
			run(threads, ms);
		else
			printf("{\"error\":\"what is that?\"}\n");
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * storm.c - many tasks that write at full speed, and what their calls returned.
 *
 *	storm DIR TASKS CPU SECONDS
 *
 * Each task writes to a file of its own and to one that all share. CPU is where all of
 * them run, so that they preempt each other, or -1: anywhere. Prints one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_TASKS  256
#define FILE_BYTES (1 << 20)

struct tally {
	uint64_t calls, bytes;
};

static void die(const char *what)
{
	fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add(struct tally *t, ssize_t ret)
{
	if (ret <= 0)
		die("write");
	t->calls++;
	t->bytes += (uint64_t)ret;
}

static int open_named(const char *name)
{
	int fd = open(name, O_CREAT | O_RDWR, 0644);

	if (fd < 0)
		die(name);
	return fd;
}

/* Sizes that end within a page, at its end and beyond it. */
static void write_for(struct tally *t, unsigned number, double seconds)
{
	static const size_t sizes[] = {1, 100, 1, 4096, 1, 5000, 1, 12345};
	static char page[16384];
	double end = now() + seconds;
	char name[32];
	int own, shared = open_named("shared");
	unsigned i;

	snprintf(name, sizeof(name), "own%u", number);
	own = open_named(name);
	do {
		for (i = 0; i < 64; i++) {
			size_t size = sizes[(i + number) % 8];

			add(t, pwrite(i & 1 ? shared : own, page, size, (i * 4096) % FILE_BYTES));
		}
	} while (now() < end);
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("affinity");
}

int main(int argc, char **argv)
{
	struct tally *tallies, sum = {0};
	unsigned tasks, i;
	int status, failed = 0;

	if (argc != 5 || chdir(argv[1])) {
		fprintf(stderr, "usage: storm DIR TASKS CPU SECONDS\n");
		return 2;
	}
	tasks = (unsigned)strtoul(argv[2], NULL, 10);
	if (!tasks || tasks > MAX_TASKS)
		return 2;
	tallies = mmap(NULL, MAX_TASKS * sizeof(*tallies), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tallies == MAP_FAILED)
		die("memory");
	pin((int)strtol(argv[3], NULL, 10));
	for (i = 0; i < tasks; i++) {
		if (fork())
			continue;
		write_for(&tallies[i], i, strtod(argv[4], NULL));
		_exit(0);
	}
	for (i = 0; i < tasks; i++) {
		wait(&status);
		failed |= status;
	}
	for (i = 0; i < tasks; i++) {
		sum.calls += tallies[i].calls;
		sum.bytes += tallies[i].bytes;
	}
	printf("{\"calls\":%llu,\"bytes\":%llu}\n", (unsigned long long)sum.calls,
	       (unsigned long long)sum.bytes);
	return failed ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * work.c - the work that the benchmark times: one process, one thread, one CPU.
 *
 *	work CPU LAYER HOST VOLUME TMPFS FILES
 *
 * LAYER, HOST, VOLUME and TMPFS are directories to write in; FILES is how many files the
 * round robin over many files has. Reads lines "NAME MS" and answers each with a line of
 * JSON: nanoseconds per operation as the 10th percentile and the median of short chunks.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HOT_FILES  64
#define MANY_CHUNK 200 /* operations of one holder at a time */
#define MAX_CHUNKS 100000
#define PAGE	   4096

struct files {
	int *fds;
	unsigned count, next;
};

/*
 * A process that holds a part of the many files: one alone may not hold them all. It is
 * asked for a chunk and tells how long that took.
 */
struct holder {
	int ask, answer;
};

static struct {
	int layer_dir;
	int hot, append, host, volume, tmpfs;
	struct files few;
	struct holder *holders;
	unsigned holders_count, holders_next;
	char page[PAGE];
	uint64_t operations, failed;
} w;

static void die(const char *what)
{
	fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* --- operations: each does one, and returns whether it did --- */

static int do_getppid(void)
{
	return syscall(SYS_getppid) >= 0;
}

static int do_read(void)
{
	char c;

	return pread(w.hot, &c, 1, 0) == 1;
}

static int do_stat(void)
{
	struct stat st;

	return fstatat(w.layer_dir, "hot", &st, 0) == 0;
}

static int do_layer(void)
{
	return pwrite(w.hot, "x", 1, 0) == 1;
}

static int do_layer_page(void)
{
	return pwrite(w.hot, w.page, PAGE, 0) == PAGE;
}

static int do_append(void)
{
	return write(w.append, "x", 1) == 1;
}

static int write_next(struct files *files)
{
	int fd = files->fds[files->next];

	if (++files->next == files->count)
		files->next = 0;
	return pwrite(fd, "x", 1, 0) == 1;
}

static int do_few(void)
{
	return write_next(&w.few);
}

static int do_host(void)
{
	return pwrite(w.host, "x", 1, 0) == 1;
}

static int do_volume(void)
{
	return pwrite(w.volume, "x", 1, 0) == 1;
}

static int do_tmpfs(void)
{
	return pwrite(w.tmpfs, "x", 1, 0) == 1;
}

static int do_create(void)
{
	int fd = openat(w.layer_dir, "new", O_CREAT | O_WRONLY | O_TRUNC, 0644), done;

	if (fd < 0)
		return 0;
	done = write(fd, w.page, 100) == 100;
	close(fd);
	return unlinkat(w.layer_dir, "new", 0) == 0 && done;
}

static const struct work {
	const char *name;
	int (*operation)(void); /* NULL: the holders' */
	unsigned chunk;		/* operations per measurement: some 100 microseconds */
} works[] = {
	{"getppid", do_getppid, 400}, {"read", do_read, 200},		{"stat", do_stat, 100},
	{"layer", do_layer, 100},     {"layer4k", do_layer_page, 100},	{"append", do_append, 100},
	{"layer64", do_few, 128},     {"layer_many", NULL, MANY_CHUNK}, {"host", do_host, 100},
	{"volume", do_volume, 100},   {"tmpfs", do_tmpfs, 100},		{"create", do_create, 8},
};

/* --- setting up --- */

static int open_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_CREAT | O_RDWR, 0644);

	if (fd < 0 || pwrite(fd, w.page, PAGE, 0) != PAGE)
		die(name);
	return fd;
}

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		die(path);
	return fd;
}

static void open_files(struct files *files, unsigned first, unsigned count, const char *prefix)
{
	char name[64];
	unsigned i;
	int dir = -1;

	files->count = count;
	files->fds = calloc(count, sizeof(*files->fds));
	if (!files->fds)
		die("memory");
	for (i = 0; i < count; i++) {
		if (dir < 0 || (first + i) % 1000 == 0) {
			snprintf(name, sizeof(name), "%s%u", prefix, (first + i) / 1000);
			mkdirat(w.layer_dir, name, 0755);
			close(dir);
			dir = openat(w.layer_dir, name, O_RDONLY | O_DIRECTORY);
		}
		snprintf(name, sizeof(name), "%u", first + i);
		files->fds[i] = openat(dir, name, O_CREAT | O_RDWR, 0644);
		if (files->fds[i] < 0 || pwrite(files->fds[i], "0", 1, 0) != 1)
			die("many files");
	}
	close(dir);
}

static __attribute__((noreturn)) void hold(unsigned first, unsigned count, int ask, int answer)
{
	struct files files = {0};
	uint64_t result[2], start;
	unsigned i;
	char c;

	open_files(&files, first, count, "many");
	result[0] = result[1] = 0;
	do {
		if (write(answer, result, sizeof(result)) != sizeof(result))
			break;
		if (read(ask, &c, 1) != 1)
			break;
		start = now_ns();
		for (i = 0, result[1] = 0; i < MANY_CHUNK; i++)
			result[1] += !write_next(&files);
		result[0] = now_ns() - start;
	} while (true);
	_exit(0);
}

static void take_answer(const struct holder *h, uint64_t *ret_ns, uint64_t *ret_failed)
{
	uint64_t result[2];

	if (read(h->answer, result, sizeof(result)) != sizeof(result))
		die("a holder of files ended");
	*ret_ns = result[0];
	*ret_failed = result[1];
}

static void start_holders(unsigned files)
{
	struct rlimit limit;
	unsigned part, first, i;
	uint64_t ns, failed;
	int ask[2], answer[2];

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE");
	part = limit.rlim_cur > 100000 ? 99000 : (unsigned)limit.rlim_cur - 200;
	w.holders_count = (files + part - 1) / part;
	w.holders = calloc(w.holders_count ?: 1, sizeof(*w.holders));
	if (!w.holders)
		die("memory");
	for (first = i = 0; i < w.holders_count; i++, first += part) {
		if (pipe2(ask, O_CLOEXEC) || pipe2(answer, O_CLOEXEC))
			die("pipe");
		if (!fork()) {
			close(ask[1]); /* so that the end of its parent is its own */
			hold(first, files - first < part ? files - first : part, ask[0], answer[1]);
		}
		close(ask[0]);
		close(answer[1]);
		w.holders[i] = (struct holder){ask[1], answer[0]};
		take_answer(&w.holders[i], &ns, &failed);
	}
}

static void set_up(char **dirs, unsigned files)
{
	memset(w.page, 'p', PAGE);
	w.layer_dir = open_dir(dirs[0]);
	start_holders(files); /* before there is more that they would inherit */
	w.hot = open_file(w.layer_dir, "hot");
	w.append = openat(w.layer_dir, "append", O_CREAT | O_WRONLY | O_APPEND, 0644);
	if (w.append < 0)
		die("append");
	w.host = open_file(open_dir(dirs[1]), "host");
	w.volume = open_file(open_dir(dirs[2]), "volume");
	w.tmpfs = open_file(open_dir(dirs[3]), "driftwatch-bench");
	unlinkat(open_dir(dirs[3]), "driftwatch-bench", 0);
	open_files(&w.few, 0, HOT_FILES, "few");
}

/* Alone on its CPU, and ahead of everybody: what preempts it is not what is measured. */
static void pin(int cpu)
{
	struct sched_param param = {.sched_priority = 10};
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("affinity");
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		fprintf(stderr, "work: no real-time priority: %s\n", strerror(errno));
	mlockall(MCL_CURRENT);
}

/* --- measuring --- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double ask_holder(void)
{
	const struct holder *h = &w.holders[w.holders_next];
	uint64_t ns, failed;

	if (write(h->ask, "x", 1) != 1)
		die("a holder of files ended");
	take_answer(h, &ns, &failed);
	w.holders_next = (w.holders_next + 1) % w.holders_count;
	w.operations += MANY_CHUNK;
	w.failed += failed;
	return (double)ns / MANY_CHUNK;
}

static double run_chunk(const struct work *work)
{
	uint64_t start;
	unsigned i;

	if (!work->operation)
		return ask_holder();
	start = now_ns();
	for (i = 0; i < work->chunk; i++)
		w.failed += !work->operation();
	w.operations += work->chunk;
	return (double)(now_ns() - start) / work->chunk;
}

static void run(const struct work *work, unsigned ms)
{
	static double chunks[MAX_CHUNKS];
	uint64_t start, end, cpu;
	unsigned n = 0;

	w.operations = w.failed = 0;
	if (work->operation == do_append && ftruncate(w.append, 0))
		w.failed++;
	run_chunk(work); /* warms the caches, and is not counted */
	w.operations = 0;
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	start = now_ns();
	end = start + ms * 1000000ull;
	do {
		chunks[n++] = run_chunk(work);
	} while (n < MAX_CHUNKS && now_ns() < end);
	end = now_ns();
	cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	qsort(chunks, n, sizeof(chunks[0]), compare);
	printf("{\"p10\":%.2f,\"median\":%.2f,\"chunks\":%u,\"operations\":%llu,\"failed\":%llu,"
	       "\"wall_ns\":%llu,\"cpu_ns\":%llu}\n",
	       chunks[n / 10], chunks[n / 2], n, (unsigned long long)w.operations,
	       (unsigned long long)w.failed, (unsigned long long)(end - start),
	       (unsigned long long)cpu);
}

static const struct work *find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (!strcmp(works[i].name, name))
			return &works[i];
	return NULL;
}

int main(int argc, char **argv)
{
	char line[128], name[64];
	unsigned ms;

	if (argc != 7) {
		fprintf(stderr, "usage: work CPU LAYER HOST VOLUME TMPFS FILES\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	pin((int)strtol(argv[1], NULL, 10));
	set_up(argv + 2, (unsigned)strtoul(argv[6], NULL, 10));
	printf("{\"ready\":%d}\n", (int)getpid());
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%63s %u", name, &ms) != 2 || !find(name) ||
		    (!find(name)->operation && !w.holders_count)) {
			printf("{\"error\":\"what is that?\"}\n");
			continue;
		}
		run(find(name), ms);
	}
	return 0;
}

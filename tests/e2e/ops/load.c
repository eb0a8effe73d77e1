/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * load.c - measured workloads: what the calls returned is the truth that counters
 * must equal. A call counts when it returned more than 0.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring.h"

/* In shared memory: several processes add to it. */
struct sums {
	uint64_t calls, bytes;
};

struct load {
	int fd;
	unsigned count;
	const char *path;
	struct sums *sums;
};

static void add(const struct load *l, ssize_t result)
{
	if (result <= 0)
		return;
	__atomic_fetch_add(&l->sums->calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&l->sums->bytes, (uint64_t)result, __ATOMIC_RELAXED);
}

static int load_write(const struct load *l)
{
	for (unsigned i = 0; i < l->count; i++)
		add(l, write(l->fd, text_bytes(), 1 + i * 37 % 3000));
	return 0;
}

static int load_tiny(const struct load *l)
{
	for (unsigned i = 0; i < l->count; i++)
		add(l, write(l->fd, "x", 1));
	return 0;
}

/* Overwrites at offsets that cross pages; every second one nowhere near the last. */
static int load_pages(const struct load *l)
{
	for (unsigned i = 0; i < l->count; i++)
		add(l, pwrite(l->fd, text_bytes(), 9000, (off_t)(i * 7919 % 50 * 5000)));
	return 0;
}

static int load_vector(const struct load *l)
{
	struct iovec v[3] = {{(void *)text_bytes(), 100},
			     {(void *)text_bytes(), 5000},
			     {(void *)text_bytes(), 1}};

	for (unsigned i = 0; i < l->count; i++) {
		add(l, writev(l->fd, v, 3));
		add(l, pwritev(l->fd, v, 2, i));
		add(l, pwritev2(l->fd, v, 1, i, 0));
	}
	return 0;
}

/* The source has never been touched: the copy is cut short and tried again. */
static int load_unfaulted(const struct load *l)
{
	for (unsigned i = 0; i < l->count; i++) {
		char *source = mmap(NULL, 2000000, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		add(l, write(l->fd, source, 2000000));
		munmap(source, 2000000);
	}
	return 0;
}

/* The source ends in a page that is not there: a short count. */
static int load_half(const struct load *l)
{
	char *source =
		mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(source + 61440, 4096);
	for (unsigned i = 0; i < l->count; i++)
		add(l, write(l->fd, source + 480, 100000));
	add(l, write(l->fd, source + 61440, 100));
	return 0;
}

static int load_from_map(const struct load *l)
{
	int fd = open("/bin/busybox", O_RDONLY);

	TRY(fd);
	for (unsigned i = 0; i < l->count; i++) {
		char *map = mmap(NULL, 1000000, PROT_READ, MAP_SHARED, fd, 0);

		add(l, write(l->fd, map, 1000000));
		munmap(map, 1000000);
	}
	return close(fd);
}

static int load_direct(const struct load *l)
{
	int fd = open(l->path, O_WRONLY | O_DIRECT);
	void *aligned;

	TRY(fd);
	if (posix_memalign(&aligned, 4096, 16384))
		return ops_fail("posix_memalign");
	for (unsigned i = 0; i < l->count; i++)
		add(l, pwrite(fd, aligned, i % 2 ? 16384 : 4096, (off_t)i * 4096));
	return close(fd);
}

/* Writes cut short at the limit, then refused. */
static int load_limit(const struct load *l)
{
	struct rlimit limit = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	TRY(setrlimit(RLIMIT_FSIZE, &limit));
	for (unsigned i = 0; i < l->count; i++)
		add(l, write(l->fd, text_bytes(), 7777));
	limit.rlim_cur = RLIM_INFINITY;
	TRY(setrlimit(RLIMIT_FSIZE, &limit));
	return 0;
}

/* Until the file system is full, and a few times more. The file is then removed. */
static int load_full(const struct load *l)
{
	unsigned refused = 0;

	while (refused < l->count) {
		ssize_t n = write(l->fd, text_bytes(), 300000);

		add(l, n);
		if (n < 0 && errno != ENOSPC)
			return ops_fail("write");
		refused += n < 0;
	}
	return unlink(l->path);
}

/* Four processes, one file. */
static int load_writers(const struct load *l)
{
	for (int p = 0; p < 4; p++)
		if (fork() == 0)
			_exit(load_write(l) ? 1 : 0);
	for (int p = 0; p < 4; p++)
		if (wait(NULL) < 0)
			return ops_fail("wait");
	return 0;
}

static int load_sendfile(const struct load *l)
{
	int in = open("/bin/busybox", O_RDONLY);

	TRY(in);
	for (unsigned i = 0; i < l->count; i++)
		add(l, sendfile(l->fd, in, &(off_t){0}, 10000));
	return close(in);
}

static int load_splice(const struct load *l)
{
	int ends[2];

	TRY(pipe(ends));
	for (unsigned i = 0; i < l->count; i++) {
		TRY(write(ends[1], text_bytes(), 4000));
		add(l, splice(ends[0], NULL, l->fd, NULL, 4000, 0));
	}
	close(ends[0]);
	return close(ends[1]);
}

static int load_range(const struct load *l)
{
	int in = open("/bin/busybox", O_RDONLY);

	TRY(in);
	for (unsigned i = 0; i < l->count; i++)
		add(l, copy_file_range(in, &(off_t){0}, l->fd, NULL, 10000, 0));
	return close(in);
}

static int load_aio(const struct load *l)
{
	aio_context_t context = 0;
	struct iocb block = {0}, *blocks[1] = {&block};
	struct io_event event;

	TRY(syscall(SYS_io_setup, 8, &context));
	for (unsigned i = 0; i < l->count; i++) {
		block.aio_fildes = (unsigned)l->fd;
		block.aio_lio_opcode = IOCB_CMD_PWRITE;
		block.aio_buf = (uintptr_t)text_bytes();
		block.aio_nbytes = 700;
		block.aio_offset = i * 700;
		TRY(syscall(SYS_io_submit, context, 1, blocks));
		TRY(syscall(SYS_io_getevents, context, 1, 1, &event, NULL));
		add(l, (ssize_t)event.res);
	}
	return 0;
}

static int load_uring(const struct load *l)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_WRITE, .len = 900};
	struct ring r;

	TRY(ring_open(&r, 0));
	sqe.fd = l->fd;
	sqe.addr = (uintptr_t)text_bytes();
	for (unsigned i = 0; i < l->count; i++) {
		sqe.flags = i % 2 ? IOSQE_ASYNC : 0;
		sqe.off = i * 900;
		add(l, ring_do(&r, &sqe));
	}
	return close(r.fd);
}

static const struct {
	const char *kind;
	int flags;
	int (*run)(const struct load *l);
} loads[] = {
	{"write", O_APPEND, load_write},
	{"tiny", O_APPEND, load_tiny},
	{"pages", 0, load_pages},
	{"vector", O_APPEND, load_vector},
	{"unfaulted", 0, load_unfaulted},
	{"half", 0, load_half},
	{"from_map", 0, load_from_map},
	{"direct", 0, load_direct},
	{"limit", O_TRUNC, load_limit},
	{"full", 0, load_full},
	{"writers", O_APPEND, load_writers},
	{"sendfile", 0, load_sendfile},
	{"splice", 0, load_splice},
	{"range", 0, load_range},
	{"aio", 0, load_aio},
	{"uring", 0, load_uring},
};

int run_load(const char *kind, const char *path, unsigned count, uint64_t *calls, uint64_t *bytes)
{
	struct sums *sums = mmap(NULL, sizeof(*sums), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct load l = {.count = count, .path = path, .sums = sums};
	int err = -1;

	errno = ENOENT;
	ops_fail(kind);
	text_bytes();
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (strcmp(loads[i].kind, kind) != 0)
			continue;
		l.fd = open(path, O_WRONLY | O_CREAT | loads[i].flags, 0644);
		TRY(l.fd);
		err = loads[i].run(&l);
		close(l.fd);
	}
	*calls = sums->calls;
	*bytes = sums->bytes;
	munmap(sums, sizeof(*sums));
	return err;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_async.c - writes that no write() call makes: io_uring and AIO.
 *
 * With the raw system calls, so that nothing but the kernel is needed.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 16

struct ring {
	int fd;
	unsigned flags;
	unsigned char *sq, *cq;
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
};

static unsigned *field(unsigned char *base, unsigned offset)
{
	return (unsigned *)(void *)(base + offset);
}

static void *map_ring(const struct ring *r, size_t size, off_t offset)
{
	void *p =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, offset);

	assert_true(p != MAP_FAILED);
	return p;
}

static struct ring *ring_open(unsigned flags)
{
	struct ring *r = calloc(1, sizeof(*r));

	if (!r)
		skip(); /* before 5.18 the calls' tiers do not see it, and say so */
	r->params.flags = r->flags = flags;
	r->params.sq_thread_idle = 1000;
	r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &r->params);
	if (r->fd < 0) {
		print_message("io_uring: %s\n", strerror(errno));
		free(r);
		r = NULL;
		skip();
		return NULL;
	}
	r->sq = map_ring(r, r->params.sq_off.array + ENTRIES * sizeof(unsigned),
			 IORING_OFF_SQ_RING);
	r->cq = map_ring(r, r->params.cq_off.cqes + 2 * ENTRIES * sizeof(struct io_uring_cqe),
			 IORING_OFF_CQ_RING);
	r->sqes = map_ring(r, ENTRIES * sizeof(*r->sqes), IORING_OFF_SQES);
	return r;
}

static void ring_close(struct ring *r)
{
	munmap(r->sq, r->params.sq_off.array + ENTRIES * sizeof(unsigned));
	munmap(r->cq, r->params.cq_off.cqes + 2 * ENTRIES * sizeof(struct io_uring_cqe));
	munmap(r->sqes, ENTRIES * sizeof(*r->sqes));
	close(r->fd);
	free(r);
}

/* Queue one request; it starts with ring_wait(). */
static void ring_queue(struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned *tail = field(r->sq, r->params.sq_off.tail);
	unsigned mask = *field(r->sq, r->params.sq_off.ring_mask), i = *tail & mask;

	r->sqes[i] = *sqe;
	field(r->sq, r->params.sq_off.array)[i] = i;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

static void ring_write(struct ring *r, int fd, const void *buf, unsigned len, uint64_t offset)
{
	ring_queue(r, &(struct io_uring_sqe){.opcode = IORING_OP_WRITE,
					     .fd = fd,
					     .addr = (uint64_t)(uintptr_t)buf,
					     .len = len,
					     .off = offset});
}

/* Submit @n and add up what they return. */
static uint64_t ring_wait(struct ring *r, unsigned n)
{
	unsigned *head = field(r->cq, r->params.cq_off.head);
	unsigned *tail = field(r->cq, r->params.cq_off.tail);
	unsigned mask = *field(r->cq, r->params.cq_off.ring_mask);
	struct io_uring_cqe *cqes = (void *)(r->cq + r->params.cq_off.cqes);
	unsigned flags = IORING_ENTER_GETEVENTS;
	uint64_t bytes = 0;
	unsigned done;

	if (r->flags & IORING_SETUP_SQPOLL)
		flags |= IORING_ENTER_SQ_WAKEUP;
	assert_true(syscall(SYS_io_uring_enter, r->fd, n, n, flags, NULL, 0) >= 0);
	for (done = 0; done < n; done++) {
		while (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head)
			syscall(SYS_io_uring_enter, r->fd, 0, 1, flags, NULL, 0);
		assert_true(cqes[*head & mask].res > 0);
		bytes += (uint64_t)cqes[*head & mask].res;
		__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	}
	return bytes;
}

static int open_for_writing(const struct lab *lab, const char *name, int flags)
{
	int fd = open(lab_path(lab, name), O_CREAT | O_TRUNC | O_WRONLY | flags, 0644);

	if (fd < 0 && errno == EINVAL && flags & O_DIRECT)
		skip(); /* a tmpfs of an older kernel */
	assert_true(fd >= 0);
	return fd;
}

static void write_by_ring(struct lab *lab, const char *name, unsigned ring_flags, unsigned len,
			  int open_flags)
{
	struct ring *r = probe_sees(lab->probe, PROBE_SEES_IO_URING) ? ring_open(ring_flags) : NULL;
	int fd = open_for_writing(lab, name, open_flags);
	uint64_t bytes = 0, offset = 0;
	void *buf = NULL;
	int i, j;

	if (!r)
		skip(); /* before 5.18 the calls' tiers do not see it, and say so */
	assert_int_equal(posix_memalign(&buf, 4096, len), 0);
	memset(buf, 'u', len);
	for (i = 0; i < 10; i++) {
		for (j = 0; j < 8; j++, offset += len)
			ring_write(r, fd, buf, len, offset);
		bytes += ring_wait(r, 8);
	}
	free(buf);
	ring_close(r);
	close(fd);
	lab_expect(lab, 80, bytes);
}

static void requests_are_counted(void **state)
{
	write_by_ring(*state, "uring", 0, 100, 0);
}

static void requests_of_whole_pages_are_counted_one_by_one(void **state)
{
	write_by_ring(*state, "uring_pages", 0, 8192, 0);
}

static void requests_of_a_polling_thread_are_counted(void **state)
{
	write_by_ring(*state, "sqpoll", IORING_SETUP_SQPOLL, 4096, 0);
}

static void direct_requests_are_counted(void **state)
{
	write_by_ring(*state, "uring_direct", 0, 4096, O_DIRECT);
}

static void splices_by_a_ring_are_counted_once(void **state)
{
	struct lab *lab = *state;
	struct ring *r = probe_sees(lab->probe, PROBE_SEES_IO_URING) ? ring_open(0) : NULL;
	int fd = open_for_writing(lab, "uring_splice", 0), ends[2];
	uint64_t bytes = 0;

	if (!r)
		skip();
	assert_int_equal(pipe(ends), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write(ends[1], "four", 4), 4);
		ring_queue(r, &(struct io_uring_sqe){.opcode = IORING_OP_SPLICE,
						     .fd = fd,
						     .splice_fd_in = ends[0],
						     .splice_off_in = (uint64_t)-1,
						     .off = bytes,
						     .len = 4});
		bytes += ring_wait(r, 1);
	}
	close(ends[0]);
	close(ends[1]);
	ring_close(r);
	close(fd);
	lab_expect(lab, 3, bytes);
}

/* --- AIO --- */

static void write_by_aio(struct lab *lab, const char *name, int open_flags, uint64_t *ret_bytes)
{
	int fd = open_for_writing(lab, name, open_flags), i;
	struct iocb iocbs[8], *list[8];
	struct io_event events[8];
	aio_context_t ctx = 0;
	void *buf = NULL;

	assert_int_equal(posix_memalign(&buf, 4096, 4096), 0);
	memset(buf, 'a', 4096);
	assert_int_equal(syscall(SYS_io_setup, 8, &ctx), 0);
	memset(iocbs, 0, sizeof(iocbs));
	for (i = 0; i < 8; i++) {
		iocbs[i].aio_lio_opcode = IOCB_CMD_PWRITE;
		iocbs[i].aio_fildes = (uint32_t)fd;
		iocbs[i].aio_buf = (uint64_t)(uintptr_t)buf;
		iocbs[i].aio_nbytes = 4096;
		iocbs[i].aio_offset = i * 4096;
		list[i] = &iocbs[i];
	}
	assert_int_equal(syscall(SYS_io_submit, ctx, 8, list), 8);
	assert_int_equal(syscall(SYS_io_getevents, ctx, 8, 8, events, NULL), 8);
	for (i = 0; i < 8; i++)
		*ret_bytes += (uint64_t)events[i].res;
	syscall(SYS_io_destroy, ctx);
	free(buf);
	close(fd);
}

static void direct_aio_is_counted(void **state)
{
	struct lab *lab = *state;
	uint64_t bytes = 0;

	write_by_aio(lab, "aio_direct", O_DIRECT, &bytes);
	lab_expect(lab, 8, bytes);
}

static void buffered_aio_is_counted_in_bytes(void **state)
{
	struct lab *lab = *state;
	struct dw_counters c;
	uint64_t bytes = 0;

	write_by_aio(lab, "aio", 0, &bytes);
	c = lab_counted(lab);
	assert_int_equal(c.write_bytes[DW_TARGET_LAYER], bytes);
	assert_in_range(c.write_calls[DW_TARGET_LAYER], 1, 8);
	if (c.write_calls[DW_TARGET_LAYER] < 8)
		assert_true(c.calls_floor > 0);
}

static enum probe_tier tier_under_test;

static int open_lab(void **state)
{
	*state = lab_open(LAB_ROOT_FS, 0, tier_under_test);
	return 0;
}

static int close_lab(void **state)
{
	lab_close(*state);
	return 0;
}

static int mark(void **state)
{
	lab_mark(*state);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup(f, mark)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_are_counted),
		TEST(requests_of_whole_pages_are_counted_one_by_one),
		TEST(requests_of_a_polling_thread_are_counted),
		TEST(direct_requests_are_counted),
		TEST(splices_by_a_ring_are_counted_once),
		TEST(direct_aio_is_counted),
		TEST(buffered_aio_is_counted_in_bytes),
	};
	int failed = 0;

	for (tier_under_test = PROBE_TIER_VFS_FEXIT; tier_under_test < PROBE_TIER_MAX;
	     tier_under_test++)
		if (lab_can(tier_under_test, LAB_ROOT_FS))
			failed += cmocka_run_group_tests_name(probe_tier_name(tier_under_test),
							      tests, open_lab, close_lab);
	return failed;
}

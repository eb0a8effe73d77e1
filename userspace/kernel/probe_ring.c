/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_ring.c - records out of a ring buffer, of which no more is mapped than is read.
 *
 * libbpf's reader keeps all of the ring mapped, twice over because the kernel lays it out
 * twice: megabytes of resident memory for what is empty nearly always.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/probe_internal.h"

/* What is mapped of the ring for one turn. */
struct window {
	const char *data; /* of the position .from */
	unsigned long from, until;
	void *mapped;
	size_t mapped_len;
};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void *map(const struct ring *r, size_t offset, size_t len, int access)
{
	void *mapped = mmap(NULL, len, access, MAP_SHARED, r->fd, (off_t)offset);

	return mapped == MAP_FAILED ? NULL : mapped;
}

int ring_open(int fd, size_t size, int epoll_fd, struct ring *ret)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct ring r = {.fd = fd, .size = size};

	r.consumer = map(&r, 0, page_size(), PROT_READ | PROT_WRITE);
	r.producer = map(&r, page_size(), page_size(), PROT_READ);
	if (!r.consumer || !r.producer ||
	    (epoll_fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))) {
		int err = -errno;

		ring_close(&r);
		return err;
	}
	*ret = r;
	return 0;
}

void ring_close(struct ring *r)
{
	if (r->consumer)
		munmap(r->consumer, page_size());
	if (r->producer)
		munmap(r->producer, page_size());
	*r = (struct ring){.fd = -1};
}

unsigned long ring_end(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
}

bool ring_is_read_to(const struct ring *r, unsigned long end)
{
	return (long)(*r->consumer - end) >= 0;
}

void ring_skip(struct ring *r)
{
	__atomic_store_n(r->consumer, ring_end(r), __ATOMIC_RELEASE);
}

/* All that was put there by now; the data follow the two pages with the positions. */
static int open_window(const struct ring *r, struct window *ret)
{
	struct window w = {
		.from = *r->consumer,
		.until = ring_end(r),
	};
	size_t offset = w.from & (r->size - 1), into_page = offset & (page_size() - 1);

	if (w.from < w.until) {
		w.mapped_len = into_page + (w.until - w.from);
		w.mapped = map(r, 2 * page_size() + offset - into_page, w.mapped_len, PROT_READ);
		if (!w.mapped)
			return -errno;
		w.data = (const char *)w.mapped + into_page;
	}
	*ret = w;
	return 0;
}

/* Hands out what of a window is complete. Returns what @fn did, or 0. */
static int read_window(struct ring *r, const struct window *w, ring_fn fn, void *arg)
{
	unsigned long at = w->from;
	int err = 0;

	while (at < w->until && !err) {
		const char *record = w->data + (at - w->from);
		uint32_t len = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
		uint32_t bytes = len & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (len & BPF_RINGBUF_BUSY_BIT) /* a program is still filling it */
			break;
		at += (bytes + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
		if (!(len & BPF_RINGBUF_DISCARD_BIT))
			err = fn(arg, record + BPF_RINGBUF_HDR_SZ, bytes);
		__atomic_store_n(r->consumer, at, __ATOMIC_RELEASE);
	}
	return err;
}

/*
 * What comes meanwhile is left: epoll tells of it. Whoever goes on until there is no more
 * keeps up with a container that makes records, a window of a few of them at a time.
 */
int ring_consume(struct ring *r, ring_fn fn, void *arg)
{
	struct window w = {0};
	int err = open_window(r, &w);

	if (err || !w.mapped)
		return err;
	err = read_window(r, &w, fn, arg);
	munmap(w.mapped, w.mapped_len);
	return err;
}

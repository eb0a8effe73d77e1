/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring.h - the least io_uring that submits one request and waits for it.
 */
#ifndef RING_H
#define RING_H

#include <linux/io_uring.h>

struct ring {
	int fd;
	unsigned flags;
	unsigned *sq_tail, *sq_mask, *sq_flags, *sq_array;
	unsigned *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

/* @flags: IORING_SETUP_*. 0, or -1 after ops_fail(). */
int ring_open(struct ring *r, unsigned flags);

/* Submit @sqe and wait. The result of the request, or -1 with errno and ops_fail(). */
int ring_do(struct ring *r, const struct io_uring_sqe *sqe);

/* Open a ring, do one request with IOSQE_ASYNC, drop the ring. */
int ring_once(const struct io_uring_sqe *sqe);

#endif /* RING_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uring_names.c - names made and removed by io_uring: no system call shows them.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ops.h"
#include "ring.h"

static int op_uring_openat(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_OPENAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)NEW,
		.len = 0644,
		.open_flags = O_CREAT | O_WRONLY,
	};

	return ring_once(&sqe) < 0 ? -1 : 0;
}

/* Open with O_TRUNC into a slot of the ring: the process never has a descriptor. */
static int op_uring_opentrunc_direct(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_OPENAT,
		.flags = IOSQE_ASYNC,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)F,
		.open_flags = O_WRONLY | O_TRUNC,
		.file_index = 1,
	};
	int empty = -1;
	struct ring r;

	TRY(ring_open(&r, 0));
	TRY(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, &empty, 1));
	TRY(ring_do(&r, &sqe));
	return close(r.fd);
}

static int two_names(unsigned char opcode, const char *from, const char *to)
{
	struct io_uring_sqe sqe = {
		.opcode = opcode,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)from,
		.len = (unsigned)AT_FDCWD,
		.addr2 = (uintptr_t)to,
	};

	return ring_once(&sqe);
}

static int op_uring_renameat(void)
{
	return two_names(IORING_OP_RENAMEAT, F, IMG "/fren");
}

static int op_uring_linkat(void)
{
	return two_names(IORING_OP_LINKAT, F, IMG "/nhl");
}

static int op_uring_symlinkat(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_SYMLINKAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t) "f",
		.addr2 = (uintptr_t)IMG "/nsl",
	};

	return ring_once(&sqe);
}

static int op_uring_unlinkat(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_UNLINKAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)F,
	};

	return ring_once(&sqe);
}

static int op_uring_mkdirat(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_MKDIRAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)IMG "/nd",
		.len = 0755,
	};

	return ring_once(&sqe);
}

const struct op uring_name_ops[] = {
	{"uring_openat", op_uring_openat},
	{"uring_opentrunc_direct", op_uring_opentrunc_direct},
	{"uring_renameat", op_uring_renameat},
	{"uring_unlinkat", op_uring_unlinkat},
	{"uring_mkdirat", op_uring_mkdirat},
	{"uring_symlinkat", op_uring_symlinkat},
	{"uring_linkat", op_uring_linkat},
	{0},
};

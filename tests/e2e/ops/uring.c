/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uring.c - writes and sizes by io_uring, in each way a request can be carried out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ops.h"
#include "ring.h"

enum { OP_FTRUNCATE = 55 }; /* IORING_OP_FTRUNCATE: newer than Debian 12's headers */

static struct io_uring_sqe write_request(int fd)
{
	return (struct io_uring_sqe){
		.opcode = IORING_OP_WRITE,
		.fd = fd,
		.addr = (uintptr_t)text_bytes(),
		.len = 300,
	};
}

static int write_with(unsigned setup_flags, unsigned char request_flags)
{
	struct io_uring_sqe sqe;
	struct ring r;
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(ring_open(&r, setup_flags));
	sqe = write_request(fd);
	sqe.flags = request_flags;
	TRY(ring_do(&r, &sqe));
	close(r.fd);
	return close(fd);
}

static int op_uring_write(void)
{
	return write_with(0, 0);
}

static int op_uring_write_sqpoll(void)
{
	return write_with(IORING_SETUP_SQPOLL, 0);
}

static int op_uring_write_async(void)
{
	return write_with(0, IOSQE_ASYNC);
}

static int op_uring_fixedfile(void)
{
	struct io_uring_sqe sqe;
	struct ring r;
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(ring_open(&r, 0));
	TRY(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, &fd, 1));
	TRY(close(fd));
	sqe = write_request(0);
	sqe.flags = IOSQE_FIXED_FILE | IOSQE_ASYNC;
	TRY(ring_do(&r, &sqe));
	return close(r.fd);
}

static int op_uring_ftruncate(void)
{
	struct io_uring_sqe sqe = {.opcode = OP_FTRUNCATE, .off = 1234};

	sqe.fd = open(F, O_WRONLY);
	TRY(sqe.fd);
	TRY(ring_once(&sqe));
	return close(sqe.fd);
}

static int op_uring_fallocate(void)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_FALLOCATE, .off = 0, .addr = 20000};

	sqe.fd = open(F, O_WRONLY);
	TRY(sqe.fd);
	TRY(ring_once(&sqe));
	return close(sqe.fd);
}

static int op_uring_splice(void)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_SPLICE, .len = 400, .off = 0};
	int ends[2];

	TRY(pipe(ends));
	TRY(write(ends[1], text_bytes(), 400));
	sqe.fd = open(F, O_WRONLY);
	TRY(sqe.fd);
	sqe.splice_fd_in = ends[0];
	sqe.splice_off_in = (uint64_t)-1;
	TRY(ring_once(&sqe));
	return close(sqe.fd);
}

static int op_uring_fsetxattr(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_FSETXATTR,
		.addr = (uintptr_t) "user.x",
		.addr2 = (uintptr_t) "1",
		.len = 1,
	};

	sqe.fd = open(F, O_RDWR);
	TRY(sqe.fd);
	TRY(ring_once(&sqe));
	return close(sqe.fd);
}

const struct op uring_ops[] = {
	{"uring_write", op_uring_write},
	{"uring_write_sqpoll", op_uring_write_sqpoll},
	{"uring_write_async", op_uring_write_async},
	{"uring_fixedfile", op_uring_fixedfile},
	{"uring_ftruncate", op_uring_ftruncate},
	{"uring_fallocate", op_uring_fallocate},
	{"uring_splice", op_uring_splice},
	{"uring_fsetxattr", op_uring_fsetxattr},
	{0},
};

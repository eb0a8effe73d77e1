/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uring_more.c - the other requests of io_uring that change a file or a name.
 *
 * With a kernel thread that polls the ring no system call is made for any of them.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "ops.h"
#include "ring.h"

/* Newer than Debian 12's headers. */
enum { OP_BIND = 56, OP_WRITEV_FIXED = 61 };

static struct iovec parts[2] = {{.iov_len = 200}, {.iov_len = 100}};

static struct iovec *vector(void)
{
	parts[0].iov_base = parts[1].iov_base = (void *)text_bytes();
	return parts;
}

static int op_uring_writev(void)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_WRITEV, .len = 2};

	sqe.addr = (uintptr_t)vector();
	sqe.fd = open(F, O_WRONLY);
	TRY(sqe.fd);
	TRY(ring_once(&sqe));
	return close(sqe.fd);
}

/* The bytes lie in a buffer that the ring knows by its number. */
static int write_registered(struct io_uring_sqe *sqe)
{
	struct iovec buffer = {.iov_len = 4096};
	struct ring r;

	TRY(ring_open(&r, 0));
	buffer.iov_base = aligned_alloc(4096, 4096);
	memset(buffer.iov_base, 'b', 4096);
	TRY(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &buffer, 1));
	sqe->fd = open(F, O_WRONLY);
	TRY(sqe->fd);
	if (sqe->opcode == IORING_OP_WRITE_FIXED) {
		sqe->addr = (uintptr_t)buffer.iov_base;
	} else {
		parts[0].iov_base = buffer.iov_base;
		sqe->addr = (uintptr_t)parts;
	}
	TRY(ring_do(&r, sqe));
	close(r.fd);
	return close(sqe->fd);
}

static int op_uring_write_fixed(void)
{
	return write_registered(
		&(struct io_uring_sqe){.opcode = IORING_OP_WRITE_FIXED, .len = 300});
}

static int op_uring_writev_fixed(void)
{
	return write_registered(&(struct io_uring_sqe){.opcode = OP_WRITEV_FIXED, .len = 1});
}

static int op_uring_openat2(void)
{
	struct open_how how = {.flags = O_CREAT | O_WRONLY, .mode = 0644};
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_OPENAT2,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)NEW,
		.len = sizeof(how),
		.off = (uintptr_t)&how,
	};

	return ring_once(&sqe) < 0 ? -1 : 0;
}

static int op_uring_rmdir(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_UNLINKAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)ED,
		.unlink_flags = AT_REMOVEDIR,
	};

	return ring_once(&sqe);
}

static int op_uring_exchange(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_RENAMEAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)F,
		.len = (unsigned)AT_FDCWD,
		.addr2 = (uintptr_t)F2,
		.rename_flags = 2 /* RENAME_EXCHANGE */,
	};

	return ring_once(&sqe);
}

static int op_uring_setxattr_cap(void)
{
	struct vfs_cap_data cap = {.magic_etc = VFS_CAP_REVISION_2};
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_SETXATTR,
		.addr = (uintptr_t) "security.capability",
		.addr2 = (uintptr_t)&cap,
		.addr3 = (uintptr_t)F,
		.len = XATTR_CAPS_SZ_2,
	};

	cap.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
	return ring_once(&sqe);
}

static int op_uring_bind(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = IMG "/sock"};
	struct io_uring_sqe sqe = {
		.opcode = OP_BIND,
		.addr = (uintptr_t)&address,
		.addr2 = sizeof(address),
	};

	sqe.fd = socket(AF_UNIX, SOCK_STREAM, 0);
	TRY(sqe.fd);
	TRY(ring_once(&sqe));
	return close(sqe.fd);
}

/* A chain by the polling thread: opened into a slot of the ring, cut, written, renamed. */
static int op_uring_sqpoll_chain(void)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_OPENAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)F,
		.open_flags = O_WRONLY | O_TRUNC,
		.file_index = 1,
	};
	int empty = -1;
	struct ring r;

	TRY(ring_open(&r, IORING_SETUP_SQPOLL));
	TRY(syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES, &empty, 1));
	TRY(ring_do(&r, &sqe));
	sqe = (struct io_uring_sqe){.opcode = IORING_OP_WRITE, .flags = IOSQE_FIXED_FILE};
	sqe.addr = (uintptr_t)text_bytes();
	sqe.len = 300;
	TRY(ring_do(&r, &sqe));
	sqe = (struct io_uring_sqe){.opcode = IORING_OP_RENAMEAT, .fd = AT_FDCWD};
	sqe.len = (unsigned)AT_FDCWD;
	sqe.addr = (uintptr_t)F;
	sqe.addr2 = (uintptr_t)IMG "/fren";
	TRY(ring_do(&r, &sqe));
	return close(r.fd);
}

const struct op uring_more_ops[] = {
	{"uring_writev", op_uring_writev},
	{"uring_write_fixed", op_uring_write_fixed},
	{"uring_writev_fixed", op_uring_writev_fixed},
	{"uring_openat2", op_uring_openat2},
	{"uring_rmdir", op_uring_rmdir},
	{"uring_exchange", op_uring_exchange},
	{"uring_setxattr_cap", op_uring_setxattr_cap},
	{"uring_bind", op_uring_bind},
	{"uring_sqpoll_chain", op_uring_sqpoll_chain},
	{0},
};

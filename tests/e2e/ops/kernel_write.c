/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel_write.c - bytes that the kernel moves: pipes, files, AIO, 32-bit calls.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int op_sendfile(void)
{
	int in = open(F2, O_RDONLY), out = open(F, O_WRONLY);

	TRY(in);
	TRY(out);
	TRY(sendfile(out, in, NULL, 3000));
	close(in);
	return close(out);
}

static int op_splice(void)
{
	int ends[2], out;

	TRY(pipe(ends));
	TRY(write(ends[1], text_bytes(), 500));
	out = open(F, O_WRONLY);
	TRY(out);
	TRY(splice(ends[0], NULL, out, NULL, 500, 0));
	return close(out);
}

static int op_tee_splice(void)
{
	int first[2], second[2], out;

	TRY(pipe(first));
	TRY(pipe(second));
	TRY(write(first[1], text_bytes(), 500));
	TRY(tee(first[0], second[1], 500, 0));
	out = open(F, O_WRONLY);
	TRY(out);
	TRY(splice(second[0], NULL, out, NULL, 500, 0));
	return close(out);
}

static int op_vmsplice(void)
{
	struct iovec part = {(void *)text_bytes(), 500};
	int ends[2], out;

	TRY(pipe(ends));
	TRY(vmsplice(ends[1], &part, 1, 0));
	out = open(F, O_WRONLY);
	TRY(out);
	TRY(splice(ends[0], NULL, out, NULL, 500, 0));
	return close(out);
}

static int op_copy_file_range(void)
{
	int in = open(F2, O_RDONLY), out = open(F, O_WRONLY);

	TRY(in);
	TRY(out);
	TRY(copy_file_range(in, NULL, out, NULL, 3000, 0));
	close(in);
	return close(out);
}

static int op_ficlone(void)
{
	int in = open(F2, O_RDONLY), out = open(F, O_WRONLY);

	TRY(in);
	TRY(out);
	TRY(ioctl(out, FICLONE, in));
	return 0;
}

static int op_aio_write(void)
{
	aio_context_t context = 0;
	struct iocb block = {0}, *blocks[1] = {&block};
	struct io_event event;
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(syscall(SYS_io_setup, 8, &context));
	block.aio_fildes = (unsigned)fd;
	block.aio_lio_opcode = IOCB_CMD_PWRITE;
	block.aio_buf = (uintptr_t)text_bytes();
	block.aio_nbytes = 700;
	TRY(syscall(SYS_io_submit, context, 1, blocks));
	TRY(syscall(SYS_io_getevents, context, 1, 1, &event, NULL));
	if (event.res != 700)
		return ops_fail("aio result");
	return close(fd);
}

#ifdef __x86_64__
/* A 32-bit system call from a 64-bit program; pointers must lie below 4 GiB. */
static long int80(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	if (result < 0 && result > -4096) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

enum { I386_WRITE = 4, I386_OPEN = 5, I386_CREAT = 8, I386_CHMOD = 15 };

static char *low_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
		    0);
}

static int op_int80(void)
{
	char *low = low_memory();
	long fd;

	memcpy(low, F, sizeof(F));
	fd = int80(I386_OPEN, (long)low, O_WRONLY, 0);
	TRY(fd);
	TRY(int80(I386_WRITE, fd, (long)low, 5));
	return 0;
}

static int op_int80_creat(void)
{
	char *low = low_memory();
	long fd;

	memcpy(low, D "/i32", sizeof(D "/i32"));
	fd = int80(I386_CREAT, (long)low, 0600, 0);
	TRY(fd);
	TRY(int80(I386_WRITE, fd, (long)low, 5));
	TRY(int80(I386_CHMOD, (long)low, 0640, 0));
	return 0;
}

static int op_x32(void)
{
	TRY(syscall(0x40000000 + SYS_write, 1, text_bytes(), 0));
	return 0;
}
#else
static int no_such_call(void)
{
	errno = ENOSYS;
	return ops_fail("32-bit x86 call");
}
#define op_int80       no_such_call
#define op_int80_creat no_such_call
#define op_x32	       no_such_call
#endif

const struct op kernel_write_ops[] = {
	{"sendfile", op_sendfile},
	{"splice", op_splice},
	{"tee_splice", op_tee_splice},
	{"vmsplice", op_vmsplice},
	{"copy_file_range", op_copy_file_range},
	{"ficlone", op_ficlone},
	{"aio_write", op_aio_write},
	{"int80", op_int80},
	{"int80_creat", op_int80_creat},
	{"x32", op_x32},
	{0},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ops32.c - a 32-bit program: every one of its system calls is one of i386.
 *
 * Built without headers and libraries, so that no 32-bit ones are needed. Appends to
 * /img/f, makes a file and gives it the name /img/d/i32, removes /img/f2.
 */
enum { EXIT = 1, WRITE = 4, OPEN = 5, UNLINK = 10, RENAME = 38, FTRUNCATE64 = 194 };
enum { O_WRITE_ONLY = 1, O_CREATE = 0100, O_AT_END = 02000 };

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory");
	return result;
}

static int work(void)
{
	long fd = call(OPEN, (long)"/img/f", O_WRITE_ONLY | O_AT_END, 0);

	if (fd < 0 || call(WRITE, fd, (long)"32 bit", 6) != 6)
		return 1;
	fd = call(OPEN, (long)"/img/d/made", O_WRITE_ONLY | O_CREATE, 0644);
	if (fd < 0 || call(FTRUNCATE64, fd, 5000, 0))
		return 2;
	if (call(RENAME, (long)"/img/d/made", (long)"/img/d/i32", 0))
		return 3;
	return call(UNLINK, (long)"/img/f2", 0, 0) ? 4 : 0;
}

void _start(void);
void _start(void)
{
	call(EXIT, work(), 0, 0);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * size.c - sizes and extents changed, and opens that change them or do not.
 */
#include "ops.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

static int op_ftruncate(void)
{
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(ftruncate(fd, 1000));
	return close(fd);
}

static int op_truncate(void)
{
	TRY(truncate(F, 1000));
	return 0;
}

static int op_truncate_same(void)
{
	TRY(truncate(F, F_LEN));
	return 0;
}

static int allocate(int mode, off_t offset, off_t len)
{
	int fd = open(F, O_RDWR);

	TRY(fd);
	TRY(fallocate(fd, mode, offset, len));
	return close(fd);
}

static int op_fallocate(void)
{
	return allocate(0, 0, 30000);
}

static int op_fallocate_keep(void)
{
	return allocate(FALLOC_FL_KEEP_SIZE, 0, 30000);
}

static int op_punch(void)
{
	return allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}

static int op_collapse(void)
{
	return allocate(FALLOC_FL_COLLAPSE_RANGE, 0, 4096);
}

static int op_zero_range(void)
{
	return allocate(FALLOC_FL_ZERO_RANGE, 0, 4096);
}

static int op_open_trunc(void)
{
	return put(F, O_WRONLY | O_TRUNC, 0, 0);
}

static int op_open_rdonly_trunc(void)
{
	return put(F, O_RDONLY | O_TRUNC, 0, 0);
}

static int op_open_rdwr_nowrite(void)
{
	return put(F, O_RDWR, 0, 0);
}

static int op_open_append_nowrite(void)
{
	return put(F, O_WRONLY | O_APPEND, 0, 0);
}

const struct op size_ops[] = {
	{"ftruncate", op_ftruncate},
	{"truncate", op_truncate},
	{"truncate_same", op_truncate_same},
	{"fallocate", op_fallocate},
	{"fallocate_keep", op_fallocate_keep},
	{"punch", op_punch},
	{"collapse", op_collapse},
	{"zero_range", op_zero_range},
	{"open_trunc", op_open_trunc},
	{"open_rdonly_trunc", op_open_rdonly_trunc},
	{"open_rdwr_nowrite", op_open_rdwr_nowrite},
	{"open_append_nowrite", op_open_append_nowrite},
	{0},
};

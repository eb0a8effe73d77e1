/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * odd.c - calls that fail, paths past PATH_MAX, names that are not text.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each of these must fail; -1 when one does not. */
static int must_fail(long result, const char *what)
{
	return result < 0 ? 0 : ops_fail(what);
}

static int op_failed(void)
{
	int fd = open(F, O_RDONLY);
	int bad = 0;

	TRY(fd);
	bad |= must_fail(open(IMG "/none", O_WRONLY), "open of nothing");
	bad |= must_fail(open(F, O_WRONLY | O_CREAT | O_EXCL, 0644), "exclusive open");
	bad |= must_fail(unlink(IMG "/none"), "unlink of nothing");
	bad |= must_fail(rename(IMG "/none", IMG "/none2"), "rename of nothing");
	bad |= must_fail(mkdir(D, 0755), "mkdir of a directory");
	bad |= must_fail(write(fd, "x", 1), "write to a read-only descriptor");
	bad |= must_fail(rmdir(D), "rmdir of a full directory");
	return bad;
}

/* 60 directories of 100 characters: docker diff itself fails on these. */
static int op_longpath(void)
{
	char name[101];
	int at = open(D, O_RDONLY | O_DIRECTORY);

	TRY(at);
	memset(name, 'n', 100);
	name[100] = '\0';
	for (int depth = 0; depth < 60; depth++) {
		int next;

		TRY(mkdirat(at, name, 0755));
		next = openat(at, name, O_RDONLY | O_DIRECTORY);
		TRY(next);
		close(at);
		at = next;
	}
	at = openat(at, "deep", O_WRONLY | O_CREAT, 0644);
	TRY(at);
	TRY(write(at, text_bytes(), 10));
	return close(at);
}

static int op_badname(void)
{
	TRY(put(NEW "\nline \xff\"", O_WRONLY | O_CREAT, 0644, 10));
	TRY(mkdir(D "/\x01\x1b[31m\\", 0755));
	return 0;
}

const struct op odd_ops[] = {
	{"failed", op_failed},
	{"longpath", op_longpath},
	{"badname", op_badname},
	{0},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * name.c - names moved, exchanged and replaced.
 */
#include "ops.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FREN IMG "/fren"

static int op_rename(void)
{
	TRY(rename(F, FREN));
	return 0;
}

static int op_rename_cross(void)
{
	TRY(rename(F, D "/fren"));
	return 0;
}

static int op_rename_over(void)
{
	TRY(rename(F, F2));
	return 0;
}

static int op_rename_back(void)
{
	TRY(rename(F, FREN));
	TRY(rename(FREN, F));
	return 0;
}

static int op_atomic_replace(void)
{
	TRY(put(IMG "/.tmp", O_WRONLY | O_CREAT, 0644, 123));
	TRY(rename(IMG "/.tmp", F));
	return 0;
}

static int op_exchange(void)
{
	TRY(renameat2(AT_FDCWD, F, AT_FDCWD, F2, RENAME_EXCHANGE));
	return 0;
}

static int op_exchange_dirfile(void)
{
	TRY(unlink(F2));
	TRY(mkdir(F2, 0755));
	TRY(renameat2(AT_FDCWD, F, AT_FDCWD, F2, RENAME_EXCHANGE));
	return 0;
}

static int op_noreplace(void)
{
	TRY(renameat2(AT_FDCWD, F, AT_FDCWD, FREN, RENAME_NOREPLACE));
	return 0;
}

static int op_rename_whiteout(void)
{
	TRY(renameat2(AT_FDCWD, F, AT_FDCWD, FREN, RENAME_WHITEOUT));
	return 0;
}

static int op_rename_imgdir(void)
{
	TRY(rename(D, IMG "/dren"));
	return 0;
}

static int move_new_dir(void)
{
	TRY(mkdir(IMG "/nd", 0755));
	TRY(make(IMG "/nd/x"));
	TRY(rename(IMG "/nd", IMG "/nd2"));
	return 0;
}

static int op_rename_newdir(void)
{
	return move_new_dir();
}

static int op_rename_newdir_write(void)
{
	TRY(move_new_dir());
	return append_to(IMG "/nd2/x", 77);
}

const struct op name_ops[] = {
	{"rename", op_rename},
	{"rename_cross", op_rename_cross},
	{"rename_over", op_rename_over},
	{"rename_back", op_rename_back},
	{"atomic_replace", op_atomic_replace},
	{"exchange", op_exchange},
	{"exchange_dirfile", op_exchange_dirfile},
	{"noreplace", op_noreplace},
	{"rename_whiteout", op_rename_whiteout},
	{"rename_imgdir", op_rename_imgdir},
	{"rename_newdir", op_rename_newdir},
	{"rename_newdir_write", op_rename_newdir_write},
	{0},
};

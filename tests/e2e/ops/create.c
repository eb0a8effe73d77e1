/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * create.c - new names of every type, and files that never keep one.
 */
#include "ops.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static int op_creat(void)
{
	return make(NEW);
}

static int op_creat_write(void)
{
	return put(NEW, O_WRONLY | O_CREAT, 0644, 100);
}

static int op_creat_root(void)
{
	return put("/newroot", O_WRONLY | O_CREAT, 0644, 100);
}

static int op_creat_exec(void)
{
	return put(D "/x", O_WRONLY | O_CREAT, 0755, 100);
}

static int op_creat_unlink(void)
{
	TRY(put(NEW, O_WRONLY | O_CREAT, 0644, 100));
	TRY(unlink(NEW));
	return 0;
}

static int op_creat_unlink_write(void)
{
	int fd = open(NEW, O_WRONLY | O_CREAT, 0644);

	TRY(fd);
	TRY(unlink(NEW));
	TRY(write(fd, text_bytes(), 100));
	return close(fd);
}

static int tmpfile_written(void)
{
	int fd = open(D, O_TMPFILE | O_RDWR, 0644);

	TRY(fd);
	TRY(write(fd, text_bytes(), 100));
	return fd;
}

static int op_otmpfile(void)
{
	int fd = tmpfile_written();

	return fd < 0 ? -1 : close(fd);
}

static int op_otmpfile_link(void)
{
	int fd = tmpfile_written();
	char path[64];

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY(linkat(AT_FDCWD, path, AT_FDCWD, D "/lnk", AT_SYMLINK_FOLLOW));
	return close(fd);
}

static int op_mkdir(void)
{
	TRY(mkdir(IMG "/nd", 0755));
	return 0;
}

static int op_mkdir_rmdir(void)
{
	TRY(mkdir(IMG "/nd", 0755));
	TRY(rmdir(IMG "/nd"));
	return 0;
}

static int op_mkfifo(void)
{
	TRY(mkfifo(IMG "/ff", 0644));
	return 0;
}

static int op_mknod_file(void)
{
	TRY(mknod(IMG "/fmk", S_IFREG | 0644, 0));
	return 0;
}

/* Overlayfs refuses to let a container make what would be a whiteout. */
static int op_mknod_whiteout(void)
{
	TRY(mknod(IMG "/wo", S_IFCHR | 0644, makedev(0, 0)));
	return 0;
}

static int op_bind_unix(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = IMG "/sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	TRY(fd);
	TRY(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	return close(fd);
}

static int op_symlink(void)
{
	TRY(symlink("f", IMG "/nsl"));
	return 0;
}

static int op_link(void)
{
	TRY(link(F, IMG "/nhl"));
	return 0;
}

static int op_link_write_old(void)
{
	TRY(link(F, IMG "/nhl"));
	return append_to(F, 10);
}

static int op_many(void)
{
	char path[64];

	for (int i = 1; i <= 200; i++) {
		snprintf(path, sizeof(path), D "/m%d", i);
		TRY(put(path, O_WRONLY | O_CREAT, 0644, 10));
	}
	for (int i = 2; i <= 200; i += 2) {
		snprintf(path, sizeof(path), D "/m%d", i);
		TRY(unlink(path));
	}
	return 0;
}

const struct op create_ops[] = {
	{"creat", op_creat},
	{"creat_write", op_creat_write},
	{"creat_root", op_creat_root},
	{"creat_exec", op_creat_exec},
	{"creat_unlink", op_creat_unlink},
	{"creat_unlink_write", op_creat_unlink_write},
	{"otmpfile", op_otmpfile},
	{"otmpfile_link", op_otmpfile_link},
	{"mkdir", op_mkdir},
	{"mkdir_rmdir", op_mkdir_rmdir},
	{"mkfifo", op_mkfifo},
	{"mknod_file", op_mknod_file},
	{"mknod_whiteout", op_mknod_whiteout},
	{"bind_unix", op_bind_unix},
	{"symlink", op_symlink},
	{"link", op_link},
	{"link_write_old", op_link_write_old},
	{"many", op_many},
	{0},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * place.c - the same layer seen through other mounts, and places that are no layer.
 */
#include "ops.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int op_chroot(void)
{
	TRY(chroot(IMG));
	TRY(chdir("/"));
	return append_to("/f", 20);
}

int own_mounts(void)
{
	TRY(unshare(CLONE_NEWNS));
	TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	return 0;
}

static int op_unshare_bind(void)
{
	TRY(own_mounts());
	TRY(mount(D, ED, NULL, MS_BIND, NULL));
	TRY(append_to(ED "/a", 20));
	return put(ED "/viabind", O_WRONLY | O_CREAT, 0644, 20);
}

static int op_bind_detached(void)
{
	int fd, tree = (int)syscall(SYS_open_tree, AT_FDCWD, D, 1 /* OPEN_TREE_CLONE */);

	TRY(tree);
	fd = openat(tree, "a", O_WRONLY | O_APPEND);
	TRY(fd);
	TRY(write(fd, text_bytes(), 20));
	TRY(close(fd));
	fd = openat(tree, "det", O_WRONLY | O_CREAT, 0644);
	TRY(fd);
	TRY(write(fd, text_bytes(), 20));
	return close(fd);
}

static int op_tmpfs(void)
{
	TRY(own_mounts());
	TRY(mount("none", ED, "tmpfs", 0, NULL));
	return put(ED "/n", O_WRONLY | O_CREAT, 0644, 100);
}

static int op_nested_overlay(void)
{
	TRY(own_mounts());
	TRY(mount("none", ED, "tmpfs", 0, NULL));
	TRY(mkdir(ED "/l", 0755));
	TRY(mkdir(ED "/u", 0755));
	TRY(mkdir(ED "/w", 0755));
	TRY(mkdir(ED "/m", 0755));
	TRY(put(ED "/l/f", O_WRONLY | O_CREAT, 0644, 100));
	TRY(mount("none", ED "/m", "overlay", 0,
		  "lowerdir=" ED "/l,upperdir=" ED "/u,workdir=" ED "/w"));
	TRY(append_to(ED "/m/f", 50));
	return put(ED "/m/new", O_WRONLY | O_CREAT, 0644, 100);
}

static int op_vol(void)
{
	TRY(put("/vol/n", O_WRONLY | O_CREAT, 0644, 100));
	TRY(unlink("/vol/n"));
	return 0;
}

static int op_shm(void)
{
	return put("/dev/shm/x", O_WRONLY | O_CREAT, 0644, 100);
}

const struct op place_ops[] = {
	{"chroot", op_chroot},
	{"unshare_bind", op_unshare_bind},
	{"bind_detached", op_bind_detached},
	{"tmpfs", op_tmpfs},
	{"nested_overlay", op_nested_overlay},
	{"vol", op_vol},
	{"shm", op_shm},
	{0},
};

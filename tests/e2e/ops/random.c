/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * random.c - sequences of changes that nobody thought of, repeatable by their seed.
 *
 * Few names and few directories, so that operations meet: about a quarter of the
 * calls succeed, and their result depends on all that came before.
 */
#include "ops.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static unsigned state;

static unsigned pick(unsigned n)
{
	state = state * 1103515245u + 12345u;
	return (state >> 12) % n;
}

/* A path of one to three components below /img. */
static const char *some_path(void)
{
	static const char *const names[] = {
		"f", "f2", "d", "ed",	  "a",	"b",  "sub", "c",  "hl1", "hl2", "sl", "script",
		"t", "w",  "o", "script", "n0", "n1", "n2",  "n3", "d",	  "t",	 "o",  "sub",
	};
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	unsigned depth = 1 + pick(3);
	int len = snprintf(path, sizeof(paths[0]), IMG);

	for (unsigned i = 0; i < depth; i++)
		len += snprintf(path + len, sizeof(paths[0]) - (size_t)len, "/%s",
				names[pick(sizeof(names) / sizeof(names[0]))]);
	return path;
}

static void touch_time(const char *path)
{
	struct timespec t[2] = {{.tv_sec = 1735787045}, {.tv_sec = 1735787045}};

	if (pick(2))
		t[1].tv_nsec = (long)pick(1000000000);
	if (!pick(3))
		t[1].tv_sec += 1;
	utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW);
}

static void change_capability(const char *path)
{
	struct vfs_cap_data cap = {.magic_etc = VFS_CAP_REVISION_2};

	cap.data[0].permitted = 1u << pick(4);
	if (pick(2))
		setxattr(path, "security.capability", &cap, XATTR_CAPS_SZ_2, 0);
	else
		removexattr(path, "security.capability");
}

static void link_tmpfile(const char *dir, const char *path)
{
	char fd_path[64];
	int fd = open(dir, O_TMPFILE | O_WRONLY, 0600);

	if (fd < 0)
		return;
	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", fd);
	linkat(AT_FDCWD, fd_path, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
	close(fd);
}

static void move_tree_in(const char *path)
{
	char dir[64], file[96];

	snprintf(dir, sizeof(dir), IMG "/tree%d", (int)getpid());
	snprintf(file, sizeof(file), "%s/a", dir);
	if (mkdir(dir, 0755))
		return;
	make(file);
	if (rename(dir, path))
		remove_tree(dir);
}

static void change_content(const char *path)
{
	switch (pick(5)) {
	case 0:
		put(path, O_WRONLY | O_APPEND, 0, 1 + pick(100));
		break;
	case 1:
		put(path, O_WRONLY | O_CREAT, 0644, pick(100));
		break;
	case 2:
		put(path, O_WRONLY | O_CREAT | O_TRUNC, 0755, pick(6000));
		break;
	case 3:
		truncate(path, pick(20000));
		break;
	default:
		put(path, O_RDWR, 0, 0);
		break;
	}
}

static void change_name(const char *path, const char *other)
{
	switch (pick(9)) {
	case 0:
		unlink(path);
		break;
	case 1:
		rmdir(path);
		break;
	case 2:
		remove_tree(path);
		break;
	case 3:
		mkdir(path, 0755);
		break;
	case 4:
		rename(path, other);
		break;
	case 5:
		renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE);
		break;
	case 6:
		link(path, other);
		break;
	case 7:
		move_tree_in(path);
		break;
	default:
		link_tmpfile(path, other);
		break;
	}
}

static void change_other(const char *path)
{
	switch (pick(6)) {
	case 0:
		chmod(path, pick(2) ? 0644 : 0750);
		break;
	case 1:
		lchown(path, pick(2), pick(2));
		break;
	case 2:
		touch_time(path);
		break;
	case 3:
		change_capability(path);
		break;
	case 4:
		symlink("f", path);
		break;
	default:
		mknod(path, pick(2) ? S_IFIFO | 0644 : S_IFREG | 0644, 0);
		break;
	}
}

static void one(void)
{
	const char *path = some_path();

	switch (pick(5)) {
	case 0:
	case 1:
		change_content(path);
		break;
	case 2:
	case 3:
		change_name(path, some_path());
		break;
	default:
		change_other(path);
		break;
	}
}

int run_random(unsigned seed, unsigned count, unsigned processes)
{
	int result = 0, status;

	for (unsigned p = 0; p < processes; p++) {
		if (fork())
			continue;
		signal(SIGPIPE, SIG_IGN); /* a FIFO that the other one read from for a moment */
		state = seed * 7919 + p * 104729 + 1;
		for (unsigned i = 0; i < count; i++)
			one();
		_exit(0);
	}
	for (unsigned p = 0; p < processes; p++)
		if (wait(&status) < 0 || status != 0)
			result = ops_fail("a random process died");
	return result;
}

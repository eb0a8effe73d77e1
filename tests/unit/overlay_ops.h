/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * overlay_ops.h - random changes to a directory, from a seed.
 *
 * Few names and three levels, so that the same paths are made, replaced, removed and
 * renamed over and over.
 */
#ifndef OVERLAY_OPS_H
#define OVERLAY_OPS_H

#include "layer_world.h"

#include <linux/fs.h>
#include <sys/syscall.h>

static inline unsigned draw(uint64_t *seed, unsigned below)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(*seed >> 33) % below;
}

static inline void draw_path(uint64_t *seed, const char *root, char *ret, size_t size)
{
	unsigned levels = 1 + draw(seed, 3), i;
	size_t at = (size_t)snprintf(ret, size, "%s", root);

	for (i = 0; i < levels; i++)
		at += (size_t)snprintf(ret + at, size - at, "/%c", 'a' + (int)draw(seed, 3));
}

static inline void op_write(uint64_t *seed, const char *path)
{
	const struct timespec whole[2] = {{1700000000, 0}, {1700000000, 0}};
	static const int how[] = {O_CREAT | O_TRUNC, O_CREAT | O_APPEND, O_CREAT, 0};
	int fd = open(path, O_WRONLY | O_NONBLOCK | how[draw(seed, 4)], 0644);

	if (fd < 0)
		return;
	if (draw(seed, 4) && write(fd, "some bytes", 1 + draw(seed, 9)) < 0)
		fail_msg("write %s", path);
	if (!draw(seed, 3))
		futimens(fd, whole);
	close(fd);
}

static inline void op_remove_tree(const char *path)
{
	char command[4200];

	/* May fail where others make names in it meanwhile. */
	snprintf(command, sizeof(command), "rm -rf '%s' 2>/dev/null", path);
	if (system(command) < 0)
		fail_msg("no shell");
}

static inline void op_attributes(uint64_t *seed, const char *path)
{
	static const char cap[20] = {1, 0, 0, 2, 0, 0x20};
	const struct timespec whole[2] = {{1700000000, 0}, {1700000000, 0}};

	switch (draw(seed, 6)) {
	case 0:
		chmod(path, draw(seed, 2) ? 0644 : 0755);
		break;
	case 1:
		if (lchown(path, draw(seed, 2), draw(seed, 2)) < 0)
			return;
		break;
	case 2:
		utimensat(AT_FDCWD, path, whole, AT_SYMLINK_NOFOLLOW);
		break;
	case 3:
		setxattr(path, "security.capability", cap, sizeof(cap), 0);
		break;
	case 4:
		removexattr(path, "security.capability");
		break;
	default:
		setxattr(path, "user.x", "1", draw(seed, 2), 0);
	}
}

/* One change beneath @root; about half of them succeed. */
static inline void random_op(uint64_t *seed, const char *root)
{
	char a[512], b[512];

	draw_path(seed, root, a, sizeof(a));
	draw_path(seed, root, b, sizeof(b));
	switch (draw(seed, 14)) {
	case 0:
	case 1:
	case 2:
		op_write(seed, a);
		break;
	case 3:
	case 4:
	case 5:
		mkdir(a, 0755);
		break;
	case 6:
		if (unlink(a) < 0)
			rmdir(a);
		break;
	case 7:
		op_remove_tree(a);
		break;
	case 8:
	case 9:
		rename(a, b);
		break;
	case 10:
		syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b,
			draw(seed, 2) ? RENAME_EXCHANGE : RENAME_NOREPLACE);
		break;
	case 11:
		if (link(a, b) < 0)
			return;
		break;
	case 12:
		if (draw(seed, 2) ? symlink("target", a) : mkfifo(a, 0600))
			return;
		break;
	default:
		op_attributes(seed, a);
	}
}

#endif /* OVERLAY_OPS_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * race.c - the changes that are hardest to follow, over and over, by several processes.
 *
 * Each kind has few names, so that whoever looks at a path twice may well see another
 * file there, and names of the image among them, so that a wrong look shows in the list.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* --- directories change places while others write beneath them */

static const char *place(void)
{
	static const char *const places[] = {IMG "/rx", IMG "/ry", D "/rz", ED "/rx"};

	return places[pick(4)];
}

static void fill(const char *dir)
{
	static const char *const names[] = {"a", "b", "f", "sub/c"};
	char path[128];

	mkdir(dir, 0755);
	snprintf(path, sizeof(path), "%s/sub", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s", dir, names[pick(4)]);
	put(path, O_WRONLY | O_CREAT | O_APPEND, 0644, pick(50));
}

static void thin(const char *dir)
{
	static const char *const names[] = {"a", "b", "f", "sub/c", "sub"};
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, names[pick(5)]);
	if (unlink(path) && errno == EISDIR)
		rmdir(path);
}

static void renames(void)
{
	switch (pick(6)) {
	case 0:
	case 1:
		renameat2(AT_FDCWD, place(), AT_FDCWD, place(), RENAME_EXCHANGE);
		break;
	case 2:
		rename(place(), place());
		break;
	case 3:
		thin(pick(2) ? D : place());
		break;
	case 4:
		fill(pick(4) ? place() : D);
		break;
	default:
		if (!pick(8))
			remove_tree(place());
		else
			fill(place());
		break;
	}
}

/* --- capabilities of files whose content is the image's again */

struct image_file {
	const char *path, *unit; /* of which it consists */
	unsigned times;
};
static const struct image_file image_files[] = {
	{F, "0123456789", 1000}, {F2, "f2f2f", 1000},	      {D "/a", "d/a", 10},
	{D "/b", "d/b", 10},	 {D "/sub/c", "d/sub/c", 10},
};

static void make_as_it_was(const struct image_file *f)
{
	char text[F_LEN], *end = text;
	int fd;

	for (unsigned i = 0; i < f->times; i++)
		end = stpcpy(end, f->unit);
	unlink(f->path);
	fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd < 0)
		return;
	if (write(fd, text, (size_t)(end - text)) > 0 && !fchmod(fd, 0644))
		set_image_time(fd);
	close(fd);
}

static void capabilities(void)
{
	struct vfs_cap_data cap = {.magic_etc = VFS_CAP_REVISION_2};
	const struct image_file *f = &image_files[pick(5)];

	cap.data[0].permitted = 1u << pick(3);
	if (!pick(50))
		make_as_it_was(f);
	else if (pick(2))
		setxattr(f->path, "security.capability", &cap, XATTR_CAPS_SZ_2, 0);
	else
		removexattr(f->path, "security.capability");
}

/* --- one name, one inode number, and each time something else */

static void reuse(void)
{
	static const char *const names[] = {F, F2, D "/a", D "/new", IMG "/n1", IMG "/n2", ED};
	const char *path = names[pick(7)];

	if (unlink(path) && errno == EISDIR)
		rmdir(path);
	switch (pick(6)) {
	case 0:
		mkdir(path, 0755);
		break;
	case 1:
		put(path, O_WRONLY | O_CREAT, 0644, pick(3) * 100);
		break;
	case 2:
		symlink("f", path);
		break;
	case 3:
		mkfifo(path, 0644);
		break;
	case 4:
		link(IMG "/hl1", path);
		break;
	default:
		break;
	}
}

/* --- one directory with very many names */

static void one_of(unsigned long n, char *path, size_t size)
{
	snprintf(path, size, D "/name-%lu", n);
}

static int fill_crowd(unsigned count)
{
	char path[64];

	for (unsigned i = 0; i < count; i++) {
		one_of(i, path, sizeof(path));
		TRY(make(path));
	}
	return 0;
}

static void crowd(void)
{
	char path[64], other[64];

	one_of(pick(20000), path, sizeof(path));
	one_of(20000 + pick(3000), other, sizeof(other));
	switch (pick(4)) {
	case 0:
		unlink(path);
		break;
	case 1:
		make(path);
		break;
	case 2:
		rename(path, other);
		break;
	default:
		put(D "/a", O_WRONLY | O_APPEND, 0, 1);
		break;
	}
}

/* --- paths that no call takes whole */

static int go_down(int at, unsigned depth)
{
	char name[201];

	memset(name, 'p', 200);
	name[200] = '\0';
	while (depth-- > 0) {
		int next;

		mkdirat(at, name, 0755);
		next = openat(at, name, O_RDONLY | O_DIRECTORY);
		close(at);
		if (next < 0)
			return -1;
		at = next;
	}
	return at;
}

static void deep(void)
{
	static const char *const names[] = {"a", "b", "c"};
	const char *name = names[pick(3)];
	int at = go_down(open(D "/sub", O_RDONLY | O_DIRECTORY), 15 + pick(15));

	if (at < 0)
		return;
	switch (pick(4)) {
	case 0:
		mknodat(at, name, S_IFREG | 0644, 0);
		break;
	case 1:
		unlinkat(at, name, 0);
		break;
	case 2:
		renameat(at, name, at, names[pick(3)]);
		break;
	default:
		fchmod(at, pick(2) ? 0755 : 0700);
		break;
	}
	close(at);
}

static const struct {
	const char *kind;
	void (*once)(void);
	unsigned processes;
} races[] = {
	{"renames", renames, 3}, {"capabilities", capabilities, 2},
	{"reuse", reuse, 3},	 {"crowd", crowd, 1},
	{"deep", deep, 2},
};

int run_race(const char *kind, unsigned seed, unsigned count)
{
	int result = 0, status;
	size_t r;

	if (!strcmp(kind, "fill"))
		return fill_crowd(count);
	for (r = 0; r < sizeof(races) / sizeof(races[0]); r++)
		if (!strcmp(races[r].kind, kind))
			break;
	if (r == sizeof(races) / sizeof(races[0])) {
		errno = ENOENT;
		return ops_fail(kind);
	}
	for (unsigned p = 0; p < races[r].processes; p++) {
		if (fork())
			continue;
		state = seed * 7919 + p * 104729 + 1;
		for (unsigned i = 0; i < count; i++)
			races[r].once();
		_exit(0);
	}
	for (unsigned p = 0; p < races[r].processes; p++)
		if (wait(&status) < 0 || status != 0)
			result = ops_fail("a racing process died");
	return result;
}

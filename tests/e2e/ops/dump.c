/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dump.c - what docker's rule looks at, of every entry of a tree, for judges elsewhere.
 *
 * "MODE UID GID RDEV SIZE MTIME_NS CAPABILITY PATH", mode in octal, the capability in
 * hex or "-", each ended by NUL. Paths may be longer than PATH_MAX.
 */
#include "ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void print_capability(int dir, const char *name)
{
	unsigned char value[64];
	ssize_t len = -1;
	char link[64];
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fd >= 0)
		len = getxattr(link, "security.capability", value, sizeof(value));
	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < len; i++)
		printf("%02x", value[i]);
	if (len <= 0)
		putchar('-');
}

static void print_entry(int dir, const char *name, const struct stat *st, const char *path)
{
	printf("%o %u %u %llu %lld %lld ", st->st_mode, st->st_uid, st->st_gid,
	       (unsigned long long)st->st_rdev, (long long)st->st_size,
	       (long long)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec);
	print_capability(dir, name);
	printf(" %s", path);
	putchar('\0');
}

/* @fd is given up. @path is what leads here, from the top of the tree. */
static int dump_directory(int fd, const char *path)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int err = 0;

	if (!dir)
		return ops_fail(path);
	while (!err && (e = readdir(dir))) {
		char *below;
		struct stat st;
		int child;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		TRY(fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW));
		TRY(asprintf(&below, "%s/%s", path, e->d_name));
		print_entry(fd, e->d_name, &st, below);
		if (S_ISDIR(st.st_mode)) {
			child = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
			err = child < 0 ? ops_fail(below) : dump_directory(child, below);
		}
		free(below);
	}
	closedir(dir);
	return err;
}

int dump_tree(const char *top)
{
	int fd = open(top, O_RDONLY | O_DIRECTORY);

	return fd < 0 ? ops_fail(top) : dump_directory(fd, "");
}

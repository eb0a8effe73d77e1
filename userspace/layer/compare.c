/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compare.c - docker's stat rule and the deeper comparison of compare.h.
 */
#include "layer/compare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/beneath.h"

#define COMPARE_CHUNK 16384

bool layer_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

unsigned layer_dir_marks(int dirfd, bool user_xattr)
{
	const char *name = user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
	char value[2];

	if (fgetxattr(dirfd, name, value, sizeof(value)) != 1)
		return 0;
	if (value[0] == 'y')
		return LAYER_OPAQUE;
	/* Since Linux 6.7: not opaque, but with whiteouts that are attributes. */
	return value[0] == 'x' ? LAYER_XWHITEOUTS : 0;
}

bool layer_is_xwhiteout(int dirfd, const char *name, const struct stat *st, bool user_xattr)
{
	char path[BENEATH_PROC_SIZE];

	if (!S_ISREG(st->st_mode) || st->st_size)
		return false;
	beneath_proc_path(dirfd, name, path);
	return lgetxattr(path, user_xattr ? "user.overlay.whiteout" : "trusted.overlay.whiteout",
			 NULL, 0) >= 0;
}

bool layer_uses_user_xattr(int dirfd)
{
	struct stat st;

	return fstatat(dirfd, "..", &st, 0) == 0 && st.st_uid != 0;
}

/* moby's sameFsTime: archives often carry whole seconds only. */
static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec &&
	       (a->tv_nsec == b->tv_nsec || a->tv_nsec == 0 || b->tv_nsec == 0);
}

bool layer_stat_differs(const struct stat *upper, const struct stat *lower)
{
	if (upper->st_mode != lower->st_mode || upper->st_uid != lower->st_uid ||
	    upper->st_gid != lower->st_gid || upper->st_rdev != lower->st_rdev)
		return true;
	/* moby tests this bit, not the type: block devices and sockets have it too. */
	if (lower->st_mode & S_IFDIR)
		return false;
	return upper->st_size != lower->st_size || !same_time(&upper->st_mtim, &lower->st_mtim);
}

int layer_read_capability(int dirfd, const char *name, void *buf, size_t size)
{
	char path[BENEATH_PROC_SIZE];
	ssize_t n;

	beneath_proc_path(dirfd, name, path);
	n = lgetxattr(path, "security.capability", buf, size);
	if (n >= 0)
		return (int)n;
	return errno == ENODATA || errno == ENOTSUP ? 0 : -errno;
}

/* Reads until @size bytes or the end. Returns how many, or -errno. */
static ssize_t read_full_at(int fd, void *buf, size_t size, uint64_t offset)
{
	size_t got = 0;
	ssize_t n;

	while (got < size) {
		n = pread(fd, (char *)buf + got, size - got, (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += n;
	}
	return (ssize_t)got;
}

int layer_compare_bytes(int upper_fd, int lower_fd, uint64_t offset, size_t step, bool *ret_end)
{
	char a[COMPARE_CHUNK], b[COMPARE_CHUNK];
	ssize_t n, m;
	size_t want;

	while (step) {
		want = step < sizeof(a) ? step : sizeof(a);
		n = read_full_at(upper_fd, a, want, offset);
		if (n < 0)
			return (int)n;
		m = read_full_at(lower_fd, b, want, offset);
		if (m < 0)
			return (int)m;
		if (n != m || memcmp(a, b, (size_t)n) != 0)
			return 1;
		if ((size_t)n < want) {
			*ret_end = true;
			return 0;
		}
		offset += want;
		step -= want;
	}
	return 0;
}

int layer_reopen(int path_fd)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char path[BENEATH_PROC_SIZE];
	int fd;

	beneath_proc_path(path_fd, NULL, path);
	fd = open(path, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

static int compare_content(int upper, int lower, uint64_t size)
{
	const size_t step = 1 << 20;
	bool end = false;
	uint64_t offset;
	int err;

	for (offset = 0; offset <= size && !end; offset += step) {
		err = layer_compare_bytes(upper, lower, offset, step, &end);
		if (err < 0)
			return err;
		if (err)
			return LAYER_CONTENT;
	}
	return LAYER_SAME;
}

int layer_compare_deep(int upper_fd, int lower_fd, uint64_t max_bytes)
{
	auto_close int upper = -1;
	auto_close int lower = -1;
	struct stat a, b;
	int err;

	if (fstat(upper_fd, &a) < 0 || fstat(lower_fd, &b) < 0)
		return -errno;
	if (!S_ISREG(a.st_mode) || !S_ISREG(b.st_mode))
		return -EINVAL;
	if (a.st_size != b.st_size)
		return LAYER_CONTENT;
	if ((uint64_t)a.st_size > max_bytes)
		return LAYER_NOT_COMPARED;

	upper = layer_reopen(upper_fd);
	if (upper < 0)
		return upper;
	lower = layer_reopen(lower_fd);
	if (lower < 0)
		return lower;

	err = compare_content(upper, lower, (uint64_t)a.st_size);
	if (err == LAYER_SAME && layer_metadata_differs(upper, lower))
		err = LAYER_METADATA;
	return err;
}

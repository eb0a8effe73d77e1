/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * file.c - bounded reads, atomic replacement and path joining of file.h.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

#define READ_CHUNK 16384

int file_read(int dirfd, const char *path, size_t max_bytes, struct strbuf *out)
{
	auto_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t total = 0;
	char chunk[READ_CHUNK];
	ssize_t n;

	if (fd < 0)
		return -errno;

	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		if ((size_t)n > max_bytes - total)
			return -EFBIG;
		total += n;
		strbuf_add(out, chunk, n);
	}
	return strbuf_failed(out) ? -ENOMEM : 0;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= n;
	}
	return 0;
}

static int write_new(int dirfd, const char *path, const void *bytes, size_t len)
{
	auto_close int fd = -1;
	int err;

	/* A leftover of a killed writer, or a link planted there, is not written through. */
	if (unlinkat(dirfd, path, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;

	err = write_all(fd, bytes, len);
	if (!err && fsync(fd) < 0)
		err = -errno;
	return err;
}

int file_replace(int dirfd, const char *path, const void *bytes, size_t len)
{
	auto_strbuf struct strbuf beside = STRBUF_INIT;
	int err;

	strbuf_addf(&beside, "%s.new", path);
	if (strbuf_failed(&beside))
		return -ENOMEM;

	err = write_new(dirfd, strbuf_str(&beside), bytes, len);
	if (!err && renameat(dirfd, strbuf_str(&beside), dirfd, path) < 0)
		err = -errno;
	if (err)
		unlinkat(dirfd, strbuf_str(&beside), 0);
	return err;
}

static int make_dir(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_make_dirs(const char *path, mode_t mode)
{
	auto_free char *copy = strdup(path);
	char *slash;
	int err;

	if (!copy)
		return -ENOMEM;
	if (!*copy)
		return -ENOENT;

	for (slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		err = make_dir(copy, mode);
		*slash = '/';
		if (err)
			return err;
	}
	return make_dir(copy, mode);
}

char *file_join(const char *root, const char *path)
{
	size_t root_len = root ? strlen(root) : 0;
	struct strbuf joined = STRBUF_INIT;

	while (root_len && root[root_len - 1] == '/')
		root_len--;
	strbuf_add(&joined, root_len ? root : "", root_len);
	if (*path != '/')
		strbuf_addc(&joined, '/');
	strbuf_adds(&joined, path);
	return strbuf_take(&joined);
}

uint32_t file_kernel_dev(dev_t st_dev)
{
	return (uint32_t)(major(st_dev) << 20 | minor(st_dev));
}

/* What file handles are made of: linux/exportfs.h, fs/xfs/xfs_export.h. */
#define HANDLE_INO32 1
#define HANDLE_INO64 0x81

uint64_t file_generation(int fd)
{
	struct {
		struct file_handle head;
		uint32_t words[MAX_HANDLE_SZ / sizeof(uint32_t)];
	} handle = {.head.handle_bytes = MAX_HANDLE_SZ};
	unsigned at;
	int mount;

	if (name_to_handle_at(fd, "", &handle.head, &mount, AT_EMPTY_PATH) < 0)
		return 0;
	if (handle.head.handle_type == HANDLE_INO32)
		at = 1;
	else if (handle.head.handle_type == HANDLE_INO64)
		at = 2;
	else
		return 0;
	if (handle.head.handle_bytes < (at + 1) * sizeof(uint32_t))
		return 0;
	return 1ull << 32 | handle.words[at];
}

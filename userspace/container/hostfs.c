/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hostfs.c - bounded reading beneath the host root.
 */
#include "container/hostfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"

#define TEXT_MAX   4096
#define READ_CHUNK 65536

int hostfs_init(struct hostfs *fs, const char *host_root)
{
	*fs = (struct hostfs){.root_fd = -1};
	if (!host_root || !strcmp(host_root, "/"))
		host_root = "";
	fs->root = strdup(host_root);
	if (!fs->root)
		return -ENOMEM;
	if (!*host_root)
		return 0;
	fs->root_fd = open(host_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fs->root_fd < 0 ? -errno : 0;
}

void hostfs_done(struct hostfs *fs)
{
	cleanup_closep(&fs->root_fd);
	free(fs->root);
	*fs = (struct hostfs){.root_fd = -1};
}

int hostfs_open(const struct hostfs *fs, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	/* O_NONBLOCK is refused together with O_PATH by openat2. */
	if (flags & O_PATH)
		how.flags = (unsigned)flags | O_CLOEXEC;
	if (fs->root_fd < 0)
		fd = open(path, (int)how.flags);
	else
		fd = (int)syscall(SYS_openat2, fs->root_fd, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

static int read_fd(int fd, size_t max_bytes, struct strbuf *out)
{
	auto_free char *chunk = malloc(READ_CHUNK);
	size_t total = 0;
	ssize_t n;

	if (!chunk)
		return -ENOMEM;
	for (;;) {
		n = read(fd, chunk, READ_CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return strbuf_failed(out) ? -ENOMEM : 0;
		if ((size_t)n > max_bytes - total)
			return -EFBIG;
		total += (size_t)n;
		strbuf_add(out, chunk, (size_t)n);
	}
}

int hostfs_read(const struct hostfs *fs, const char *path, size_t max_bytes, struct strbuf *out)
{
	auto_close int fd = -1;
	struct stat st;

	/* A device may act on open alone, so look before opening. */
	fd = hostfs_open(fs, path, O_PATH);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	cleanup_closep(&fd);
	fd = hostfs_open(fs, path, O_RDONLY);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? read_fd(fd, max_bytes, out) : -EINVAL;
}

int hostfs_stat(const struct hostfs *fs, const char *path, struct stat *ret)
{
	auto_close int fd = -1;

	if (fs->root_fd < 0)
		return stat(path, ret) < 0 ? -errno : 0;
	fd = hostfs_open(fs, path, O_PATH);
	if (fd < 0)
		return fd;
	return fstat(fd, ret) < 0 ? -errno : 0;
}

int hostfs_identify(int fd, uint32_t *ret_dev, uint64_t *ret_ino)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_INO, &stx) <
	    0)
		return -errno;
	*ret_dev = stx.stx_dev_major << 20 | stx.stx_dev_minor;
	*ret_ino = stx.stx_ino;
	return 0;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash ^= value;
	hash *= 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

uint64_t hostfs_stamp(const struct hostfs *fs, const char *path, uint64_t stamp)
{
	struct stat st;

	if (hostfs_stat(fs, path, &st))
		return stamp;
	stamp = mix(stamp, st.st_ino);
	stamp = mix(stamp, (uint64_t)st.st_size);
	stamp = mix(stamp, (uint64_t)st.st_mtim.tv_sec);
	stamp = mix(stamp, (uint64_t)st.st_mtim.tv_nsec);
	stamp = mix(stamp, (uint64_t)st.st_ctim.tv_nsec);
	return stamp ? stamp : 1;
}

int hostfs_foreach_name(struct hostfs *fs, const char *path, int (*fn)(const char *name, void *arg),
			void *arg)
{
	auto_closedir DIR *dir = NULL;
	struct dirent *entry;
	unsigned count = 0;
	int fd, err;

	fd = hostfs_open(fs, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (++count > HOSTFS_NAMES_MAX) {
			fs->capped++;
			return 0;
		}
		err = fn(entry->d_name, arg);
		if (err)
			return err;
	}
	return 0;
}

char *hostfs_canonical(const struct hostfs *fs, const char *path)
{
	auto_close int fd = hostfs_open(fs, path, O_PATH);
	char link[64], target[PATH_MAX];
	size_t root_len = strlen(fs->root);
	auto_free char *root = NULL;
	ssize_t n;

	if (fd < 0)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return NULL;
	target[n] = '\0';
	if (!root_len)
		return strdup(target);
	root = realpath(fs->root, NULL);
	root_len = root ? strlen(root) : 0;
	if (!root || strncmp(target, root, root_len) != 0 || target[root_len] != '/')
		return NULL;
	return strdup(target + root_len);
}

int hostfs_read_json(const struct hostfs *fs, const char *path, struct strbuf *why, json_t **ret)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	json_error_t error;
	json_t *json;
	int err;

	err = hostfs_read(fs, path, HOSTFS_FILE_MAX, &text);
	if (err == -EFBIG)
		strbuf_addf(why, "%s is larger than %u MiB", path, HOSTFS_FILE_MAX >> 20);
	if (err)
		return err;
	/* jansson recurses, to 2048 levels at most. */
	json = json_loadb(strbuf_str(&text), text.len, JSON_ALLOW_NUL, &error);
	if (!json) {
		strbuf_addf(why, "%s is not JSON: %s (line %d)", path, error.text, error.line);
		return -EBADMSG;
	}
	*ret = json;
	return 0;
}

const char *json_text(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);

	if (!text || !len || len > TEXT_MAX || strlen(text) != len)
		return NULL;
	return text;
}

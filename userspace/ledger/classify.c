/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * classify.c - what a changed file is, by kind, mode and place.
 *
 * A first answer for lists; nothing is opened. Order matters: an executable in /tmp
 * is an executable first.
 */
#include "ledger/ledger.h"

#include <string.h>
#include <sys/stat.h>

static bool is_beneath(const char *path, size_t len, const char *dir)
{
	size_t n = strlen(dir);

	return len > n && memcmp(path, dir, n) == 0 && path[n] == '/';
}

static bool is_beneath_any(const char *path, size_t len, const char *const dirs[])
{
	for (; *dirs; dirs++)
		if (is_beneath(path, len, *dirs))
			return true;
	return false;
}

static bool ends_with(const char *name, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len > n && memcmp(name + len - n, end, n) == 0;
}

/* libx.so, libx.so.6, python's and node's native modules. */
static bool is_library(const char *name, size_t len)
{
	return ends_with(name, len, ".so") || ends_with(name, len, ".a") ||
	       ends_with(name, len, ".jar") || ends_with(name, len, ".node") ||
	       memmem(name, len, ".so.", 4);
}

static const char *class_of_regular(const char *path, size_t len, unsigned mode)
{
	static const char *const config[] = {"/etc", "/usr/local/etc", "/opt/etc", NULL};
	static const char *const logs[] = {"/var/log", "/run/log", NULL};
	static const char *const caches[] = {"/var/cache", "/root/.cache", "/var/lib/apt/lists",
					     NULL};
	static const char *const temporary[] = {"/tmp", "/var/tmp", "/run", "/dev/shm", NULL};
	const char *slash = memrchr(path, '/', len);
	const char *name = slash ? slash + 1 : path;
	size_t name_len = len - (size_t)(name - path);

	if (is_library(name, name_len))
		return "library";
	if (mode & 0111)
		return "executable";
	if (is_beneath_any(path, len, config))
		return "config";
	if (is_beneath_any(path, len, logs) || ends_with(name, name_len, ".log"))
		return "log";
	if (is_beneath_any(path, len, caches))
		return "cache";
	if (is_beneath_any(path, len, temporary))
		return "temporary";
	return "data";
}

const char *ledger_classify(const char *path, size_t len, enum tree_verdict verdict,
			    const struct tree_node_info *info)
{
	if (verdict == TREE_DELETED)
		return "deleted";
	if (info->is_runtime)
		return "runtime";
	switch (info->st.st_mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFSOCK:
		return "socket";
	case S_IFIFO:
		return "fifo";
	case S_IFCHR:
	case S_IFBLK:
		return "device";
	default:
		return class_of_regular(path, len, info->st.st_mode);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * task.c - start time, cgroup and root of a process.
 */
#include "container/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "container/cgroup_path.h"

#define START_FIELD 22 /* of /proc/PID/stat */

int task_start_ticks(const struct hostfs *fs, pid_t pid, uint64_t *ret)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	const char *at;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	err = hostfs_read(fs, path, HOSTFS_SMALL_MAX, &text);
	if (err)
		return err == -ESRCH ? -ENOENT : err;
	/* The name in parentheses may hold anything, so count fields after the last one. */
	at = strrchr(strbuf_str(&text), ')');
	for (int field = 2; at && field < START_FIELD; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
		if (at && field == 2 && *at == 'Z')
			return -ENOENT;
	}
	if (!at)
		return -EBADMSG;
	*ret = strtoull(at, NULL, 10);
	return 0;
}

uint64_t task_start_wall_ns(uint64_t start_ticks)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	return clock_wall_of_boot(start_ticks / hz * NS_PER_SEC +
				  start_ticks % hz * (NS_PER_SEC / hz));
}

int task_cgroup(const struct hostfs *fs, pid_t pid, struct strbuf *ret)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	err = hostfs_read(fs, path, HOSTFS_SMALL_MAX, &text);
	return err ? err : cgroup_file_parse(strbuf_str(&text), ret);
}

/* The process's root directory; a magic link, so openat2's checks do not apply. */
static int open_root(const struct hostfs *fs, pid_t pid)
{
	auto_free char *path = NULL;
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/root", pid);
	path = file_join(fs->root, name);
	fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	return fd < 0 ? -errno : fd;
}

int task_root_dev(const struct hostfs *fs, pid_t pid, uint32_t *ret)
{
	auto_close int fd = open_root(fs, pid);
	uint64_t ino;

	return fd < 0 ? fd : hostfs_identify(fd, ret, &ino);
}

bool task_root_is(const struct hostfs *fs, pid_t pid, const char *path)
{
	auto_close int root = open_root(fs, pid);
	auto_close int fd = hostfs_open(fs, path, O_PATH | O_DIRECTORY);
	uint32_t root_dev, dev;
	uint64_t root_ino, ino;

	return root >= 0 && fd >= 0 && !hostfs_identify(root, &root_dev, &root_ino) &&
	       !hostfs_identify(fd, &dev, &ino) && root_dev == dev && root_ino == ino;
}

int task_open(const struct hostfs *fs, pid_t pid)
{
	long fd;

	/* Beneath a host root, its /proc may be of another pid namespace than ours. */
	if (*fs->root)
		return -EOPNOTSUPP;
	fd = syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : (int)fd;
}

bool task_has_ended(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

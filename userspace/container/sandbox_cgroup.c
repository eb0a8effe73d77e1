/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_cgroup.c - finding the v2 hierarchy, making and removing a cgroup in it.
 */
#include "container/sandbox_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "container/mountinfo.h"

#define MOUNTINFO_MAX (16u << 20)
#define CGROUP_PREFIX "driftwatch-"
#define EMPTY_WAIT_MS 2000
#define SWEEP_AGE_NS  (60 * NS_PER_SEC)

static int on_mount(const struct mountinfo_line *line, void *arg)
{
	char **ret = arg;

	if (strcmp(line->type, "cgroup2") != 0 || mountinfo_has_option(line->mount_options, "ro"))
		return 0;
	*ret = strdup(line->mount_point);
	return 1;
}

/* Pure v2 is at /sys/fs/cgroup, hybrid at /sys/fs/cgroup/unified; anywhere is possible. */
static int open_hierarchy(struct strbuf *why, int *ret)
{
	auto_strbuf struct strbuf mounts = STRBUF_INIT;
	auto_free char *mount_point = NULL;
	int err = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mounts);

	if (err) {
		strbuf_addf(why, "/proc/self/mountinfo: %s", strerror(-err));
		return err;
	}
	if (mounts.len)
		mountinfo_foreach(mounts.data, on_mount, &mount_point, NULL);
	if (!mount_point) {
		strbuf_adds(why, "no writable cgroup v2 hierarchy is mounted");
		return -ENOENT;
	}
	*ret = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret >= 0)
		return 0;
	err = -errno;
	strbuf_addf(why, "%s: %s", mount_point, strerror(-err));
	return err;
}

int sandbox_cgroup_make(const char *container_id, struct strbuf *why, struct sandbox_cgroup *ret)
{
	struct sandbox_cgroup cgroup = SANDBOX_CGROUP_INIT;
	struct stat st = {0};
	int err = open_hierarchy(why, &cgroup.root_fd);

	if (err)
		return err;
	if (asprintf(&cgroup.path, "/" CGROUP_PREFIX "%s", container_id) < 0) {
		cgroup.path = NULL;
		err = -ENOMEM;
	}
	if (!err && mkdirat(cgroup.root_fd, cgroup.path + 1, 0755) < 0)
		err = -errno;
	if (!err) {
		cgroup.fd =
			openat(cgroup.root_fd, cgroup.path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = cgroup.fd < 0 || fstat(cgroup.fd, &st) < 0 ? -errno : 0;
	}
	if (err) {
		strbuf_addf(why, "cannot make a cgroup: %s", strerror(-err));
		sandbox_cgroup_done(&cgroup);
		return err;
	}
	cgroup.id = st.st_ino;
	*ret = cgroup;
	return 0;
}

/* A process that has been reaped may hold its cgroup for a moment more. */
static void wait_until_empty(int cgroup_fd)
{
	auto_close int events = openat(cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	struct pollfd change = {.fd = events, .events = POLLPRI};
	char text[256];
	ssize_t n;

	if (events < 0)
		return;
	do {
		n = pread(events, text, sizeof(text) - 1, 0);
		if (n <= 0)
			return;
		text[n] = '\0';
		if (strstr(text, "populated 0"))
			return;
	} while (poll(&change, 1, EMPTY_WAIT_MS) > 0);
}

void sandbox_cgroup_done(struct sandbox_cgroup *cgroup)
{
	if (cgroup->fd >= 0)
		wait_until_empty(cgroup->fd);
	if (cgroup->path && unlinkat(cgroup->root_fd, cgroup->path + 1, AT_REMOVEDIR) < 0 &&
	    errno != ENOENT)
		log_warning("cannot remove cgroup %s: %s", cgroup->path, strerror(errno));
	if (cgroup->fd >= 0)
		close(cgroup->fd);
	if (cgroup->root_fd >= 0)
		close(cgroup->root_fd);
	free(cgroup->path);
	*cgroup = (struct sandbox_cgroup)SANDBOX_CGROUP_INIT;
}

/* An empty one that is not young has lost its owner; the kernel refuses to remove others. */
static void sweep_one(int root_fd, const char *name)
{
	struct stat st;

	if (fstatat(root_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (clock_wall_ns() < clock_of_timespec(&st.st_ctim) + SWEEP_AGE_NS)
		return;
	if (unlinkat(root_fd, name, AT_REMOVEDIR) == 0)
		log_debug("removed the leftover cgroup %s", name);
}

void sandbox_cgroup_sweep(void)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	auto_closedir DIR *dir = NULL;
	const struct dirent *entry;
	int fd;

	if (open_hierarchy(&why, &fd))
		return;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		if (!strncmp(entry->d_name, CGROUP_PREFIX, strlen(CGROUP_PREFIX)))
			sweep_one(fd, entry->d_name);
	}
}

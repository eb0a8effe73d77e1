/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * task_mounts.c - the mount table of a container's process: its root, its volumes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "container/mountinfo.h"
#include "container/source.h"
#include "container/task.h"

static bool is_pseudo(const char *type)
{
	static const char *const pseudo[] = {
		"proc",	      "sysfs",	    "cgroup",	 "cgroup2", "devpts",	   "mqueue",
		"devtmpfs",   "securityfs", "debugfs",	 "tracefs", "bpf",	   "hugetlbfs",
		"pstore",     "configfs",   "fusectl",	 "nsfs",    "binfmt_misc", "efivarfs",
		"rpc_pipefs", "autofs",	    "selinuxfs",
	};

	for (size_t i = 0; i < sizeof(pseudo) / sizeof(pseudo[0]); i++) {
		if (!strcmp(type, pseudo[i]))
			return true;
	}
	return false;
}

struct reading {
	const struct host_mounts *host;
	struct container *c;
	int root_fd;
	bool entered;
	bool has_remote; /* from here on, a path may lead over a file system that hangs */
};

/* The files of a btrfs subvolume have another device number than its mount. */
static void identify(struct container_mount *m, int root_fd, bool is_btrfs)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	auto_close int fd = -1;
	uint32_t found_dev;
	uint64_t ino;

	if (root_fd < 0)
		return;
	fd = (int)syscall(SYS_openat2, root_fd, m->destination, &how, sizeof(how));
	if (fd < 0 || hostfs_identify(fd, &found_dev, &ino) || (found_dev != m->dev && !is_btrfs))
		return;
	m->root_ino = ino;
	m->generation = file_generation(fd);
}

static int take_root(const struct mountinfo_line *line, struct reading *r)
{
	struct container_overlay overlay;
	int err;

	r->c->overlay.read_only = mountinfo_has_option(line->mount_options, "ro");
	if (strcmp(line->type, "overlay") != 0) {
		/* On a plain directory: entered when it is not the root of the file system. */
		r->entered |= strcmp(line->root, "/") != 0 || !host_mounts_has(r->host, line->dev);
		return 0;
	}
	r->entered = true;
	err = mountinfo_overlay_parse(line->super_options, &overlay);
	if (err) {
		mountinfo_overlay_done(&overlay);
		return err == -ENOMEM ? err : 0;
	}
	overlay.read_only = r->c->overlay.read_only;
	overlay.dev = line->dev;
	mountinfo_overlay_done(&r->c->overlay);
	r->c->overlay = overlay;
	return 0;
}

static int take_mount(const struct mountinfo_line *line, struct reading *r)
{
	struct container_mount *m = &r->c->mounts[r->c->mounts_len];

	*m = (struct container_mount){.dev = line->dev};
	m->destination = strdup(line->mount_point);
	if (!m->destination)
		return -ENOMEM;
	r->c->mounts_len++;
	m->read_only = mountinfo_has_option(line->mount_options, "ro") ||
		       mountinfo_has_option(line->super_options, "ro");
	if (is_pseudo(line->type)) {
		m->kind = MOUNT_PSEUDO;
		return 0;
	}
	r->has_remote |= host_mounts_type_is_remote(line->type);
	if (!r->has_remote)
		identify(m, r->root_fd, !strcmp(line->type, "btrfs"));
	if ((!strcmp(line->type, "tmpfs") || !strcmp(line->type, "ramfs")) &&
	    !host_mounts_has(r->host, line->dev)) {
		m->kind = MOUNT_TMPFS;
		return 0;
	}
	m->kind = MOUNT_VOLUME;
	m->source = host_mounts_path_of(r->host, line->dev, line->root);
	return 0;
}

static int take_line(const struct mountinfo_line *line, void *arg)
{
	struct reading *r = arg;

	if (!strcmp(line->mount_point, "/"))
		return take_root(line, r);
	return r->c->mounts_len < TASK_MOUNTS_MAX ? take_mount(line, r) : 0;
}

static int open_task_root(const struct hostfs *fs, const char *name)
{
	auto_free char *path = file_join(fs->root, name);

	return path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* Of the room for mounts, which are few and are kept for as long as the container. */
static void give_back_rest(struct container *c)
{
	struct container_mount *less;

	less = reallocarray(c->mounts, c->mounts_len ? c->mounts_len : 1, sizeof(*less));
	if (less)
		c->mounts = less;
}

int task_read_mounts(const struct hostfs *fs, pid_t pid, const struct host_mounts *host,
		     struct container *c, bool *ret_entered)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	struct reading r = {.host = host, .c = c, .root_fd = -1};
	auto_close int root_fd = -1;
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	err = hostfs_read(fs, path, HOSTFS_PROC_MAX, &text);
	if (err)
		return err;
	if (!text.len)
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	root_fd = open_task_root(fs, path);
	r.root_fd = root_fd;
	c->mounts = calloc(TASK_MOUNTS_MAX, sizeof(*c->mounts));
	if (!c->mounts)
		return -ENOMEM;
	err = mountinfo_foreach(text.data, take_line, &r, NULL);
	give_back_rest(c);
	*ret_entered = r.entered;
	return err;
}

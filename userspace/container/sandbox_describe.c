/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_describe.c - what the engine has to know of a sandbox, gathered.
 */
#include "container/sandbox_describe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "container/mountinfo.h"
#include "container/sandbox_mount.h"

#define MOUNTINFO_MAX (16u << 20)
#define IMAGE_MAX     256

int sandbox_make_id(char ret[65])
{
	unsigned char bytes[32];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

uint64_t sandbox_stamp_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return clock_of_timespec(&now);
}

/* The command takes the place of an image's name: there is no other. */
static char *join_command(char *const *argv)
{
	struct strbuf out = STRBUF_INIT;

	for (size_t i = 0; argv[i] && out.len < IMAGE_MAX; i++)
		strbuf_addf(&out, "%s%s", i ? " " : "", argv[i]);
	if (out.len > IMAGE_MAX)
		strbuf_truncate(&out, IMAGE_MAX);
	return strbuf_take(&out);
}

struct lookup {
	unsigned mount_id; /* 0: any with @mount_point "/" */
	uint32_t dev;
	char *mount_point;
	bool found;
};

/* The last line counts: a later mount covers an earlier one. */
static int on_line(const struct mountinfo_line *line, void *arg)
{
	struct lookup *l = arg;
	char *copy;

	if (l->mount_id ? line->mount_id != l->mount_id : strcmp(line->mount_point, "/") != 0)
		return 0;
	copy = strdup(line->mount_point);
	if (!copy)
		return -ENOMEM;
	free(l->mount_point);
	l->mount_point = copy;
	l->dev = line->dev;
	l->found = true;
	return 0;
}

/* Parsing cuts its text up, so each look-up works on a copy. */
static int look_up(const struct strbuf *mountinfo, struct lookup *l)
{
	auto_strbuf struct strbuf copy = STRBUF_INIT;
	int err;

	strbuf_add(&copy, mountinfo->data, mountinfo->len);
	if (strbuf_failed(&copy))
		return -ENOMEM;
	err = copy.len ? mountinfo_foreach(copy.data, on_line, l, NULL) : 0;
	if (err)
		return err;
	return l->found ? 0 : -ENOENT;
}

/* Links in the destination are resolved: mountinfo names the place itself. */
static int mount_id_at(int root_fd, const char *destination, unsigned *ret)
{
	auto_close int fd = sandbox_open_beneath(root_fd, destination, O_PATH);
	struct statx stx;

	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return -errno;
	if (!(stx.stx_mask & STATX_MNT_ID))
		return -EOPNOTSUPP;
	*ret = (unsigned)stx.stx_mnt_id;
	return 0;
}

static int describe_mount(const struct strbuf *mountinfo, int root_fd,
			  const struct sandbox_mount *m, struct container *c)
{
	struct container_mount *to = &c->mounts[c->mounts_len];
	struct lookup l = {0};
	struct stat st;
	int err;

	err = mount_id_at(root_fd, m->destination, &l.mount_id);
	if (!err)
		err = look_up(mountinfo, &l);
	/* Optional ones may not have been made; what is found there then is "/". */
	if (err == -ENOENT || (!err && !strcmp(l.mount_point, "/"))) {
		free(l.mount_point);
		return 0;
	}
	to->destination = l.mount_point;
	to->dev = l.dev;
	to->kind = m->kind;
	to->read_only = m->flags & 1;
	c->mounts_len++;
	if (err || !m->source)
		return err;
	to->source = realpath(m->source, NULL);
	if (to->source && stat(to->source, &st) == 0)
		to->root_ino = st.st_ino;
	return to->source || errno != ENOMEM ? 0 : -ENOMEM;
}

static int describe_mounts(const struct sandbox_facts *facts, struct container *c)
{
	auto_strbuf struct strbuf mountinfo = STRBUF_INIT;
	struct lookup root = {0};
	auto_close int root_fd = -1;
	char path[48];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)facts->pid);
	err = file_read(AT_FDCWD, path, MOUNTINFO_MAX, &mountinfo);
	if (!err)
		err = look_up(&mountinfo, &root);
	free(root.mount_point);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	c->overlay.dev = root.dev;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)facts->pid);
	root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -errno;
	c->mounts = calloc(facts->plan->len, sizeof(*c->mounts));
	if (!c->mounts)
		return -ENOMEM;
	for (size_t i = 0; i < facts->plan->len && !err; i++) {
		if (facts->plan->mounts[i].listed)
			err = describe_mount(&mountinfo, root_fd, &facts->plan->mounts[i], c);
	}
	return err;
}

static int describe_cgroup(const struct sandbox_facts *facts, struct container *c)
{
	if (!facts->cgroup_path)
		return 0;
	c->cgroup_path = strdup(facts->cgroup_path);
	c->cgroup_ids = calloc(1, sizeof(*c->cgroup_ids));
	if (!c->cgroup_path || !c->cgroup_ids)
		return -ENOMEM;
	c->cgroup_ids[0] = facts->cgroup_id;
	c->cgroup_ids_len = 1;
	return 0;
}

static int describe_overlay(const struct sandbox_facts *facts, struct container_overlay *o)
{
	o->upper = strdup(facts->area->upper);
	o->work = strdup(facts->area->work);
	o->merged = strdup(facts->area->merged);
	o->lowers = calloc(1, sizeof(*o->lowers));
	if (!o->upper || !o->work || !o->merged || !o->lowers)
		return -ENOMEM;
	o->lowers[0] = strdup(facts->lower);
	if (!o->lowers[0])
		return -ENOMEM;
	o->lowers_len = 1;
	return 0;
}

int sandbox_describe(const struct sandbox_facts *facts, struct container **ret)
{
	struct container *c = container_new(facts->id, "driftwatch");
	int err;

	if (!c)
		return -ENOMEM;
	c->state = CONTAINER_RUNNING;
	c->pid = facts->pid;
	c->created_wall_ns = facts->created_wall_ns;
	c->started_wall_ns = sandbox_stamp_ns();
	c->image = join_command(facts->argv);
	if (asprintf(&c->name, "run-%.8s", facts->id) < 0)
		c->name = NULL;
	err = c->image && c->name ? describe_overlay(facts, &c->overlay) : -ENOMEM;
	if (!err)
		err = describe_cgroup(facts, c);
	if (!err)
		err = describe_mounts(facts, c);
	if (err) {
		container_free(c);
		return err;
	}
	*ret = c;
	return 0;
}

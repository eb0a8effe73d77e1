/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_tasks.c - a container's first process, and what /proc says of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "container/cgroup_path.h"
#include "container/mountinfo.h"
#include "container/registry_internal.h"

static bool lies_below(const char *path, const char *above)
{
	size_t len = strlen(above);

	return len > 1 && !strncmp(path, above, len) && (!path[len] || path[len] == '/');
}

/* A pid in a state file may be of long ago, and be another process by now. */
static bool is_task_of(const struct registry *r, const struct entry *e, pid_t pid)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct cgroup_owner owner;
	uint32_t dev;

	if (e->is_own)
		return true;
	if (e->super && !task_root_dev(&r->fs, pid, &dev) && dev == e->super->dev)
		return true;
	if (task_cgroup(&r->fs, pid, &path))
		return false;
	if (!cgroup_path_parse(strbuf_str(&path), &owner) && !strcmp(owner.id, e->id))
		return true;
	if (e->cgroup_path && lies_below(strbuf_str(&path), e->cgroup_path))
		return true;
	for (const struct facts *f = e->facts; f; f = f->next) {
		if (f->source && f->source->ops == &nspawn_source_ops)
			return true;
		if (f->said && f->said->cgroup_path &&
		    lies_below(strbuf_str(&path), f->said->cgroup_path))
			return true;
	}
	return false;
}

static pid_t try_pid(const struct registry *r, const struct entry *e, pid_t pid,
		     uint64_t *ret_start)
{
	if (pid <= 0 || task_start_ticks(&r->fs, pid, ret_start))
		return 0;
	if (pid == e->looked_pid && *ret_start == e->looked_start && e->task_complete)
		return pid;
	return is_task_of(r, e, pid) ? pid : 0;
}

/* The first process in the container's cgroup, when no file tells of one. */
static pid_t pid_in_cgroup(struct registry *r, const struct entry *e, uint64_t *ret_start)
{
	static const char *const below[] = {"", "/container", "/payload", "/init.scope"};
	auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;
	pid_t pid = 0;

	if (!r->cgroup_root || !e->cgroup_path)
		return 0;
	for (size_t i = 0; i < sizeof(below) / sizeof(below[0]) && !pid; i++) {
		strbuf_reset(&path);
		strbuf_reset(&text);
		strbuf_addf(&path, "%s%s%s/cgroup.procs", r->cgroup_root, e->cgroup_path, below[i]);
		if (!hostfs_read(&r->fs, strbuf_str(&path), HOSTFS_FILE_MAX, &text))
			pid = try_pid(r, e, (pid_t)strtol(strbuf_str(&text), NULL, 10), ret_start);
	}
	return pid;
}

static pid_t find_pid(struct registry *r, const struct entry *e, uint64_t *ret_start)
{
	const struct container *said[SAID_MAX];
	size_t n = entry_said(e, said);
	pid_t pid = 0;

	/* runc knows the pid first, the runtime above it writes it down later. */
	while (n && !pid)
		pid = try_pid(r, e, said[--n]->pid, ret_start);
	if (!pid && e->task_alive)
		pid = try_pid(r, e, e->looked_pid, ret_start);
	if (!pid)
		pid = try_pid(r, e, e->hinted_pid, ret_start);
	return pid ? pid : pid_in_cgroup(r, e, ret_start);
}

/* The overlay that only the container's own mount namespace shows. */
static void adopt_private(struct registry *r, struct entry *e, struct container_overlay *overlay,
			  pid_t pid)
{
	struct container_overlay copy;
	struct super *s;

	if (e->super || !overlay->dev)
		return;
	s = mount_table_find(&r->mounts, overlay->dev);
	if (!s) {
		copy = (struct container_overlay){.dev = overlay->dev};
		s = mount_table_add_private(&r->mounts, &copy, pid);
	}
	if (s && !s->entry)
		mounts_attach(r, s, e);
}

static void close_task(struct entry *e)
{
	if (e->pidfd >= 0)
		close(e->pidfd);
	e->pidfd = -1;
}

/* The start time is read once more: the number may have been given to another process. */
static void open_task(const struct registry *r, struct entry *e)
{
	struct epoll_event event = {.events = EPOLLIN};
	uint64_t start;

	close_task(e);
	e->pidfd = task_open(&r->fs, e->looked_pid);
	if (e->pidfd >= 0 &&
	    (task_start_ticks(&r->fs, e->looked_pid, &start) || start != e->looked_start ||
	     epoll_ctl(r->ends_fd, EPOLL_CTL_ADD, e->pidfd, &event)))
		close_task(e);
}

bool tasks_have_ended(const struct registry *r)
{
	struct epoll_event event;

	return epoll_wait(r->ends_fd, &event, 1, 0) != 0;
}

bool task_is_watched(const struct entry *e)
{
	return e->task_alive && e->task_complete && e->pidfd >= 0;
}

static void read_task(struct registry *r, struct entry *e, pid_t pid, uint64_t start)
{
	auto_strbuf struct strbuf cgroup = STRBUF_INIT;
	struct container *task = container_new(e->id, NULL);
	bool entered = false;

	if (!task)
		return;
	task->pid = pid;
	task->started_wall_ns = task_start_wall_ns(start);
	if (task_read_mounts(&r->fs, pid, registry_host_mounts(r), task, &entered)) {
		container_free(task);
		entry_retry(r, e);
		return;
	}
	/* Relative layers are resolved where the mount point is known: by the host's view. */
	if (mountinfo_overlay_is_relative(&task->overlay)) {
		uint32_t dev = task->overlay.dev;

		mountinfo_overlay_done(&task->overlay);
		task->overlay.dev = dev;
	}
	if (!entered) {
		/* Before it pivots, these are the host's mounts. */
		struct container *bare = container_new(e->id, NULL);

		if (bare) {
			bare->pid = pid;
			bare->started_wall_ns = task->started_wall_ns;
			container_free(task);
			task = bare;
		}
		entry_retry(r, e);
	}
	container_free(e->task);
	e->task = task;
	e->task_complete = entered;
	e->looked_pid = pid;
	e->looked_start = start;
	e->task_alive = true;
	open_task(r, e);
	e->seen_exit_wall_ns = 0;
	adopt_private(r, e, &task->overlay, pid);
	if (!task_cgroup(&r->fs, pid, &cgroup))
		task_set_cgroup(r, e, strbuf_str(&cgroup), 0);
	entry_touch(r, e);
}

static void task_ended(struct registry *r, struct entry *e)
{
	struct super *s = e->super;

	if (!e->task_alive)
		return;
	e->task_alive = false;
	close_task(e);
	e->hinted_pid = 0;
	e->seen_exit_wall_ns = clock_wall_ns();
	e->retry_step = 0;
	entry_retry(r, e);
	entry_touch(r, e);
	/* Not dropped here: we may be called from a walk over the table. */
	if (s && s->is_private && s->pid == e->looked_pid) {
		s->pid = 0;
		r->has_dead_mounts = true;
	}
}

void task_update(struct registry *r, struct entry *e)
{
	uint64_t start;
	pid_t pid = find_pid(r, e, &start);

	cgroup_check(r, e);
	if (!pid) {
		task_ended(r, e);
		return;
	}
	if (pid == e->looked_pid && start == e->looked_start && e->task_alive && e->task_complete)
		return;
	read_task(r, e, pid, start);
}

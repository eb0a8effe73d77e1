/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry.c - the public calls of registry.h, and when what is looked at.
 *
 * Every second: new processes, ends of first processes, candidates. Every 30 s: all
 * directories, should an event have been lost. In between, what inotify, mountinfo
 * and the kernel side report.
 */
#include "container/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "container/registry_internal.h"

#define SECOND_NS    NS_PER_SEC
#define FULL_LOOK_NS (30 * NS_PER_SEC)

static void on_process(pid_t pid, uint32_t root_dev, void *arg)
{
	struct registry *r = arg;
	struct super *s = mount_table_find(&r->mounts, root_dev);

	/* Overlays have no device behind them: major number 0. */
	if (root_dev >> 20 || (s && s->entry && s->entry->task_alive))
		return;
	if (!s && host_mounts_has(&r->host, root_dev))
		return;
	task_sighted(r, pid, root_dev, 0);
}

int registry_open(const struct registry_options *options, registry_fn fn, void *arg,
		  struct registry **ret)
{
	struct processes_events events = {source_discovered, on_process, NULL};
	struct registry *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->fn = fn;
	r->arg = arg;
	events.arg = r;
	r->fs.root_fd = -1;
	r->ends_fd = epoll_create1(EPOLL_CLOEXEC);
	r->next_retry_ns = r->mounts_due_ns = UINT64_MAX;
	err = r->ends_fd < 0 ? -errno : hostfs_init(&r->fs, options->host_root);
	if (!err)
		err = watch_open(&r->fs, &r->watch);
	if (!err) {
		r->processes = processes_new(&r->fs, &events);
		err = r->processes ? 0 : -ENOMEM;
	}
	if (err) {
		registry_close(r);
		return err;
	}
	r->ids = mount_ids_open(&r->fs);
	cgroup_find_root(r);
	sources_add_defaults(r, options);
	*ret = r;
	return 0;
}

struct registry *registry_close(struct registry *r)
{
	struct entry *e, *next;
	struct facts *f, *next_facts;

	if (!r)
		return NULL;
	HASH_ITER (hh, r->entries, e, next)
		entry_free(r, e);
	HASH_ITER (hh, r->facts, f, next_facts)
		facts_drop(r, f);
	sources_done(r);
	mount_table_done(&r->mounts);
	host_mounts_done(&r->host);
	r->ids = mount_ids_close(r->ids);
	cgroup_forget_all(r);
	r->processes = processes_free(r->processes);
	r->watch = watch_close(r->watch);
	cleanup_closep(&r->ends_fd);
	free(r->cgroup_root);
	free(r->mount_error);
	hostfs_done(&r->fs);
	free(r);
	return NULL;
}

int registry_fd(const struct registry *r)
{
	return watch_fd(r->watch);
}

static void on_key(struct source *s, const char *key, bool is_new_name, void *arg)
{
	struct registry *r = arg;

	/* A new directory may hold keys itself, or hold some by now. */
	if (is_new_name && !strchr(key, '/') && s->ops == &containerd_source_ops)
		source_look(r, s);
	else
		source_refresh(r, s, key);
}

static void on_overflow(void *arg)
{
	struct registry *r = arg;

	r->next_full_ns = 0;
}

int registry_process(struct registry *r)
{
	struct watch_events events = {on_key, on_overflow, r};
	int err, mount_err;

	mount_err = mounts_look(r, false);
	registry_flush(r);
	err = watch_process(r->watch, &events);
	registry_flush(r);
	return err ? err : mount_err;
}

static uint64_t next_due(const struct registry *r)
{
	uint64_t due = r->next_second_ns < r->next_full_ns ? r->next_second_ns : r->next_full_ns;

	if (r->mounts_due_ns < due)
		due = r->mounts_due_ns;
	return r->next_retry_ns < due ? r->next_retry_ns : due;
}

int registry_timeout_ms(const struct registry *r)
{
	uint64_t now = clock_mono_ns(), due = next_due(r);

	return due <= now ? 0 : (int)((due - now) / NS_PER_MSEC) + 1;
}

static void retry_entries(struct registry *r)
{
	uint64_t now = clock_mono_ns();
	struct entry *e, *next;

	if (r->next_retry_ns > now)
		return;
	r->next_retry_ns = UINT64_MAX;
	HASH_ITER (hh, r->entries, e, next) {
		if (e->retry_at_ns > now && e->retry_at_ns < r->next_retry_ns)
			r->next_retry_ns = e->retry_at_ns;
		if (!e->retry_at_ns || e->retry_at_ns > now)
			continue;
		e->retry_at_ns = 0;
		sources_refresh_id(r, e->id);
		mounts_claim(r, e);
		task_update(r, e);
		if (!e->task_complete || !e->task_alive)
			entry_retry(r, e);
		entry_touch(r, e);
	}
}

static void look_at_ends(struct registry *r, bool full)
{
	bool some_ended = full || tasks_have_ended(r);
	struct entry *e, *next;

	HASH_ITER (hh, r->entries, e, next) {
		if (!full && task_is_watched(e) && !(some_ended && task_has_ended(e->pidfd)))
			continue;
		if (e->task_alive || e->cgroup_alive)
			task_update(r, e);
		else if (!e->facts)
			entry_touch(r, e); /* its layer may be gone */
	}
}

int registry_tick(struct registry *r)
{
	uint64_t now = clock_mono_ns();
	bool full = now >= r->next_full_ns;
	int err = 0;

	err = mounts_look(r, full);
	retry_entries(r);
	if (now >= r->next_second_ns || full) {
		r->next_second_ns = now + SECOND_NS;
		processes_look(r->processes, full);
		sources_look(r, full);
		mounts_resolve_candidates(r);
		look_at_ends(r, full);
	}
	if (full) {
		sources_prune(r);
		r->next_full_ns = now + FULL_LOOK_NS;
	}
	registry_flush(r);
	return err;
}

int registry_scan(struct registry *r)
{
	int err;

	r->is_scanned = true;
	err = mounts_look(r, true);
	registry_flush(r);
	processes_look(r->processes, true);
	sources_look(r, true);
	r->next_second_ns = clock_mono_ns() + SECOND_NS;
	r->next_full_ns = clock_mono_ns() + FULL_LOOK_NS;
	registry_flush(r);
	return err;
}

void registry_hint_task(struct registry *r, pid_t tgid, uint32_t overlay_dev, uint64_t cgroup_id)
{
	task_sighted(r, tgid, overlay_dev, cgroup_id);
	registry_flush(r);
}

int registry_add_own(struct registry *r, const struct container *c)
{
	struct container *copy = container_copy(c);
	struct facts *f;
	int err;

	if (!copy)
		return -ENOMEM;
	err = facts_put(r, NULL, c->id, RANK_OWN, copy, &f);
	if (err)
		return err;
	f->entry->is_own = true;
	f->entry->hinted_pid = c->pid;
	task_update(r, f->entry);
	registry_flush(r);
	return 0;
}

const struct container *registry_find(const struct registry *r, const char *id)
{
	const struct entry *e = entry_find(r, id);

	return e ? e->reported : NULL;
}

void registry_foreach_source(const struct registry *r,
			     void (*fn)(const struct registry_source *, void *), void *arg)
{
	struct registry_source mounts = {
		.kind = "mountinfo",
		.root = "/proc/1/mountinfo",
		.found_by = "kernel",
		.readable = true,
		.containers = HASH_COUNT(r->mounts.supers),
		.errors = r->mount_errors + r->mounts.bad + r->mounts.refused,
		.last_error = r->mount_error,
	};

	fn(&mounts, arg);
	for (const struct source *s = r->sources; s; s = s->next) {
		struct registry_source shown = {
			.kind = s->ops->kind,
			.root = s->root,
			.found_by = s->found_by,
			.readable = s->readable,
			.containers = s->containers,
			.errors = s->errors,
			.last_error = s->last_error,
		};

		fn(&shown, arg);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_entries.c - when a container is reported, as what, and when it is gone.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "container/registry_internal.h"

static const unsigned retry_ms[RETRY_STEPS] = {5, 50, 250, 1000, 3000};

struct entry *entry_find(const struct registry *r, const char *id)
{
	struct entry *e;

	HASH_FIND_STR(r->entries, id, e);
	return e;
}

struct entry *entry_get(struct registry *r, const char *id)
{
	struct entry *e = entry_find(r, id);

	if (e)
		return e;
	if (HASH_COUNT(r->entries) >= ENTRIES_MAX) {
		r->refused++;
		return NULL;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	snprintf(e->id, sizeof(e->id), "%s", id);
	e->pidfd = -1;
	HASH_ADD_STR(r->entries, id, e);
	return e;
}

void entry_touch(struct registry *r, struct entry *e)
{
	if (e->is_touched)
		return;
	e->is_touched = true;
	e->next_touched = r->touched;
	r->touched = e;
}

void entry_retry(struct registry *r, struct entry *e)
{
	if (e->retry_at_ns || e->retry_step >= RETRY_STEPS)
		return;
	e->retry_at_ns = clock_mono_ns() + retry_ms[e->retry_step++] * NS_PER_MSEC;
	if (e->retry_at_ns < r->next_retry_ns)
		r->next_retry_ns = e->retry_at_ns;
}

void entry_free(struct registry *r, struct entry *e)
{
	struct entry **at;

	while (e->facts)
		facts_drop(r, e->facts);
	if (e->super)
		e->super->entry = NULL;
	for (at = &r->touched; *at; at = &(*at)->next_touched) {
		if (*at != e)
			continue;
		*at = e->next_touched;
		break;
	}
	HASH_DEL(r->entries, e);
	if (e->pidfd >= 0)
		close(e->pidfd);
	container_free(e->task);
	container_free(e->reported);
	free(e->cgroup_path);
	free(e);
}

size_t entry_said(const struct entry *e, const struct container *ret[SAID_MAX])
{
	size_t n = 0;

	for (const struct facts *f = e->facts; f && n < SAID_MAX; f = f->next) {
		if (f->said)
			ret[n++] = f->said;
	}
	return n;
}

static struct container *merge(const struct entry *e)
{
	const struct container *said[SAID_MAX];
	struct facts_input in = {
		.id = e->id,
		.said = said,
		.said_len = entry_said(e, said),
		.task = e->task,
		.task_alive = e->task_alive,
		.mounted = e->super && !e->super->is_private ? &e->super->overlay : NULL,
		.before = e->reported,
		.runtime_hint = e->runtime_hint,
		.cgroup_path = e->cgroup_path,
		.cgroup_ids = e->cgroup_ids,
		.cgroup_ids_len = e->cgroup_ids_len,
		.cgroup_alive = e->cgroup_alive,
		.seen_exit_wall_ns = e->seen_exit_wall_ns,
	};

	return facts_merge(&in);
}

/* containerd removes a task's files when it ends; its snapshot stays with the container. */
static bool leaves_layer_behind(const struct registry *r, const struct entry *e)
{
	struct stat st;

	if (!e->reported || !e->reported->overlay.upper ||
	    (strcmp(e->reported->runtime, "containerd") != 0 &&
	     strcmp(e->reported->runtime, "cri") != 0))
		return false;
	return !hostfs_stat(&r->fs, e->reported->overlay.upper, &st);
}

static bool exists(const struct registry *r, const struct entry *e)
{
	if (e->facts || e->super || e->task_alive || e->is_own)
		return true;
	return leaves_layer_behind(r, e);
}

/* A container whose layer is not known is told of only when it is known to have none. */
static bool is_reportable(const struct entry *e, const struct container *c)
{
	if (c->overlay.upper)
		return true;
	if (c->storage_error)
		return true;
	return e->task_alive && e->task_complete && e->facts;
}

static void report(struct registry *r, enum registry_change change, const struct container *c)
{
	r->is_flushing = true;
	r->fn(change, c, r->arg);
	r->is_flushing = false;
}

static void flush_removed(struct registry *r, struct entry *e)
{
	if (e->reported) {
		e->reported->state = CONTAINER_REMOVED;
		e->reported->pid = 0;
		if (!e->reported->finished_wall_ns)
			e->reported->finished_wall_ns = clock_wall_ns();
		report(r, REGISTRY_REMOVED, e->reported);
	}
	entry_free(r, e);
}

/* Its root is a directory of the host. One that is all of the host's is no container's. */
static bool set_plain_root(const struct registry *r, const struct entry *e, struct container *c)
{
	const char *root = entry_rootfs(e);

	if (!e->task_alive || !root || !root[1] || (!c->created_wall_ns && !c->started_wall_ns) ||
	    !task_root_is(&r->fs, c->pid, root))
		return false;
	c->overlay.upper = strdup(root);
	c->overlay.is_whole = true;
	return c->overlay.upper;
}

static bool set_no_layer(const struct registry *r, const struct entry *e, struct container *c)
{
	if (c->overlay.upper)
		return true;
	if (set_plain_root(r, e, c)) {
		source_set(&c->storage_error, NULL);
		return true;
	}
	if (c->storage_error || !e->task_alive)
		return true;
	return source_set(&c->storage_error, "its root is not an overlay: no upper directory");
}

static void flush_entry(struct registry *r, struct entry *e)
{
	struct container *c;
	bool is_new = !e->reported;

	if (!exists(r, e)) {
		flush_removed(r, e);
		return;
	}
	c = merge(e);
	if (!c)
		return;
	if (!is_reportable(e, c) || !set_no_layer(r, e, c) ||
	    (!is_new && facts_equal(c, e->reported))) {
		container_free(c);
		return;
	}
	container_free(e->reported);
	e->reported = c;
	report(r, is_new ? REGISTRY_ADDED : REGISTRY_UPDATED, c);
}

void registry_flush(struct registry *r)
{
	struct entry *e;

	if (!r->is_scanned || r->is_flushing)
		return;
	mounts_drop_dead(r);
	while ((e = r->touched)) {
		r->touched = e->next_touched;
		e->next_touched = NULL;
		e->is_touched = false;
		flush_entry(r, e);
	}
}

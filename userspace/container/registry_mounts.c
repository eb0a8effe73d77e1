/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_mounts.c - whose a mounted overlay is.
 *
 * The place of a mount tells docker's, podman's and containerd's at once. Any other
 * overlay is a candidate until a state file, a cgroup or a task names it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "container/mountinfo.h"
#include "container/overlay_owner.h"
#include "container/registry_internal.h"

#define TRIES_MAX 6

void mounts_attach(struct registry *r, struct super *s, struct entry *e)
{
	struct entry *before = s->entry;

	if (before == e)
		return;
	if (before) {
		before->super = NULL;
		entry_touch(r, before);
	}
	if (e->super)
		e->super->entry = NULL;
	s->entry = e;
	e->super = s;
	e->retry_step = 0;
	entry_retry(r, e);
	entry_touch(r, e);
}

/* The root file system that runc's or crun's state names. */
const char *entry_rootfs(const struct entry *e)
{
	for (const struct facts *f = e->facts; f; f = f->next) {
		if (f->said && f->said->overlay.merged)
			return f->said->overlay.merged;
	}
	return NULL;
}

static bool resolve_by_state(struct registry *r, struct super *s)
{
	struct entry *e, *next;
	const char *rootfs;

	HASH_ITER (hh, r->entries, e, next) {
		rootfs = e->super ? NULL : entry_rootfs(e);
		if (!rootfs || !mount_table_is_at(s, rootfs))
			continue;
		mounts_attach(r, s, e);
		task_update(r, e);
		return true;
	}
	return false;
}

static bool has_upper(const struct entry *e, const char *upper)
{
	for (const struct facts *f = e->facts; f; f = f->next) {
		if (f->said && f->said->overlay.upper && !strcmp(f->said->overlay.upper, upper))
			return true;
	}
	return e->reported && e->reported->overlay.upper &&
	       !strcmp(e->reported->overlay.upper, upper);
}

bool mounts_resolve_by_upper(struct registry *r, struct super *s)
{
	struct entry *e, *next;

	HASH_ITER (hh, r->entries, e, next) {
		if (!s->overlay.upper || e->super || !has_upper(e, s->overlay.upper))
			continue;
		mounts_attach(r, s, e);
		task_update(r, e);
		return true;
	}
	return false;
}

void mounts_claim(struct registry *r, struct entry *e)
{
	const char *rootfs = e->super ? NULL : entry_rootfs(e);
	struct super *s = rootfs ? mount_table_find_point(&r->mounts, rootfs) : NULL;

	/* Also from one that had only been guessed, or whose files are gone. */
	if (s && (!s->entry || !s->entry->facts))
		mounts_attach(r, s, e);
	else if (rootfs)
		entry_retry(r, e);
}

/* Make relative layers and short links absolute directories. */
static void settle_paths(struct registry *r, struct super *s)
{
	struct overlay_owner owner;

	if (!s->overlay.merged)
		return;
	overlay_owner_parse(s->overlay.merged, &owner);
	if (owner.kind != OWNER_LAYER_STORE)
		return;
	if (mountinfo_overlay_is_relative(&s->overlay))
		mountinfo_overlay_resolve(&s->overlay, owner.home);
	source_resolve_links(&r->fs, owner.home, &s->overlay);
}

static void resolve(struct registry *r, struct super *s)
{
	struct overlay_owner owner;
	bool found = false;

	s->tries++;
	s->is_ignored = s->mount_points_len > 0;
	for (size_t i = 0; i < s->mount_points_len && !found; i++) {
		overlay_owner_parse(s->mount_points[i], &owner);
		s->is_ignored &= owner.kind == OWNER_IGNORED;
		if (owner.kind == OWNER_LAYER_STORE)
			found = mounts_resolve_store(r, s, &owner);
		else if (owner.kind == OWNER_TASK)
			found = mounts_resolve_task(r, s, &owner);
		else if (owner.kind == OWNER_DOCKER_ID)
			found = mounts_resolve_docker_id(r, s, &owner);
	}
	if (!found && !s->is_ignored && !resolve_by_state(r, s))
		mounts_resolve_by_upper(r, s);
}

static void on_mounted(struct super *s, void *arg)
{
	if (s->points_known == 0)
		settle_paths(arg, s);
	if (!s->entry)
		resolve(arg, s);
}

static void on_unmounted(struct super *s, void *arg)
{
	struct registry *r = arg;
	struct entry *e = s->entry;

	if (!e)
		return;
	e->super = NULL;
	s->entry = NULL;
	/* So short that its process was never seen. */
	if (!e->task && !e->seen_exit_wall_ns)
		e->seen_exit_wall_ns = clock_wall_ns();
	e->retry_step = 0;
	entry_retry(r, e);
	entry_touch(r, e);
	task_update(r, e);
}

void mounts_resolve_candidates(struct registry *r)
{
	struct super *s, *next;

	HASH_ITER (hh, r->mounts.supers, s, next) {
		if (!s->entry && !s->is_ignored && !s->is_private && s->tries < TRIES_MAX)
			resolve(r, s);
	}
}

struct mount_table_events mounts_events(struct registry *r)
{
	return (struct mount_table_events){on_mounted, on_unmounted, r};
}

void mounts_drop_dead(struct registry *r)
{
	struct mount_table_events events = mounts_events(r);
	struct super *s, *next;

	if (!r->has_dead_mounts)
		return;
	r->has_dead_mounts = false;
	HASH_ITER (hh, r->mounts.supers, s, next) {
		if (s->is_private && !s->pid)
			mount_table_drop(&r->mounts, s, &events);
	}
}

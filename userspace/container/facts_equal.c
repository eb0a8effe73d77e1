/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * facts_equal.c - whether anything about a container changed.
 */
#include <string.h>

#include "container/facts.h"

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_overlay(const struct container_overlay *a, const struct container_overlay *b)
{
	if (!same(a->upper, b->upper) || !same(a->work, b->work) || !same(a->merged, b->merged) ||
	    a->lowers_len != b->lowers_len || a->dev != b->dev || a->read_only != b->read_only ||
	    a->unsupported != b->unsupported || a->is_whole != b->is_whole)
		return false;
	for (size_t i = 0; i < a->lowers_len; i++) {
		if (!same(a->lowers[i], b->lowers[i]))
			return false;
	}
	return true;
}

static bool same_mounts(const struct container *a, const struct container *b)
{
	const struct container_mount *m, *n;

	if (a->mounts_len != b->mounts_len)
		return false;
	for (size_t i = 0; i < a->mounts_len; i++) {
		m = &a->mounts[i];
		n = &b->mounts[i];
		if (!same(m->destination, n->destination) || !same(m->source, n->source) ||
		    m->kind != n->kind || m->dev != n->dev || m->root_ino != n->root_ino ||
		    m->generation != n->generation || m->read_only != n->read_only)
			return false;
	}
	return true;
}

static bool same_cgroups(const struct container *a, const struct container *b)
{
	return same(a->cgroup_path, b->cgroup_path) && a->cgroup_ids_len == b->cgroup_ids_len &&
	       (!a->cgroup_ids_len ||
		!memcmp(a->cgroup_ids, b->cgroup_ids, a->cgroup_ids_len * sizeof(*a->cgroup_ids)));
}

static bool same_identity(const struct container *a, const struct container *b)
{
	return same(a->id, b->id) && same(a->name, b->name) && same(a->runtime, b->runtime) &&
	       same(a->image, b->image) && same(a->image_id, b->image_id) &&
	       same(a->pod_namespace, b->pod_namespace) && same(a->pod, b->pod) &&
	       same(a->pod_uid, b->pod_uid) && same(a->pod_container, b->pod_container) &&
	       same(a->storage_error, b->storage_error) && a->is_sandbox == b->is_sandbox &&
	       a->privileged == b->privileged;
}

static bool same_times(const struct container *a, const struct container *b)
{
	return a->created_wall_ns == b->created_wall_ns &&
	       a->started_wall_ns == b->started_wall_ns &&
	       a->finished_wall_ns == b->finished_wall_ns &&
	       a->image_created_wall_ns == b->image_created_wall_ns &&
	       a->restart_count == b->restart_count;
}

bool facts_equal(const struct container *a, const struct container *b)
{
	return a->state == b->state && a->pid == b->pid && same_identity(a, b) &&
	       same_times(a, b) && same_cgroups(a, b) && same_overlay(&a->overlay, &b->overlay) &&
	       same_mounts(a, b);
}

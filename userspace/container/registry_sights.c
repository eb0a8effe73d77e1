/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_sights.c - a process was seen whose root is an overlay that nobody owns.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "container/cgroup_path.h"
#include "container/mountinfo.h"
#include "container/registry_internal.h"

#define SIGHT_INTERVAL_NS (200 * NS_PER_MSEC)

/* A name for a container that no runtime's file tells of: its cgroup's, else its layer's. */
static void make_id(const struct registry *r, const char *cgroup, const char *upper,
		    char ret[CONTAINER_ID_MAX], const char **ret_runtime)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	struct cgroup_owner owner;

	*ret_runtime = "unknown";
	if (cgroup && !cgroup_path_parse(cgroup, &owner)) {
		snprintf(ret, CONTAINER_ID_MAX, "%s", owner.id);
		*ret_runtime = owner.runtime;
		return;
	}
	if (cgroup && !cgroup_path_name(cgroup, ret) && !entry_find(r, ret))
		return;
	for (const char *at = upper ? upper : ""; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3ull;
	snprintf(ret, CONTAINER_ID_MAX, "overlay-%016llx", (unsigned long long)hash);
}

static const char *cgroup_of(const struct registry *r, pid_t pid, uint64_t cgroup_id,
			     struct strbuf *path)
{
	struct cgroup_seen *seen;

	if (!task_cgroup(&r->fs, pid, path))
		return strbuf_str(path);
	HASH_FIND(hh, r->cgroups, &cgroup_id, sizeof(cgroup_id), seen);
	return seen ? seen->path : NULL;
}

/* The overlay @overlay_dev, from the host's mounts or from those of the task. */
static struct super *find_super(struct registry *r, pid_t pid, uint32_t overlay_dev)
{
	struct super *s = mount_table_find(&r->mounts, overlay_dev);
	struct container *seen;
	bool entered = false;

	if (s)
		return s;
	mounts_look(r, false);
	s = mount_table_find(&r->mounts, overlay_dev);
	seen = s ? NULL : container_new("", NULL);
	if (!seen)
		return s;
	if (!task_read_mounts(&r->fs, pid, registry_host_mounts(r), seen, &entered) &&
	    seen->overlay.dev == overlay_dev && seen->overlay.upper &&
	    !mountinfo_overlay_is_relative(&seen->overlay))
		s = mount_table_add_private(&r->mounts, &seen->overlay, pid);
	container_free(seen);
	return s;
}

/* systemd-nspawn leaves its machine's name in the source of a mount. */
static bool take_nspawn(const struct container *seen, char ret[CONTAINER_ID_MAX])
{
	static const char prefix[] = "/run/systemd/nspawn/propagate/";
	const char *source;

	for (size_t i = 0; i < seen->mounts_len; i++) {
		source = seen->mounts[i].source;
		if (!source || strcmp(seen->mounts[i].destination, "/run/host/incoming") != 0 ||
		    strncmp(source, prefix, strlen(prefix)) != 0 ||
		    !source_is_name(source + strlen(prefix)))
			continue;
		snprintf(ret, CONTAINER_ID_MAX, "%s", source + strlen(prefix));
		return true;
	}
	return false;
}

static bool is_nspawn(struct registry *r, pid_t pid, char ret[CONTAINER_ID_MAX])
{
	struct container *seen = container_new("", NULL);
	bool entered = false, found;

	if (!seen)
		return false;
	found = !task_read_mounts(&r->fs, pid, registry_host_mounts(r), seen, &entered) &&
		take_nspawn(seen, ret);
	container_free(seen);
	return found;
}

/* A state file that names its root may be there by now. Not for each of many tasks. */
static void look_for_state(struct registry *r)
{
	uint64_t now = clock_mono_ns();

	if (now - r->last_sight_ns < SIGHT_INTERVAL_NS)
		return;
	r->last_sight_ns = now;
	sources_look(r, true);
}

void task_sighted(struct registry *r, pid_t pid, uint32_t overlay_dev, uint64_t cgroup_id)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct super *s = find_super(r, pid, overlay_dev);
	const char *cgroup, *runtime;
	char id[CONTAINER_ID_MAX];
	struct entry *e;

	if (!s || s->is_ignored)
		return;
	cgroup = cgroup_of(r, pid, cgroup_id, &path);
	if (!s->entry && !mounts_resolve_by_upper(r, s))
		look_for_state(r);
	if (!s->entry) {
		make_id(r, cgroup, s->overlay.upper, id, &runtime);
		if (!strcmp(runtime, "unknown") && is_nspawn(r, pid, id))
			runtime = "nspawn";
		e = entry_get(r, id);
		if (!e)
			return;
		if (!e->runtime_hint)
			e->runtime_hint = runtime;
		mounts_attach(r, s, e);
	}
	e = s->entry;
	if (!e->task_alive)
		e->hinted_pid = pid;
	if (cgroup && !e->cgroup_alive)
		task_set_cgroup(r, e, cgroup, cgroup_id);
	task_update(r, e);
	entry_touch(r, e);
}

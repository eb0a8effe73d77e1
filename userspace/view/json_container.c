/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json_container.c - containers with a summary of their drift: schema driftwatch.ps/1.
 */
#include "view/view.h"

#include "base/clock.h"
#include "view/json.h"

static json_t *drift_summary(const struct ledger_container *c)
{
	struct tree_counts counts;
	json_t *drift;
	int err = 0;

	if (!c->tree)
		return json_null();
	drift = json_object();
	if (!drift)
		return NULL;
	tree_counts(c->tree, &counts);
	err |= view_set_u64(drift, "added", counts.added);
	err |= view_set_u64(drift, "modified", counts.modified);
	err |= view_set_u64(drift, "deleted", counts.deleted);
	err |= view_set_u64(drift, "bytes", counts.bytes);
	err |= view_set_u64(drift, "executables", counts.executables);
	if (err) {
		json_decref(drift);
		return NULL;
	}
	return drift;
}

/* Without a probe at hand a number that is there was seen; a 0 may be blindness. */
static bool shows_target(const struct probe *probe, const struct ledger_container *c,
			 enum dw_target target)
{
	if (!probe)
		return c->counters.write_calls[target] != 0;
	return view_sees(probe, c, view_sight_of_target(target));
}

static json_t *writes_summary(const struct probe *probe, const struct ledger_container *c)
{
	json_t *writes = json_object();
	json_t *calls = json_object();
	json_t *bytes = json_object();
	int err = 0;

	for (int t = 0; t < DW_TARGET_MAX; t++) {
		if (!shows_target(probe, c, t))
			continue;
		err |= view_set_u64(calls, event_target_name(t), c->counters.write_calls[t]);
		err |= view_set_u64(bytes, event_target_name(t), c->counters.write_bytes[t]);
	}
	err |= view_set_new(writes, "calls", calls);
	err |= view_set_new(writes, "bytes", bytes);
	if (err) {
		json_decref(writes);
		return NULL;
	}
	return writes;
}

static int set_identity(json_t *object, const struct container *meta)
{
	int err = 0;

	err |= view_set_text(object, "id", meta->id);
	err |= view_set_text(object, "name", container_label(meta));
	err |= view_set_text(object, "runtime", meta->runtime);
	err |= view_set_text(object, "image", meta->image);
	err |= view_set_text(object, "image_id", meta->image_id);
	err |= view_set_new(object, "k8s", view_k8s(meta));
	err |= view_set_new(object, "state", json_string(container_state_name(meta->state)));
	err |= view_set_bool(object, "sandbox", meta->is_sandbox);
	err |= view_set_bool(object, "privileged", meta->privileged);
	err |= view_set_bool(object, "readonly_rootfs", meta->overlay.read_only);
	err |= view_set_u64(object, "restart_count", meta->restart_count);
	return err;
}

static int set_times(json_t *object, const struct ledger_container *c)
{
	uint64_t created = c->meta->created_wall_ns;
	uint64_t now = clock_wall_ns();
	int err = 0;

	err |= view_set_time(object, "created", created);
	err |= view_set_time(object, "started", c->meta->started_wall_ns);
	err |= view_set_time(object, "finished", c->meta->finished_wall_ns);
	err |= view_set_time(object, "removed", c->removed_wall_ns);
	err |= view_set_time(object, "watched_since", c->seen_wall_ns);
	if (created && created <= now)
		err |= view_set_u64(object, "age_seconds", (now - created) / NS_PER_SEC);
	else
		err |= view_set_new(object, "age_seconds", json_null());
	return err;
}

json_t *view_container_seen(const struct ledger_container *c, const struct probe *probe)
{
	json_t *object = json_object();
	int err = 0;

	if (!object)
		return NULL;
	err |= set_identity(object, c->meta);
	err |= set_times(object, c);
	err |= view_set_new(object, "drift", drift_summary(c));
	err |= view_set_new(object, "writes", writes_summary(probe, c));
	err |= view_set_u64(object, "new_executable_runs", c->new_executable_runs);
	err |= view_set_time(object, "last_drift", c->last_drift_wall_ns);
	err |= view_set_completeness(object, c);
	err |= view_set_text(object, "storage_error", c->meta->storage_error);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

struct list_build {
	json_t *list;
	const struct probe *probe;
	bool all;
};

/* By default what ran and may still run; a pause container is never what one looks for. */
static bool is_listed(const struct ledger_container *c, bool all)
{
	if (all)
		return true;
	if (c->meta->is_sandbox || c->removed_wall_ns)
		return false;
	return c->meta->state == CONTAINER_RUNNING || c->meta->state == CONTAINER_PAUSED;
}

static int add_container(struct ledger_container *c, void *arg)
{
	struct list_build *build = arg;

	if (!is_listed(c, build->all))
		return 0;
	return json_array_append_new(build->list, view_container_seen(c, build->probe));
}

json_t *view_containers_seen(const struct ledger *l, const struct probe *probe, bool all)
{
	struct list_build build = {.list = json_array(), .probe = probe, .all = all};
	json_t *object = json_object();
	int err = 0;

	err |= view_set_new(object, "schema", json_string("driftwatch.ps/1"));
	err |= view_set_time(object, "as_of", clock_wall_ns());
	err |= ledger_foreach(l, add_container, &build);
	err |= view_set_new(object, "containers", build.list);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

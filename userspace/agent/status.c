/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * status.c - GET /api/v1/status, for doctor and for people who wonder.
 */
#include "agent/status.h"

#include <unistd.h>

#include "base/version.h"
#include "view/json.h"
#include "view/view.h"

/* Takes over @object; NULL when @err says that some of it is missing. */
static json_t *whole(json_t *object, int err)
{
	if (!err)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *sights(const struct probe *probe)
{
	json_t *object = json_object();
	int err = 0;

	for (int i = 0; i < PROBE_SEES_MAX; i++)
		err |= view_set_bool(object, probe_sight_name(i), probe && probe_sees(probe, i));
	return whole(object, err);
}

static void add_hook(const struct probe_hook *hook, void *arg)
{
	json_t *object = json_object();
	int err = 0;

	err |= view_set_text(object, "name", hook->name);
	err |= view_set_text(object, "role", hook->role);
	err |= view_set_bool(object, "attached", hook->attached);
	err |= view_set_bool(object, "blind", hook->is_blind);
	err |= view_set_new(object, "error", json_integer(hook->error));
	err |= view_set_text(object, "why_not", hook->why_not);
	json_array_append_new(arg, whole(object, err));
}

static json_t *self_test(const struct probe *probe)
{
	const char *text = "";
	enum probe_self_test result =
		probe ? probe_self_test_result(probe, &text) : PROBE_SELF_TEST_NOT_RUN;
	json_t *object = json_object();
	int err = 0;

	err |= view_set_text(object, "result", probe_self_test_name(result));
	err |= view_set_text(object, "text", *text ? text : NULL);
	return whole(object, err);
}

static json_t *hooks(const struct probe *probe)
{
	json_t *list = json_array();

	if (list && probe)
		probe_foreach_hook(probe, add_hook, list);
	return list;
}

static void add_source(const struct registry_source *source, void *arg)
{
	json_t *object = json_object();
	int err = 0;

	err |= view_set_text(object, "kind", source->kind);
	err |= view_set_text(object, "root", source->root);
	err |= view_set_text(object, "found_by", source->found_by);
	err |= view_set_bool(object, "readable", source->readable);
	err |= view_set_u64(object, "containers", source->containers);
	err |= view_set_u64(object, "errors", source->errors);
	err |= view_set_text(object, "last_error", source->last_error);
	json_array_append_new(arg, whole(object, err));
}

static json_t *sources(const struct registry *registry)
{
	json_t *list = json_array();

	if (list && registry)
		registry_foreach_source(registry, add_source, list);
	return list;
}

static json_t *health(const struct probe *probe, const struct engine_stats *stats)
{
	struct probe_health h = {0};
	json_t *object = json_object();
	int err = 0;

	err |= view_set_u64(object, "events", stats->events);
	err |= view_set_u64(object, "verifications", stats->verifications);
	err |= view_set_u64(object, "mismatches", stats->mismatches);
	err |= view_set_u64(object, "unresolved_cgroups", stats->unresolved_cgroups);
	err |= view_set_u64(object, "containers_refused", stats->containers_refused);
	if (!probe || probe_read_health(probe, &h))
		return whole(object, err);
	err |= view_set_u64(object, "records_received", h.records_received);
	err |= view_set_u64(object, "records_malformed", h.records_malformed);
	err |= view_set_u64(object, "records_lost", h.records_lost);
	err |= view_set_u64(object, "runs_missed", h.runs_missed);
	err |= view_set_u64(object, "watched_used", h.watched_used);
	err |= view_set_u64(object, "watched_size", h.watched_size);
	err |= view_set_u64(object, "files_used", h.files_used);
	err |= view_set_u64(object, "files_size", h.files_size);
	err |= view_set_u64(object, "containers_used", h.containers_used);
	err |= view_set_u64(object, "containers_size", h.containers_size);
	err |= view_set_u64(object, "map_bytes", h.map_bytes);
	return whole(object, err);
}

json_t *status_json(const struct engine *engine, const char *node)
{
	const struct probe *probe = engine_probe(engine);
	json_t *object = json_object();
	struct engine_stats stats;
	int err = 0;

	engine_stats(engine, &stats);
	err |= view_set_text(object, "schema", "driftwatch.status/1");
	err |= view_set_text(object, "version", version_string());
	err |= view_set_text(object, "revision", version_revision());
	err |= view_set_text(object, "node", node);
	err |= view_set_u64(object, "pid", (uint64_t)getpid());
	err |= view_set_time(object, "started", stats.started_wall_ns);
	err |= view_set_bool(object, "ready", engine_is_ready(engine));
	err |= view_set_u64(object, "containers", ledger_count(engine_ledger(engine)));
	err |= view_set_text(object, "tier", probe ? probe_tier_name(probe_tier(probe)) : "none");
	err |= view_set_bool(object, "adopted", probe && probe_was_adopted(probe));
	err |= view_set_new(object, "sees", sights(probe));
	err |= view_set_new(object, "self_test", self_test(probe));
	err |= view_set_new(object, "hooks", hooks(probe));
	err |= view_set_new(object, "sources", sources(engine_registry(engine)));
	err |= view_set_new(object, "health", health(probe, &stats));
	return whole(object, err);
}

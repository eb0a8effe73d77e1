/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * api.c - the table of routes and the short answers.
 */
#include "agent/api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/landing.h"
#include "agent/status.h"
#include "agent/stream.h"
#include "base/clock.h"
#include "base/version.h"
#include "view/view.h"

#define SETTLE_SLICE_MS	  20
#define SETTLE_FILES_NS	  (2 * NS_PER_SEC)
#define SETTLE_LIST_NS	  (NS_PER_SEC / 2)
#define CONTAINERS_PREFIX "/api/v1/containers/"

static const char plain_text[] = "text/plain; charset=utf-8";

static void reply_text(struct http_request *request, unsigned status, const char *text)
{
	auto_strbuf struct strbuf body = STRBUF_INIT;

	strbuf_adds(&body, text);
	http_reply(request, status, plain_text, &body);
}

void api_reply_json(struct http_request *request, json_t *object)
{
	auto_strbuf struct strbuf body = STRBUF_INIT;
	auto_free char *dump = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	if (!dump) {
		http_reply_error(request, 503, "out of memory");
		return;
	}
	strbuf_adds(&body, dump);
	strbuf_addc(&body, '\n');
	http_reply(request, 200, "application/json", &body);
}

/* --- everywhere --- */

static void get_landing(struct http_request *request, struct api *api)
{
	auto_strbuf struct strbuf body = STRBUF_INIT;

	landing_add(api->engine, api->node, http_is_local(request), &body);
	http_add_header(request, "Content-Security-Policy", LANDING_POLICY);
	http_reply(request, 200, "text/html; charset=utf-8", &body);
}

static void get_health(struct http_request *request, struct api *api)
{
	(void)api;
	reply_text(request, 200, "ok\n"); /* the loop turns, or nobody would answer */
}

static void get_ready(struct http_request *request, struct api *api)
{
	auto_strbuf struct strbuf body = STRBUF_INIT;
	size_t containers = ledger_count(engine_ledger(api->engine));
	struct engine_stats stats;

	if (engine_is_ready(api->engine)) {
		reply_text(request, 200, "ready\n");
		return;
	}
	engine_stats(api->engine, &stats);
	strbuf_addf(&body,
		    "not ready: the first layers are being read, %zu of %zu containers done, "
		    "%" PRIu64 " entries listed\n",
		    containers - stats.still_reading, containers, stats.files);
	http_reply(request, 503, plain_text, &body);
}

/* The quality a list of media ranges gives to @name; -1 when it does not name it. */
static double quality_of(const char *accept, const char *name)
{
	double best = -1;

	while (accept && *accept) {
		const char *end = accept + strcspn(accept, ",");
		const char *at = accept + strspn(accept, " \t");
		size_t len = strcspn(at, ";, \t");
		double quality = 1;

		if (len == strlen(name) && !strncasecmp(at, name, len)) {
			const char *q = memmem(at, (size_t)(end - at), "q=", 2);

			if (q)
				quality = strtod(q + 2, NULL);
			if (quality > best)
				best = quality;
		}
		accept = *end ? end + 1 : end;
	}
	return best;
}

bool api_prefers_openmetrics(const char *accept)
{
	double openmetrics = quality_of(accept, "application/openmetrics-text");

	return openmetrics > 0 && openmetrics >= quality_of(accept, "text/plain");
}

static void get_metrics(struct http_request *request, struct api *api)
{
	bool openmetrics = api_prefers_openmetrics(http_header(request, "Accept"));
	auto_strbuf struct strbuf body = STRBUF_INIT;
	struct view_metrics_input input = {
		.ledger = engine_ledger(api->engine),
		.probe = engine_probe(api->engine),
		.registry = engine_registry(api->engine),
		.version = version_string(),
		.revision = version_revision(),
		.max_series = api->max_series,
		.reload_successful = api->reload_successful,
		.reload_wall_ns = api->reload_wall_ns,
	};
	struct engine_stats stats;

	engine_refresh_counters(api->engine, NULL);
	engine_refresh_sizes(api->engine);
	engine_stats(api->engine, &stats);
	input.verifications = stats.verifications;
	input.mismatches = stats.mismatches;
	input.unresolved_cgroups = stats.unresolved_cgroups;
	input.containers_refused = stats.containers_refused;
	input.rescans = stats.rescans;
	input.files = stats.files;
	input.max_files_total = stats.max_files_total;
	if (view_metrics(&input, openmetrics, &body)) {
		http_reply_error(request, 503, "out of memory");
		return;
	}
	http_reply(request, 200,
		   openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
			       : "text/plain; version=0.0.4; charset=utf-8",
		   &body);
}

/* --- on the unix socket --- */

static void get_status(struct http_request *request, struct api *api)
{
	api_reply_json(request, status_json(api->engine, api->node));
}

static void get_events(struct http_request *request, struct api *api)
{
	stream_serve(request, api->engine, api->node);
}

static void get_containers(struct http_request *request, struct api *api)
{
	/* What happened a moment ago is in the list, unless the node never comes to rest. */
	if (!engine_settle(api->engine, SETTLE_SLICE_MS) && http_age_ns(request) < SETTLE_LIST_NS) {
		http_wait(request);
		return;
	}
	engine_refresh_counters(api->engine, NULL);
	api_reply_json(request,
		       view_containers_seen(engine_ledger(api->engine), engine_probe(api->engine),
					    http_query_is_set(request, "all")));
}

static void take_container(struct ledger_container *c, void *arg)
{
	*(struct ledger_container **)arg = c;
}

struct ledger_container *api_container(struct http_request *request, const struct api *api,
				       size_t leaf_len)
{
	const char *start = http_path(request) + strlen(CONTAINERS_PREFIX);
	auto_free char *reference = strndup(start, strlen(start) - leaf_len);
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct ledger_container *c = NULL;
	int n;

	if (!reference) {
		http_reply_error(request, 503, "out of memory");
		return NULL;
	}
	n = ledger_resolve(engine_ledger(api->engine), reference, true, take_container, &c, &error);
	if (n != 1) {
		http_reply_error(request, n ? 409 : 404, "%s", strbuf_str(&error));
		return NULL;
	}
	return c;
}

struct ledger_container *api_settled_container(struct http_request *request, const struct api *api,
					       size_t leaf_len)
{
	struct ledger_container *c = api_container(request, api, leaf_len);

	if (!c)
		return NULL;
	if (!engine_settle_container(api->engine, c, SETTLE_SLICE_MS) &&
	    http_age_ns(request) < SETTLE_FILES_NS) {
		http_wait(request);
		return NULL;
	}
	return c;
}

static void post_reload(struct http_request *request, struct api *api)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;

	if (api->reload && api->reload(&error, api->arg))
		http_reply_error(request, 400, "%s", strbuf_str(&error));
	else
		api_reply_json(request, json_pack("{s:b}", "reloaded", 1));
}

static const struct route {
	const char *path;
	const char *suffix; /* NULL: @path is all of it; else @path, a reference, this */
	bool is_post;
	bool is_local;
	void (*serve)(struct http_request *request, struct api *api);
} routes[] = {
	{"/", NULL, false, false, get_landing},
	{"/metrics", NULL, false, false, get_metrics},
	{"/healthz", NULL, false, false, get_health},
	{"/readyz", NULL, false, false, get_ready},
	{"/api/v1/status", NULL, false, true, get_status},
	{"/api/v1/containers", NULL, false, true, get_containers},
	{CONTAINERS_PREFIX, "/files", false, true, api_files},
	{CONTAINERS_PREFIX, "/diff", false, true, api_diff},
	{CONTAINERS_PREFIX, "/verify", false, true, api_verify},
	{"/api/v1/events", NULL, false, true, get_events},
	{"/-/reload", NULL, true, true, post_reload},
};

static bool is_at(const struct route *route, const char *path)
{
	size_t prefix = strlen(route->path), len = strlen(path), suffix;

	if (!route->suffix)
		return !strcmp(path, route->path);
	suffix = strlen(route->suffix);
	return len > prefix + suffix && !strncmp(path, route->path, prefix) &&
	       !strcmp(path + len - suffix, route->suffix);
}

static bool allows(const struct route *route, const char *method)
{
	if (route->is_post)
		return !strcmp(method, "POST");
	return !strcmp(method, "GET") || !strcmp(method, "HEAD");
}

void api_handle(struct http_request *request, void *api)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *route = &routes[i];

		if (!is_at(route, http_path(request)))
			continue;
		if (route->is_local && !http_is_local(request))
			break;
		if (allows(route, http_method(request))) {
			route->serve(request, api);
			return;
		}
		http_add_header(request, "Allow", route->is_post ? "POST" : "GET, HEAD");
		http_reply_error(request, 405, "this method is not for here");
		return;
	}
	http_reply_error(request, 404, "no such page");
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * api_files.c - a container's list of changes: as JSON, written piece by piece, and as
 * docker diff's lines.
 */
#include "agent/api.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "view/files.h"
#include "view/json.h"

#define AT_ONCE 256 /* files of an answer that is made in one go */

/* A copy of the list, so that tree and container may change or go meanwhile. */
struct files_answer {
	struct view_file_list list;
	size_t next;
	const struct ledger *ledger;
	bool with_counts;
	bool has_ended;
	bool has_failed;
	struct strbuf text; /* made, not yet read, from .at on */
	size_t at;
};

static void add_json(struct files_answer *a, json_t *object)
{
	auto_free char *dump = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	if (dump)
		strbuf_adds(&a->text, dump);
	else
		a->has_failed = true;
}

/* {"schema":…,"files":[ with the brace of the head left open. */
static void add_start(struct files_answer *a, const struct ledger_container *c,
		      const struct probe *probe)
{
	add_json(a, view_files_head(c, probe));
	if (a->text.len)
		strbuf_truncate(&a->text, a->text.len - 1);
	strbuf_adds(&a->text, ",\"files\":[");
}

static void add_next(struct files_answer *a)
{
	if (a->next == a->list.len) {
		strbuf_adds(&a->text, "]}\n");
		a->has_ended = true;
		return;
	}
	if (a->next)
		strbuf_addc(&a->text, ',');
	add_json(a, view_file(&a->list, &a->list.files[a->next], ledger_writers(a->ledger),
			      a->with_counts));
	a->next++;
}

static ssize_t read_answer(char *buf, size_t max, void *arg)
{
	struct files_answer *a = arg;
	size_t n;

	while (!a->has_ended && a->text.len - a->at < max) {
		add_next(a);
		if (a->has_failed || strbuf_failed(&a->text))
			return -1; /* cut short: no reader takes it for whole */
	}
	n = a->text.len - a->at < max ? a->text.len - a->at : max;
	if (!n)
		return -1;
	memcpy(buf, a->text.data + a->at, n);
	a->at += n;
	if (a->at == a->text.len) {
		strbuf_reset(&a->text);
		a->at = 0;
	}
	return (ssize_t)n;
}

static void answer_free(void *arg)
{
	struct files_answer *a = arg;

	view_file_list_done(&a->list);
	strbuf_done(&a->text);
	free(a);
}

static void reply_at_once(struct http_request *request, struct files_answer *a)
{
	while (!a->has_ended && !a->has_failed)
		add_next(a);
	if (a->has_failed)
		http_reply_error(request, 503, "out of memory");
	else
		http_reply(request, 200, "application/json", &a->text);
	answer_free(a);
}

void api_files(struct http_request *request, struct api *api)
{
	struct ledger_container *c = api_settled_container(request, api, strlen("/files"));
	const struct view_files_options options = {
		.all = http_query_is_set(request, "all"),
		.no_runtime = http_query_is_set(request, "no_runtime"),
	};
	struct files_answer *a;
	struct http_source source = {read_answer, answer_free, NULL};

	if (!c)
		return;
	engine_refresh_counters(api->engine, c);
	engine_fold_files(api->engine);
	a = calloc(1, sizeof(*a));
	if (!a || view_file_list_read(c, &options, &a->list)) {
		if (a)
			answer_free(a);
		http_reply_error(request, 503, "out of memory");
		return;
	}
	a->ledger = engine_ledger(api->engine);
	a->with_counts = view_sees(engine_probe(api->engine), c, PROBE_SEES_LAYER_WRITES);
	add_start(a, c, engine_probe(api->engine));
	source.arg = a;
	if (a->list.len <= AT_ONCE)
		reply_at_once(request, a);
	else
		http_reply_stream(request, "application/json", &source);
}

/* "ring_full, path": why the list may lack something. */
static void add_reasons(const struct ledger_container *c, struct strbuf *out)
{
	struct tree_counts counts = {0};

	for (int i = 0; i < LOSS_MAX; i++) {
		if (c->incomplete & 1u << i)
			strbuf_addf(out, "%s%s", out->len ? ", " : "", loss_reason_name(i));
	}
	if (c->meta->storage_error)
		strbuf_addf(out, "%s%s", out->len ? ", " : "", c->meta->storage_error);
	else if (!c->tree)
		strbuf_addf(out, "%sno writable layer to read", out->len ? ", " : "");
	else if (!tree_is_settled(c->tree))
		strbuf_addf(out, "%sthe layer is being read", out->len ? ", " : "");
	if (c->tree)
		tree_counts(c->tree, &counts);
	if (counts.unlisted)
		strbuf_addf(out, "%s%llu added files are not listed", out->len ? ", " : "",
			    (unsigned long long)counts.unlisted);
	if (c->limits)
		strbuf_addf(out, "%s%s", out->len ? ", " : "", c->limits);
}

static void add_completeness(struct http_request *request, const struct ledger_container *c)
{
	auto_strbuf struct strbuf reasons = STRBUF_INIT;
	char as_of[RFC3339_LEN];
	bool complete = ledger_container_is_complete(c);

	http_add_header(request, "X-Driftwatch-Complete", complete ? "1" : "0");
	clock_format_rfc3339(c->tree ? tree_as_of_wall_ns(c->tree) : 0, as_of);
	if (*as_of)
		http_add_header(request, "X-Driftwatch-As-Of", as_of);
	if (complete)
		return;
	add_reasons(c, &reasons);
	http_add_header(request, "X-Driftwatch-Reason", strbuf_str(&reasons));
}

void api_diff(struct http_request *request, struct api *api)
{
	struct ledger_container *c = api_settled_container(request, api, strlen("/diff"));
	auto_strbuf struct strbuf body = STRBUF_INIT;

	if (!c)
		return;
	if (view_diff(c, http_query_is_set(request, "no_runtime"), &body)) {
		http_reply_error(request, 503, "out of memory");
		return;
	}
	add_completeness(request, c);
	http_reply(request, 200, "application/octet-stream", &body);
}

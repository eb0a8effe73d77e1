/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stream.c - a bounded queue between the engine's events and one client.
 *
 * A client that reads too slowly loses events and is told how many; neither the
 * engine nor other clients wait for it.
 */
#include "agent/stream.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agent/filter.h"
#include "base/clock.h"
#include "base/log.h"
#include "view/json.h"
#include "view/view.h"

struct stream {
	struct engine *engine;
	const char *node;
	struct filter filter;
	int subscription; /* -1: none */
	struct http_stream *http;
	struct strbuf queue; /* whole lines from .at on */
	size_t at;
	uint64_t dropped; /* not yet told to the client */
	uint64_t last_seq;
};

static size_t queued(const struct stream *s)
{
	return s->queue.len - s->at;
}

/* Takes over @object. 0, -ENOSPC when the client has to read first, or -ENOMEM. */
static int push(struct stream *s, json_t *object)
{
	auto_free char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
	size_t len;

	json_decref(object);
	if (!line)
		return -ENOMEM;
	len = strlen(line);
	if (queued(s) + len + 1 > STREAM_MAX_QUEUED)
		return -ENOSPC;
	strbuf_add(&s->queue, line, len);
	strbuf_addc(&s->queue, '\n');
	return strbuf_failed(&s->queue) ? -ENOMEM : 0;
}

static json_t *lost_line(const struct stream *s)
{
	json_t *object = json_object();
	int err = 0;

	err |= view_set_text(object, "schema", "driftwatch.event/1");
	err |= view_set_time(object, "time", clock_wall_ns());
	err |= view_set_u64(object, "seq", s->last_seq);
	err |= view_set_text(object, "type", "lost");
	err |= view_set_text(object, "node", s->node);
	err |= view_set_text(object, "severity", "warning");
	err |= view_set_new(object, "reasons", json_array());
	err |= view_set_text(object, "reason", "slow_reader");
	err |= view_set_u64(object, "count", s->dropped);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

/* Tell of what was dropped, in its place among the events. */
static int push_loss(struct stream *s)
{
	int err = s->dropped ? push(s, lost_line(s)) : 0;

	if (!err)
		s->dropped = 0;
	return err;
}

static void on_event(const struct event *event, void *arg)
{
	struct stream *s = arg;

	if (!filter_allows(&s->filter, engine_ledger(s->engine), event))
		return;
	s->last_seq = event->seq;
	if (push_loss(s) || push(s, view_event(event, s->node)))
		s->dropped++;
	if (s->http)
		http_stream_wake(s->http);
}

static ssize_t read_queue(char *buf, size_t max, void *arg)
{
	struct stream *s = arg;
	size_t n;

	if (!queued(s))
		push_loss(s);
	n = queued(s) < max ? queued(s) : max;
	if (n)
		memcpy(buf, s->queue.data + s->at, n);
	s->at += n;
	if (s->at == s->queue.len) {
		strbuf_reset(&s->queue);
		s->at = 0;
	} else if (s->at > STREAM_MAX_QUEUED / 4) {
		memmove(s->queue.data, s->queue.data + s->at, queued(s));
		strbuf_truncate(&s->queue, queued(s));
		s->at = 0;
	}
	return (ssize_t)n;
}

static void stream_free(void *arg)
{
	struct stream *s = arg;

	if (s->subscription >= 0)
		engine_unsubscribe(s->engine, s->subscription);
	filter_done(&s->filter);
	strbuf_done(&s->queue);
	free(s);
}

struct query {
	struct filter *filter;
	struct strbuf *error;
};

static int set_parameter(const char *key, const char *value, void *arg)
{
	struct query *query = arg;

	return filter_set(query->filter, key, value, query->error);
}

/* Reads the query into @s. Returns true when it was all right, else has answered. */
static bool accept_query(struct stream *s, struct http_request *request)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct query query = {&s->filter, &error};
	int err = http_foreach_query(request, set_parameter, &query);
	unsigned status = 400;

	if (!err) {
		err = filter_check(&s->filter, engine_ledger(s->engine), &error);
		status = err == -ENOENT ? 404 : 409;
	}
	if (err)
		http_reply_error(request, status, "%s", strbuf_str(&error));
	return !err;
}

void stream_serve(struct http_request *request, struct engine *engine, const char *node)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct http_source source = {read_queue, stream_free, s};

	if (!s) {
		http_reply_error(request, 503, "out of memory");
		return;
	}
	*s = (struct stream){.engine = engine, .node = node, .subscription = -1};
	if (!accept_query(s, request)) {
		stream_free(s);
		return;
	}
	s->subscription = engine_subscribe(engine, s->filter.raw, on_event, s);
	if (s->subscription < 0) {
		http_reply_error(request, 503, "too many clients follow the events");
		stream_free(s);
		return;
	}
	s->http = http_reply_stream(request, "application/x-ndjson", &source);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * http_reply.c - what a handler asks of a request, and how it answers.
 */
#include "agent/http_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/gzip.h"
#include "base/clock.h"
#include "base/escape.h"
#include "base/log.h"

#define MIN_GZIP_BYTES 1024
#define RETRY_NS       (5 * NS_PER_MSEC)
#define STREAM_BLOCK   (24u << 10)

const char *http_method(const struct http_request *r)
{
	return r->method;
}

const char *http_path(const struct http_request *r)
{
	return r->path;
}

bool http_is_local(const struct http_request *r)
{
	return r->is_local;
}

const char *http_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

struct query_search {
	const char *key;
	const char *value;
	int (*fn)(const char *key, const char *value, void *arg);
	void *arg;
	int result;
};

static enum MHD_Result on_query(void *arg, enum MHD_ValueKind kind, const char *key,
				const char *value)
{
	struct query_search *search = arg;

	(void)kind;
	search->result = search->fn(key, value ? value : "", search->arg);
	return search->result ? MHD_NO : MHD_YES;
}

int http_foreach_query(const struct http_request *r,
		       int (*fn)(const char *key, const char *value, void *arg), void *arg)
{
	struct query_search search = {.fn = fn, .arg = arg};

	MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, on_query, &search);
	return search.result;
}

static int take_value(const char *key, const char *value, void *arg)
{
	struct query_search *search = arg;

	if (strcmp(key, search->key) != 0)
		return 0;
	search->value = value;
	return 1;
}

const char *http_query(const struct http_request *r, const char *key)
{
	struct query_search search = {.key = key};

	http_foreach_query(r, take_value, &search);
	return search.value;
}

bool http_query_is_set(const struct http_request *r, const char *key)
{
	const char *value = http_query(r, key);

	return value && strcmp(value, "0") != 0;
}

uint64_t http_age_ns(const struct http_request *r)
{
	return clock_mono_ns() - r->first_ns;
}

void http_add_header(struct http_request *r, const char *name, const char *value)
{
	char *copy = r->extra_len < HTTP_MAX_HEADERS ? strdup(value) : NULL;

	if (!copy)
		return;
	for (char *c = copy; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	}
	r->extra[r->extra_len++] = (struct http_extra){name, copy};
}

static bool takes_gzip(const struct http_request *r)
{
	const char *accepted = http_header(r, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	const char *at = accepted ? strcasestr(accepted, "gzip") : NULL;
	double quality;

	if (!at)
		return false;
	at += strlen("gzip");
	at += strspn(at, " \t");
	return sscanf(at, "; q=%lf", &quality) != 1 || quality > 0;
}

static void queue(struct http_request *r, unsigned status, const char *type,
		  struct MHD_Response *response)
{
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	for (size_t i = 0; i < r->extra_len; i++)
		MHD_add_response_header(response, r->extra[i].name, r->extra[i].value);
	r->is_answered = MHD_queue_response(r->connection, status, response) == MHD_YES;
	MHD_destroy_response(response);
}

/* Replaces @body by its compressed form where the client takes that. */
static bool compress_body(struct http_request *r, struct strbuf *body)
{
	auto_strbuf struct strbuf packed = STRBUF_INIT;
	struct strbuf swapped;

	if (body->len < MIN_GZIP_BYTES || !takes_gzip(r))
		return false;
	if (gzip_compress(body->data, body->len, &packed))
		return false;
	swapped = *body;
	*body = packed;
	packed = swapped;
	return true;
}

void http_reply(struct http_request *r, unsigned status, const char *type, struct strbuf *body)
{
	struct MHD_Response *response;
	bool is_packed;
	size_t len;
	char *bytes;

	if (strbuf_failed(body))
		return;
	is_packed = compress_body(r, body);
	len = body->len;
	bytes = strbuf_take(body);
	response = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(bytes);
		return;
	}
	if (is_packed)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
	queue(r, status, type, response);
}

void http_reply_error(struct http_request *r, unsigned status, const char *fmt, ...)
{
	auto_strbuf struct strbuf sentence = STRBUF_INIT;
	auto_strbuf struct strbuf text = STRBUF_INIT;
	auto_strbuf struct strbuf body = STRBUF_INIT;
	auto_free char *dump = NULL;
	json_t *object;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&sentence, fmt, ap);
	va_end(ap);
	utf8_add_replaced(&text, strbuf_str(&sentence), sentence.len);
	object = json_pack("{s:s%}", "error", strbuf_str(&text), text.len);
	dump = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (!dump)
		return;
	strbuf_addf(&body, "%s\n", dump);
	http_reply(r, status, "application/json", &body);
}

void http_wait(struct http_request *r)
{
	if (r->http->is_stopping) {
		http_reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is stopping");
		return;
	}
	r->retry_ns = clock_mono_ns() + RETRY_NS;
	r->is_waiting = true;
	DL_APPEND(r->http->waiting, r);
	MHD_suspend_connection(r->connection);
}

static ssize_t on_read(void *arg, uint64_t at, char *buf, size_t max)
{
	struct http_stream *s = arg;
	ssize_t n;

	(void)at;
	if (s->is_over)
		return MHD_CONTENT_READER_END_OF_STREAM;
	n = s->source.read(buf, max, s->source.arg);
	if (n < 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		s->is_suspended = true;
		MHD_suspend_connection(s->connection);
	}
	return n;
}

static void on_stream_free(void *arg)
{
	struct http_stream *s = arg;

	DL_DELETE(s->http->streams, s);
	s->source.closed(s->source.arg);
	free(s);
}

struct http_stream *http_reply_stream(struct http_request *r, const char *type,
				      const struct http_source *source)
{
	struct http_stream *s = calloc(1, sizeof(*s));
	struct MHD_Response *response;

	if (!s) {
		source->closed(source->arg);
		return NULL;
	}
	*s = (struct http_stream){
		.http = r->http,
		.connection = r->connection,
		.source = *source,
	};
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_read, s,
						     on_stream_free);
	if (!response) {
		source->closed(source->arg);
		free(s);
		return NULL;
	}
	DL_APPEND(r->http->streams, s);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
	queue(r, MHD_HTTP_OK, type, response);
	return r->is_answered ? s : NULL;
}

void http_stream_wake(struct http_stream *s)
{
	if (!s->is_suspended)
		return;
	s->is_suspended = false;
	s->http->has_resumed = true;
	MHD_resume_connection(s->connection);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * http.h - an HTTP/1.1 server inside somebody else's event loop.
 *
 * libmicrohttpd without threads: the owner polls http_fd(), and calls http_run() when
 * it is readable and after at most http_timeout_ms(). Requests are bounded in size
 * and time, connections in number; a client that leaves is nothing to log.
 */
#ifndef AGENT_HTTP_H
#define AGENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strbuf.h"

struct http;
struct http_request;

/*
 * Answers one request: calls exactly one of http_reply(), http_reply_error(),
 * http_reply_stream() or http_wait(). After http_wait() it is called again.
 */
typedef void (*http_handler)(struct http_request *request, void *arg);

int http_open(http_handler handler, void *arg, struct http **ret); /* 0 or -errno */
struct http *
http_close(struct http *h); /* ends streams and connections; takes NULL, returns NULL */

/*
 * Serve on a listening, non-blocking socket, which is taken over, also on failure.
 * @is_local marks its requests (the unix socket: more is allowed there). 0 or -errno.
 */
int http_listen(struct http *h, int fd, bool is_local);

int http_fd(const struct http *h);
int http_timeout_ms(const struct http *h); /* -1: no need */
void http_run(struct http *h);

/* --- the request; strings are valid until it is answered --- */
const char *http_method(const struct http_request *r);
const char *http_path(const struct http_request *r); /* percent-decoded, without the query */
bool http_is_local(const struct http_request *r);
const char *http_header(const struct http_request *r, const char *name); /* NULL: none */
const char *http_query(const struct http_request *r, const char *key);	 /* NULL: none */
bool http_query_is_set(const struct http_request *r, const char *key);	 /* there and not "0" */

/* Every query parameter in order; @value is "" for a bare key. Stops at non-zero, returns it. */
int http_foreach_query(const struct http_request *r,
		       int (*fn)(const char *key, const char *value, void *arg), void *arg);

/* Nanoseconds since the request was first handed to the handler. */
uint64_t http_age_ns(const struct http_request *r);

/* --- the answer --- */

/* Add a header to the answer that follows; a control byte in @value becomes a space. */
void http_add_header(struct http_request *r, const char *name, const char *value);

/* Takes the bytes of @body (empty afterwards). Compressed when the client takes gzip. */
void http_reply(struct http_request *r, unsigned status, const char *type, struct strbuf *body);

/* {"error": the sentence}. */
__attribute__((format(printf, 3, 4))) void http_reply_error(struct http_request *r, unsigned status,
							    const char *fmt, ...);

/* Not ready: call the handler again in a moment. */
void http_wait(struct http_request *r);

struct http_stream;

struct http_source {
	/* Put at most @max bytes into @buf. Returns how many, 0 for none yet, -1 at the end. */
	ssize_t (*read)(char *buf, size_t max, void *arg);
	void (*closed)(void *arg); /* once, when the client or the stream is gone */
	void *arg;
};

/*
 * A chunked answer of unknown length. @source->closed is called also when this fails.
 * After a read of 0, http_stream_wake() asks for more. Valid until closed; NULL when it
 * could not be started.
 */
struct http_stream *http_reply_stream(struct http_request *r, const char *type,
				      const struct http_source *source);
void http_stream_wake(struct http_stream *s);

#endif /* AGENT_HTTP_H */

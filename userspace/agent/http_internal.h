/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * http_internal.h - what http.c (connections) and http_reply.c (answers) share.
 */
#ifndef AGENT_HTTP_INTERNAL_H
#define AGENT_HTTP_INTERNAL_H

#include <microhttpd.h>

#include "agent/http.h"

#define HTTP_RESUMED	 UINT64_MAX /* the handler is about to be called again */
#define HTTP_MAX_HEADERS 6	    /* set by handlers */

struct http_extra {
	const char *name;
	char *value;
};

struct http_request {
	struct http *http;
	struct MHD_Connection *connection;
	const char *method, *path;
	bool is_local;
	bool is_answered;
	bool is_waiting; /* suspended by http_wait() */
	uint64_t upload_bytes;
	uint64_t first_ns; /* monotonic; of the handler's first call */
	uint64_t retry_ns; /* monotonic; when a waiting one is tried again; HTTP_RESUMED */
	struct http_extra extra[HTTP_MAX_HEADERS];
	size_t extra_len;
	struct http_request *next, *prev; /* waiting ones */
};

struct http_stream {
	struct http *http;
	struct MHD_Connection *connection;
	struct http_source source;
	bool is_suspended;
	bool is_over; /* the client went, or the server stops */
	struct http_stream *next, *prev;
};

#define HTTP_MAX_SERVERS 16

/* One listening socket. */
struct http_server {
	struct http *http;
	struct MHD_Daemon *daemon;
	bool is_local;
};

struct http {
	http_handler handler;
	void *arg;
	int epoll_fd;
	struct http_server servers[HTTP_MAX_SERVERS];
	size_t servers_len;
	struct http_request *waiting;
	struct http_stream *streams;
	uint64_t next_check_ns; /* monotonic; when streams are looked at again */
	bool is_stopping;
	bool has_resumed; /* a connection was resumed since the last MHD_run() */
};

void http_request_free(struct http_request *r);

#endif /* AGENT_HTTP_INTERNAL_H */

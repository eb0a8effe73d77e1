/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * http.c - connections: libmicrohttpd's epoll sets inside ours, waiting requests,
 * streams whose client may have left.
 */
#include "agent/http_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"

#define MAX_CONNECTIONS	 256
#define IDLE_SECONDS	 30
#define CONNECTION_BYTES (32u << 10) /* request line and headers, or a chunk of an answer */
#define MAX_UPLOAD	 4096	     /* nobody has anything to send us */
#define CHECK_NS	 NS_PER_SEC  /* between two looks at silent streams */
#define CLOSE_NS	 (200 * NS_PER_MSEC)

static void on_mhd_log(void *arg, const char *fmt, va_list ap)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	(void)arg;
	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	strbuf_vaddf(&text, fmt, ap);
	log_debug("http: %s", strbuf_str(&text));
}

void http_request_free(struct http_request *r)
{
	if (!r)
		return;
	if (r->is_waiting)
		DL_DELETE(r->http->waiting, r);
	for (size_t i = 0; i < r->extra_len; i++)
		free(r->extra[i].value);
	free(r);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode how)
{
	(void)arg;
	(void)connection;
	(void)how;
	http_request_free(*request);
	*request = NULL;
}

static bool announces_too_much(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);

	return length && strtoull(length, NULL, 10) > MAX_UPLOAD;
}

static enum MHD_Result call_handler(struct http_request *r)
{
	if (!r->first_ns)
		r->first_ns = clock_mono_ns();
	if (r->is_waiting) {
		r->is_waiting = false;
		DL_DELETE(r->http->waiting, r);
	}
	r->http->handler(r, r->http->arg);
	/* Nothing queued and not waiting: out of memory; the connection is dropped. */
	return r->is_answered || r->is_waiting ? MHD_YES : MHD_NO;
}

static struct http_request *new_request(const struct http_server *server,
					struct MHD_Connection *connection, const char *method,
					const char *url)
{
	struct http_request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	*r = (struct http_request){
		.http = server->http,
		.connection = connection,
		.method = method,
		.path = url,
		.is_local = server->is_local,
	};
	return r;
}

/*
 * Called with the headers, then for each piece of the body, then at its end. An answer
 * before the end would cost the client its connection, so only an excess gets one.
 */
static enum MHD_Result on_request(void *server, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	struct http_request *r = *state;

	(void)version;
	(void)upload;
	if (!r) {
		r = new_request(server, connection, method, url);
		*state = r;
		if (!r)
			return MHD_NO;
		if (!announces_too_much(connection))
			return MHD_YES;
		http_reply_error(r, MHD_HTTP_CONTENT_TOO_LARGE, "the request is too large");
		return r->is_answered ? MHD_YES : MHD_NO;
	}
	if (*upload_len) {
		r->upload_bytes += *upload_len;
		*upload_len = 0;
		return r->upload_bytes > MAX_UPLOAD ? MHD_NO : MHD_YES;
	}
	return call_handler(r);
}

int http_open(http_handler handler, void *arg, struct http **ret)
{
	struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->handler = handler;
	h->arg = arg;
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll_fd < 0) {
		free(h);
		return -errno;
	}
	*ret = h;
	return 0;
}

static struct MHD_Daemon *start_daemon(void *server, int fd)
{
	const unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	return MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log,
		NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
		IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
		MHD_OPTION_END);
}

int http_listen(struct http *h, int fd, bool is_local)
{
	struct epoll_event event = {.events = EPOLLIN};
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;
	size_t i = h->servers_len;

	if (i == HTTP_MAX_SERVERS) {
		close(fd);
		return -ENOSPC;
	}
	h->servers[i].http = h;
	h->servers[i].is_local = is_local;
	daemon = start_daemon(&h->servers[i], fd);
	if (!daemon) {
		close(fd);
		return -EIO;
	}
	h->servers[i].daemon = daemon;
	h->servers_len++;
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) < 0)
		return -EIO;
	return 0;
}

int http_fd(const struct http *h)
{
	return h->epoll_fd;
}

static void shorten(int *ms, uint64_t due_ns)
{
	uint64_t now = clock_mono_ns();
	uint64_t left = due_ns <= now ? 0 : (due_ns - now + NS_PER_MSEC - 1) / NS_PER_MSEC;

	if (*ms < 0 || left < (uint64_t)*ms)
		*ms = (int)left;
}

int http_timeout_ms(const struct http *h)
{
	const struct http_request *r;
	int ms = h->has_resumed ? 0 : -1;

	for (size_t i = 0; i < h->servers_len; i++) {
		MHD_UNSIGNED_LONG_LONG of_daemon;

		if (MHD_get_timeout(h->servers[i].daemon, &of_daemon) == MHD_YES &&
		    (ms < 0 || of_daemon < (unsigned)ms))
			ms = (int)of_daemon;
	}
	DL_FOREACH (h->waiting, r)
		shorten(&ms, r->retry_ns);
	if (h->streams)
		shorten(&ms, h->next_check_ns);
	return ms;
}

static void retry_waiting(struct http *h, uint64_t now)
{
	struct http_request *r;

	DL_FOREACH (h->waiting, r) {
		if (r->retry_ns > now)
			continue;
		r->retry_ns = HTTP_RESUMED;
		MHD_resume_connection(r->connection);
		h->has_resumed = true;
	}
}

static bool has_hung_up(const struct http_stream *s)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(s->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd p = {.events = POLLRDHUP};

	if (!info)
		return true;
	p.fd = info->connect_fd;
	return poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* libmicrohttpd does not watch suspended connections: a silent stream never notices. */
static void check_streams(struct http *h, uint64_t now)
{
	struct http_stream *s;

	if (!h->streams || h->next_check_ns > now)
		return;
	h->next_check_ns = now + CHECK_NS;
	DL_FOREACH (h->streams, s) {
		if (s->is_suspended && (h->is_stopping || has_hung_up(s))) {
			s->is_over = true;
			http_stream_wake(s);
		}
	}
}

void http_run(struct http *h)
{
	uint64_t now = clock_mono_ns();

	retry_waiting(h, now);
	check_streams(h, now);
	h->has_resumed = false;
	for (size_t i = 0; i < h->servers_len; i++)
		MHD_run(h->servers[i].daemon);
}

/* Suspended connections must not meet MHD_stop_daemon(): all are let go first. */
static void drain(struct http *h)
{
	uint64_t end = clock_mono_ns() + CLOSE_NS;
	struct http_request *r;
	struct http_stream *s;

	h->is_stopping = true;
	do {
		struct pollfd p = {.fd = h->epoll_fd, .events = POLLIN};

		DL_FOREACH (h->waiting, r)
			if (r->retry_ns != UINT64_MAX)
				r->retry_ns = 0;
		DL_FOREACH (h->streams, s)
			s->is_over = true;
		h->next_check_ns = 0;
		http_run(h);
		poll(&p, 1, 5);
	} while ((h->waiting || h->streams) && clock_mono_ns() < end);
}

struct http *http_close(struct http *h)
{
	if (!h)
		return NULL;
	drain(h);
	for (size_t i = 0; i < h->servers_len; i++)
		MHD_stop_daemon(h->servers[i].daemon);
	close(h->epoll_fd);
	free(h);
	return NULL;
}

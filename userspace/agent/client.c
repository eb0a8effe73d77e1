/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * client.c - the commands' side of the agent's API.
 */
#include "agent/client.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/client_reader.h"

#define PING_TIMEOUT_MS	  5000
#define ANSWER_TIMEOUT_MS 60000
#define MAX_BODY	  (1ull << 30)
#define MAX_STREAM_LINE	  (1u << 20)
#define MAX_ERROR	  65536

static int connect_to(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	auto_close int fd = -1;
	size_t len = strlen(socket_path);

	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(&fd);
}

/* A blank or a control byte would end the request line early. */
static bool is_target(const char *target)
{
	if (*target != '/')
		return false;
	for (; *target; target++) {
		if ((unsigned char)*target <= ' ' || *target == 0x7f)
			return false;
	}
	return true;
}

static int send_request(int fd, const char *target)
{
	auto_strbuf struct strbuf request = STRBUF_INIT;
	size_t at = 0;

	if (!is_target(target))
		return -EINVAL;
	strbuf_addf(&request, "GET %s HTTP/1.1\r\nHost: driftwatch\r\nConnection: close\r\n\r\n",
		    target);
	if (strbuf_failed(&request))
		return -ENOMEM;
	while (at < request.len) {
		ssize_t n = send(fd, request.data + at, request.len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			at += (size_t)n;
	}
	return 0;
}

/* The caller closes *ret_fd, also when this fails. */
static int ask(const char *socket_path, const char *target, struct client_reader *reader,
	       int *ret_fd)
{
	int err;

	*ret_fd = connect_to(socket_path);
	if (*ret_fd < 0)
		return *ret_fd;
	reader->fd = *ret_fd;
	err = send_request(*ret_fd, target);
	return err ? err : client_reader_head(reader);
}

static struct client_reader *new_reader(int stop_fd, int timeout_ms)
{
	struct client_reader *reader = calloc(1, sizeof(*reader));

	if (reader) {
		reader->stop_fd = stop_fd;
		reader->timeout_ms = timeout_ms;
	}
	return reader;
}

static int read_all(struct client_reader *reader, size_t max, struct strbuf *body)
{
	size_t start = body->len;
	char chunk[16384];
	ssize_t n;

	while ((n = client_reader_body(reader, chunk, sizeof(chunk))) > 0) {
		if ((size_t)n > max - (body->len - start))
			return -EFBIG;
		strbuf_add(body, chunk, (size_t)n);
	}
	if (n < 0)
		return (int)n;
	return strbuf_failed(body) ? -ENOMEM : 0;
}

int client_ping(const char *socket_path)
{
	auto_free struct client_reader *reader = new_reader(-1, PING_TIMEOUT_MS);
	auto_close int fd = -1;

	return reader ? ask(socket_path, "/healthz", reader, &fd) : -ENOMEM;
}

int client_get(const char *socket_path, const char *target, struct strbuf *body, bool *ret_complete)
{
	auto_free struct client_reader *reader = new_reader(-1, ANSWER_TIMEOUT_MS);
	auto_close int fd = -1;
	int err;

	if (!reader)
		return -ENOMEM;
	err = ask(socket_path, target, reader, &fd);
	if (!err)
		err = read_all(reader, MAX_BODY, body);
	if (err)
		return err;
	if (ret_complete)
		*ret_complete = reader->is_complete;
	return reader->status;
}

/* Hand out every whole line of @pending and keep the rest. */
static int hand_out(struct strbuf *pending, int (*fn)(const char *line, size_t len, void *arg),
		    void *arg)
{
	const char *start = strbuf_str(pending), *end = start + pending->len;
	const char *newline;
	size_t rest;
	int stop = 0;

	while (!stop && (newline = memchr(start, '\n', (size_t)(end - start)))) {
		pending->data[newline - pending->data] = '\0';
		stop = fn(start, (size_t)(newline - start), arg);
		start = newline + 1;
	}
	rest = (size_t)(end - start);
	if (rest && start != pending->data)
		memmove(pending->data, start, rest);
	if (pending->len)
		strbuf_truncate(pending, rest);
	return stop;
}

static int follow(struct client_reader *reader, int (*fn)(const char *line, size_t len, void *arg),
		  void *arg)
{
	auto_strbuf struct strbuf pending = STRBUF_INIT;
	char chunk[16384];

	for (;;) {
		ssize_t n = client_reader_body(reader, chunk, sizeof(chunk));
		int stop;

		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
		strbuf_add(&pending, chunk, (size_t)n);
		if (strbuf_failed(&pending))
			return -ENOMEM;
		stop = hand_out(&pending, fn, arg);
		if (stop)
			return stop;
		if (pending.len > MAX_STREAM_LINE)
			return -EBADMSG;
	}
}

int client_stream(const char *socket_path, const char *target, int stop_fd,
		  int (*fn)(const char *line, size_t len, void *arg), void *arg,
		  struct strbuf *error)
{
	auto_free struct client_reader *reader = new_reader(stop_fd, ANSWER_TIMEOUT_MS);
	auto_close int fd = -1;
	int err;

	if (!reader)
		return -ENOMEM;
	err = ask(socket_path, target, reader, &fd);
	if (!err && reader->status != 200) {
		err = read_all(reader, MAX_ERROR, error);
		return err ? err : reader->status;
	}
	reader->timeout_ms = -1; /* nothing may happen for days */
	if (!err)
		err = follow(reader, fn, arg);
	return err == -ECANCELED ? 0 : err;
}

void client_encode(struct strbuf *out, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '_' || c == '.' || c == '~')
			strbuf_addc(out, (char)c);
		else
			strbuf_addf(out, "%%%02X", c);
	}
}

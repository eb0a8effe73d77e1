/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * client_reader.c - status line, headers, and bodies by length, by chunks or to the end.
 */
#include "agent/client_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define MAX_LINE    8192
#define MAX_HEADERS 100

/* Waits for bytes and reads some. Returns how many, 0 at the end of the connection. */
static ssize_t fill(struct client_reader *r)
{
	struct pollfd fds[] = {
		{.fd = r->fd, .events = POLLIN},
		{.fd = r->stop_fd, .events = POLLIN},
	};
	ssize_t n;

	for (;;) {
		int ready = poll(fds, r->stop_fd < 0 ? 1 : 2, r->timeout_ms);

		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready == 0)
			return -ETIMEDOUT;
		if (ready > 0 && r->stop_fd >= 0 && fds[1].revents)
			return -ECANCELED;
		if (ready > 0)
			break;
	}
	n = recv(r->fd, r->bytes, sizeof(r->bytes), 0);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	r->at = 0;
	r->len = (size_t)n;
	return n;
}

/* One line without its CR LF. 0 or an error; -EPIPE when the connection ends in it. */
static int read_line(struct client_reader *r, struct strbuf *line)
{
	strbuf_reset(line);
	for (;;) {
		const char *start = r->bytes + r->at;
		const char *newline;
		ssize_t n;

		newline = memchr(start, '\n', r->len - r->at);
		if (newline) {
			strbuf_add(line, start, (size_t)(newline - start));
			r->at += (size_t)(newline - start) + 1;
			break;
		}
		strbuf_add(line, start, r->len - r->at);
		if (line->len > MAX_LINE)
			return -EBADMSG;
		n = fill(r);
		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
	}
	if (line->len && line->data[line->len - 1] == '\r')
		strbuf_truncate(line, line->len - 1);
	return strbuf_failed(line) ? -ENOMEM : 0;
}

static int take_header(struct client_reader *r, const char *line)
{
	const char *value = strchr(line, ':');
	size_t len;

	if (!value)
		return -EBADMSG;
	len = (size_t)(value - line);
	value += 1 + strspn(value + 1, " \t");
	if (len == strlen("Transfer-Encoding") && !strncasecmp(line, "Transfer-Encoding", len)) {
		r->is_chunked = !strcasecmp(value, "chunked");
	} else if (len == strlen("Content-Length") && !strncasecmp(line, "Content-Length", len)) {
		r->has_length = sscanf(value, "%" SCNu64, &r->left) == 1;
		if (!r->has_length)
			return -EBADMSG;
	} else if (len == strlen("X-Driftwatch-Complete") &&
		   !strncasecmp(line, "X-Driftwatch-Complete", len)) {
		r->is_complete = *value == '1';
	}
	return 0;
}

int client_reader_head(struct client_reader *r)
{
	auto_strbuf struct strbuf line = STRBUF_INIT;
	int err = read_line(r, &line);

	if (err)
		return err;
	if (sscanf(strbuf_str(&line), "HTTP/1.%*1d %3d", &r->status) != 1)
		return -EBADMSG;
	for (int i = 0; i < MAX_HEADERS; i++) {
		err = read_line(r, &line);
		if (err)
			return err;
		if (!line.len) {
			if (r->is_chunked)
				r->left = 0;
			return 0;
		}
		err = take_header(r, strbuf_str(&line));
		if (err)
			return err;
	}
	return -EBADMSG;
}

/* The size of the next chunk; the last one is empty and followed by trailers. */
static int next_chunk(struct client_reader *r)
{
	auto_strbuf struct strbuf line = STRBUF_INIT;
	int err = 0;

	if (r->in_body)
		err = read_line(r, &line); /* the end of the one before */
	if (!err)
		err = read_line(r, &line);
	if (err)
		return err;
	r->in_body = true;
	if (sscanf(strbuf_str(&line), "%" SCNx64, &r->left) != 1)
		return -EBADMSG;
	if (r->left)
		return 0;
	r->is_over = true;
	for (int i = 0; i < MAX_HEADERS && !err; i++) {
		err = read_line(r, &line);
		if (!line.len)
			break;
	}
	return err;
}

ssize_t client_reader_body(struct client_reader *r, char *buf, size_t max)
{
	size_t n;

	if (r->is_chunked && !r->left && !r->is_over) {
		int err = next_chunk(r);

		if (err)
			return err;
	}
	if (r->is_over || (r->has_length && !r->is_chunked && !r->left))
		return 0;
	if (r->at == r->len) {
		ssize_t filled = fill(r);

		if (filled < 0)
			return filled;
		if (filled == 0) /* only a body without length ends with the connection */
			return r->is_chunked || r->has_length ? -EPIPE : 0;
	}
	n = r->len - r->at;
	if (n > max)
		n = max;
	if ((r->is_chunked || r->has_length) && n > r->left)
		n = (size_t)r->left;
	memcpy(buf, r->bytes + r->at, n);
	r->at += n;
	if (r->is_chunked || r->has_length)
		r->left -= n;
	return (ssize_t)n;
}

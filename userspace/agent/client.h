/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * client.h - HTTP/1.1 over the agent's unix socket, as the commands need it.
 */
#ifndef AGENT_CLIENT_H
#define AGENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

/* Is an agent answering at @socket_path? 0, -ENOENT (no socket), -ECONNREFUSED, -EACCES, … */
int client_ping(const char *socket_path);

/*
 * GET @target ("/api/v1/containers?all=1"); the body is appended to @body. Headers of
 * interest: @ret_complete (may be NULL) is X-Driftwatch-Complete. Returns the HTTP
 * status, or -errno.
 */
int client_get(const char *socket_path, const char *target, struct strbuf *body,
	       bool *ret_complete);

/*
 * GET an endless answer: @fn gets each line (without the newline) until it returns
 * non-zero, the agent goes (-EPIPE) or @stop_fd (-1: none) becomes readable (0).
 * Returns @fn's value, the HTTP status when it is not 200 (body of the error in
 * @error), or -errno.
 */
int client_stream(const char *socket_path, const char *target, int stop_fd,
		  int (*fn)(const char *line, size_t len, void *arg), void *arg,
		  struct strbuf *error);

/* Percent-encode one query or path component, appended to @out. */
void client_encode(struct strbuf *out, const char *bytes, size_t len);

#endif /* AGENT_CLIENT_H */

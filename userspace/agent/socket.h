/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * socket.h - the listening sockets of the agent.
 *
 * All come non-blocking and close-on-exec. Failures put one sentence that says what
 * to do into @error.
 */
#ifndef AGENT_SOCKET_H
#define AGENT_SOCKET_H

#include "base/strbuf.h"

/*
 * The API's unix socket: its directory is made, a socket on which nobody answers is
 * replaced, mode 0660, group driftwatch where there is one. Returns the fd, and in
 * *ret_lock a lock that keeps other agents off the path: close it after unlinking.
 *   -EADDRINUSE  an agent answers there, or the path is something else
 */
int socket_listen_unix(const char *path, struct strbuf *error, int *ret_lock);

/* "HOST:PORT", "[V6]:PORT" or ":PORT" for all addresses. Returns the fd or -errno. */
int socket_listen_tcp(const char *address, struct strbuf *error);

#endif /* AGENT_SOCKET_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * client_reader.h - one HTTP/1.1 answer, read from a socket piece by piece.
 */
#ifndef AGENT_CLIENT_READER_H
#define AGENT_CLIENT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strbuf.h"

#define CLIENT_READ_BYTES 65536

struct client_reader {
	int fd;
	int stop_fd;	/* -1: none */
	int timeout_ms; /* of one read; -1: for ever */
	char bytes[CLIENT_READ_BYTES];
	size_t at, len; /* unread bytes are at..len */

	/* from the head */
	int status;
	bool is_chunked;
	bool has_length;
	bool is_complete; /* X-Driftwatch-Complete: 1 */
	uint64_t left;	  /* of the body, or of the chunk at hand */
	bool in_body;	  /* a chunk was begun */
	bool is_over;
};

/*
 * Read the status line and the headers. 0, -ECANCELED (stop_fd), -ETIMEDOUT, -EPIPE
 * (the agent went), -EBADMSG (not HTTP) or -errno.
 */
int client_reader_head(struct client_reader *r);

/* At most @max bytes of the body. 0 at its end, or an error as above. */
ssize_t client_reader_body(struct client_reader *r, char *buf, size_t max);

#endif /* AGENT_CLIENT_READER_H */

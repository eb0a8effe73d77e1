/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stream.h - GET /api/v1/events: one event a line, for as long as the client stays.
 */
#ifndef AGENT_STREAM_H
#define AGENT_STREAM_H

#include "agent/engine.h"
#include "agent/http.h"

#define STREAM_MAX_QUEUED (4u << 20) /* bytes waiting for one client */

/* Answers @request. @node is borrowed for the life of the stream. */
void stream_serve(struct http_request *request, struct engine *engine, const char *node);

#endif /* AGENT_STREAM_H */

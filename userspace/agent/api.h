/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * api.h - the routes: what is answered where.
 *
 *	everywhere          GET / /metrics /healthz /readyz
 *	on the unix socket  GET /api/v1/status, /api/v1/containers[?all=1],
 *	                    /api/v1/containers/REF/files[?all=1&no_runtime=1],
 *	                    /api/v1/containers/REF/diff[?no_runtime=1], /api/v1/events?…
 *	                    /api/v1/containers/REF/verify[?since=…] (driftwatch.verify/1, or
 *	                    202 with what to ask again)
 *	                    POST /-/reload
 *
 * No answer holds up the loop: a container whose layer is still being read makes the
 * request wait, a long list is written piece by piece.
 */
#ifndef AGENT_API_H
#define AGENT_API_H

#include <jansson.h>

#include "agent/engine.h"
#include "agent/http.h"

struct api {
	struct engine *engine;
	const char *node;
	uint64_t max_series;
	bool reload_successful;
	uint64_t reload_wall_ns;
	/* Reads the configuration again. 0, or -errno with a sentence in @error. */
	int (*reload)(struct strbuf *error, void *arg);
	void *arg;
};

/* An http_handler; @api is a struct api that outlives the server. */
void api_handle(struct http_request *request, void *api);

/* Does this Accept header (NULL: none) prefer OpenMetrics to the plain text format? */
bool api_prefers_openmetrics(const char *accept);

/* --- between the files of the API --- */

/*
 * The container in "/api/v1/containers/REF/LEAF", its layer read. NULL when it has
 * answered already: not found, ambiguous, or to wait.
 */
struct ledger_container *api_settled_container(struct http_request *request, const struct api *api,
					       size_t leaf_len);
void api_files(struct http_request *request, struct api *api);
void api_diff(struct http_request *request, struct api *api);
void api_verify(struct http_request *request, struct api *api);

/* The container in "/api/v1/containers/REF/LEAF" as it is; NULL when it has answered. */
struct ledger_container *api_container(struct http_request *request, const struct api *api,
				       size_t leaf_len);

/* Answers with a whole JSON document; takes over @object, NULL is out of memory. */
void api_reply_json(struct http_request *request, json_t *object);

#endif /* AGENT_API_H */

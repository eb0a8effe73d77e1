/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * api_verify.c - a container's ledger compared with its layer, for who asks.
 *
 * A large layer takes longer than a client should hold its breath: after a while the
 * answer is 202 with the moment to ask for again, and how far it has come.
 */
#include "agent/api.h"

#include <string.h>

#include "base/clock.h"
#include "view/view.h"

#define PATIENCE_NS (15 * NS_PER_SEC)

static const char pending_type[] = "application/json";

/* The moment the client first asked; a later one than now is not believed. */
static uint64_t since_of(const struct http_request *request)
{
	uint64_t asked_ns = clock_mono_ns() - http_age_ns(request);
	const char *since = http_query(request, "since");
	uint64_t first_ns = since ? strtoull(since, NULL, 10) : 0;

	return first_ns && first_ns < asked_ns ? first_ns : asked_ns;
}

static void reply_pending(struct http_request *request, uint64_t since_ns, uint64_t lines)
{
	auto_strbuf struct strbuf body = STRBUF_INIT;

	strbuf_addf(&body, "{\"pending\":true,\"since\":\"%llu\",\"lines\":%llu}\n",
		    (unsigned long long)since_ns, (unsigned long long)lines);
	http_reply(request, 202, pending_type, &body);
}

void api_verify(struct http_request *request, struct api *api)
{
	struct ledger_container *c = api_container(request, api, strlen("/verify"));
	uint64_t since_ns = since_of(request), lines = 0;
	const struct audit_result *result;

	if (!c)
		return;
	result = engine_verify(api->engine, c, since_ns, &lines);
	if (result)
		api_reply_json(request, view_verify(c, result));
	else if (http_age_ns(request) < PATIENCE_NS)
		http_wait(request);
	else
		reply_pending(request, since_ns, lines);
}

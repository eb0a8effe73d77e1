/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * landing.h - the page at "/": what this is, and which containers it watches.
 */
#ifndef AGENT_LANDING_H
#define AGENT_LANDING_H

#include "agent/engine.h"
#include "base/strbuf.h"

/* What a browser may do with it: show it. */
#define LANDING_POLICY \
	"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

/* Appends the page. @is_local: links to the API too. */
void landing_add(const struct engine *engine, const char *node, bool is_local, struct strbuf *out);

#endif /* AGENT_LANDING_H */

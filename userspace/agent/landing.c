/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * landing.c - one page of HTML without script; every name in it is escaped.
 */
#include "agent/landing.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/version.h"

#define MAX_ROWS 500

static const char style[] =
	"<style>"
	":root{color-scheme:light dark}"
	"body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
	"h1{font-size:1.5rem;margin:0}p{margin:.4rem 0}"
	"table{border-collapse:collapse;width:100%;margin-top:1rem}"
	"th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8884;"
	"overflow-wrap:anywhere}"
	".n{text-align:right;font-variant-numeric:tabular-nums}"
	".m{opacity:.65}"
	"</style>";

struct page {
	struct strbuf *out;
	size_t rows, hidden;
};

static void add_text(struct strbuf *out, const char *text)
{
	if (text)
		escape_html(out, text, strlen(text));
}

static void add_cell(struct strbuf *out, const char *text)
{
	strbuf_adds(out, "<td>");
	add_text(out, text && *text ? text : "-");
	strbuf_adds(out, "</td>");
}

static void add_drift(struct strbuf *out, const struct ledger_container *c)
{
	struct tree_counts counts;

	if (!c->tree) {
		strbuf_adds(out, "<td class=n>-</td><td class=n>-</td><td class=n>-</td>");
		return;
	}
	tree_counts(c->tree, &counts);
	strbuf_addf(out,
		    "<td class=n>%" PRIu64 "</td><td class=n>%" PRIu64 "</td><td class=n>%" PRIu64
		    "</td>",
		    counts.added, counts.modified, counts.deleted);
}

static int add_row(struct ledger_container *c, void *arg)
{
	const struct container *meta = c->meta;
	struct page *page = arg;
	struct strbuf *out = page->out;
	char age[32];

	if (meta->is_sandbox)
		return 0;
	if (page->rows++ >= MAX_ROWS) {
		page->hidden++;
		return 0;
	}
	strbuf_adds(out, "<tr>");
	add_cell(out, container_label(meta));
	strbuf_adds(out, "<td>");
	if (meta->pod) {
		add_text(out, meta->pod_namespace);
		strbuf_addc(out, '/');
	}
	add_text(out, meta->pod ? meta->pod : "-");
	strbuf_adds(out, "</td>");
	add_cell(out, meta->image);
	add_cell(out, meta->runtime);
	add_cell(out, container_state_name(meta->state));
	add_drift(out, c);
	clock_format_age(c->last_drift_wall_ns ? clock_wall_ns() - c->last_drift_wall_ns : 0, age,
			 sizeof(age));
	add_cell(out, c->last_drift_wall_ns ? age : NULL);
	add_cell(out, ledger_container_is_complete(c) ? "yes" : "no");
	strbuf_adds(out, "</tr>\n");
	return 0;
}

static void add_head(const struct engine *engine, const char *node, struct strbuf *out)
{
	const struct probe *probe = engine_probe(engine);

	strbuf_adds(out, "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
			 "<meta name=viewport content=\"width=device-width\">"
			 "<title>driftwatch</title>");
	strbuf_adds(out, style);
	strbuf_adds(out, "</head><body>\n<h1>driftwatch</h1>\n<p class=m>what every container "
			 "writes, on ");
	add_text(out, node);
	strbuf_addf(out, " &middot; version %s &middot; tier %s &middot; %s</p>\n",
		    version_string(), probe ? probe_tier_name(probe_tier(probe)) : "none",
		    engine_is_ready(engine) ? "ready" : "reading the first layers");
}

void landing_add(const struct engine *engine, const char *node, bool is_local, struct strbuf *out)
{
	struct page page = {.out = out};

	add_head(engine, node, out);
	strbuf_adds(out, "<p><a href=/metrics>/metrics</a> &middot; <a href=/healthz>/healthz</a> "
			 "&middot; <a href=/readyz>/readyz</a>");
	if (is_local)
		strbuf_adds(out, " &middot; <a href=/api/v1/containers>/api/v1/containers</a> "
				 "&middot; <a href=/api/v1/status>/api/v1/status</a>");
	strbuf_adds(out, "</p>\n<table><thead><tr><th>Container</th><th>Pod</th><th>Image</th>"
			 "<th>Runtime</th><th>State</th><th class=n>Added</th>"
			 "<th class=n>Modified</th><th class=n>Deleted</th><th>Last drift</th>"
			 "<th>Complete</th></tr></thead><tbody>\n");
	ledger_foreach(engine_ledger(engine), add_row, &page);
	strbuf_adds(out, "</tbody></table>\n");
	if (page.hidden)
		strbuf_addf(out, "<p class=m>and %zu more</p>\n", page.hidden);
	if (!page.rows)
		strbuf_adds(out, "<p class=m>No container is known.</p>\n");
	strbuf_adds(out, "</body></html>\n");
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * view.h - the ledger as JSON and as Prometheus text. Views read, never write.
 *
 * JSON is built with jansson; the caller owns what is returned (json_decref) and
 * NULL means out of memory. Names that are not UTF-8 appear with U+FFFD and, in
 * full, base64 as <key>_b64. Integers above 2^53 are strings (inode, cgroup id).
 * Schemas: scripts/schema/ *.json.
 */
#ifndef VIEW_H
#define VIEW_H

#include <jansson.h>
#include <stdbool.h>

#include "base/strbuf.h"
#include "kernel/probe.h"
#include "ledger/audit.h"
#include "ledger/event.h"
#include "ledger/ledger.h"

/*
 * {"schema":"driftwatch.ps/1","as_of":…,"containers":[…]}: one element of the array, and
 * all of it; @all: exited and removed ones and sandboxes too. Only those write counters
 * that @probe can see: one it cannot see is absent, not 0. Without a probe, only counters
 * above 0 are shown.
 */
json_t *view_container_seen(const struct ledger_container *c, const struct probe *probe);
json_t *view_containers_seen(const struct ledger *l, const struct probe *probe, bool all);

struct view_files_options {
	bool all;		   /* touched, tampered and not compared entries too */
	bool no_runtime;	   /* leave out class runtime */
	const struct probe *probe; /* NULL: per-file write counts are shown where above 0 */
};

/* {"schema":"driftwatch.files/1","container":{…},"complete":…,"as_of":…,"files":[…]}, sorted by
 * path bytes */
json_t *view_files(const struct ledger *l, const struct ledger_container *c,
		   const struct view_files_options *options);

/* "A /path" NUL-terminated each, sorted by path bytes, raw. 0 or -ENOMEM. */
int view_diff(const struct ledger_container *c, bool no_runtime, struct strbuf *out);

/*
 * {"schema":"driftwatch.verify/1","containers":[…]}: what a verification of @c found. A
 * list of one, to which others can be added.
 */
json_t *view_verify(const struct ledger_container *c, const struct audit_result *result);

/* One event, schema driftwatch.event/1 (without a newline when dumped compactly). */
json_t *view_event(const struct event *event, const char *node);

/* Set "key" to bytes that may not be UTF-8 (and key_b64 then). 0 or -1 like jansson. */
int view_set_bytes(json_t *object, const char *key, const char *bytes, size_t len);

/* What a scrape needs beside the ledger. */
struct view_metrics_input {
	const struct ledger *ledger;
	const struct probe *probe;	 /* NULL: no kernel side */
	const struct registry *registry; /* NULL: none */
	const char *version, *revision;
	uint64_t verifications, mismatches, unresolved_cgroups, containers_refused;
	uint64_t files, max_files_total; /* listed, of all containers; how many may be */
	const uint64_t *
		rescans; /* LOSS_MAX numbers, of all containers, forgotten ones included; or NULL */
	size_t max_series; /* 0: 200000 */
	bool reload_successful;
	uint64_t reload_wall_ns;
};

/* Text 0.0.4, or OpenMetrics 1.0.0 with "# EOF". 0 or -ENOMEM. */
int view_metrics(const struct view_metrics_input *input, bool openmetrics, struct strbuf *out);

#endif /* VIEW_H */

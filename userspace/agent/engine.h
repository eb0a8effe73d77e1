/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine.h - kernel side, registry and ledger joined: containers in, events out.
 *
 * Used by the agent, by `driftwatch run`, and in-process by commands that find no
 * agent. One thread: the owner polls engine_fd() and calls engine_step().
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "container/registry.h"
#include "kernel/probe.h"
#include "ledger/audit.h"
#include "ledger/event.h"
#include "ledger/ledger.h"

struct engine;

struct engine_options {
	struct probe_options probe;
	bool no_probe; /* layers are scanned, nothing is watched: no privileges beyond reading */
	struct registry_options registry;
	bool no_discovery;	     /* only containers given to engine_add_own (driftwatch run) */
	uint64_t dead_retention_ns;  /* how long removed containers stay; 0: 5 minutes */
	uint64_t max_files;	     /* per container; 0: 200000 */
	uint64_t max_files_total;    /* of all containers; 0: 500000 */
	uint64_t max_compare_bytes;  /* 0: 64 MiB */
	uint64_t coalesce_ns;	     /* wait after a record, longer while many come; 0: 5 ms */
	uint64_t verify_interval_ns; /* between two self-audits of a container; 0: none */
	const char *state_dir;	     /* ledger saved here; NULL: not at all */
};

/*
 * Load the kernel side, start the registry. Nothing is read yet: engine_start() does.
 * Errors as probe_open(), with a sentence in @error.
 */
int engine_open(const struct engine_options *options, struct strbuf *error, struct engine **ret);
struct engine *engine_close(struct engine *e, bool keep_pins); /* takes NULL, returns NULL */

/* First inventory: containers that exist now. Trees are queued, not yet read. 0 or -errno. */
int engine_start(struct engine *e);

/* Every container of the first inventory has been read once. */
bool engine_is_ready(const struct engine *e);

int engine_fd(const struct engine *e); /* epoll fd */
int engine_timeout_ms(
	const struct engine *e); /* call engine_step() after at most this; -1: no need */

/* Handle what is due, for a few milliseconds at most. 0 or -errno (fatal only). */
int engine_step(struct engine *e);

/*
 * Step until everything that happened before the call is in the ledger, or
 * @timeout_ms has passed. Used before an answer. Returns true when settled.
 */
bool engine_settle(struct engine *e, int timeout_ms);

/* Same for one container. */
bool engine_settle_container(struct engine *e, struct ledger_container *c, int timeout_ms);

/*
 * Look for losses now, and read again now what they may have hidden, however short ago that
 * was: for the last word on a container. engine_settle_container() then waits for it.
 */
void engine_heal_container(struct engine *e, struct ledger_container *c);

/* Bring counters (and per-file counts) of one or (NULL) all containers up to date. */
void engine_refresh_counters(struct engine *e, struct ledger_container *c);

/*
 * Look again at files that were written to without a record of it, for totals that are
 * asked for without engine_settle(): for some milliseconds, what is left comes later.
 */
void engine_refresh_sizes(struct engine *e);

/* Fold the kernel's per-file counts into the trees' nodes; then tree_node_info is current. */
void engine_fold_files(struct engine *e);

struct ledger *engine_ledger(const struct engine *e);
struct probe *engine_probe(const struct engine *e);	  /* NULL with no_probe */
struct registry *engine_registry(const struct engine *e); /* NULL with no_discovery */

/*
 * Events go to every subscriber in order. @want_raw asks for EVENT_WRITE bursts
 * too. Returns a number for engine_unsubscribe, or -ENOMEM.
 */
int engine_subscribe(struct engine *e, bool want_raw, event_fn fn, void *arg);
void engine_unsubscribe(struct engine *e, int subscription);

/* A container the caller made (driftwatch run): registered before it runs. 0 or -errno. */
int engine_add_own(struct engine *e, const struct container *meta, struct ledger_container **ret);

/*
 * Compare the ledger of @c with its layer, by a verification that begins no sooner than
 * @since_ns (monotonic). NULL: it is not over, ask again after a step; else its result,
 * valid until the next step. What was wrong is counted, logged and read again.
 * @ret_lines (may be NULL): compared so far.
 */
const struct audit_result *engine_verify(struct engine *e, struct ledger_container *c,
					 uint64_t since_ns, uint64_t *ret_lines);

/* Apply new limits and retention (SIGHUP). */
void engine_reconfigure(struct engine *e, const struct engine_options *options);

struct engine_stats {
	uint64_t rescans[LOSS_MAX]; /* of all containers, removed ones included */
	uint64_t verifications, mismatches;
	uint64_t unresolved_cgroups;
	uint64_t containers_refused;	 /* no free slot */
	size_t still_reading;		 /* containers whose layer is read for the first time */
	uint64_t files, max_files_total; /* entries listed, and the most there may be */
	uint64_t events;
	uint64_t started_wall_ns;
};
void engine_stats(const struct engine *e, struct engine_stats *ret);

#endif /* ENGINE_H */

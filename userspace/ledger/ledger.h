/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ledger.h - what has drifted, per container: the only mutable state.
 *
 * The engine (agent/engine.c) writes it; views read it. It does no I/O of its own
 * beyond what its trees do, knows no BPF and no JSON, and is not thread-safe: one
 * event loop owns it.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "container/container.h"
#include "driftwatch_abi.h"
#include "ledger/tree.h"
#include "ledger/writers.h"

/* Why a container's data may lack something, and why it was re-read. */
enum loss_reason {
	LOSS_RING_FULL,	   /* records refused by the ring of changes of state */
	LOSS_DIRTY_FULL,   /* dirty records refused; swept from the map */
	LOSS_WATCH_FULL,   /* an inode could not be watched */
	LOSS_FILES_FULL,   /* per-file counts could not be kept */
	LOSS_PATH,	   /* a path was truncated */
	LOSS_PROGRAM_MISS, /* the kernel skipped program runs */
	LOSS_WALK_FAILED,  /* the layer could not be read */
	LOSS_DETACHED,	   /* a program was detached from outside */
	LOSS_GAP,	   /* no agent and no pinned programs were there */
	LOSS_AUDIT,	   /* the self-audit found a difference */
	LOSS_ROOTS_FULL,   /* the programs have no room for a root, cgroup or overlay of it */
	LOSS_MAX,
};
const char *loss_reason_name(enum loss_reason reason); /* "ring_full", … */

struct ledger_container {
	struct container *meta;		  /* owned copy, never NULL */
	dw_container_t slot;		  /* of the kernel's counters; 0: none free */
	struct tree *tree;		  /* NULL: no upper layer, or it cannot be opened */
	struct dw_counters counters;	  /* since first seen: refreshed by the engine */
	struct dw_counters counters_base; /* what the slot held before this container */
	uint64_t seen_wall_ns;		  /* when counting for it began */
	uint64_t removed_wall_ns;	  /* 0: still there */
	uint64_t lost[LOSS_MAX];	  /* what could not be delivered, by reason */
	uint64_t rescans[LOSS_MAX];
	uint64_t new_executable_runs;	 /* executions of files of the layer */
	uint64_t derived_ops[DW_OP_MAX]; /* ops deduced from changes, to be added to .counters */
	uint64_t last_drift_wall_ns;
	bool counts_pending; /* writes of the time before it was known are not in .counters yet */
	unsigned incomplete; /* 1u << enum loss_reason: healing under way */
	unsigned unseen;     /* 1u << enum probe_sight: what the tier sees, but not for this one */
	const char *limits;  /* why lists are "as of" a scan: NULL when live; static text */
	void *engine_data;   /* the engine's own; nobody else looks at it */
};

struct ledger;

struct ledger *ledger_new(void);
struct ledger *ledger_free(struct ledger *l); /* takes NULL, returns NULL */

/* Adds a container (meta is copied). -EEXIST, -ENOMEM or 0. */
int ledger_add(struct ledger *l, const struct container *meta, struct ledger_container **ret);

/* Replace the meta data by a copy. 0 or -ENOMEM. */
int ledger_update(struct ledger_container *c, const struct container *meta);

/* Forget it, tree and all. */
void ledger_remove(struct ledger *l, struct ledger_container *c);

struct ledger_container *ledger_find_id(const struct ledger *l, const char *id);

size_t ledger_count(const struct ledger *l);

/* In order of first sight. Stops at non-zero and returns it. */
int ledger_foreach(const struct ledger *l, int (*fn)(struct ledger_container *c, void *arg),
		   void *arg);

struct writers *ledger_writers(const struct ledger *l);

/*
 * Resolve what a person typed: full id, unique id prefix, name (with or without a
 * leading slash), namespace/pod[/container], or a glob over names and pods (which
 * may match several). Calls @fn for each match. A live container wins over a removed
 * one of the same name. Returns the number of matches; for 0, and for more than one
 * when @want_one, puts a sentence with the candidates into @error.
 */
int ledger_resolve(const struct ledger *l, const char *reference, bool want_one,
		   void (*fn)(struct ledger_container *c, void *arg), void *arg,
		   struct strbuf *error);

/* Everything known is true of now: drift lists can be relied on. */
bool ledger_container_is_complete(const struct ledger_container *c);

/* "added", "modified", "deleted", "". */
const char *ledger_verdict_name(enum tree_verdict v);

/*
 * What a changed file is, from name, mode and place: "runtime", "directory", "deleted",
 * "executable", "library", "config", "log", "cache", "temporary", "data", "device",
 * "symlink", "socket", "fifo". Static text.
 */
const char *ledger_classify(const char *path, size_t len, enum tree_verdict verdict,
			    const struct tree_node_info *info);

#endif /* LEDGER_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_state.h - what survives an agent: attribution, and which counters are whose.
 *
 * Two files in the state directory:
 *
 *	slots.ndjson   appended at once when a container gets a slot of the kernel's
 *	               counters: with pinned programs its totals go on across a kill
 *	ledger.ndjson  replaced atomically every while: per file first and last change
 *	               and writers, counts, and the kernel's totals they were taken from
 *
 * Lists are never restored: the layer is read again. A damaged or foreign file is set
 * aside as <name>.bad with a message.
 */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include <jansson.h>
#include <sys/types.h>

#include "agent/engine_internal.h"

#define ENGINE_SAVE_EVERY_NS (30 * NS_PER_SEC)
#define ENGINE_STATE_SCHEMA  "driftwatch.state/2"

/* An earlier agent's slot of a container that has not shown up again yet. */
struct remembered_slot {
	char *id;
	dw_container_t slot;
	uint64_t seen_wall_ns;
	struct dw_counters base;
	UT_hash_handle hh;
};

/* An earlier agent's knowledge of one file. */
struct remembered_file {
	char *path;
	size_t path_len;
	uint64_t ino;
	struct tree_cause first, last;
	uint64_t bytes, calls;
};

struct remembered_container {
	char *id;
	uint64_t seen_wall_ns;
	uint64_t new_executable_runs;
	uint64_t lost[LOSS_MAX];
	uint64_t rescans[LOSS_MAX];
	struct remembered_file *files;
	size_t files_len, files_size;
	UT_hash_handle hh;
};

struct engine_state {
	char *dir;
	int slots_fd; /* open for append; -1 */
	bool is_cut;  /* its last line may be: nothing is appended behind that */
	struct remembered_slot *slots;
	struct remembered_slot *earlier; /* whose counters are gone: only their ids matter */
	struct remembered_container *containers;
	uint64_t next_save_ns;	   /* monotonic */
	uint64_t earliest_save_ns; /* likewise: sooner is a burden */
	uint64_t events_saved;	   /* engine_stats.events at the last save */
	pid_t saver;		   /* the process that writes the ledger; 0 */
	uint64_t saved_drains;	   /* the kernel's at the last save */
	size_t slot_lines;	   /* of slots.ndjson */
	char set[20];	      /* which counters the kernel side has: see probe_counts_epoch() */
	uint64_t drains;      /* when this agent began, likewise */
	bool counts_continue; /* the kernel's totals are those of the earlier agent */
	bool has_lost_flush;  /* it moved per-file counts out and died before it saved them */
};

/*
 * Read what an earlier agent left. Called after the probe is open, before containers
 * are. 0 or -errno when the directory cannot be used (a sentence in @error).
 */
int engine_state_open(struct engine *e, struct strbuf *error);
void engine_state_close(struct engine *e); /* saves first */

/* engine_slots.c: finds out whether the kernel's totals go on. 0 or -errno. */
int engine_slots_open(struct engine *e);
void engine_slots_close(struct engine_state *s);

/* The slot an earlier agent used for @id, taken out of memory: 0 when there was none. */
dw_container_t engine_state_take_slot(struct engine *e, const char *id,
				      struct dw_counters *ret_base, uint64_t *ret_seen_wall_ns);
/* Was @id counted by an agent whose counters are gone? */
bool engine_state_was_known(const struct engine *e, const char *id);
/* Is @slot still waiting for its container? */
bool engine_state_is_reserved(const struct engine *e, dw_container_t slot);
/* The first inventory is over: slots nobody claimed are free. Calls @fn for each. */
void engine_state_release_slots(struct engine *e,
				void (*fn)(struct engine *e, dw_container_t slot));
/* Write down at once that @t has its slot. */
void engine_state_note_slot(struct engine *e, const struct track *t);

/* After the first scan of a container: put the remembered attribution on its nodes. */
void engine_state_restore(struct engine *e, struct track *t);

/*
 * Save when it is time to, in a process of its own whose failure is logged when it has
 * ended; or @now, before returning. 0 or -errno.
 */
int engine_state_save(struct engine *e, bool now);

/* The same at the next turn: what is in memory alone has grown. */
void engine_state_save_soon(struct engine *e);

/* Rename to <path>.bad, and say so. */
void engine_state_set_aside(const char *path, const char *why);

/* A file in the state directory; the caller frees it. NULL: out of memory. */
char *engine_state_path(const struct engine *e, const char *name);

/* engine_state_load.c: parse one saved ledger. 0, -ENOENT, or -EBADMSG (set it aside). */
int engine_state_load(struct engine *e, const char *bytes, size_t len);

#endif /* ENGINE_STATE_H */

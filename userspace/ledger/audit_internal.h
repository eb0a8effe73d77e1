/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * audit_internal.h - what the files of the audit share.
 *
 *	audit.c			its states, its result
 *	audit_compare.c		lines of the layer against nodes, and nodes against lines
 *	audit_suspect.c		what differed, until it is known why
 *	audit_totals.c		the grand totals
 *	audit_reader.c		the thread
 */
#ifndef LEDGER_AUDIT_INTERNAL_H
#define LEDGER_AUDIT_INTERNAL_H

#include "ledger/audit.h"
#include "ledger/audit_reader.h"
#include "ledger/tree_internal.h"

#define SUSPECTS_MAX 65536 /* a layer in which more is in motion is not comparable */

enum audit_state { AUDIT_WAITING, AUDIT_READING, AUDIT_SWEEPING, AUDIT_LOOKING, AUDIT_OVER };

struct suspect {
	struct audit_task task;	 /* .path is owned */
	struct layer_look first; /* since .first_ns every look was the same */
	enum tree_verdict first_ledger;
	uint64_t first_ns; /* monotonic; 0: not found to differ yet */
	uint64_t due_ns;   /* monotonic; of the next look */
	bool is_at_work;   /* with the thread */
};

/* A directory of the tree, by path: the tree goes on changing between two slices. */
struct swept_dir {
	char *path;
	bool is_left; /* all beneath it was swept */
};

struct audit {
	struct tree *tree;
	enum audit_state state;
	struct audit_options options; /* lowers and host_root: only until begun */
	struct audit_reader *reader;
	uint32_t number; /* nodes seen since have at least this in .seen */
	bool is_live;	 /* the tree hears of every change; else it is told to look */
	uint64_t began_ns, looking_ns;

	char *block; /* of lines, from .at on */
	size_t block_len, at;

	struct tree_counts sum; /* of what was swept, the tree having counted so often: */
	uint64_t counted_at;
	struct swept_dir *dirs; /* to be swept: a stack */
	size_t dirs_len, dirs_size;

	struct suspect **suspects;
	size_t suspects_len, suspects_size;
	struct audit_task **tasks; /* of the list the thread looks at */
	size_t tasks_len;
	bool is_looked; /* the thread is done, the tree may not know all yet */

	struct audit_result result;
};

/* --- audit_compare.c */
/* The tree's own line of a path; *ret_node may be NULL. */
enum tree_verdict audit_ledger_verdict(const struct audit *a, const char *path,
				       struct tree_node **ret_node);
int audit_compare_step(struct audit *a, uint64_t until_ns); /* 0, 1: over, -errno */
int audit_sweep_begin(struct audit *a);			    /* 0 or -ENOMEM */
int audit_sweep_step(struct audit *a, uint64_t until_ns);   /* 0, 1: over, -ENOMEM */

/* --- audit_totals.c: around the sweep, which tells of each node and of each directory left */
void audit_totals_begin(struct audit *a);
void audit_totals_add(struct audit *a, const struct tree_node *n);
void audit_totals_add_dir(struct audit *a, const struct tree_node *n);
void audit_totals_end(struct audit *a); /* what is wrong is a mismatch, and put right */

/* --- audit_suspect.c */
int audit_suspect_add(struct audit *a, const char *path, size_t len); /* 0 or -ENOMEM */
/* A mismatch for certain. */
void audit_list_mismatch(struct audit_result *r, const char *path, enum tree_verdict ledger,
			 enum tree_verdict layer);
/* Milliseconds until there is more to do, -1: no suspect is left. */
int audit_suspect_step(struct audit *a, bool is_sound);
void audit_suspects_done(struct audit *a);

#endif /* LEDGER_AUDIT_INTERNAL_H */

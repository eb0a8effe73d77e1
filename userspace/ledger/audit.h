/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * audit.h - is what a tree says what the layer says? Asked while both go on changing.
 *
 * A thread of its own reads the layer with other code than the tree's (layer/scan.h,
 * layer/look.h). Here its lines are compared with the tree's in slices of time. What
 * differs is a suspect: it is looked at again until both agree, and it is a mismatch only
 * when the layer did not change for CONFIRM_NS while the tree had nothing pending there. The totals
 * are compared with a walk over the tree, if that rests as long as the walk takes.
 * What was found wrong is read again by the tree.
 */
#ifndef LEDGER_AUDIT_H
#define LEDGER_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/tree.h"

#define AUDIT_LISTED 100 /* mismatches that are spelled out */

struct audit;

struct audit_options {
	const char *host_root; /* in front of @lowers */
	char *const *lowers;   /* of the layer, topmost first */
	size_t lowers_len;
	bool is_urgent;	     /* somebody waits: not at the lowest priority */
	uint64_t confirm_ns; /* how long a difference must last; 0: 1.5 s */
	uint64_t give_up_ns; /* how long to wait for what does not rest; 0: 10 s */
};

struct audit_mismatch {
	char *path;
	size_t path_len;
	enum tree_verdict ledger, layer;
};

struct audit_result {
	int error;	     /* -errno: it could not be carried out; nothing below but the times */
	uint64_t lines;	     /* of the layer */
	uint64_t unlisted;   /* of these, past max_files: not compared */
	uint64_t unsettled;  /* entries that never rested long enough to be compared */
	uint64_t mismatches; /* persistent differences, read again since */
	unsigned wrong_totals; /* of these: numbers of changes, bytes and the like, put right */
	struct audit_mismatch *listed;
	size_t listed_len; /* at most AUDIT_LISTED */
	uint64_t began_wall_ns, ended_wall_ns;
};
void audit_result_done(struct audit_result *r);

/* Has the tree read its layer, and is not about to read all of it again? */
bool audit_is_possible(const struct tree *t);

/* @t must outlive the audit. It begins when that is possible. 0 or -errno. */
int audit_begin(struct tree *t, const struct audit_options *options, struct audit **ret);
struct audit *audit_end(struct audit *a); /* also unfinished; takes NULL, returns NULL */

/*
 * Is it looking at suspects? Then everything that happened before a call of audit_step()
 * must be known to the tree as marks.
 */
bool audit_is_looking(const struct audit *a);

/*
 * Go on for at most @budget_ns. @is_sound: nothing is known to be lost that the tree has
 * not made up for. Returns milliseconds until the next call, -1 when it is over. The tree
 * may have work to do afterwards.
 */
int audit_step(struct audit *a, uint64_t budget_ns, bool is_sound);

/* Of one that is over; the caller frees *ret with audit_result_done(). */
void audit_take_result(struct audit *a, struct audit_result *ret);

uint64_t audit_lines(const struct audit *a); /* compared so far */

#endif /* LEDGER_AUDIT_H */

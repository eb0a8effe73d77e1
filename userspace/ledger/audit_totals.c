/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * audit_totals.c - a tree's running totals against those of a walk over all of it.
 *
 * The walk is the audit's sweep, in slices: when the tree has counted anything anew since
 * it began, its sum is of no one moment, and the totals are left to the next audit. Small
 * trees are swept in one slice.
 */
#include <string.h>
#include <sys/stat.h>

#include "ledger/audit_internal.h"

void audit_totals_begin(struct audit *a)
{
	struct tree_counts now;

	tree_counts(a->tree, &now); /* what vanished is out of them now */
	a->sum = (struct tree_counts){0};
	a->counted_at = a->tree->counted;
}

/* Files and what stands for files that are gone; directories when they are left. */
void audit_totals_add(struct audit *a, const struct tree_node *n)
{
	bool is_drift = n->verdict == TREE_ADDED || n->verdict == TREE_MODIFIED;
	struct tree_counts *c = &a->sum;

	c->nodes++;
	c->added += n->verdict == TREE_ADDED;
	c->modified += n->verdict == TREE_MODIFIED;
	c->deleted += n->verdict == TREE_DELETED;
	c->executables += is_drift && S_ISREG(n->st.mode) && n->st.mode & 0111;
	if (n->flags & NODE_BYTES)
		c->bytes += n->st.size;
	if (n->dir)
		return;
	c->touched += n->depth == TREE_TOUCHED;
	c->tampered += n->depth == TREE_TAMPERED;
	c->not_compared += n->depth == TREE_NOT_COMPARED;
}

void audit_totals_add_dir(struct audit *a, const struct tree_node *n)
{
	struct tree_counts *c = &a->sum;

	c->deleted += tree_bare_names(a->tree, n);
	c->added += n->dir->unlisted;
	if (!n->parent || n->verdict != TREE_NONE)
		return;
	c->modified += node_has_lines(n);
	c->touched += !node_has_lines(n) && !a->tree->is_whole;
}

static void compare(struct audit *a, uint64_t *total, uint64_t sum)
{
	if (*total == sum)
		return;
	a->result.wrong_totals++;
	a->result.mismatches++;
	*total = sum;
}

void audit_totals_end(struct audit *a)
{
	struct tree_counts *totals = &a->tree->totals, now;
	const struct tree_counts *sum = &a->sum;

	tree_counts(a->tree, &now);
	if (a->tree->counted != a->counted_at)
		return;
	compare(a, &totals->nodes, sum->nodes);
	compare(a, &totals->added, sum->added);
	compare(a, &totals->modified, sum->modified);
	compare(a, &totals->deleted, sum->deleted);
	compare(a, &totals->executables, sum->executables);
	compare(a, &totals->bytes, sum->bytes);
	compare(a, &totals->touched, sum->touched);
	compare(a, &totals->tampered, sum->tampered);
	compare(a, &totals->not_compared, sum->not_compared);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_limbo.c - names that vanished, until they are reported and freed.
 *
 * They wait because the same inode may turn up under another name in the same flush:
 * that is a rename, not a removal. First in, first out: a node in limbo points to its
 * parent, which therefore must not be freed before it.
 */
#include <errno.h>
#include <stdlib.h>

#include "ledger/tree_internal.h"

int tree_vanish(struct tree *t, struct tree_node *n, const struct tree_reader *r)
{
	struct tree_work *w = calloc(1, sizeof(*w));

	if (!w || tree_keep_name(t, n)) {
		free(w);
		t->wants_rescan = true;
		return -ENOMEM;
	}
	if (n->work)
		queue_remove(t, n->work);
	*w = (struct tree_work){
		.node = n,
		.queued_ns = clock_mono_ns(),
		.cause = r->cause,
		.flags = WORK_LIMBO,
		.bits = r->bits & TREE_CHANGE_RESCAN,
	};
	node_unlink(t, n);
	tree_set_stale(t, n, false);
	n->flags |= NODE_LIMBO;
	n->work = w;
	list_push(&t->limbo, w, false);
	return 0;
}

static void report_vanished(struct tree *t, struct tree_node *n, const struct tree_work *top)
{
	struct tree_change change = {
		.node = n,
		.bits = TREE_CHANGE_VANISHED | top->bits,
		.before = (enum tree_verdict)n->verdict,
		.cause = top->cause,
	};

	if (n->verdict != TREE_NONE)
		change.bits |= TREE_CHANGE_VERDICT;
	if (!(n->flags & (NODE_MOVED | NODE_REPLACED)))
		tree_report(t, &change);
}

/* Free one node of the first subtree in limbo, leaves first. */
static void drop_one(struct tree *t)
{
	struct tree_work *top = t->limbo.first;
	struct tree_node *n = t->dropping ? t->dropping : top->node;
	struct tree_node *child;

	while ((child = node_any_child(n)))
		n = child;
	report_vanished(t, n, top);
	t->dropping = n == top->node ? NULL : n->parent;
	node_free(t, n);
}

void tree_limbo_step(struct tree *t, uint64_t until_ns)
{
	while (t->limbo.first) {
		drop_one(t);
		if (clock_mono_ns() >= until_ns)
			return;
	}
}

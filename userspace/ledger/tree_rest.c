/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_rest.c - files that are written to all the time, not looked at until somebody asks.
 *
 * Whatever is written to such a file, its line stays what it is; a look at each flush would
 * be all that the agent does. Its mark is left set in the kernel, which makes no more
 * records of it then, and is taken before the look that tree_wake() leads to (I2).
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "ledger/tree_internal.h"

#define GROUP_MIN 64 /* queued stats: fewer are not worth sorting */

bool tree_is_being_written(const struct tree_node *n)
{
	return clock_wall_ns() <
	       (uint64_t)n->st.mtime_sec * NS_PER_SEC + n->st.mtime_ns + NS_PER_SEC;
}

/* Of several names another may come to answer for the inode: those are looked at. */
static bool is_steady(const struct tree_node *n)
{
	return S_ISREG(n->st.mode) && !n->names && n->slot >= 0 &&
	       (n->flags & NODE_GREW) == NODE_GREW && !(n->flags & NODE_STALE) &&
	       (n->verdict == TREE_ADDED || n->verdict == TREE_MODIFIED) &&
	       tree_is_being_written(n);
}

bool tree_leave_marked(struct tree *t, uint64_t ino, const struct tree_cause *cause)
{
	struct tree_node *n = t->is_gone || !t->watcher.take ? NULL : index_find(t, ino);

	if (!n || !is_steady(n) || !node_is_live(n) || !t->is_mounted)
		return false;
	return rest_add(t, n, cause);
}

bool rest_end(struct tree *t, struct tree_node *n)
{
	struct tree_node *first = n->flags & NODE_INDEXED ? index_find(t, n->st.ino) : NULL, *s;
	bool is_begun = first && first->slot >= 0 && t->watcher.take(t->watcher.arg, first->slot);

	for (s = first; s; s = index_next(s)) /* linked meanwhile */
		if (s != n && node_is_live(s) && !t->is_gone)
			queue_add(t, s, WORK_STAT, &(struct tree_cause){0}, 0);
	return is_begun;
}

static void disturb(struct tree *t, struct tree_node *n)
{
	if (n && n->work && n->work->flags & WORK_RESTING)
		queue_add(t, n, WORK_STAT, &(struct tree_cause){0}, 0);
}

/*
 * What @n, just found, is another name of is looked at now. Only an inode of one name rests,
 * so it is the second that disturbs, and the two are neighbours.
 */
void rest_disturb(struct tree *t, struct tree_node *n)
{
	disturb(t, index_next(n));
	disturb(t, index_prev(n));
}

/* --- the looks, directory by directory: each is opened once then */

static int compare_parents(const void *a, const void *b)
{
	const struct tree_work *x = *(struct tree_work *const *)a;
	const struct tree_work *y = *(struct tree_work *const *)b;
	uintptr_t left = (uintptr_t)x->node->parent, right = (uintptr_t)y->node->parent;

	return left < right ? -1 : left > right;
}

static bool is_mere_stat(const struct tree_work *w)
{
	return !(w->flags & WORK_READ) && w->node->parent;
}

static void group_looks(struct tree *t)
{
	auto_free struct tree_work **all = calloc(t->ready.len, sizeof(*all));
	struct tree_work *w, *next;
	size_t len = 0, i;

	for (w = all ? t->ready.first : NULL; w; w = next) {
		next = w->next;
		if (!is_mere_stat(w))
			continue;
		list_remove(&t->ready, w);
		all[len++] = w;
	}
	if (len)
		qsort(all, len, sizeof(*all), compare_parents);
	for (i = 0; i < len; i++)
		list_push(&t->ready, all[i], false);
}

size_t tree_wake(struct tree *t)
{
	size_t woken = t->resting.len;

	while (t->resting.first)
		queue_add(t, t->resting.first->node, WORK_STAT, &(struct tree_cause){0}, 0);
	if (t->ready.len >= GROUP_MIN)
		group_looks(t);
	return woken;
}

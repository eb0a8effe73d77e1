/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_index.c - the nodes of a tree by inode, and which inodes are watched.
 *
 * One entry per inode; its names are chained through the nodes. Whiteouts are left
 * out: overlayfs links one inode to thousands of names, and what becomes of a
 * whiteout is an event of its directory.
 */
#include <errno.h>
#include <stdlib.h>

#include "ledger/tree_internal.h"

#define INDEX_MIN 16

static size_t home_of(const struct tree *t, uint64_t ino)
{
	uint64_t x = (ino ^ t->key[0]) * 0x9e3779b97f4a7c15ull;

	return (size_t)((x ^ x >> 32) & (t->inos_len - 1));
}

struct tree_ino *index_find(const struct tree *t, uint64_t ino)
{
	struct tree_ino *e;
	size_t i;

	if (!t->inos_len)
		return NULL;
	for (i = home_of(t, ino); (e = &t->inos[i])->first; i = (i + 1) & (t->inos_len - 1)) {
		if (e->first->st.ino == ino)
			return e;
	}
	return NULL;
}

static struct tree_ino *free_entry(struct tree *t, uint64_t ino)
{
	size_t i = home_of(t, ino);

	while (t->inos[i].first)
		i = (i + 1) & (t->inos_len - 1);
	return &t->inos[i];
}

static int grow(struct tree *t)
{
	struct tree_ino *old = t->inos;
	size_t old_len = t->inos_len, len = old_len ? old_len * 2 : INDEX_MIN, i;
	struct tree_ino *bigger = calloc(len, sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	t->inos = bigger;
	t->inos_len = len;
	for (i = 0; i < old_len; i++) {
		if (old[i].first)
			*free_entry(t, old[i].first->st.ino) = old[i];
	}
	free(old);
	return 0;
}

static void chain(struct tree_ino *e, struct tree_node *n)
{
	n->same_prev = NULL;
	n->same_next = e->first;
	if (e->first)
		e->first->same_prev = n;
	e->first = n;
	n->flags |= NODE_INDEXED;
}

/* Returns 1 when the inode is watched from now on, 0 when nothing changed. */
static int watch(struct tree *t, struct tree_ino *e, struct tree_node *n)
{
	bool is_essential = node_is_dir(n) || (n->flags & NODE_HAS_LOWER);
	long slot;

	if (e->slot >= 0 || (!is_essential && t->optional_watches >= TREE_OPTIONAL_WATCHES))
		return 0;
	slot = t->watcher.watch(t->watcher.arg, t->dev, n->st.ino);
	if (slot < 0 || slot > INT32_MAX) {
		if (is_essential)
			t->watch_failed = t->has_unwatched = true;
		return 0;
	}
	e->slot = (int32_t)slot;
	if (!is_essential) {
		n->flags |= NODE_OPTIONAL;
		t->optional_watches++;
	}
	return 1;
}

int index_add(struct tree *t, struct tree_node *n)
{
	struct tree_ino *e;

	if (t->inos_used * 4 >= t->inos_len * 3 && grow(t))
		return -ENOMEM;
	e = index_find(t, n->st.ino);
	if (!e) {
		e = free_entry(t, n->st.ino);
		*e = (struct tree_ino){.slot = -1};
		t->inos_used++;
	}
	chain(e, n);
	return watch(t, e, n);
}

void index_watch(struct tree *t, struct tree_node *n)
{
	if (n->flags & NODE_INDEXED)
		watch(t, index_find(t, n->st.ino), n);
}

/* Backward shift, as for names. */
static void close_gap(struct tree *t, size_t hole)
{
	size_t mask = t->inos_len - 1, i, home;

	t->inos[hole].first = NULL;
	t->inos_used--;
	for (i = (hole + 1) & mask; t->inos[i].first; i = (i + 1) & mask) {
		home = home_of(t, t->inos[i].first->st.ino);
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		t->inos[hole] = t->inos[i];
		t->inos[i].first = NULL;
		hole = i;
	}
}

void index_remove(struct tree *t, struct tree_node *n)
{
	struct tree_ino *e;

	if (!(n->flags & NODE_INDEXED))
		return;
	e = index_find(t, n->st.ino);
	if (n->flags & NODE_OPTIONAL)
		t->optional_watches--;
	if (e->first == n && !n->same_next) {
		if (e->slot >= 0)
			t->watcher.unwatch(t->watcher.arg, t->dev, n->st.ino, e->slot);
		close_gap(t, (size_t)(e - t->inos));
	} else if (e->first == n) {
		e->first = n->same_next;
	}
	if (n->same_prev)
		n->same_prev->same_next = n->same_next;
	if (n->same_next)
		n->same_next->same_prev = n->same_prev;
	n->same_next = n->same_prev = NULL;
	n->flags &= (uint16_t) ~(NODE_INDEXED | NODE_OPTIONAL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_walk.h - a tree's totals from a walk over all of it, to hold its running ones against.
 */
#ifndef TREE_WALK_H
#define TREE_WALK_H

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ledger/tree_internal.h"

struct walk_size {
	uint64_t ino, size;
};

struct walk {
	const struct tree *tree;
	struct tree_counts counts;
	struct walk_size *sizes; /* of every name of a regular file */
	size_t sizes_len, sizes_size;
};

static inline int walk_order(const void *a, const void *b)
{
	const struct walk_size *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return (x->size > y->size) - (x->size < y->size);
}

static inline void walk_file(struct walk *w, const struct tree_node *n)
{
	if (n->flags & NODE_WHITEOUT || (w->tree->is_whole && n->verdict == TREE_NONE))
		return;
	if (w->sizes_len == w->sizes_size) {
		w->sizes_size = w->sizes_size ? w->sizes_size * 2 : 256;
		w->sizes = reallocarray(w->sizes, w->sizes_size, sizeof(*w->sizes));
		assert_non_null(w->sizes);
	}
	w->sizes[w->sizes_len++] = (struct walk_size){n->st.ino, n->st.size};
}

static inline bool walk_hidden(struct walk *w, const struct tree_node *n)
{
	uint64_t before = w->counts.deleted;

	for (size_t i = 0; i < n->dir->hidden_len; i++)
		w->counts.deleted +=
			!node_child(w->tree, n, n->dir->hidden[i], strlen(n->dir->hidden[i]));
	w->counts.added += n->dir->unlisted;
	return w->counts.deleted > before || n->dir->unlisted;
}

/* Returns whether it or anything beneath it is listed. */
static inline bool walk_node(struct walk *w, const struct tree_node *n)
{
	struct tree_counts *c = &w->counts;
	bool is_drift = n->verdict == TREE_ADDED || n->verdict == TREE_MODIFIED, lines = false;
	uint32_t i;

	if (n->dir) {
		lines = walk_hidden(w, n);
		for (i = 0; i < n->dir->slots_len; i++)
			lines |= n->dir->slots[i] && walk_node(w, n->dir->slots[i]);
	}
	if (!n->parent)
		return lines;
	c->nodes++;
	c->added += n->verdict == TREE_ADDED;
	c->deleted += n->verdict == TREE_DELETED;
	c->modified += n->verdict == TREE_MODIFIED || (n->verdict == TREE_NONE && lines);
	c->executables += is_drift && S_ISREG(n->st.mode) && (n->st.mode & 0111);
	c->tampered += n->depth == TREE_TAMPERED;
	c->not_compared += n->depth == TREE_NOT_COMPARED;
	if (n->dir)
		c->touched += n->verdict == TREE_NONE && !lines && !w->tree->is_whole;
	else
		c->touched += n->depth == TREE_TOUCHED;
	if (S_ISREG(n->st.mode))
		walk_file(w, n);
	return lines || n->verdict != TREE_NONE;
}

/* Each inode once, by the smallest (largest) size that one of its names has. */
static inline uint64_t walk_bytes(struct walk *w, bool smallest)
{
	uint64_t bytes = 0;

	if (w->sizes_len)
		qsort(w->sizes, w->sizes_len, sizeof(*w->sizes), walk_order);
	for (size_t i = 0; i < w->sizes_len; i++) {
		bool is_first = !i || w->sizes[i - 1].ino != w->sizes[i].ino;
		bool is_last = i + 1 == w->sizes_len || w->sizes[i + 1].ino != w->sizes[i].ino;

		bytes += (smallest ? is_first : is_last) ? w->sizes[i].size : 0;
	}
	return bytes;
}

/* In the midst of its work names of one inode may differ in what is known of it. */
static inline void assert_totals(struct tree *t, bool is_settled)
{
	struct walk w = {.tree = t};
	struct tree_counts c;
	uint64_t least, most;

	tree_counts(t, &c);
	walk_node(&w, t->root);
	assert_int_equal(c.nodes, w.counts.nodes);
	assert_int_equal(c.added, w.counts.added);
	assert_int_equal(c.modified, w.counts.modified);
	assert_int_equal(c.deleted, w.counts.deleted);
	assert_int_equal(c.touched, w.counts.touched);
	assert_int_equal(c.tampered, w.counts.tampered);
	assert_int_equal(c.not_compared, w.counts.not_compared);
	assert_int_equal(c.executables, w.counts.executables);
	least = walk_bytes(&w, true);
	most = walk_bytes(&w, false);
	free(w.sizes);
	assert_true(c.bytes >= least && c.bytes <= most);
	assert_true(!is_settled || least == most);
}

#endif /* TREE_WALK_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_count.c - totals, and which directories have lines beneath them.
 *
 * One walk, remembered until something changes: metrics of an idle container cost
 * nothing. The walk keeps its place in the directories, so depth costs no stack.
 */
#include <string.h>
#include <sys/stat.h>

#include "ledger/tree_internal.h"

static void count_verdict(struct tree_counts *c, enum tree_verdict verdict)
{
	c->added += verdict == TREE_ADDED;
	c->modified += verdict == TREE_MODIFIED;
	c->deleted += verdict == TREE_DELETED;
}

/* Of a file with several names only the first in the index that still is a name. */
static uint64_t bytes_of(const struct tree *t, const struct tree_node *n)
{
	const struct tree_node *first;

	if (!S_ISREG(n->st.mode) || (n->flags & NODE_WHITEOUT))
		return 0;
	if (t->is_whole && n->verdict == TREE_NONE)
		return 0;
	if (n->st.nlink < 2)
		return n->st.size;
	first = index_find(t, n->st.ino);
	while (first && !node_is_live(first))
		first = first->same_next;
	return !first || first == n ? n->st.size : 0;
}

static void count_node(const struct tree *t, const struct tree_node *n)
{
	struct tree_counts *c = &t->count->counts;
	bool is_drift = n->verdict == TREE_ADDED || n->verdict == TREE_MODIFIED;

	c->nodes++;
	c->bytes += bytes_of(t, n);
	c->executables += is_drift && S_ISREG(n->st.mode) && (n->st.mode & 0111);
	c->touched += n->depth == TREE_TOUCHED;
	c->tampered += n->depth == TREE_TAMPERED;
	c->not_compared += n->depth == TREE_NOT_COMPARED;
	count_verdict(c, (enum tree_verdict)n->verdict);
}

/* Names of the image that an opaque directory hides for good. */
static uint64_t hidden_lines(const struct tree *t, const struct tree_node *n)
{
	uint64_t lines = 0;
	size_t i;

	for (i = 0; i < n->dir->hidden_len; i++)
		lines += !node_child(t, n, n->dir->hidden[i], strlen(n->dir->hidden[i]));
	return lines;
}

static void enter(struct tree_node *n)
{
	n->dir->cursor = 0;
	n->dir->has_lines = n->dir->unlisted > 0;
}

/* All below @n is counted. Returns its parent. */
static struct tree_node *leave(const struct tree *t, struct tree_node *n)
{
	struct tree_counts *c = &t->count->counts;
	uint64_t hidden = hidden_lines(t, n);

	c->deleted += hidden;
	c->added += n->dir->unlisted;
	if (hidden)
		n->dir->has_lines = true;
	if (!n->parent)
		return NULL;
	/* Implied: something changed beneath a directory that did not change itself. */
	c->modified += n->verdict == TREE_NONE && n->dir->has_lines;
	c->touched += n->verdict == TREE_NONE && !n->dir->has_lines && !t->is_whole;
	if (n->verdict != TREE_NONE || n->dir->has_lines)
		n->parent->dir->has_lines = true;
	return n->parent;
}

static struct tree_node *next_child(struct tree_dir *d)
{
	struct tree_node *c;

	while (d->cursor < d->slots_len) {
		c = d->slots[d->cursor++];
		if (c)
			return c;
	}
	return NULL;
}

void tree_count(const struct tree *t)
{
	struct tree_node *n = t->root, *c;

	if (t->count->is_valid)
		return;
	t->count->counts = (struct tree_counts){0};
	for (enter(n); n;) {
		c = next_child(n->dir);
		if (!c) {
			n = leave(t, n);
			continue;
		}
		if (node_is_dir(c)) {
			c->depth = TREE_DEPTH_UNKNOWN; /* known when left */
			count_node(t, c);
			enter(c);
			n = c;
			continue;
		}
		count_node(t, c);
		if (c->verdict != TREE_NONE)
			n->dir->has_lines = true;
	}
	t->count->is_valid = true;
}

void tree_counts(const struct tree *t, struct tree_counts *ret)
{
	tree_count(t);
	*ret = t->count->counts;
	ret->unlisted = t->unlisted;
	ret->last_change_wall_ns = t->last_change_wall_ns;
	ret->dir_reads = t->dir_reads;
	ret->lstats = t->lstats;
	ret->rescans = t->rescans;
	ret->stales = t->stales;
}

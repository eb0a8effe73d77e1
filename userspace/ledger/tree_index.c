/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_index.c - the nodes of a tree by inode, and which inodes are watched.
 *
 * One place per inode; its names are chained through the nodes. Whiteouts are left
 * out: overlayfs links one inode to thousands of names, and what becomes of a
 * whiteout is an event of its directory.
 */
#include <errno.h>
#include <stdlib.h>

#include "ledger/tree_internal.h"

#define SHARD_MIN 4

static uint64_t spread(const struct tree *t, uint64_t ino)
{
	uint64_t x = (ino ^ t->key[0]) * 0x9e3779b97f4a7c15ull;

	return x ^ x >> 32;
}

static struct tree_shard *shard_of(struct tree *t, uint64_t ino)
{
	return &t->index[spread(t, ino) >> 32 & (TREE_SHARDS - 1)];
}

static uint32_t home_of(const struct tree *t, const struct tree_shard *s, uint64_t ino)
{
	return table_home((uint32_t)spread(t, ino), s->len);
}

/* Where @ino is or would be. */
static struct tree_node **place_of(const struct tree *t, const struct tree_shard *s, uint64_t ino)
{
	uint32_t i = home_of(t, s, ino);

	while (s->nodes[i] && s->nodes[i]->st.ino != ino)
		i = table_next(i, s->len);
	return &s->nodes[i];
}

struct tree_node *index_find(const struct tree *t, uint64_t ino)
{
	const struct tree_shard *s = &t->index[spread(t, ino) >> 32 & (TREE_SHARDS - 1)];

	return s->len ? *place_of(t, s, ino) : NULL;
}

static int grow(const struct tree *t, struct tree_shard *s)
{
	struct tree_shard bigger = {.len = s->len ? s->len + s->len / 2 : SHARD_MIN,
				    .used = s->used};
	uint32_t i;

	bigger.nodes = calloc(bigger.len, sizeof(struct tree_node *));
	if (!bigger.nodes)
		return -ENOMEM;
	for (i = 0; i < s->len; i++) {
		if (s->nodes[i])
			*place_of(t, &bigger, s->nodes[i]->st.ino) = s->nodes[i];
	}
	free(s->nodes);
	*s = bigger;
	return 0;
}

static bool make_names(struct tree_node *n)
{
	if (!n->names)
		n->names = calloc(1, sizeof(*n->names));
	return n->names;
}

/* In front of the others: the slot goes with the first place. */
static int chain(struct tree_node **first, struct tree_node *n)
{
	n->slot = -1;
	if (*first) {
		if (!make_names(*first) || !make_names(n))
			return -ENOMEM;
		n->slot = (*first)->slot;
		n->names->next = *first;
		(*first)->names->prev = n;
	}
	*first = n;
	n->flags |= NODE_INDEXED;
	return 0;
}

/* Returns 1 when the inode is watched from now on, 0 when nothing changed. */
static int watch(struct tree *t, struct tree_node *first, struct tree_node *n)
{
	bool is_essential = node_is_dir(n) || (n->flags & NODE_HAS_LOWER);
	long slot;

	if (first->slot >= 0 || (!is_essential && t->optional_watches >= TREE_OPTIONAL_WATCHES))
		return 0;
	slot = t->watcher.watch(t->watcher.arg, t->dev, n->st.ino);
	if (slot < 0 || slot > INT32_MAX) {
		if (is_essential)
			t->watch_failed = t->has_unwatched = true;
		return 0;
	}
	first->slot = (int32_t)slot;
	if (!is_essential) {
		n->flags |= NODE_OPTIONAL;
		t->optional_watches++;
	}
	return 1;
}

int index_add(struct tree *t, struct tree_node *n)
{
	struct tree_shard *s = shard_of(t, n->st.ino);
	struct tree_node **first;

	/* Three places of four at most, so that probing stays short. */
	if ((s->used + 1) * 4ull > s->len * 3ull && grow(t, s))
		return -ENOMEM;
	first = place_of(t, s, n->st.ino);
	if (chain(first, n))
		return -ENOMEM;
	s->used += !index_next(n);
	return watch(t, n, n);
}

void index_watch(struct tree *t, struct tree_node *n)
{
	if (n->flags & NODE_INDEXED)
		watch(t, index_find(t, n->st.ino), n);
}

/* Backward shift, as for names. */
static void close_gap(const struct tree *t, struct tree_shard *s, uint32_t hole)
{
	uint32_t i, home;

	s->nodes[hole] = NULL;
	s->used--;
	for (i = table_next(hole, s->len); s->nodes[i]; i = table_next(i, s->len)) {
		home = home_of(t, s, s->nodes[i]->st.ino);
		if (table_distance(home, i, s->len) < table_distance(hole, i, s->len))
			continue;
		s->nodes[hole] = s->nodes[i];
		s->nodes[i] = NULL;
		hole = i;
	}
}

static void unwatch(struct tree *t, struct tree_node *first)
{
	if (first->slot >= 0)
		t->watcher.unwatch(t->watcher.arg, t->dev, first->st.ino, first->slot);
	first->slot = -1;
}

void index_rewatch(struct tree *t, struct tree_node *n)
{
	struct tree_node *first = n->flags & NODE_INDEXED ? index_find(t, n->st.ino) : NULL;
	struct tree_node *s;

	if (!first || first->slot < 0)
		return;
	unwatch(t, first);
	for (s = first; s; s = index_next(s)) {
		t->optional_watches -= !!(s->flags & NODE_OPTIONAL);
		s->flags &= (uint16_t)~NODE_OPTIONAL;
	}
	watch(t, first, n);
}

static void take_first_out(struct tree *t, struct tree_node *n)
{
	struct tree_shard *s = shard_of(t, n->st.ino);
	struct tree_node **first = place_of(t, s, n->st.ino);

	if (index_next(n)) {
		n->names->next->slot = n->slot;
		*first = n->names->next;
		return;
	}
	unwatch(t, n);
	close_gap(t, s, (uint32_t)(first - s->nodes));
}

void index_remove(struct tree *t, struct tree_node *n)
{
	if (!(n->flags & NODE_INDEXED))
		return;
	if (n->flags & NODE_OPTIONAL)
		t->optional_watches--;
	if (index_prev(n))
		n->names->prev->names->next = n->names->next;
	else
		take_first_out(t, n);
	if (index_next(n))
		n->names->next->names->prev = n->names->prev;
	free(n->names);
	n->names = NULL;
	n->slot = -1;
	n->flags &= (uint16_t) ~(NODE_INDEXED | NODE_OPTIONAL);
}

void index_unwatch_all(struct tree *t)
{
	struct tree_shard *s;
	uint32_t i;

	for (s = t->index; s < t->index + TREE_SHARDS; s++) {
		for (i = 0; i < s->len; i++) {
			if (s->nodes[i])
				unwatch(t, s->nodes[i]);
		}
	}
}

void index_free(struct tree *t)
{
	struct tree_shard *s;

	for (s = t->index; s < t->index + TREE_SHARDS; s++)
		free(s->nodes);
}

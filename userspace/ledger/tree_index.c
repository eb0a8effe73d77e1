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

#include "driftwatch_abi.h"
#include "ledger/tree_internal.h"

#define SHARD_MIN 4

#define SHARD_SHIFT 60 /* the uppermost bits of the hash for the shard, the next for the place */
#define PLACE_SHIFT 28
_Static_assert(TREE_SHARDS == 1 << (64 - SHARD_SHIFT), "as many shards as these bits tell apart");

static uint64_t hash_of(const struct tree *t, uint64_t ino)
{
	return dw_inode_hash(t->hash_key, t->dev, ino);
}

static struct tree_shard *shard_of(struct tree *t, uint64_t ino)
{
	return &t->index[hash_of(t, ino) >> SHARD_SHIFT];
}

static uint32_t home_of(const struct tree *t, const struct tree_shard *s, uint64_t ino)
{
	return table_home((uint32_t)(hash_of(t, ino) >> PLACE_SHIFT), s->len);
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
	const struct tree_shard *s = &t->index[hash_of(t, ino) >> SHARD_SHIFT];

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

static bool is_crowded(const struct tree *t)
{
	return t->optional_watches >= TREE_OPTIONAL_WATCHES;
}

/* Returns 1 when it has a shared mark from now on, 0 when it had, or there is none to have. */
static int share(struct tree *t, uint64_t ino)
{
	if (!t->watcher.watch_shared || t->shared_ino == ino)
		return 0;
	t->watcher.watch_shared(t->watcher.arg, t->dev, ino);
	t->has_shared = true;
	return 1;
}

void index_expect(struct tree *t, uint64_t ino)
{
	t->shared_ino = 0;
	if (is_crowded(t) && share(t, ino))
		t->shared_ino = ino;
}

/* Returns 1 when the inode is watched from now on, 0 when nothing changed. */
static int watch(struct tree *t, struct tree_node *first, struct tree_node *n)
{
	bool is_essential = node_is_dir(n) || (n->flags & NODE_HAS_LOWER), is_begun = false;
	long slot = -ENOSPC;

	if (first->slot >= 0)
		return 0;
	if (is_essential || !is_crowded(t))
		slot = t->watcher.watch(t->watcher.arg, t->dev, n->st.ino, &is_begun);
	if (slot < 0 || slot > INT32_MAX) {
		if (!is_essential)
			return share(t, n->st.ino);
		t->watch_failed = t->has_unwatched = true;
		return 0;
	}
	first->slot = (int32_t)slot;
	if (!is_essential) {
		n->flags |= NODE_OPTIONAL;
		t->optional_watches++;
	}
	if (is_begun)
		queue_begun(t, n);
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

/* Of the names of an inode one that is told of what is written to it. */
static struct tree_node *answering(struct tree_node *first)
{
	struct tree_node *n = first;

	while (n && (n->verdict != TREE_ADDED || !node_is_live(n)))
		n = index_next(n);
	return n;
}

static size_t mark_place(struct tree *t, struct tree_node *first, uint32_t mark)
{
	struct tree_node *n;

	if (first->slot >= 0 || hash_of(t, first->st.ino) >> DW_SHARED_SHIFT != mark)
		return 0;
	n = answering(first);
	if (n)
		queue_add(t, n, WORK_STAT, &(struct tree_cause){0}, 0);
	return n != NULL;
}

/* All that have such a hash are at the places they come to, or behind them without a gap. */
size_t tree_mark_shared(struct tree *t, uint32_t mark)
{
	uint64_t hash = (uint64_t)mark << DW_SHARED_SHIFT;
	const struct tree_shard *s = &t->index[hash >> SHARD_SHIFT];
	uint32_t last, left, i;
	size_t found = 0;

	if (!t->has_shared || t->is_gone || !s->used)
		return 0;
	i = table_home((uint32_t)(hash >> PLACE_SHIFT), s->len);
	hash |= (1ull << DW_SHARED_SHIFT) - 1;
	last = table_home((uint32_t)(hash >> PLACE_SHIFT), s->len);
	for (left = last - i + 1; left || s->nodes[i]; left -= left > 0) {
		if (s->nodes[i])
			found += mark_place(t, s->nodes[i], mark);
		i = table_next(i, s->len);
	}
	return found;
}

bool tree_has_shared(const struct tree *t)
{
	return t->has_shared && !t->is_gone;
}

static void unwatch(struct tree *t, struct tree_node *first)
{
	if (first->slot >= 0)
		t->watcher.unwatch(t->watcher.arg, t->dev, first->st.ino, first->slot);
	first->slot = -1;
}

/*
 * What was written before the shared mark was given shows in another look: then there is
 * no moment in which it has neither.
 */
void index_give_up(struct tree *t, struct tree_node *n)
{
	if (n->names || n->slot < 0 || !(n->flags & NODE_OPTIONAL) || !t->watcher.watch_shared)
		return;
	share(t, n->st.ino);
	unwatch(t, n);
	n->flags &= (uint16_t)~NODE_OPTIONAL;
	t->optional_watches--;
	queue_add(t, n, WORK_STAT, &(struct tree_cause){0}, 0);
}

void index_take_back(struct tree *t, struct tree_node *n)
{
	if (!n->names && n->slot < 0 && (n->flags & NODE_INDEXED) && !is_crowded(t) &&
	    watch(t, n, n) && n->slot >= 0)
		queue_add(t, n, WORK_STAT, &(struct tree_cause){0}, 0);
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

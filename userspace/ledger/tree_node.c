/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_node.c - nodes, and the table of names in a directory.
 *
 * The table is open addressing with backward-shift deletion: no tombstones, so a
 * directory with constant coming and going does not decay.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "layer/beneath.h"
#include "ledger/tree_internal.h"

#define SLOTS_MIN 4 /* grows by half, and half of that is a place at least */

static void count_node(struct tree *t, int by)
{
	t->nodes += (uint64_t)by;
	if (t->limits.total)
		t->limits.total->used += (uint64_t)by;
}

struct tree_node *node_new(struct tree *t, struct tree_node *parent, const char *name)
{
	size_t len = strlen(name), size = offsetof(struct tree_node, name) + len + 1;
	struct tree_node *n;

	if (len > UINT8_MAX)
		return NULL;
	/* A name begins in what pads the structure. */
	n = calloc(1, size < sizeof(*n) ? sizeof(*n) : size);
	if (!n)
		return NULL;
	memcpy(n->name, name, len + 1);
	n->name_len = (uint8_t)len;
	n->hash = (uint32_t)beneath_hash(t->key, name, len);
	n->parent = parent;
	n->slot = -1;
	count_node(t, 1);
	return n;
}

int node_make_dir(struct tree_node *n)
{
	n->dir = calloc(1, sizeof(*n->dir));
	if (!n->dir)
		return -ENOMEM;
	n->dir->is_unread = true;
	return 0;
}

void node_free_dir(struct tree *t, struct tree_node *n)
{
	struct tree_dir *d = n->dir;
	size_t i;

	if (!d)
		return;
	n->dir = NULL;
	t->unlisted -= d->unlisted;
	for (i = 0; i < d->hidden_len; i++)
		free(d->hidden[i]);
	free(d->hidden);
	layer_dir_put(d->lower);
	free(d->slots);
	free(d);
}

void node_free(struct tree *t, struct tree_node *n)
{
	if (n->work)
		queue_remove(t, n->work);
	if (t->reader.node == n)
		tree_read_abort(t);
	compare_forget(t, n);
	tree_forget_fd(t, n);
	tree_set_stale(t, n, false);
	node_unlink(t, n);
	index_remove(t, n);
	node_free_dir(t, n);
	count_node(t, -1);
	free(n);
}

bool node_is_live(const struct tree_node *n)
{
	for (; n; n = n->parent) {
		if (n->flags & NODE_LIMBO)
			return false;
	}
	return true;
}

struct tree_node *node_child(const struct tree *t, const struct tree_node *n, const char *name,
			     size_t len)
{
	const struct tree_dir *d = n->dir;
	uint32_t hash, i;
	struct tree_node *c;

	if (!d || !d->slots_len)
		return NULL;
	hash = (uint32_t)beneath_hash(t->key, name, len);
	for (i = table_home(hash, d->slots_len); (c = d->slots[i]);
	     i = table_next(i, d->slots_len)) {
		if (c->hash == hash && c->name_len == len && !memcmp(c->name, name, len))
			return c;
	}
	return NULL;
}

struct tree_node *node_any_child(struct tree_node *n)
{
	struct tree_dir *d = n->dir;

	if (!d || !d->len)
		return NULL;
	for (;; d->cursor++) {
		if (d->cursor >= d->slots_len)
			d->cursor = 0;
		if (d->slots[d->cursor])
			return d->slots[d->cursor];
	}
}

static void put_slot(struct tree_node **slots, uint32_t len, struct tree_node *n)
{
	uint32_t i = table_home(n->hash, len);

	while (slots[i])
		i = table_next(i, len);
	slots[i] = n;
}

static int resize(struct tree_dir *d, uint32_t len)
{
	struct tree_node **slots = calloc(len, sizeof(struct tree_node *));
	uint32_t i;

	if (!slots)
		return -ENOMEM;
	for (i = 0; i < d->slots_len; i++) {
		if (d->slots[i])
			put_slot(slots, len, d->slots[i]);
	}
	free(d->slots);
	d->slots = slots;
	d->slots_len = len;
	return 0;
}

int node_link(struct tree *t, struct tree_node *n)
{
	struct tree_dir *d = n->parent->dir;

	/* At most 4/5 full. */
	if ((d->len + 1) * 5ull > d->slots_len * 4ull &&
	    resize(d, d->slots_len ? d->slots_len + d->slots_len / 2 : SLOTS_MIN))
		return -ENOMEM;
	put_slot(d->slots, d->slots_len, n);
	d->len++;
	tree_count_linked(t, n);
	return 0;
}

void node_unlink(struct tree *t, struct tree_node *n)
{
	struct tree_dir *d = n->parent ? n->parent->dir : NULL;
	uint32_t len, hole, i, home;

	if (!d || !d->slots_len)
		return;
	len = d->slots_len;
	for (hole = table_home(n->hash, len); d->slots[hole] != n; hole = table_next(hole, len)) {
		if (!d->slots[hole])
			return; /* was not linked */
	}
	d->slots[hole] = NULL;
	d->len--;
	tree_count_unlinked(t, n);

	/* Close the gap: whoever probed past the hole moves back into it. */
	for (i = table_next(hole, len); d->slots[i]; i = table_next(i, len)) {
		home = table_home(d->slots[i]->hash, len);
		if (table_distance(home, i, len) < table_distance(hole, i, len))
			continue;
		d->slots[hole] = d->slots[i];
		d->slots[i] = NULL;
		hole = i;
	}
}

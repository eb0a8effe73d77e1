/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_opaque.c - directories that hide what the image has in them.
 *
 * The names of the image are kept with such a directory, so that its D lines need no
 * disk: each name that no child has. Where the image is what lay in the directory once,
 * its names are kept from when they go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer/compare.h"
#include "ledger/tree_internal.h"

static int add_hidden(const char *name, void *arg)
{
	struct tree_dir *d = arg;
	char **bigger;

	/* Grows by doubling: full whenever the length is a power of two. */
	if (!(d->hidden_len & (d->hidden_len - 1))) {
		bigger = reallocarray(d->hidden, d->hidden_len ? d->hidden_len * 2 : 1,
				      sizeof(char *));
		if (!bigger)
			return -ENOMEM;
		d->hidden = bigger;
	}
	d->hidden[d->hidden_len] = strdup(name);
	if (!d->hidden[d->hidden_len])
		return -ENOMEM;
	d->hidden_len++;
	return 0;
}

/* Where @name is, or belongs, among names that were kept in order. */
static size_t place_of(const struct tree_dir *d, const char *name)
{
	size_t from = 0, to = d->hidden_len, middle;

	while (from < to) {
		middle = from + (to - from) / 2;
		if (strcmp(d->hidden[middle], name) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

bool tree_dir_hides(const struct tree_dir *d, const char *name)
{
	size_t at = place_of(d, name);

	return at < d->hidden_len && !strcmp(d->hidden[at], name);
}

uint32_t tree_bare_names(const struct tree *t, const struct tree_node *n)
{
	const struct tree_dir *d = n->dir;
	uint32_t bare = 0;
	size_t i;

	for (i = 0; i < d->hidden_len; i++)
		bare += !node_child(t, n, d->hidden[i], strlen(d->hidden[i]));
	return bare;
}

bool tree_is_of_image(const struct tree *t, const struct tree_reader *r, const char *name,
		      uint64_t btime_ns)
{
	if (r->flags & WORK_INITIAL)
		return btime_ns && btime_ns <= t->image_ns;
	return tree_dir_hides(r->node->dir, name);
}

int tree_keep_name(struct tree *t, struct tree_node *n)
{
	struct tree_dir *d = n->parent->dir;
	size_t at = place_of(d, n->name);
	char *name;
	int err;

	if (!t->image_ns || !(n->flags & NODE_HAS_LOWER) || tree_dir_hides(d, n->name))
		return 0;
	err = add_hidden(n->name, d);
	if (err)
		return err;
	name = d->hidden[d->hidden_len - 1];
	memmove(d->hidden + at + 1, d->hidden + at, (d->hidden_len - 1 - at) * sizeof(*d->hidden));
	d->hidden[at] = name;
	return 0;
}

static void forget_hidden(struct tree_dir *d)
{
	while (d->hidden_len)
		free(d->hidden[--d->hidden_len]);
	free(d->hidden);
	d->hidden = NULL;
}

/* Directories beneath are as opaque as this one, unless they are so themselves. */
static void spread_opacity(struct tree *t, const struct tree_reader *r)
{
	const struct tree_dir *d = r->node->dir;
	struct tree_node *c;
	uint32_t i;

	for (i = 0; i < d->slots_len; i++) {
		c = d->slots[i];
		if (c && c->dir && c->dir->lower)
			queue_add(t, c, WORK_READ, &r->cause, 0);
	}
}

static int set_opaque(struct tree *t, struct tree_reader *r, bool is_opaque)
{
	struct tree_change change = {
		.node = r->node,
		.bits = TREE_CHANGE_OPAQUE | r->bits,
		.before = (enum tree_verdict)r->node->verdict,
		.cause = r->cause,
	};
	struct tree_dir *d = r->node->dir;
	struct tree_counted before;
	int err = 0;

	if (is_opaque == d->is_opaque)
		return 0;
	before = tree_count_out(t, r->node);
	forget_hidden(d);
	if (is_opaque)
		err = layer_dir_foreach(d->lower, add_hidden, d);
	if (err)
		forget_hidden(d);
	d->bare = tree_bare_names(t, r->node);
	tree_count_in(t, r->node, before);
	if (err)
		return err;
	d->is_opaque = is_opaque;
	tree_report(t, &change);
	spread_opacity(t, r);
	return 0;
}

int tree_read_marks(struct tree *t, struct tree_reader *r)
{
	const struct tree_node *parent = r->node->parent;
	struct tree_dir *d = r->node->dir;
	unsigned marks = t->is_whole ? 0 : layer_dir_marks(r->fd, t->user_xattr);
	bool is_opaque;

	d->has_xwhiteouts = marks & LAYER_XWHITEOUTS;
	/* overlayfs does not look at the root; without a lower nothing can be hidden. */
	is_opaque = parent && ((marks & LAYER_OPAQUE) || parent->dir->is_opaque);
	return set_opaque(t, r, d->lower && (is_opaque || t->is_whole));
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_rename.c - is this new name an inode we knew under another?
 *
 * The old name may have been found gone already (then it is in limbo) or not yet (then
 * its directory's event is pending). A file of one link that has a new name cannot have
 * the old one any more; one of several links is looked at. An inode number given to a
 * new file is told by its birth: after the last change we saw of the old one.
 */
#include <errno.h>

#include "ledger/tree_internal.h"

#define CANDIDATES_MAX 16 /* other names of the inode that are looked at */

static bool may_be_origin(const struct tree_node *c, const struct tree_node *n, uint64_t btime_ns)
{
	if (c == n || (c->flags & NODE_MOVED) || !tree_same_file(&c->st, &n->st))
		return false;
	return btime_ns <= tree_ctime_ns(&c->st);
}

static bool still_has_its_name(struct tree *t, struct tree_node *c)
{
	struct tree_stat st;
	int fd = tree_dir_fd(t, c->parent);

	return fd >= 0 && !tree_stat_entry(t, fd, c->name, &st, NULL) &&
	       tree_same_file(&st, &c->st);
}

static bool is_link(struct tree *t, struct tree_node *c, const struct tree_node *n,
		    const struct tree_reader *r)
{
	if (node_is_dir(n) || n->st.nlink < 2)
		return false;
	/* A first scan finds the names of an inode one after the other. */
	return (r->bits & TREE_CHANGE_INITIAL) || still_has_its_name(t, c);
}

struct tree_node *tree_find_origin(struct tree *t, const struct tree_node *n, uint64_t btime_ns,
				   const struct tree_reader *r, unsigned *ret_bits)
{
	struct tree_node *c, *live = NULL;
	unsigned left = CANDIDATES_MAX;

	if (!(n->flags & NODE_INDEXED))
		return NULL;
	for (c = index_find(t, n->st.ino); c && left; c = index_next(c), left--) {
		if (!may_be_origin(c, n, btime_ns))
			continue;
		if (!node_is_live(c)) {
			c->flags |= NODE_MOVED;
			*ret_bits = TREE_CHANGE_RENAMED;
			return c;
		}
		live = live ? live : c;
	}
	if (!live)
		return NULL;
	if (is_link(t, live, n, r)) {
		*ret_bits = TREE_CHANGE_LINKED;
		return live;
	}
	live->flags |= NODE_MOVED;
	queue_add(t, live->parent, WORK_READ, &r->cause, live->parent->dir->may_read_ns);
	*ret_bits = TREE_CHANGE_RENAMED;
	return live;
}

void tree_inherit(struct tree_node *n, const struct tree_node *origin)
{
	if (origin->first_ns && (!n->first_ns || origin->first_ns < n->first_ns))
		n->first_ns = origin->first_ns;
	if (origin->first_writer)
		n->first_writer = origin->first_writer;
	if (!n->last_writer)
		n->last_writer = origin->last_writer;
	n->written_bytes = origin->written_bytes;
	n->write_calls = origin->write_calls;
	n->flags |= origin->flags & (NODE_RUNTIME | NODE_WRITTEN);
}

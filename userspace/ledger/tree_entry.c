/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_entry.c - a name that was not in the tree before.
 *
 * Its inode is watched first and its state is read after that, so that a change either
 * is seen here or raises an event (invariant I1).
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ledger/tree_internal.h"

#define TRIES 5 /* at a name that keeps changing hands */

struct new_entry {
	struct tree_stat st;
	uint64_t btime_ns;
	bool has_lower, has_lower_dir;
	bool is_read; /* .st is of stat: else inode and type are what the directory says */
};

static int look_below(const struct tree_node *parent, const char *name, struct new_entry *e)
{
	struct layer_entry entry;
	int err;

	e->has_lower = e->has_lower_dir = false;
	if (!parent->dir->lower)
		return 0;
	err = layer_dir_lookup(parent->dir->lower, name, &entry);
	if (err)
		return err == -ENOENT ? 0 : err;
	e->has_lower = true;
	e->has_lower_dir = S_ISDIR(entry.st.st_mode);
	return 0;
}

static bool is_below(uint64_t used, uint64_t max)
{
	return !max || used < max;
}

/* Past the limit a container can make names, but not memory. */
static bool is_admitted(const struct tree *t, const struct new_entry *e)
{
	const struct tree_total *total = t->limits.total;
	/* Without directories and names of the image, verdicts would be lost, not just names. */
	unsigned shift = S_ISDIR(e->st.mode) || e->has_lower ? 1 : 0;

	return is_below(t->nodes >> shift, t->limits.max_files) &&
	       (!total || is_below(total->used >> shift, total->max));
}

/* An entry for which there is no node. A whiteout of nothing is nothing. */
static void leave_out(struct tree_reader *r, const struct new_entry *e)
{
	bool is_whiteout = S_ISCHR(e->st.mode) && !e->st.rdev && !e->has_lower;

	r->unlisted += !is_whiteout;
}

static int set_kind(struct tree *t, struct tree_node *n, const struct new_entry *e)
{
	n->st = (struct tree_stat){.ino = e->st.ino, .mode = e->st.mode};
	n->flags = e->has_lower ? NODE_HAS_LOWER : 0;
	node_free_dir(t, n);
	return S_ISDIR(e->st.mode) ? node_make_dir(n) : 0;
}

static int read_state(struct tree *t, int fd, const char *name, struct new_entry *e)
{
	int err = tree_stat_entry(t, fd, name, &e->st, &e->btime_ns);

	e->is_read = !err;
	return err;
}

/*
 * What stat would say of inode and type: of all but a few entries the directory tells,
 * and they are read only once. False: a whiteout depends on more, and so does what was
 * there when the container was made.
 */
static bool take_listed(const struct tree *t, const struct dirent64 *listed, struct new_entry *e)
{
	if (t->image_ns || listed->d_type == DT_UNKNOWN || listed->d_type == DT_CHR)
		return false;
	*e = (struct new_entry){
		.st = {.ino = listed->d_ino, .mode = (uint16_t)DTTOIF(listed->d_type)}};
	return true;
}

/* Watch the inode, then read its state, again if need be, until both are of one file. */
static int watch_and_stat(struct tree *t, struct tree_node *n, int fd, struct new_entry *e)
{
	struct tree_stat before;
	int err, try;

	for (try = 0; try < TRIES; try++) {
		err = set_kind(t, n, e);
		if (err || (S_ISCHR(e->st.mode) && !e->st.rdev))
			return err;
		err = index_add(t, n);
		if (err < 0 || (!err && e->is_read))
			return err;
		before = e->st;
		err = read_state(t, fd, n->name, e);
		if (!err && tree_same_file(&e->st, &before))
			return 0;
		index_remove(t, n);
		if (err)
			return err;
	}
	return -EAGAIN;
}

static int judge(struct tree *t, struct tree_node *n, int fd, const struct new_entry *e)
{
	n->birth_ns = e->btime_ns;
	if (n->dir && e->has_lower_dir) {
		n->dir->lower = layer_dir_open(n->parent->dir->lower, n->name);
		if (!n->dir->lower)
			return -errno;
	}
	return tree_judge(t, n, fd, &e->st);
}

static void set_history(struct tree_node *n, const struct tree_reader *r, uint64_t btime_ns)
{
	uint64_t ctime_ns = tree_ctime_ns(&n->st);

	n->first_writer = n->last_writer = r->cause.writer;
	n->first_ns = n->last_ns = r->cause.wall_ns;
	if (!r->bits && r->cause.wall_ns)
		return;
	n->first_ns = btime_ns ? btime_ns : ctime_ns;
	n->last_ns = ctime_ns;
}

static void announce(struct tree *t, struct tree_node *n, const struct tree_reader *r,
		     const struct tree_change *basis, uint64_t btime_ns)
{
	auto_strbuf struct strbuf old_path = STRBUF_INIT;
	struct tree_change change = *basis;
	struct tree_node *origin;
	unsigned how = 0;

	set_history(n, r, btime_ns);
	origin = tree_find_origin(t, n, btime_ns, r, &how);
	if (origin) {
		if (how & TREE_CHANGE_RENAMED)
			tree_inherit(n, origin);
		change.bits |= how;
		tree_node_path(origin, &old_path);
		change.old_path = strbuf_str(&old_path);
	}
	tree_report(t, &change);
}

static int build(struct tree *t, struct tree_reader *r, struct tree_node *n, struct new_entry *e,
		 struct tree_node *replaces)
{
	struct tree_change change = {.node = n, .cause = r->cause, .bits = r->bits};
	unsigned found;
	int err;

	err = watch_and_stat(t, n, r->fd, e);
	if (!err)
		err = judge(t, n, r->fd, e);
	if (err < 0)
		return err;
	found = (unsigned)err;
	if (replaces) {
		change.before = (enum tree_verdict)replaces->verdict;
		replaces->flags |= NODE_REPLACED;
		err = tree_vanish(t, replaces, r);
		if (err)
			return err;
	}
	err = node_link(t, n);
	if (err)
		return err;

	rest_disturb(t, n);
	n->seen = r->number;
	r->seen++;
	/* A whiteout in the place of a file is that name's end, not a new file. */
	if (!replaces || !(n->flags & NODE_WHITEOUT))
		change.bits |= TREE_CHANGE_APPEARED;
	change.bits |= found & ~(unsigned)(TREE_CHANGE_CTIME | TREE_CHANGE_VERDICT);
	if (change.before != (enum tree_verdict)n->verdict)
		change.bits |= TREE_CHANGE_VERDICT;
	announce(t, n, r, &change, e->btime_ns);
	if (node_is_dir(n))
		queue_add(t, n, WORK_READ | (r->flags & (WORK_INITIAL | WORK_RESCAN)), &r->cause,
			  0);
	return 0;
}

int tree_entry_new(struct tree *t, struct tree_reader *r, const struct dirent64 *listed,
		   struct tree_node *replaces)
{
	const char *name = listed->d_name;
	struct new_entry e;
	struct tree_node *n;
	int err = 0;

	if (!take_listed(t, listed, &e)) {
		index_expect(t, listed->d_ino);
		err = read_state(t, r->fd, name, &e);
	}
	if (!err)
		err = look_below(r->node, name, &e);
	if (!err && t->image_ns)
		e.has_lower = replaces ? replaces->flags & NODE_HAS_LOWER
				       : tree_is_of_image(t, r, name, e.btime_ns);
	if (err)
		return err;
	if (!is_admitted(t, &e)) {
		leave_out(r, &e);
		return 0;
	}
	n = node_new(t, r->node, name);
	if (!n)
		return -ENOMEM;
	err = build(t, r, n, &e, replaces);
	if (err)
		node_free(t, n);
	return err;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_count.c - totals, and which directories have lines beneath them, kept with every
 * change: an answer costs nothing, a change what changed and at most its way to the root.
 *
 * A node in the totals is NODE_COUNTED. Whoever changes what is counted of it takes it out
 * before and puts it in again afterwards. What vanished with a directory is taken out when
 * it is freed or, if somebody asks before, all at once.
 */
#include <string.h>
#include <sys/stat.h>

#include "ledger/tree_internal.h"

static bool is_shown(const struct tree_node *n)
{
	return n->verdict != TREE_NONE || node_has_lines(n);
}

/* --- bytes: each inode once, by the first of its names that is counted and has any */

static bool has_bytes(const struct tree *t, const struct tree_node *n)
{
	return S_ISREG(n->st.mode) && !(n->flags & NODE_WHITEOUT) &&
	       !(t->is_whole && n->verdict == TREE_NONE);
}

static bool may_answer(const struct tree *t, const struct tree_node *n)
{
	return (n->flags & NODE_COUNTED) && has_bytes(t, n);
}

static void give_bytes(struct tree *t, struct tree_node *n)
{
	n->flags |= NODE_BYTES;
	t->totals.bytes += n->st.size;
}

/* @n does not answer for its inode any more. Whoever comes before it cannot either. */
static void pass_bytes_on(struct tree *t, struct tree_node *n)
{
	n->flags &= (uint16_t)~NODE_BYTES;
	for (n = index_next(n); n && !may_answer(t, n);)
		n = index_next(n);
	if (n)
		give_bytes(t, n);
}

static void take_bytes_over(struct tree *t, struct tree_node *n)
{
	struct tree_node *s = index_prev(n);

	while (s && !may_answer(t, s))
		s = index_prev(s);
	if (s)
		return;
	for (s = index_next(n); s && !(s->flags & NODE_BYTES);)
		s = index_next(s);
	if (s) {
		s->flags &= (uint16_t)~NODE_BYTES;
		t->totals.bytes -= s->st.size;
	}
	give_bytes(t, n);
}

static void put_bytes_in(struct tree *t, struct tree_node *n)
{
	if (!has_bytes(t, n)) {
		if (n->flags & NODE_BYTES)
			pass_bytes_on(t, n);
	} else if (n->flags & NODE_BYTES) {
		give_bytes(t, n);
	} else {
		take_bytes_over(t, n);
	}
}

/* --- the rest, which each node has of its own */

/* Implied: something changed beneath a directory that did not change itself. */
static void tally_dir(struct tree *t, const struct tree_node *n, uint64_t by)
{
	struct tree_counts *c = &t->totals;

	c->deleted += by * n->dir->bare;
	c->added += by * n->dir->unlisted;
	if (!n->parent || n->verdict != TREE_NONE)
		return;
	if (node_has_lines(n))
		c->modified += by;
	else if (!t->is_whole)
		c->touched += by;
}

/* @by is 1, or minus 1 as an unsigned number. */
static void tally(struct tree *t, const struct tree_node *n, uint64_t by)
{
	struct tree_counts *c = &t->totals;
	bool is_drift = n->verdict == TREE_ADDED || n->verdict == TREE_MODIFIED;

	if (n->dir)
		tally_dir(t, n, by);
	if (!n->parent)
		return;
	c->nodes += by;
	c->added += n->verdict == TREE_ADDED ? by : 0;
	c->modified += n->verdict == TREE_MODIFIED ? by : 0;
	c->deleted += n->verdict == TREE_DELETED ? by : 0;
	c->executables += is_drift && S_ISREG(n->st.mode) && (n->st.mode & 0111) ? by : 0;
	if (n->dir)
		return;
	c->touched += n->depth == TREE_TOUCHED ? by : 0;
	c->tampered += n->depth == TREE_TAMPERED ? by : 0;
	c->not_compared += n->depth == TREE_NOT_COMPARED ? by : 0;
}

/* --- out and in */

struct tree_counted tree_count_out(struct tree *t, struct tree_node *n)
{
	struct tree_counted before = {!!(n->flags & NODE_COUNTED), is_shown(n)};

	if (!before.is_counted)
		return before;
	tally(t, n, (uint64_t)-1);
	t->counted++;
	if (n->flags & NODE_BYTES)
		t->totals.bytes -= n->st.size;
	n->flags &= (uint16_t)~NODE_COUNTED;
	return before;
}

/* Returns by how much the .lines of its directory change. */
static uint32_t put_in(struct tree *t, struct tree_node *n, struct tree_counted before)
{
	if (!before.is_counted)
		return 0;
	n->flags |= NODE_COUNTED;
	tally(t, n, 1);
	t->counted++;
	put_bytes_in(t, n);
	return (uint32_t)is_shown(n) - (uint32_t)before.is_shown;
}

/* @by more children of @n are shown, and so on upwards. */
static void add_lines(struct tree *t, struct tree_node *n, uint32_t by)
{
	struct tree_counted before;

	for (; by && n; n = n->parent) {
		before = tree_count_out(t, n);
		n->dir->lines += by;
		by = put_in(t, n, before);
	}
}

void tree_count_in(struct tree *t, struct tree_node *n, struct tree_counted before)
{
	add_lines(t, n->parent, put_in(t, n, before));
}

/* A child of this name came to @parent, or went: who wears a hidden name is no D. */
static void add_bare(struct tree *t, struct tree_node *parent, const char *name, uint32_t by)
{
	struct tree_counted before;

	if (!tree_dir_hides(parent->dir, name))
		return;
	before = tree_count_out(t, parent);
	parent->dir->bare += by;
	tree_count_in(t, parent, before);
}

void tree_count_linked(struct tree *t, struct tree_node *n)
{
	add_bare(t, n->parent, n->name, (uint32_t)-1);
	tree_count_in(t, n, (struct tree_counted){.is_counted = true});
}

static bool take_out(struct tree *t, struct tree_node *n)
{
	struct tree_counted before = tree_count_out(t, n);

	if (n->flags & NODE_BYTES)
		pass_bytes_on(t, n);
	return before.is_counted && before.is_shown;
}

void tree_count_unlinked(struct tree *t, struct tree_node *n)
{
	if (take_out(t, n))
		add_lines(t, n->parent, (uint32_t)-1);
	add_bare(t, n->parent, n->name, 1);
}

bool tree_recount_dir(struct tree *t, struct tree_node *n)
{
	struct tree_dir *d = n->dir;
	struct tree_counted before;
	uint32_t lines = 0, bare, i;

	for (i = 0; i < d->slots_len; i++)
		lines += d->slots[i] && is_shown(d->slots[i]);
	bare = tree_bare_names(t, n);
	if (lines == d->lines && bare == d->bare)
		return true;
	before = tree_count_out(t, n);
	d->lines = lines;
	d->bare = bare;
	tree_count_in(t, n, before);
	return false;
}

/* --- what vanished with its directory */

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

/* The walk keeps its place in the directories, so depth costs no stack. */
static void take_out_beneath(struct tree *t, struct tree_node *top)
{
	struct tree_node *n = top, *c;

	for (n->dir->cursor = 0; n;) {
		c = next_child(n->dir);
		if (!c) {
			n = n == top ? NULL : n->parent;
			continue;
		}
		take_out(t, c);
		if (!c->dir)
			continue;
		c->dir->cursor = 0;
		n = c;
	}
}

static void take_out_limbo(struct tree *t)
{
	struct tree_work *w;

	for (w = t->limbo.first; w; w = w->next) {
		if (!(w->flags & WORK_UNCOUNTED) && w->node->dir)
			take_out_beneath(t, w->node);
		w->flags |= WORK_UNCOUNTED;
	}
}

void tree_counts(struct tree *t, struct tree_counts *ret)
{
	take_out_limbo(t);
	*ret = t->totals;
	ret->unlisted = t->unlisted;
	ret->last_change_wall_ns = t->last_change_wall_ns;
	ret->dir_reads = t->dir_reads;
	ret->lstats = t->lstats;
	ret->rescans = t->rescans;
	ret->stales = t->stales;
}

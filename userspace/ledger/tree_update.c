/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_update.c - a known node looked at again, and what is said about it.
 */
#include <errno.h>

#include "ledger/tree_internal.h"

void tree_set_stale(struct tree *t, struct tree_node *n, bool is_stale)
{
	if (is_stale == !!(n->flags & NODE_STALE))
		return;
	n->flags ^= NODE_STALE;
	if (is_stale)
		t->stales++;
	t->stale += is_stale ? 1 : (uint64_t)-1;
}

void tree_report(struct tree *t, struct tree_change *change)
{
	uint64_t wall_ns = change->cause.wall_ns;

	if (!wall_ns && !(change->bits & TREE_CHANGE_VANISHED))
		wall_ns = tree_ctime_ns(&change->node->st);
	if (!wall_ns)
		wall_ns = clock_wall_ns();
	if (wall_ns > t->last_change_wall_ns)
		t->last_change_wall_ns = wall_ns;
	if (t->on_change)
		t->on_change(change, t->arg);
}

/*
 * One stat is true for all names of the inode. Those that are just added take it as it
 * is: a container makes sixty thousand names of one file and writes to it.
 */
static void share(struct tree *t, const struct tree_node *n)
{
	struct tree_counted before;
	struct tree_node *s;

	if (node_is_dir(n) || n->st.nlink < 2 || !(n->flags & NODE_INDEXED))
		return;
	for (s = index_find(t, n->st.ino); s; s = index_next(s)) {
		if (s == n || s->verdict != TREE_ADDED || !tree_same_file(&s->st, &n->st))
			continue;
		before = tree_count_out(t, s);
		s->st = n->st;
		tree_count_in(t, s, before);
		s->last_ns = n->last_ns;
		s->last_writer = n->last_writer;
		s->capability = n->capability;
	}
}

/* Another name of the inode has to answer for it. */
static void pass_on(struct tree *t, const struct tree_node *n, const struct tree_cause *cause)
{
	struct tree_node *s = n->flags & NODE_INDEXED ? index_find(t, n->st.ino) : NULL;

	if (node_is_dir(n) || n->verdict != TREE_ADDED)
		return;
	for (; s; s = index_next(s)) {
		if (s != n && s->verdict == TREE_ADDED && !(s->flags & NODE_STALE) &&
		    node_is_live(s)) {
			queue_add(t, s, WORK_STAT, cause, 0);
			return;
		}
	}
}

/* Where looks that find no more than growth become many, fewer files are told of. */
static void limit_growth_looks(struct tree *t, struct tree_node *n)
{
	uint64_t now_ns = clock_mono_ns();

	if (now_ns - t->growth_ns > NS_PER_SEC) {
		t->growth_ns = now_ns;
		t->growth_looks = 0;
	}
	if (++t->growth_looks > TREE_GROWTH_LOOKS)
		index_give_up(t, n);
}

/*
 * Whatever is written to an added file, it is in the list. Where looks that find no more
 * than that become many, its mark is a shared one from then on: it is looked at when
 * somebody asks, until it is found to have come to rest.
 */
static void note_growth(struct tree *t, struct tree_node *n, unsigned found)
{
	uint16_t grew = n->flags & NODE_GREW;

	if (node_is_dir(n))
		return;
	if (!tree_change_is_growth(found)) {
		n->flags &= (uint16_t)~NODE_GREW;
		return;
	}
	if (n->slot < 0) {
		if (n->verdict == TREE_ADDED && !tree_is_being_written(n)) {
			n->flags &= (uint16_t)~NODE_GREW;
			index_take_back(t, n);
		}
		return;
	}
	if (grew != NODE_GREW)
		n->flags += NODE_GREW_ONCE;
	/* As each new file is once: no sign that it goes on. */
	if (grew && n->verdict == TREE_ADDED)
		limit_growth_looks(t, n);
}

int tree_update(struct tree *t, struct tree_node *n, int dirfd, const struct tree_stat *st,
		const struct tree_cause *cause, unsigned bits)
{
	struct tree_change change = {.node = n, .before = n->verdict, .cause = *cause};
	int found = tree_judge(t, n, dirfd, st);

	if (found < 0)
		return found;
	tree_set_stale(t, n, false);
	if (!found)
		return 0;
	n->last_ns = cause->wall_ns ? cause->wall_ns : tree_ctime_ns(st);
	if (cause->writer) {
		n->last_writer = cause->writer;
		n->first_writer = n->first_writer ? n->first_writer : cause->writer;
	}
	share(t, n);
	change.bits = (unsigned)found | bits;
	tree_report(t, &change);
	note_growth(t, n, (unsigned)found);
	return 0;
}

void tree_restat(struct tree *t, struct tree_node *n, int dirfd, const struct tree_cause *cause,
		 unsigned bits)
{
	bool was_stale = n->flags & NODE_STALE;
	struct tree_stat st;
	int err;

	err = tree_stat_entry(t, dirfd, n->name, &st, NULL);
	if (err == -ENOENT || (!err && !tree_same_file(&st, &n->st))) {
		/* Another file has the name now: only a read of the directory can tell. */
		tree_set_stale(t, n, true);
		queue_add(t, n->parent, WORK_READ, cause, n->parent->dir->may_read_ns);
		pass_on(t, n, cause);
		return;
	}
	if (!err)
		err = tree_update(t, n, dirfd, &st, cause, bits);
	if (err && err != -ENOENT)
		queue_add(t, n, WORK_STAT | WORK_FAILED, cause, clock_mono_ns() + TREE_RETRY_NS);
	else if (!err && was_stale && node_is_dir(n))
		queue_add(t, n, WORK_READ, cause, 0);
}

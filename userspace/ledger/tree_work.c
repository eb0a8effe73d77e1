/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_work.c - the queue worked off, in slices of time.
 *
 * In this order: a read that was begun, what is queued and due, names that vanished,
 * comparisons of contents. When all is done the descriptors are given back.
 */
#include "ledger/tree_internal.h"

static unsigned bits_of(unsigned work_flags)
{
	return work_flags & WORK_RESCAN ? TREE_CHANGE_RESCAN : 0u;
}

static void stat_node(struct tree *t, struct tree_node *n, const struct tree_work *w)
{
	int fd;

	if (!n->parent || !(w->flags & WORK_STAT))
		return;
	fd = tree_dir_fd(t, n->parent);
	if (fd >= 0) {
		tree_restat(t, n, fd, &w->cause, bits_of(w->flags));
		return;
	}
	tree_set_stale(t, n, true);
	queue_add(t, n->parent, WORK_READ, &w->cause, clock_mono_ns() + TREE_RETRY_NS);
}

static void do_work(struct tree *t, struct tree_work *w)
{
	struct tree_node *n = w->node;
	bool is_begun = w->flags & WORK_HELD && rest_end(t, n);

	if (!node_is_live(n)) {
		queue_done(t, w->flags);
		return;
	}
	if (w->again_ns > clock_mono_ns()) {
		queue_add(t, n, w->flags & (WORK_STAT | WORK_READ), &w->cause, w->again_ns);
		queue_again(n, w->again_ns);
	}
	if (is_begun)
		queue_begun(t, n);
	if (!n->parent && tree_root_is_gone(t)) {
		queue_done(t, w->flags);
		tree_freeze(t);
		return;
	}
	stat_node(t, n, w);
	if ((w->flags & WORK_READ) && node_is_dir(n))
		tree_read_begin(t, w);
	else
		queue_done(t, w->flags);
}

/* Returns false when nothing is due, or a read has to wait for a look at the mounts. */
static bool work_once(struct tree *t, uint64_t until_ns)
{
	uint64_t now_ns = clock_mono_ns();
	struct tree_work w;

	if ((t->wants_rescan && now_ns >= t->rescan_ns) ||
	    (t->relist_ns && now_ns >= t->relist_ns)) {
		t->rescan_ns = now_ns + NS_PER_SEC;
		tree_rescan(t);
	}
	if (t->reader.node)
		return tree_read_step(t, until_ns);
	if (queue_pop(t, now_ns, &w))
		do_work(t, &w);
	else
		return false;
	return true;
}

/* May vanished names be reported, or may they still turn up elsewhere? */
static bool limbo_is_ripe(const struct tree *t, uint64_t now_ns)
{
	return t->limbo.first && !t->ready.first && !t->reader.node &&
	       (!t->heap_len || now_ns - t->limbo.first->queued_ns > TREE_RETRY_NS);
}

/* A layer that never rests must not keep its vanished names for ever. */
static bool limbo_is_overdue(const struct tree *t)
{
	return t->limbo.first && clock_mono_ns() - t->limbo.first->queued_ns > TREE_FRESH_NS;
}

static bool has_room(uint64_t used, uint64_t max)
{
	return !max || used < max - max / 8;
}

bool tree_could_list_more(const struct tree *t)
{
	const struct tree_total *total = t->limits.total;

	return t->unlisted && !t->is_gone && has_room(t->nodes, t->limits.max_files) &&
	       (!total || has_room(total->used, total->max));
}

/*
 * Rescans that nobody else asks for: of what could not be watched, at most a tenth of
 * the time; and of names without a node, once many nodes have gone.
 */
static void plan_rescan(struct tree *t)
{
	uint64_t now_ns = clock_mono_ns(), took_ns;

	if (t->relist_ns || t->rescan_left || t->initial_left)
		return;
	if (t->has_unwatched) {
		took_ns = t->rescan_begun_ns ? now_ns - t->rescan_begun_ns : 0;
		t->relist_ns = now_ns + TREE_UNWATCHED_NS + 10 * took_ns;
		t->rescan_begun_ns = 0;
	} else if (tree_could_list_more(t)) {
		t->relist_ns = now_ns + TREE_RELIST_NS;
	}
}

static int ms_until(uint64_t due_ns, uint64_t now_ns)
{
	if (due_ns <= now_ns)
		return 0;
	return (int)((due_ns - now_ns + NS_PER_MSEC - 1) / NS_PER_MSEC);
}

static int next_ms(const struct tree *t)
{
	uint64_t now_ns = clock_mono_ns(), due_ns = queue_next_due(t);

	if (t->reader.node || t->ready.first)
		return 0;
	if (t->limbo.first && (!due_ns || t->limbo.first->queued_ns + TREE_RETRY_NS < due_ns))
		due_ns = t->limbo.first->queued_ns + TREE_RETRY_NS + 1;
	if (t->wants_rescan && (!due_ns || t->rescan_ns < due_ns))
		due_ns = t->rescan_ns + 1;
	if (t->relist_ns && (!due_ns || t->relist_ns < due_ns))
		due_ns = t->relist_ns;
	return due_ns ? ms_until(due_ns, now_ns) : -1;
}

static bool is_idle(const struct tree *t)
{
	return !t->ready.first && !t->reader.node && !t->limbo.first && !tree_is_comparing(t);
}

/*
 * Of an unmounted layer that has been quiet: gone for good, or not at its place any more
 * and so about to go? Only if neither will vanished names be believed.
 */
static void check_removal(struct tree *t)
{
	uint64_t now_ns = clock_mono_ns();

	if (t->is_mounted || tree_is_held(t, now_ns) || !(t->ready.first || t->heap_len))
		return;
	if (tree_root_is_gone(t))
		tree_freeze(t);
	else if (!tree_root_is_in_place(t))
		t->quiet_ns = now_ns + TREE_QUIET_NS;
}

int tree_work(struct tree *t, uint64_t budget_ns)
{
	uint64_t until_ns = budget_ns ? clock_mono_ns() + budget_ns : UINT64_MAX;
	bool has_time = true;
	int ms;

	check_removal(t);
	if (limbo_is_overdue(t))
		tree_limbo_step(t, budget_ns ? until_ns - budget_ns / 2 : until_ns);
	while (has_time && !t->is_gone && work_once(t, until_ns))
		has_time = clock_mono_ns() < until_ns;
	if (has_time && (limbo_is_ripe(t, clock_mono_ns()) || t->is_gone))
		tree_limbo_step(t, until_ns);
	plan_rescan(t);
	if (has_time && !t->is_gone)
		compare_step(t, until_ns);

	if (is_idle(t)) {
		tree_close_fds(t);
		layer_stack_idle(t->stack);
	}
	if (t->is_gone)
		return t->limbo.first ? 0 : -1;
	ms = next_ms(t);
	return tree_is_comparing(t) ? 0 : ms;
}

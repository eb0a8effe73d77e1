/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_work.c - the time for reading layers, divided among those with something to read.
 *
 * A large layer takes all that it is given for seconds: first scan, or a rescan. No other
 * waits for the end of that, only for a share of it each of those that are due.
 */
#include "agent/engine_internal.h"

#include "base/clock.h"

#define SHARE_MIN_NS (NS_PER_MSEC / 4)

struct round {
	struct engine *engine;
	uint64_t deadline_ns, share_ns;
	bool is_for_passed_over; /* only those whose turn did not come last time */
	size_t due;
	bool left; /* somebody has more to do now */
};

static void give_turn(struct round *r, struct track *t, uint64_t now)
{
	uint64_t left_ns = r->deadline_ns - now;
	int ms = tree_work(t->c->tree, left_ns < r->share_ns ? left_ns : r->share_ns);

	t->work_due_ns = ms < 0 ? 0 : clock_mono_ns() + (uint64_t)ms * NS_PER_MSEC;
	r->left |= ms == 0;
}

static int visit(struct ledger_container *c, void *arg)
{
	struct track *t = c->engine_data;
	struct round *r = arg;
	uint64_t now = clock_mono_ns();

	if (!c->tree || !t->work_due_ns || t->work_due_ns > now ||
	    t->visited == r->engine->work_round || t->is_passed_over != r->is_for_passed_over)
		return 0;
	t->visited = r->engine->work_round;
	t->is_passed_over = now >= r->deadline_ns;
	r->due++;
	if (t->is_passed_over)
		r->left = true;
	else
		give_turn(r, t, now);
	return 0;
}

bool engine_work_on_trees(struct engine *e, uint64_t budget_ns)
{
	struct round r = {
		.engine = e,
		.deadline_ns = clock_mono_ns() + budget_ns,
		.share_ns = budget_ns / (e->trees_due ? e->trees_due : 1),
		.is_for_passed_over = true,
	};

	if (r.share_ns < SHARE_MIN_NS)
		r.share_ns = SHARE_MIN_NS;
	e->work_round++;
	ledger_foreach(e->ledger, visit, &r);
	r.is_for_passed_over = false;
	ledger_foreach(e->ledger, visit, &r);
	e->trees_due = r.due;
	return r.left;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_work.c - the time for reading layers, divided among those with something to read.
 *
 * A large layer takes all that it is given for seconds: first scan, or a rescan. No other
 * waits for the end of that, only for a share of it each of those that are due.
 */
#include "agent/engine_internal.h"

#include <utlist.h>

#include "base/clock.h"

#define SHARE_MIN_NS (NS_PER_MSEC / 4)

/* --- those that have something to do --- */

void engine_be_busy(struct track *t)
{
	if (!t->prev)
		DL_APPEND(t->engine->busy, t);
}

void engine_want_work(struct track *t, uint64_t due_ns)
{
	t->work_due_ns = due_ns;
	engine_be_busy(t);
}

void engine_rest(struct track *t)
{
	if (!t->prev || t->work_due_ns || !t->first_scan_done || t->audit_wanted)
		return;
	DL_DELETE(t->engine->busy, t);
	t->prev = NULL;
}

/* --- their turns --- */

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

static void visit(struct round *r, struct track *t)
{
	uint64_t now = clock_mono_ns();

	if (!t->c->tree || !t->work_due_ns || t->work_due_ns > now ||
	    t->visited == r->engine->work_round || t->is_passed_over != r->is_for_passed_over)
		return;
	t->visited = r->engine->work_round;
	t->is_passed_over = now >= r->deadline_ns;
	r->due++;
	if (t->is_passed_over)
		r->left = true;
	else
		give_turn(r, t, now);
}

bool engine_work_on_trees(struct engine *e, uint64_t budget_ns)
{
	struct round r = {
		.engine = e,
		.deadline_ns = clock_mono_ns() + budget_ns,
		.share_ns = budget_ns / (e->trees_due ? e->trees_due : 1),
		.is_for_passed_over = true,
	};
	struct track *t;

	if (r.share_ns < SHARE_MIN_NS)
		r.share_ns = SHARE_MIN_NS;
	e->work_round++;
	DL_FOREACH (e->busy, t)
		visit(&r, t);
	r.is_for_passed_over = false;
	DL_FOREACH (e->busy, t)
		visit(&r, t);
	e->trees_due = r.due;
	return r.left;
}

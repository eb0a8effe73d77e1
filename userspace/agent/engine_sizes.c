/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_sizes.c - what was written to files of which no record was made.
 *
 * Added files beyond so many have no marks of their own, and files that are written to all
 * the time have theirs left set: they are in the list whatever is written to them. They are
 * looked at again when somebody asks; and now and then, for changes of owner and mode, while
 * somebody is told of these.
 */
#include "agent/engine_internal.h"

#include "base/clock.h"

#define AT_ONCE	     1024
#define EVERY_NS     (10 * NS_PER_SEC)
#define PER_FILE_NS  NS_PER_MSEC /* for each that was looked at, the next time is later */
#define MOST_NS	     (60 * NS_PER_SEC)
#define WAKE_NS	     NS_PER_SEC
#define WAKE_MOST_NS (10 * NS_PER_SEC)

struct taken {
	uint32_t marks[AT_ONCE];
	size_t len;
	uint64_t found;
};

static int mark_tree(struct ledger_container *c, void *arg)
{
	struct track *t = c->engine_data;
	struct taken *taken = arg;
	size_t found = 0;

	if (!c->tree || !tree_has_shared(c->tree))
		return 0;
	for (size_t i = 0; i < taken->len; i++)
		found += tree_mark_shared(c->tree, taken->marks[i]);
	if (found)
		engine_want_work(t, clock_mono_ns());
	taken->found += found;
	return 0;
}

/* Where many files are written to all the time, looks nobody has asked for are the cost. */
static uint64_t rest_after(uint64_t found, uint64_t every_ns, uint64_t most_ns)
{
	uint64_t rest = every_ns + found * PER_FILE_NS;

	return rest < most_ns ? rest : most_ns;
}

static void take_shared(struct engine *e)
{
	struct taken taken = {.found = 0};
	uint32_t from = 0;

	do {
		taken.len = e->probe ? probe_take_shared(e->probe, &from, taken.marks, AT_ONCE) : 0;
		if (taken.len)
			ledger_foreach(e->ledger, mark_tree, &taken);
	} while (taken.len > AT_ONCE - 8);
	e->shared_due_ns = clock_mono_ns() + rest_after(taken.found, EVERY_NS, MOST_NS);
}

size_t engine_wake(struct track *t)
{
	size_t woken = t->c->tree ? tree_wake(t->c->tree) : 0;

	if (woken)
		engine_want_work(t, clock_mono_ns());
	return woken;
}

static int wake_tree(struct ledger_container *c, void *arg)
{
	*(uint64_t *)arg += engine_wake(c->engine_data);
	return 0;
}

static void wake_all(struct engine *e)
{
	uint64_t woken = 0;

	ledger_foreach(e->ledger, wake_tree, &woken);
	e->wake_due_ns = clock_mono_ns() + rest_after(woken, WAKE_NS, WAKE_MOST_NS);
}

void engine_take_left(struct engine *e)
{
	take_shared(e);
	wake_all(e);
}

void engine_take_left_in_turn(struct engine *e, uint64_t now_ns)
{
	if (!engine_has_subscriber(e))
		return;
	if (now_ns >= e->shared_due_ns)
		take_shared(e);
	if (now_ns >= e->wake_due_ns)
		wake_all(e);
}

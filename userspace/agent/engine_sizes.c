/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_sizes.c - what was written to files that have no mark of their own.
 *
 * Added files beyond so many make no record when they are written to: they are in the
 * list whatever is done to them. Their sizes are looked at again when somebody asks, and
 * now and then, for changes of owner and mode.
 */
#include "agent/engine_internal.h"

#include "base/clock.h"

#define AT_ONCE	 1024
#define EVERY_NS (10 * NS_PER_SEC)

struct taken {
	uint32_t marks[AT_ONCE];
	size_t len;
};

static int mark_tree(struct ledger_container *c, void *arg)
{
	struct track *t = c->engine_data;
	const struct taken *taken = arg;
	size_t found = 0;

	if (!c->tree || !tree_has_shared(c->tree))
		return 0;
	for (size_t i = 0; i < taken->len; i++)
		found += tree_mark_shared(c->tree, taken->marks[i]);
	if (found)
		t->work_due_ns = clock_mono_ns();
	return 0;
}

void engine_take_shared(struct engine *e)
{
	struct taken taken;
	uint32_t from = 0;

	e->shared_due_ns = clock_mono_ns() + EVERY_NS;
	if (!e->probe)
		return;
	do {
		taken.len = probe_take_shared(e->probe, &from, taken.marks, AT_ONCE);
		if (taken.len)
			ledger_foreach(e->ledger, mark_tree, &taken);
	} while (taken.len > AT_ONCE - 8);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_counts.c - the totals of containers, from the kernel side's counters.
 */
#include "agent/engine_internal.h"

static void subtract(struct dw_counters *a, const struct dw_counters *b)
{
	uint64_t *left = (uint64_t *)a;
	const uint64_t *right = (const uint64_t *)b;

	for (size_t i = 0; i < sizeof(*a) / sizeof(*left); i++)
		left[i] = left[i] >= right[i] ? left[i] - right[i] : 0;
}

static void take_counters(dw_container_t slot, const struct dw_counters *counters, void *arg)
{
	struct engine *e = arg;
	struct track *t = engine_track_of_slot(e, slot);

	if (!t || t->c->removed_wall_ns)
		return;
	t->c->counters = *counters;
	subtract(&t->c->counters, &t->c->counters_base);
	engine_count_execs(e, t);
}

void engine_refresh_counters(struct engine *e, struct ledger_container *c)
{
	struct dw_counters now;

	if (!e->probe)
		return;
	if (!c)
		probe_foreach_counters(e->probe, take_counters, e);
	else if (c->slot && probe_read_counters(e->probe, c->slot, &now) == 0)
		take_counters(c->slot, &now, e);
}

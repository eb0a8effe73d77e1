/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_health.c - once a second: losses, retention, writers no file names any more.
 */
#include "agent/engine_internal.h"
#include "agent/engine_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

#define PERIOD_NS NS_PER_SEC

/* --- retention --- */

struct retention {
	struct track *over;
	uint64_t limit_wall_ns;
};

static int find_over(struct ledger_container *c, void *arg)
{
	struct retention *r = arg;

	if (!c->removed_wall_ns || c->removed_wall_ns > r->limit_wall_ns)
		return 0;
	r->over = c->engine_data;
	return 1;
}

static void forget_old(struct engine *e)
{
	uint64_t now = clock_wall_ns();
	struct retention r = {.limit_wall_ns = now > e->options.dead_retention_ns
						       ? now - e->options.dead_retention_ns
						       : 0};

	while (e->removed_len && ledger_foreach(e->ledger, find_over, &r))
		engine_forget(e, r.over);
}

/* --- writers no file names any more --- */

struct used_writers {
	uint64_t *numbers;
	size_t len, size;
	bool failed;
};

static void add_used(struct used_writers *u, uint64_t number)
{
	if (!number || u->failed)
		return;
	if (u->len == u->size) {
		size_t size = u->size ? u->size * 2 : 1024;
		uint64_t *bigger = realloc(u->numbers, size * sizeof(*bigger));

		if (!bigger) {
			u->failed = true;
			return;
		}
		u->numbers = bigger;
		u->size = size;
	}
	u->numbers[u->len++] = number;
}

static int mark_line(const struct tree_line *line, void *arg)
{
	struct tree_node_info info;

	if (!line->node)
		return 0;
	tree_node_info(line->node, &info);
	add_used(arg, info.first_writer);
	add_used(arg, info.last_writer);
	return 0;
}

static int mark_container(struct ledger_container *c, void *arg)
{
	if (c->tree)
		tree_foreach(c->tree, true, mark_line, arg);
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static bool is_used(uint64_t number, void *arg)
{
	const struct used_writers *u = arg;

	return bsearch(&number, u->numbers, u->len, sizeof(number), compare_numbers) != NULL;
}

#define SWEEP_ABOVE 32768
#define TRIM_ABOVE  4096

static void sweep_writers(struct engine *e)
{
	struct writers *writers = ledger_writers(e->ledger);
	struct used_writers used = {0};

	if (writers_count(writers) < SWEEP_ABOVE)
		return;
	ledger_foreach(e->ledger, mark_container, &used);
	if (!used.failed) {
		qsort(used.numbers, used.len, sizeof(*used.numbers), compare_numbers);
		writers_sweep(writers, is_used, &used);
	}
	free(used.numbers);
}

static int look_after(struct ledger_container *c, void *arg)
{
	engine_look_after(arg, c->engine_data);
	return 0;
}

/* Each event, listed file and drained count takes memory for a while. */
static uint64_t work_done(const struct engine *e)
{
	return e->stats.events + e->files.used + e->drained;
}

/* What a burst took is free once it is over, in pieces between what stays. */
static void trim_after_burst(struct engine *e)
{
	uint64_t done = work_done(e);
	bool is_quiet = done == e->worked;

	e->worked = done;
	if (!is_quiet || done - e->trimmed < TRIM_ABOVE)
		return;
	memory_trim();
	e->trimmed = done;
}

void engine_housekeeping(struct engine *e, uint64_t now_ns)
{
	e->housekeeping_ns = now_ns + PERIOD_NS;
	engine_refresh_counters(e, NULL);
	ledger_foreach(e->ledger, look_after, e);
	engine_check_probe(e);
	engine_emit_bursts(e);
	engine_take_left_in_turn(e, now_ns);
	engine_expire(e, now_ns);
	forget_old(e);
	sweep_writers(e);
	engine_audit_plan(e);
	engine_state_save(e, false);
	trim_after_burst(e);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_health.c - once a second: what was lost is found, counted, healed.
 */
#include "agent/engine_internal.h"
#include "agent/engine_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define PERIOD_NS	NS_PER_SEC
#define RESCAN_EVERY_NS (10 * NS_PER_SEC) /* at most one rescan after loss per container */
#define SCAN_EVERY_NS	(5 * NS_PER_SEC)  /* layers without complete events */

/* --- rescans --- */

void engine_request_rescan(struct track *t, enum loss_reason reason)
{
	uint64_t now = clock_mono_ns(), earliest = t->last_rescan_ns + RESCAN_EVERY_NS;

	t->c->incomplete |= 1u << reason;
	t->c->rescans[reason]++;
	t->engine->stats.rescans[reason]++;
	if (!t->rescan_due_ns)
		t->rescan_due_ns = earliest > now ? earliest : now;
}

static void start_rescan(struct track *t, uint64_t now)
{
	t->rescan_due_ns = 0;
	t->last_rescan_ns = now;
	if (!t->c->tree || t->c->removed_wall_ns)
		return;
	tree_rescan(t->c->tree);
	t->work_due_ns = now;
}

/* Re-read and settled: what was lost has been found in the layer. */
static void heal(struct track *t)
{
	if (!t->c->incomplete || t->rescan_due_ns)
		return;
	if (t->c->tree && tree_is_settled(t->c->tree))
		t->c->incomplete &= 1u << LOSS_WALK_FAILED;
}

/* --- losses of one container --- */

static void report_loss(struct engine *e, struct track *t, enum loss_reason reason, uint64_t count)
{
	struct event event = {
		.type = EVENT_LOST,
		.container = t->c,
		.count = count,
		.reason = loss_reason_name(reason),
	};

	t->c->lost[reason] += count;
	engine_emit(e, &event);
}

static void check_counter(struct engine *e, struct track *t, enum loss_reason reason, uint64_t now,
			  __u64 *seen)
{
	if (now > *seen)
		report_loss(e, t, reason, now - *seen);
	*seen = now;
}

static void check_losses(struct engine *e, struct track *t)
{
	const struct dw_counters *c = &t->c->counters;
	uint64_t overflow = t->seen.dirty_overflow;

	check_counter(e, t, LOSS_RING_FULL, c->records_lost, &t->seen.records_lost);
	check_counter(e, t, LOSS_DIRTY_FULL, c->dirty_overflow, &t->seen.dirty_overflow);
	check_counter(e, t, LOSS_FILES_FULL, c->files_unlisted, &t->seen.files_unlisted);
	check_counter(e, t, LOSS_PATH, c->paths_truncated, &t->seen.paths_truncated);
	if (overflow != t->seen.dirty_overflow)
		engine_sweep_dirty(e);
}

static int look_after(struct ledger_container *c, void *arg)
{
	struct engine *e = arg;
	struct track *t = c->engine_data;
	uint64_t now = clock_mono_ns();

	if (c->removed_wall_ns)
		return 0;
	check_losses(e, t);
	if (c->tree && c->limits && !t->rescan_due_ns && !t->work_due_ns &&
	    now - t->last_rescan_ns > SCAN_EVERY_NS)
		t->rescan_due_ns = now;
	if (t->rescan_due_ns && t->rescan_due_ns <= now)
		start_rescan(t, now);
	if (c->tree && !t->work_due_ns && tree_could_list_more(c->tree))
		t->work_due_ns = now; /* another container made room */
	heal(t);
	return 0;
}

/* --- losses of everybody --- */

static int rescan_for_miss(struct ledger_container *c, void *arg)
{
	(void)arg;
	if (!c->removed_wall_ns)
		engine_request_rescan(c->engine_data, LOSS_PROGRAM_MISS);
	return 0;
}

static void check_probe(struct engine *e)
{
	struct probe_health health;

	if (!e->probe)
		return;
	probe_read_pulse(e->probe, &health);
	if (health.runs_missed > e->runs_missed) {
		log_warning("the kernel skipped %llu program runs: re-reading all layers",
			    (unsigned long long)(health.runs_missed - e->runs_missed));
		ledger_foreach(e->ledger, rescan_for_miss, NULL);
	}
	e->runs_missed = health.runs_missed;
	if (health.files_size && health.files_used > health.files_size / 2)
		engine_drain_files(e);
}

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

	while (ledger_foreach(e->ledger, find_over, &r))
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

void engine_housekeeping(struct engine *e, uint64_t now_ns)
{
	e->housekeeping_ns = now_ns + PERIOD_NS;
	engine_refresh_counters(e, NULL);
	ledger_foreach(e->ledger, look_after, e);
	check_probe(e);
	engine_emit_bursts(e);
	engine_expire(e, now_ns);
	forget_old(e);
	sweep_writers(e);
	engine_state_save(e, false);
}

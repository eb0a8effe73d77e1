/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_step.c - one turn of the engine, and turning it until an answer is true.
 */
#include "agent/engine_internal.h"
#include "agent/engine_state.h"

#include <poll.h>
#include <sys/epoll.h>
#include <utlist.h>

#include "base/clock.h"

#define BUSY_RECORDS 64 /* of a flush: more of the same is on its way */

int engine_timeout_ms(const struct engine *e)
{
	uint64_t now = clock_mono_ns(), due = e->housekeeping_ns ? e->housekeeping_ns : now;
	const struct track *t;
	uint64_t ms;

	if (e->flush_at_ns && e->flush_at_ns < due)
		due = e->flush_at_ns;
	if (e->audit_step_ns && e->audit_step_ns < due)
		due = e->audit_step_ns;
	DL_FOREACH (e->busy, t)
		due = t->work_due_ns && t->work_due_ns < due ? t->work_due_ns : due;
	ms = due <= now ? 0 : (due - now + NS_PER_MSEC - 1) / NS_PER_MSEC;
	if (e->registry) {
		uint64_t registry_ms = (uint64_t)registry_timeout_ms(e->registry);

		ms = registry_ms < ms ? registry_ms : ms;
	}
	return (int)ms;
}

void engine_look_at_clocks(struct engine *e)
{
	e->now_ns = clock_mono_ns();
	e->wall_minus_boot_ns = clock_wall_ns() - clock_boot_ns();
}

/*
 * So long may records wait. Where nobody is told of events, they are for whoever asks next,
 * and asking does not wait: what came and went by then, or has another name, is looked at
 * once or never. But no container is to be gone before its last changes are read.
 */
static uint64_t patience(const struct engine *e)
{
	if (engine_has_subscriber(e) || e->coalesce_ns > ENGINE_UNHEARD_NS)
		return e->coalesce_ns;
	return ENGINE_UNHEARD_NS;
}

/* Not later than then. */
static void want_flush(struct engine *e, uint64_t at_ns)
{
	if (!e->flush_at_ns || at_ns < e->flush_at_ns)
		e->flush_at_ns = at_ns;
}

static void note_readable_fd(struct engine *e, int fd)
{
	if (e->probe && fd == probe_fd(e->probe)) {
		engine_arm_probe(e, false);
		want_flush(e, e->now_ns + patience(e));
	} else if (e->probe && fd == probe_urgent_fd(e->probe)) {
		probe_take_urge(e->probe);
		want_flush(e, e->now_ns + e->options.coalesce_ns);
	} else if (e->registry && fd == registry_fd(e->registry)) {
		registry_process(e->registry);
		if (e->flush_at_ns)
			want_flush(e, e->now_ns); /* what is unmounted may be removed next */
	}
}

static void note_readable(struct engine *e)
{
	struct epoll_event events[4];
	int n;

	engine_look_at_clocks(e);
	n = epoll_wait(e->epoll_fd, events, 4, 0);
	for (int i = 0; i < n; i++)
		note_readable_fd(e, events[i].data.fd);
	if (n >= 0 && e->registry)
		e->mounts_seen_ns = e->now_ns;
}

/*
 * While many records come, a flush is for more of them: what came and went meanwhile is
 * looked at once. Whoever waits for one event does not notice: it finds nobody ahead of it.
 */
static void adapt_coalescing(struct engine *e, int drained)
{
	const uint64_t least = e->options.coalesce_ns;
	uint64_t longer = 2 * e->coalesce_ns;

	if (longer > ENGINE_COALESCE_MAX_NS)
		longer = ENGINE_COALESCE_MAX_NS;
	e->coalesce_ns = drained < BUSY_RECORDS || longer < least ? least : longer;
}

void engine_flush_now(struct engine *e, bool somebody_waits)
{
	e->flush_at_ns = 0;
	if (e->probe) {
		adapt_coalescing(e, engine_drain(e));
		engine_sweep_dirty(e, somebody_waits);
	}
	/* An unmount that came before removals must be known before they are believed. */
	if (e->registry)
		registry_process(e->registry);
	engine_arm_probe(e, true);
}

/* Drift that is older than the agent: when it last changed, the layer tells. */
static void note_earlier_drift(struct ledger_container *c)
{
	struct tree_counts counts;

	if (!c->tree || c->last_drift_wall_ns)
		return;
	tree_counts(c->tree, &counts);
	if (counts.added + counts.modified + counts.deleted)
		c->last_drift_wall_ns = counts.last_change_wall_ns;
}

struct reading {
	size_t left;	 /* containers whose first scan is under way */
	bool has_folded; /* the files' counts, in this round */
};

static void check_read(struct track *t, struct reading *r)
{
	struct ledger_container *c = t->c;

	if (!t->first_scan_done && (!c->tree || !t->work_due_ns || tree_is_complete(c->tree))) {
		t->first_scan_done = true;
		if (!r->has_folded)
			engine_fold_files(t->engine);
		r->has_folded = true;
		engine_adopt_files(t->engine, t);
		c->counts_pending = false;
		engine_state_restore(t->engine, t);
		note_earlier_drift(c);
	}
	r->left += !t->first_scan_done;
}

static void check_ready(struct engine *e)
{
	struct track *t, *next;
	struct reading r = {0};

	DL_FOREACH_SAFE(e->busy, t, next)
	{
		check_read(t, &r);
		engine_rest(t);
	}
	e->still_reading = r.left;
	if (!e->started || e->ready || e->still_reading)
		return;
	e->ready = true;
	engine_state_release_slots(e, engine_release_slot);
	if (e->probe)
		probe_forget_stale(e->probe); /* of an earlier agent, not claimed again */
}

int engine_step(struct engine *e)
{
	note_readable(e);
	if (e->registry && registry_timeout_ms(e->registry) == 0)
		registry_tick(e->registry);
	if (e->flush_at_ns && e->now_ns >= e->flush_at_ns)
		engine_flush_now(e, false);
	engine_work_on_trees(e, ENGINE_WORK_NS);
	engine_flush_events_once_read(e);
	engine_audit_step(e);
	if (e->now_ns >= e->housekeeping_ns)
		engine_housekeeping(e, e->now_ns);
	check_ready(e);
	return 0;
}

static int find_unsettled(struct ledger_container *c, void *arg)
{
	(void)arg;
	return c->tree && !c->removed_wall_ns && !tree_is_settled(c->tree) ? 1 : 0;
}

static bool is_settled(struct engine *e, struct ledger_container *c)
{
	if (c)
		return find_unsettled(c, NULL) == 0;
	return ledger_foreach(e->ledger, find_unsettled, NULL) == 0;
}

static bool work_until_settled(struct engine *e, struct ledger_container *c, int timeout_ms)
{
	uint64_t deadline = clock_mono_ns() + (uint64_t)timeout_ms * NS_PER_MSEC;
	struct probe_moment asked = {0};

	if (e->probe)
		probe_note_moment(e->probe, &asked);
	engine_take_left(e);
	for (;;) {
		struct pollfd p = {.fd = e->epoll_fd, .events = POLLIN};
		bool is_told, is_busy;

		note_readable(e);
		engine_flush_now(e, true); /* no coalescing */
		is_told = !e->probe || probe_has_told(e->probe, &asked);
		is_busy = engine_work_on_trees(e, ENGINE_WORK_NS);
		engine_flush_events_once_read(e);
		check_ready(e); /* what a first scan has found is counted as well */
		if (is_told && is_settled(e, c))
			return true;
		if (clock_mono_ns() >= deadline)
			return false;
		if (is_told && !is_busy)
			poll(&p, 1, 2); /* only delayed work is left: look again soon */
	}
}

static bool settle(struct engine *e, struct ledger_container *c, int timeout_ms)
{
	bool settled;

	e->is_asked = true;
	settled = work_until_settled(e, c, timeout_ms);
	engine_flush_events(e); /* whatever the others still have to read */
	e->is_asked = false;
	return settled;
}

bool engine_settle(struct engine *e, int timeout_ms)
{
	return settle(e, NULL, timeout_ms);
}

bool engine_settle_container(struct engine *e, struct ledger_container *c, int timeout_ms)
{
	bool settled = settle(e, c, timeout_ms);

	engine_check_marks(c->engine_data);
	engine_label_runtime(e, c->engine_data);
	return settled;
}

void engine_refresh_sizes(struct engine *e)
{
	if (e->flush_at_ns)
		engine_flush_now(e, false);
	engine_take_left(e);
	engine_work_on_trees(e, ENGINE_WORK_NS);
}

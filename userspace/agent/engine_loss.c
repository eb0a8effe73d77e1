/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_loss.c - what was lost is found, counted by reason, marked, and healed by the
 * smallest re-reading that does: the inodes whose dirty marks are still there, or, where
 * nothing tells which they are, the layer.
 */
#include "agent/engine_internal.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"

#define PROGRESS_EVERY_NS (2 * NS_PER_SEC)  /* words about a first scan that takes long */
#define RESCAN_EVERY_NS	  (10 * NS_PER_SEC) /* at most one rescan after loss per container */
#define SCAN_EVERY_NS	  (5 * NS_PER_SEC)  /* layers without complete events */
#define OPEN_EVERY_NS	  (2 * NS_PER_SEC)  /* a layer that cannot be read is tried again */

/* Marks that go when their cause goes, not with a reading of the layer. */
#define LASTING (1u << LOSS_WALK_FAILED | 1u << LOSS_WATCH_FULL | 1u << LOSS_ROOTS_FULL)

/* --- rescans --- */

void engine_request_rescan(struct track *t, enum loss_reason reason)
{
	uint64_t now = clock_mono_ns(), earliest = t->last_rescan_ns + RESCAN_EVERY_NS;

	t->c->incomplete |= 1u << reason;
	t->rescan_reasons |= 1u << reason;
	if (!t->rescan_due_ns)
		t->rescan_due_ns = earliest > now ? earliest : now;
}

static void start_rescan(struct track *t, uint64_t now)
{
	unsigned reasons = t->rescan_reasons;

	t->rescan_due_ns = 0;
	t->rescan_reasons = 0;
	t->last_rescan_ns = now;
	if (!t->c->tree)
		return;
	for (int i = 0; i < LOSS_MAX; i++) {
		t->c->rescans[i] += reasons >> i & 1;
		t->engine->stats.rescans[i] += reasons >> i & 1;
	}
	tree_rescan(t->c->tree);
	engine_want_work(t, now);
}

/* --- marks --- */

void engine_report_loss(struct engine *e, struct track *t, enum loss_reason reason, uint64_t count)
{
	struct event event = {
		.type = EVENT_LOST,
		.container = t->c,
		.count = count,
		.reason = loss_reason_name(reason),
	};

	t->c->lost[reason] += count;
	t->c->incomplete |= 1u << reason;
	engine_emit(e, &event);
}

/* Marked and counted when it begins, and marked for as long as it lasts. */
static void check_lasting(struct track *t, enum loss_reason reason, uint64_t count)
{
	struct ledger_container *c = t->c;

	if (count && !(c->incomplete & 1u << reason))
		engine_report_loss(t->engine, t, reason, count);
	if (!count)
		c->incomplete &= ~(1u << reason);
}

/*
 * What could not be watched is as of the tree's own scans until there is room again; what
 * could not be read the tree tries again; what the programs were not told of is not
 * counted, until another container makes room.
 */
static void check_causes(struct track *t)
{
	const struct tree *tree = t->c->tree;

	check_lasting(t, LOSS_ROOTS_FULL, t->untold);
	if (!tree)
		return; /* engine_open_tree() has marked it */
	check_lasting(t, LOSS_WATCH_FULL, tree_has_unwatched(tree));
	check_lasting(t, LOSS_WALK_FAILED, tree_has_unread(tree));
}

/* Re-read and settled: what was lost has been found in the layer. */
static void heal(struct track *t)
{
	const struct tree *tree = t->c->tree;

	if (!(t->c->incomplete & ~LASTING) || t->rescan_due_ns || !tree)
		return;
	if (tree_is_settled(tree) || tree_is_complete(tree))
		t->c->incomplete &= LASTING;
}

void engine_check_marks(struct track *t)
{
	if (t->c->removed_wall_ns)
		return;
	check_causes(t);
	heal(t);
}

/* --- losses of one container --- */

/* Returns whether it has grown. */
static bool check_counter(struct engine *e, struct track *t, enum loss_reason reason, uint64_t now,
			  __u64 *seen)
{
	bool has_grown = now > *seen;

	if (has_grown)
		engine_report_loss(e, t, reason, now - *seen);
	*seen = now;
	return has_grown;
}

/*
 * What was not told of is in the layer all the same. Where dirty marks tell of every
 * change the tree has read it, or is about to; elsewhere only a scan finds it.
 */
static void check_losses(struct engine *e, struct track *t)
{
	const struct dw_counters *c = &t->c->counters;
	bool has_lost;

	check_counter(e, t, LOSS_DIRTY_FULL, c->dirty_overflow, &t->seen.dirty_overflow);
	check_counter(e, t, LOSS_FILES_FULL, c->files_unlisted, &t->seen.files_unlisted);
	check_counter(e, t, LOSS_PATH, c->paths_truncated, &t->seen.paths_truncated);
	has_lost = check_counter(e, t, LOSS_RING_FULL, c->records_lost, &t->seen.records_lost);
	if (has_lost && t->is_scanned)
		engine_request_rescan(t, LOSS_RING_FULL);
}

/* A layer that could not be opened may be readable by now. */
static void retry_open(struct engine *e, struct track *t, uint64_t now)
{
	if (t->c->tree || !(t->c->incomplete & 1u << LOSS_WALK_FAILED) ||
	    now - t->last_rescan_ns < OPEN_EVERY_NS)
		return;
	t->last_rescan_ns = now;
	engine_attach(e, t); /* its roots could not be looked at either */
	engine_open_tree(e, t);
}

/* A large layer takes seconds; whoever waits for it wants to know that it goes on. */
static void tell_progress(struct track *t, uint64_t now)
{
	uint64_t since_ns = t->told_ns ? t->told_ns : t->last_rescan_ns;

	if (t->first_scan_done || !t->c->tree || now - since_ns < PROGRESS_EVERY_NS)
		return;
	t->told_ns = now;
	log_info("reading the layer of %s: %" PRIu64 " entries so far", container_label(t->c->meta),
		 tree_entries(t->c->tree));
}

void engine_look_after(struct engine *e, struct track *t)
{
	const struct ledger_container *c = t->c;
	uint64_t now = clock_mono_ns();

	if (c->removed_wall_ns)
		return;
	if (t->untold)
		engine_attach(e, t);
	engine_check_marks(t); /* before new ones are made: each is there for a while */
	check_losses(e, t);
	tell_progress(t, now);
	retry_open(e, t, now);
	if (c->tree && t->is_scanned && !t->rescan_due_ns && !tree_is_scanning(c->tree) &&
	    now - t->last_rescan_ns > SCAN_EVERY_NS)
		t->rescan_due_ns = now;
	if (t->rescan_due_ns && t->rescan_due_ns <= now)
		start_rescan(t, now);
	if (c->tree && !t->work_due_ns && tree_could_list_more(c->tree))
		engine_want_work(t, now); /* another container made room */
}

/* --- losses of everybody --- */

struct common_loss {
	enum loss_reason reason;
	uint64_t count;
};

static int lose_one(struct ledger_container *c, void *arg)
{
	const struct common_loss *loss = arg;
	struct track *t = c->engine_data;

	if (c->removed_wall_ns)
		return 0;
	engine_report_loss(t->engine, t, loss->reason, loss->count);
	engine_request_rescan(t, loss->reason);
	return 0;
}

/* A loss that says nothing of whose it was is everybody's. */
static void check_common(struct engine *e, enum loss_reason reason, uint64_t count)
{
	struct common_loss loss = {.reason = reason, .count = count};

	if (!count)
		return;
	log_warning("%s (%" PRIu64 " times): re-reading all layers", loss_reason_name(reason),
		    count);
	ledger_foreach(e->ledger, lose_one, &loss);
}

/* Lost records of no container may have told of one that began: look at all there are. */
static void check_nobodys(struct engine *e, uint64_t lost)
{
	uint64_t now = clock_mono_ns();

	if (lost > e->lost_nobodys)
		e->wants_inventory = true;
	e->lost_nobodys = lost;
	if (!e->wants_inventory || !e->registry || now < e->next_inventory_ns)
		return;
	e->wants_inventory = false;
	e->next_inventory_ns = now + RESCAN_EVERY_NS;
	registry_scan(e->registry);
}

void engine_check_probe(struct engine *e)
{
	struct probe_health health;

	if (!e->probe)
		return;
	probe_check_hooks(e->probe);
	probe_read_pulse(e->probe, &health);
	check_common(e, LOSS_PROGRAM_MISS, probe_take_misses(e->probe, health.runs_missed));
	check_common(e, LOSS_DETACHED, health.detached - e->detached);
	e->detached = health.detached;
	check_nobodys(e, health.records_lost_nobodys);
	engine_make_room_for_files(e);
}

void engine_heal_container(struct engine *e, struct ledger_container *c)
{
	struct track *t = c->engine_data;

	engine_refresh_counters(e, c);
	engine_check_probe(e);
	check_losses(e, t);
	if (t->rescan_due_ns)
		start_rescan(t, clock_mono_ns());
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_audit.c - ledgers compared with their layers, one at a time: those somebody asked
 * for first, then by the clock, spread over the interval.
 */
#include "agent/engine_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/log.h"

#define STEP_NS (2 * NS_PER_MSEC) /* of comparing, in one turn of the engine */
#define LOGGED	10		  /* mismatches of one verification in the log */
#define DRAINS	8		  /* rounds to catch up with a full ring */

/* --- its end */

static const char *line_name(enum tree_verdict verdict)
{
	return verdict == TREE_NONE ? "no line" : ledger_verdict_name(verdict);
}

static void log_mismatches(const struct track *t, const struct audit_result *r)
{
	for (size_t i = 0; i < r->listed_len && i < LOGGED; i++) {
		const struct audit_mismatch *m = &r->listed[i];
		auto_strbuf struct strbuf path = STRBUF_INIT;

		escape_terminal(&path, m->path, m->path_len);
		log_warning("%s: %s: the ledger says %s, the layer %s; it is read again",
			    container_label(t->c->meta), strbuf_str(&path), line_name(m->ledger),
			    line_name(m->layer));
	}
	if (r->wrong_totals)
		log_warning("%s: %u of the ledger's totals were not the sum of its entries",
			    container_label(t->c->meta), r->wrong_totals);
	if (r->mismatches > LOGGED)
		log_warning("%s: %llu entries were wrong in all", container_label(t->c->meta),
			    (unsigned long long)r->mismatches);
}

/* The tree reads again what was wrong; until it has, the list is marked. */
static void count(struct engine *e, struct track *t, const struct audit_result *r)
{
	if (r->error)
		return;
	e->stats.verifications++;
	if (!r->mismatches)
		return;
	log_mismatches(t, r);
	e->stats.mismatches += r->mismatches;
	t->c->incomplete |= 1u << LOSS_AUDIT;
	t->c->rescans[LOSS_AUDIT]++;
	e->stats.rescans[LOSS_AUDIT]++;
	engine_report_loss(e, t, LOSS_AUDIT, r->mismatches);
}

static void drop_result(struct track *t)
{
	if (t->audited)
		audit_result_done(t->audited);
	free(t->audited);
	t->audited = NULL;
}

static void schedule(struct engine *e, struct track *t, uint64_t due_ns)
{
	t->audit_due_ns = e->options.verify_interval_ns ? due_ns : 0;
}

static void end(struct engine *e)
{
	struct track *t = e->auditing;

	drop_result(t);
	t->audited = calloc(1, sizeof(*t->audited));
	if (t->audited) {
		audit_take_result(e->audit, t->audited);
		t->audit_began_ns = e->audit_began_ns;
		count(e, t, t->audited);
	}
	schedule(e, t, clock_mono_ns() + e->options.verify_interval_ns);
	e->audit = audit_end(e->audit);
	e->auditing = NULL;
	e->audit_step_ns = 0;
}

void engine_audit_forget(struct engine *e, struct track *t)
{
	if (e->auditing == t) {
		e->audit = audit_end(e->audit);
		e->auditing = NULL;
		e->audit_step_ns = 0;
	}
	drop_result(t);
	t->audit_wanted = false;
	t->audit_due_ns = 0;
}

/* --- its beginning */

static bool can_begin(const struct ledger_container *c)
{
	return c->tree && !c->removed_wall_ns && audit_is_possible(c->tree);
}

static struct track *find_wanted(const struct engine *e)
{
	struct track *t;

	DL_FOREACH (e->busy, t) {
		if (t->audit_wanted && can_begin(t->c))
			return t;
	}
	return NULL;
}

static void begin(struct engine *e, struct track *t)
{
	const struct container_overlay *o = &t->c->meta->overlay;
	const struct audit_options options = {
		.host_root = e->options.registry.host_root,
		.lowers = o->lowers,
		.lowers_len = o->lowers_len,
		.is_urgent = t->audit_wanted,
	};

	if (audit_begin(t->c->tree, &options, &e->audit))
		return; /* out of memory: tried again, as it stays wanted or due */
	t->audit_wanted = false;
	e->auditing = t;
	e->audit_began_ns = e->audit_step_ns = clock_mono_ns();
}

/* The first one comes at a point of the interval that the id decides. */
static uint64_t phase_of(const struct container *meta, uint64_t interval_ns)
{
	uint64_t hash = 14695981039346656037ull; /* FNV-1a */

	for (const char *c = meta->id; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211ull;
	return hash % interval_ns;
}

struct plan {
	struct engine *engine;
	uint64_t now_ns;
	struct track *most_overdue; /* NULL: none is due */
};

static int plan_one(struct ledger_container *c, void *arg)
{
	struct plan *p = arg;
	struct track *t = c->engine_data;
	uint64_t interval_ns = p->engine->options.verify_interval_ns;

	if (!interval_ns || !c->tree || c->removed_wall_ns)
		t->audit_due_ns = 0;
	else if (!t->audit_due_ns || t->audit_due_ns > p->now_ns + interval_ns)
		schedule(p->engine, t, p->now_ns + phase_of(c->meta, interval_ns));
	if (t->audit_due_ns && t->audit_due_ns <= p->now_ns &&
	    (!p->most_overdue || t->audit_due_ns < p->most_overdue->audit_due_ns) && can_begin(c))
		p->most_overdue = t;
	return 0;
}

void engine_audit_plan(struct engine *e)
{
	struct plan p = {.engine = e, .now_ns = clock_mono_ns()};

	ledger_foreach(e->ledger, plan_one, &p);
	if (p.most_overdue && !e->audit && e->ready)
		begin(e, p.most_overdue);
}

/* --- in between */

static void catch_up(struct engine *e)
{
	engine_wake(e->auditing);
	for (int i = 0; i < DRAINS; i++) {
		engine_flush_now(e, true);
		if (!e->flush_at_ns)
			return;
	}
}

void engine_audit_step(struct engine *e)
{
	struct track *t;
	int ms;

	if (!e->audit) {
		e->audit_step_ns = 0; /* unless one begins, there is nothing to be woken for */
		t = find_wanted(e);
		if (t)
			begin(e, t);
	}
	t = e->auditing;
	if (!e->audit || clock_mono_ns() < e->audit_step_ns)
		return;
	if (audit_is_looking(e->audit))
		catch_up(e);
	if (e->auditing != t)
		return; /* its container went */
	/* What the ring had no room for shows once a second only, but then in .incomplete. */
	ms = audit_step(e->audit, STEP_NS, !t->c->incomplete && !e->flush_at_ns);
	if (!tree_is_settled(t->c->tree))
		engine_want_work(t, clock_mono_ns());
	if (ms < 0)
		end(e);
	else
		e->audit_step_ns = clock_mono_ns() + (uint64_t)ms * NS_PER_MSEC;
}

const struct audit_result *engine_verify(struct engine *e, struct ledger_container *c,
					 uint64_t since_ns, uint64_t *ret_lines)
{
	static const struct audit_result no_layer = {.error = -ENODATA};
	static const struct audit_result removed = {.error = -ENOENT};
	struct track *t = c->engine_data;

	if (!c->tree)
		return &no_layer;
	if (c->removed_wall_ns || tree_is_gone(c->tree))
		return &removed;
	if (t->audited && t->audit_began_ns >= since_ns)
		return t->audited;
	if (ret_lines)
		*ret_lines = e->auditing == t ? audit_lines(e->audit) : 0;
	if (e->auditing != t || e->audit_began_ns < since_ns) {
		t->audit_wanted = true;
		engine_be_busy(t);
	}
	if (!e->audit)
		e->audit_step_ns = clock_mono_ns();
	return NULL;
}

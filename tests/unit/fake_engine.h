/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fake_engine.h - an engine without kernel and disk: a real ledger, fake trees, and
 * events that the test emits.
 */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include <sys/stat.h>

#include "fake_probe.h"
#include "fake_tree.h"
#include "agent/engine.h"

#define FAKE_SUBSCRIBERS 8

struct engine {
	struct ledger *ledger;
	struct probe probe;
	struct registry registry;
	bool ready;
	int unsettled; /* calls of settle that say no, before it says yes */
	int refreshes;
	const struct audit_result *verified; /* NULL: it goes on for ever */
	uint64_t verified_since_ns;
	struct {
		event_fn fn;
		void *arg;
		bool want_raw;
	} subscribers[FAKE_SUBSCRIBERS];
	uint64_t seq;
};

bool engine_is_ready(const struct engine *e)
{
	return e->ready;
}

struct ledger *engine_ledger(const struct engine *e)
{
	return e->ledger;
}

struct probe *engine_probe(const struct engine *e)
{
	return (struct probe *)&e->probe;
}

struct registry *engine_registry(const struct engine *e)
{
	return (struct registry *)&e->registry;
}

bool engine_settle(struct engine *e, int timeout_ms)
{
	(void)timeout_ms;
	return e->unsettled ? e->unsettled-- < 0 : true;
}

bool engine_settle_container(struct engine *e, struct ledger_container *c, int timeout_ms)
{
	(void)c;
	return engine_settle(e, timeout_ms);
}

void engine_refresh_sizes(struct engine *e)
{
	(void)e;
}

void engine_refresh_counters(struct engine *e, struct ledger_container *c)
{
	(void)c;
	e->refreshes++;
}

void engine_fold_files(struct engine *e)
{
	(void)e;
}

const struct audit_result *engine_verify(struct engine *e, struct ledger_container *c,
					 uint64_t since_ns, uint64_t *ret_lines)
{
	(void)c;
	e->verified_since_ns = since_ns;
	if (ret_lines)
		*ret_lines = 42;
	return e->verified;
}

void engine_stats(const struct engine *e, struct engine_stats *ret)
{
	*ret = (struct engine_stats){.events = e->seq, .started_wall_ns = 1763751970255393601ull};
}

int engine_subscribe(struct engine *e, bool want_raw, event_fn fn, void *arg)
{
	for (int i = 0; i < FAKE_SUBSCRIBERS; i++) {
		if (e->subscribers[i].fn)
			continue;
		e->subscribers[i].fn = fn;
		e->subscribers[i].arg = arg;
		e->subscribers[i].want_raw = want_raw;
		return i;
	}
	return -ENOMEM;
}

void engine_unsubscribe(struct engine *e, int subscription)
{
	e->subscribers[subscription].fn = NULL;
}

/* --- what a test does with it --- */

static inline int fake_subscribers(const struct engine *e)
{
	int n = 0;

	for (int i = 0; i < FAKE_SUBSCRIBERS; i++)
		n += e->subscribers[i].fn != NULL;
	return n;
}

static inline void fake_emit(struct engine *e, const struct event *event)
{
	struct event numbered = *event;

	numbered.seq = ++e->seq;
	for (int i = 0; i < FAKE_SUBSCRIBERS; i++) {
		if (!e->subscribers[i].fn)
			continue;
		if (event->type != EVENT_WRITE || e->subscribers[i].want_raw)
			e->subscribers[i].fn(&numbered, e->subscribers[i].arg);
	}
}

static inline struct engine *fake_engine_new(void)
{
	struct engine *e = calloc(1, sizeof(*e));

	e->ledger = ledger_new();
	e->ready = true;
	e->probe.sees = (1ull << PROBE_SEES_MAX) - 1;
	e->probe.hook = (struct probe_hook){
		.name = "tp_btf/x",
		.role = "layer writes",
		.error = -EPERM,
	};
	e->registry = (struct registry){
		.sources = {{.kind = "docker", .root = "/var/lib/docker", .found_by = "default"}},
		.sources_len = 1,
	};
	return e;
}

static inline void fake_engine_free(struct engine *e)
{
	ledger_free(e->ledger);
	free(e);
}

static inline struct ledger_container *fake_container(struct engine *e, const char *id,
						      const char *name)
{
	struct container *meta = container_new(id, "docker");
	struct ledger_container *c = NULL;

	meta->name = strdup(name);
	meta->state = CONTAINER_RUNNING;
	if (!ledger_add(e->ledger, meta, &c)) {
		c->slot = 1;
		c->tree = calloc(1, sizeof(*c->tree));
		c->tree->as_of_wall_ns = 1763751970255393601ull;
	}
	container_free(meta);
	return c;
}

#endif /* FAKE_ENGINE_H */

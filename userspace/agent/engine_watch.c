/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_watch.c - what the trees have watched, asked of the kernel side.
 */
#include "agent/engine_internal.h"

/* An earlier agent may have left it marked: nobody would be told. */
static long watch(void *arg, uint32_t dev, uint64_t ino, bool *ret_begun)
{
	struct track *t = arg;
	long slot;

	if (!t->engine->probe)
		return -ENOSPC;
	slot = probe_watch(t->engine->probe, dev, ino, t->c->slot);
	if (slot >= 0)
		*ret_begun = probe_take_begun(t->engine->probe, dev, ino, slot);
	return slot;
}

static void watch_ahead(void *arg, uint32_t dev, const uint64_t *inos, size_t len)
{
	struct track *t = arg;

	if (t->engine->probe)
		probe_watch_ahead(t->engine->probe, dev, inos, len, t->c->slot);
}

static void unwatch(void *arg, uint32_t dev, uint64_t ino, long slot)
{
	struct track *t = arg;

	if (t->engine->probe && !t->engine->keeps_pins)
		probe_unwatch(t->engine->probe, dev, ino, slot);
}

static void watch_shared(void *arg, uint32_t dev, uint64_t ino)
{
	struct track *t = arg;

	if (t->engine->probe)
		probe_watch_shared(t->engine->probe, dev, ino);
}

static bool take_mark(void *arg, long slot)
{
	struct track *t = arg;
	bool has_begun = false;

	if (t->engine->probe)
		probe_take_dirty(t->engine->probe, slot, &has_begun);
	return has_begun;
}

struct tree_watcher engine_watcher(struct track *t)
{
	const struct probe *p = t->engine->probe;
	struct tree_watcher w = {.watch = watch, .unwatch = unwatch, .arg = t};

	if (p) {
		w.watch_shared = watch_shared;
		w.take = take_mark;
		w.watch_ahead = watch_ahead;
		w.hash_key = probe_hash_key(p);
	}
	return w;
}

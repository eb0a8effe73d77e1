/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_ahead.c - inodes of a directory that is being read, watched by one system call.
 *
 * Somebody has to ask probe_watch() for each of them still: until then nobody may rely on
 * it, and what is not asked for is forgotten with the next directory.
 */
#include <bpf/bpf.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "kernel/probe_internal.h"

#define WORTH_IT 4 /* fewer inodes are watched one by one */

static void drop(struct probe *p, uint32_t slot)
{
	struct watch_node *node = &p->watch.nodes[slot];

	if (node->key.ino && node->refs == WATCH_AHEAD)
		watched_drop(p, node);
}

static void forget_last(struct probe *p)
{
	for (size_t i = 0; i < p->watch.ahead_len; i++)
		drop(p, p->watch.ahead[i]);
	p->watch.ahead_len = 0;
}

static bool has_room(struct watch_index *w, size_t len)
{
	uint32_t *bigger;

	if (len <= w->ahead_size)
		return true;
	bigger = reallocarray(w->ahead, len, sizeof(*bigger));
	if (!bigger)
		return false;
	w->ahead = bigger;
	w->ahead_size = len;
	return true;
}

void probe_watch_ahead(struct probe *p, uint32_t dev, const uint64_t *inos, size_t len,
		       dw_container_t c)
{
	auto_free struct dw_inode *keys = NULL;
	auto_free struct dw_watch *values = NULL;
	struct watch_index *w = &p->watch;
	uint32_t count;

	forget_last(p);
	if (len < WORTH_IT || !has_room(w, len))
		return;
	keys = calloc(len, sizeof(*keys));
	values = calloc(len, sizeof(*values));
	if (!keys || !values)
		return;
	control_add_dev(p, dev);
	w->ahead_container = c;
	for (size_t i = 0; i < len; i++) {
		const struct dw_inode key = {.ino = inos[i], .dev = dev};
		size_t at = w->ahead_len;

		if (!key.ino || watched_find(p, &key))
			continue;
		if (watched_add(p, &key, WATCH_AHEAD, &w->ahead[at]))
			break;
		keys[at] = key;
		values[at] = (struct dw_watch){.slot = w->ahead[at], .container = c};
		w->ahead_len++;
	}
	count = (uint32_t)w->ahead_len;
	if (count && bpf_map_update_batch(p->maps[MAP_WATCHED], keys, values, &count, NULL))
		forget_last(p); /* one by one it shows for which there is no room */
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_watch.c - the index of watched inodes, and their dirty marks.
 *
 * The kernel side is a bitmap, a hash {dev, ino} -> slot and an array of marks by
 * slot. This side counts who watches what, and which slots are free: oldest first,
 * so that a program late by a moment marks nobody else's inode.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "kernel/probe_internal.h"

struct watch_node {
	struct dw_inode key;
	uint32_t slot;
	uint32_t refs; /* 0: taken over from an earlier agent, not asked for again yet */
	UT_hash_handle hh;
};

/* The same as in bpf/dirty.bpf.c. */
static uint32_t filter_bit(uint32_t dev, uint64_t ino)
{
	return (uint32_t)(((ino ^ (uint64_t)dev << 32) * 0x9E3779B97F4A7C15ull) >> 44);
}

static void filter_set(struct probe *p, const struct dw_inode *key)
{
	uint32_t bit = filter_bit(key->dev, key->ino);
	uint16_t *refs = &p->watch.filter_refs[bit];

	if (*refs == UINT16_MAX) /* stays set for good */
		return;
	if ((*refs)++ == 0)
		__atomic_or_fetch(&p->filter[bit / 64], 1ull << (bit & 63), __ATOMIC_SEQ_CST);
}

static void filter_clear(struct probe *p, const struct dw_inode *key)
{
	uint32_t bit = filter_bit(key->dev, key->ino);
	uint16_t *refs = &p->watch.filter_refs[bit];

	if (*refs == UINT16_MAX || *refs == 0)
		return;
	if (--(*refs) == 0)
		__atomic_and_fetch(&p->filter[bit / 64], ~(1ull << (bit & 63)), __ATOMIC_SEQ_CST);
}

static int slot_alloc(struct watch_index *w, uint32_t *ret)
{
	if (!w->free_count)
		return -ENOSPC;
	*ret = w->free[w->free_head];
	w->free_head = (w->free_head + 1) & (w->size - 1);
	w->free_count--;
	return 0;
}

static void slot_free(struct watch_index *w, uint32_t slot)
{
	w->free[(w->free_head + w->free_count) & (w->size - 1)] = slot;
	w->free_count++;
}

/* Take over what an earlier agent watched, so that no change is lost in between. */
static int watch_adopt(struct probe *p, bool *is_used)
{
	struct dw_inode key, *previous = NULL;
	struct watch_node *node;
	struct dw_watch watch;

	while (!bpf_map_get_next_key(p->maps[MAP_WATCHED], previous, &key)) {
		previous = &key;
		if (bpf_map_lookup_elem(p->maps[MAP_WATCHED], &key, &watch) ||
		    watch.slot >= p->watch.size || is_used[watch.slot])
			continue;
		node = calloc(1, sizeof(*node));
		if (!node)
			return -ENOMEM;
		node->key = key;
		node->slot = watch.slot;
		is_used[watch.slot] = true;
		HASH_ADD(hh, p->watch.nodes, key, sizeof(node->key), node);
		filter_set(p, &key);
		p->watch.used++;
		p->watch.has_stale = true;
	}
	return 0;
}

int watch_init(struct probe *p)
{
	struct watch_index *w = &p->watch;
	auto_free bool *is_used = NULL;
	uint32_t i;
	int err = 0;

	w->size = p->options.max_watched;
	w->free = calloc(w->size, sizeof(*w->free));
	w->filter_refs = calloc(DW_FILTER_BITS, sizeof(*w->filter_refs));
	is_used = calloc(w->size, sizeof(*is_used));
	if (!w->free || !w->filter_refs || !is_used)
		return -ENOMEM;
	if (p->was_adopted)
		err = watch_adopt(p, is_used);
	for (i = 0; i < w->size; i++)
		if (!is_used[i])
			slot_free(w, i);
	return err;
}

static void watch_drop(struct probe *p, struct watch_node *node)
{
	bpf_map_delete_elem(p->maps[MAP_WATCHED], &node->key);
	filter_clear(p, &node->key);
	slot_free(&p->watch, node->slot);
	p->watch.used--;
	HASH_DEL(p->watch.nodes, node);
	free(node);
}

void watch_done(struct probe *p)
{
	struct watch_node *node, *next;

	HASH_ITER (hh, p->watch.nodes, node, next) {
		HASH_DEL(p->watch.nodes, node);
		free(node);
	}
	free(p->watch.free);
	free(p->watch.filter_refs);
}

void probe_forget_stale(struct probe *p)
{
	struct watch_node *node, *next;

	control_forget_stale(p, true);
	if (!p->watch.has_stale)
		return;
	HASH_ITER (hh, p->watch.nodes, node, next)
		if (!node->refs)
			watch_drop(p, node);
	p->watch.has_stale = false;
}

static struct watch_node *watch_find(const struct probe *p, uint32_t dev, uint64_t ino)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct watch_node *node;

	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the key is whole */
	HASH_FIND(hh, p->watch.nodes, &key, sizeof(key), node);
	return node;
}

/* A node that is known already; the container may have changed since it was. */
static long watch_again(struct probe *p, struct watch_node *node, dw_container_t c)
{
	struct dw_watch watch = {.slot = node->slot, .container = c};

	if (!node->refs && bpf_map_update_elem(p->maps[MAP_WATCHED], &node->key, &watch, BPF_EXIST))
		return -errno;
	node->refs++;
	return node->slot;
}

long probe_watch(struct probe *p, uint32_t dev, uint64_t ino, dw_container_t c)
{
	struct watch_node *node = watch_find(p, dev, ino);
	struct dw_watch watch = {.container = c};
	int err;

	if (node)
		return watch_again(p, node, c);
	control_add_dev(p, dev);
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	err = slot_alloc(&p->watch, &watch.slot);
	if (err) {
		free(node);
		return err;
	}
	node->key = (struct dw_inode){.ino = ino, .dev = dev};
	node->slot = watch.slot;
	node->refs = 1;
	__atomic_exchange_n(&p->dirty[watch.slot], 0, __ATOMIC_SEQ_CST);
	HASH_ADD(hh, p->watch.nodes, key, sizeof(node->key), node);
	p->watch.used++;
	filter_set(p, &node->key);
	if (bpf_map_update_elem(p->maps[MAP_WATCHED], &node->key, &watch, BPF_ANY)) {
		watch_drop(p, node);
		return -ENOSPC;
	}
	return watch.slot;
}

void probe_unwatch(struct probe *p, uint32_t dev, uint64_t ino, long slot)
{
	struct watch_node *node = watch_find(p, dev, ino);

	if (!node || node->slot != slot || !node->refs)
		return;
	if (--node->refs == 0)
		watch_drop(p, node);
}

uint64_t probe_take_dirty(struct probe *p, long slot)
{
	if (slot < 0 || slot >= (long)p->watch.size)
		return 0;
	return __atomic_exchange_n(&p->dirty[slot], 0, __ATOMIC_SEQ_CST);
}

bool probe_dirty_overflowed(const struct probe *p)
{
	return __atomic_load_n(&p->control->dirty_overflow, __ATOMIC_SEQ_CST) != p->overflow_seen;
}

int probe_sweep_dirty(struct probe *p, void (*fn)(uint32_t dev, uint64_t ino, long slot, void *arg),
		      void *arg)
{
	uint64_t overflow = __atomic_load_n(&p->control->dirty_overflow, __ATOMIC_SEQ_CST);
	struct watch_node *node, *next;
	int n = 0;

	if (overflow == p->overflow_seen)
		return 0;
	p->overflow_seen = overflow;
	HASH_ITER (hh, p->watch.nodes, node, next) {
		struct dw_inode key = node->key;
		uint32_t slot = node->slot;

		if (!__atomic_load_n(&p->dirty[slot], __ATOMIC_SEQ_CST))
			continue;
		n++;
		fn(key.dev, key.ino, slot, arg);
	}
	return n;
}

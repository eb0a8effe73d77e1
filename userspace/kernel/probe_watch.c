/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_watch.c - the index of watched inodes, and their dirty marks.
 *
 * The kernel side is a bitmap, a hash {dev, ino} -> slot and an array of marks by
 * slot. This side counts who watches what, and which slots are free: oldest first,
 * so that a program late by a moment marks nobody else's inode. It takes no more
 * slots into use than it needs, because each costs memory here and a mapped mark.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/probe_internal.h"

#define STEP	    8192u /* slots taken into use at once: whole pages of marks */
#define RESTING	    4096u /* more are taken into use when fewer than these are free */
#define MIN_BUCKETS 1024u
#define NO_SLOT	    UINT32_MAX
#define MAX_REFS    15 /* of a bit of the filter */

static uint64_t mix(const struct watch_index *w, const struct dw_inode *key)
{
	return dw_inode_hash(w->hash_key, key->dev, key->ino);
}

static uint32_t filter_bit(const struct probe *p, const struct dw_inode *key)
{
	return (uint32_t)(mix(&p->watch, key) >> DW_FILTER_SHIFT);
}

/* Half a byte for each bit of the filter; at MAX_REFS the bit stays set for good. */
static unsigned filter_refs(const struct probe *p, uint32_t bit)
{
	return p->watch.filter_refs[bit / 2] >> (bit & 1) * 4 & MAX_REFS;
}

static void filter_count(struct probe *p, uint32_t bit, int change)
{
	p->watch.filter_refs[bit / 2] += (uint8_t)(change * (1 << (bit & 1) * 4));
}

static __u64 *filter_word(const struct probe *p, uint32_t bit)
{
	return &p->filter[bit / DW_FILTER_LINE].watched[bit % DW_FILTER_LINE / 64];
}

static void filter_set(struct probe *p, const struct dw_inode *key)
{
	uint32_t bit = filter_bit(p, key);
	unsigned refs = filter_refs(p, bit);

	if (refs == MAX_REFS)
		return;
	filter_count(p, bit, 1);
	if (!refs)
		__atomic_or_fetch(filter_word(p, bit), 1ull << (bit & 63), __ATOMIC_SEQ_CST);
}

static void filter_clear(struct probe *p, const struct dw_inode *key)
{
	uint32_t bit = filter_bit(p, key);
	unsigned refs = filter_refs(p, bit);

	if (refs == MAX_REFS || !refs)
		return;
	filter_count(p, bit, -1);
	if (refs == 1)
		__atomic_and_fetch(filter_word(p, bit), ~(1ull << (bit & 63)), __ATOMIC_SEQ_CST);
}

/* --- slots --- */

static void slot_free(struct watch_index *w, uint32_t slot)
{
	w->nodes[slot].next = NO_SLOT;
	if (w->free_count++)
		w->nodes[w->free_tail].next = slot;
	else
		w->free_head = slot;
	w->free_tail = slot;
}

/* The marks of slots [from, to), where p->dirty has kept addresses for them. */
static int map_marks(struct probe *p, uint32_t from, uint32_t to)
{
	void *mapped =
		mmap(p->dirty + from, (to - from) * sizeof(*p->dirty), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, p->maps[MAP_DIRTY], (off_t)(from * sizeof(*p->dirty)));

	return mapped == MAP_FAILED ? -errno : 0;
}

/* Take the slots below @until into use; none of the new ones is free yet. */
static int take_into_use(struct probe *p, uint32_t until)
{
	struct watch_index *w = &p->watch;
	struct watch_node *nodes;
	int err;

	until = (until + STEP - 1) / STEP * STEP;
	until = until < w->size ? until : w->size;
	if (until <= w->len)
		return 0;
	nodes = reallocarray(w->nodes, until, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	w->nodes = nodes;
	err = map_marks(p, w->len, until);
	if (err)
		return err;
	memset(nodes + w->len, 0, (until - w->len) * sizeof(*nodes));
	w->len = until;
	return 0;
}

static int slot_alloc(struct probe *p, uint32_t *ret)
{
	struct watch_index *w = &p->watch;
	uint32_t slot = w->len;

	if (w->free_count < RESTING && !take_into_use(p, w->len + 1))
		for (; slot < w->len; slot++)
			slot_free(w, slot);
	if (!w->free_count)
		return -ENOSPC;
	*ret = w->free_head;
	w->free_head = w->nodes[w->free_head].next;
	w->free_count--;
	return 0;
}

/* --- inode to slot --- */

static uint32_t *bucket_of(const struct watch_index *w, const struct dw_inode *key)
{
	return &w->buckets[mix(w, key) >> 32 & (w->buckets_len - 1)];
}

static void link_node(struct watch_index *w, uint32_t slot)
{
	uint32_t *bucket = bucket_of(w, &w->nodes[slot].key);

	w->nodes[slot].next = *bucket;
	*bucket = slot;
}

static uint32_t *new_buckets(uint32_t len)
{
	uint32_t *buckets = reallocarray(NULL, len, sizeof(*buckets));

	if (buckets)
		memset(buckets, 0xff, len * sizeof(*buckets)); /* NO_SLOT */
	return buckets;
}

/* Without memory for more buckets the search takes longer, and that is all. */
static void grow_buckets(struct watch_index *w)
{
	uint32_t *old = w->buckets, old_len = w->buckets_len, i, slot, next;
	uint32_t *buckets = new_buckets(2 * old_len);

	if (!buckets)
		return;
	w->buckets = buckets;
	w->buckets_len = 2 * old_len;
	for (i = 0; i < old_len; i++)
		for (slot = old[i]; slot != NO_SLOT; slot = next) {
			next = w->nodes[slot].next;
			link_node(w, slot);
		}
	free(old);
}

static void add_node(struct probe *p, uint32_t slot, const struct dw_inode *key, uint32_t refs)
{
	struct watch_index *w = &p->watch;

	w->nodes[slot].key = *key;
	w->nodes[slot].refs = refs;
	if (w->used++ >= w->buckets_len)
		grow_buckets(w);
	link_node(w, slot);
	filter_set(p, key);
}

struct watch_node *watched_find(const struct probe *p, const struct dw_inode *key)
{
	const struct watch_index *w = &p->watch;
	uint32_t slot = *bucket_of(w, key);

	for (; slot != NO_SLOT; slot = w->nodes[slot].next)
		if (w->nodes[slot].key.ino == key->ino && w->nodes[slot].key.dev == key->dev)
			return &w->nodes[slot];
	return NULL;
}

void watched_drop(struct probe *p, struct watch_node *node)
{
	struct watch_index *w = &p->watch;
	uint32_t slot = (uint32_t)(node - w->nodes), *link = bucket_of(w, &node->key);

	bpf_map_delete_elem(p->maps[MAP_WATCHED], &node->key);
	filter_clear(p, &node->key);
	while (*link != slot)
		link = &w->nodes[*link].next;
	*link = node->next;
	node->key.ino = 0;
	slot_free(w, slot);
	w->used--;
}

/* --- open and close --- */

/* Take over what an earlier agent watched, so that no change is lost in between. */
static int watch_adopt(struct probe *p)
{
	struct dw_inode key, *previous = NULL;
	struct watch_index *w = &p->watch;
	struct dw_watch watch;
	int err;

	while (!bpf_map_get_next_key(p->maps[MAP_WATCHED], previous, &key)) {
		previous = &key;
		if (bpf_map_lookup_elem(p->maps[MAP_WATCHED], &key, &watch) ||
		    watch.slot >= w->size)
			continue;
		err = take_into_use(p, watch.slot + 1);
		if (err)
			return err;
		if (w->nodes[watch.slot].key.ino) /* has an owner: no two inodes share a mark */
			continue;
		add_node(p, watch.slot, &key, 0);
		w->has_stale = true;
	}
	return 0;
}

int watch_init(struct probe *p)
{
	struct watch_index *w = &p->watch;
	uint32_t slot;
	int err = 0;

	w->hash_key = p->control->set;
	w->size = p->options.max_watched;
	w->buckets_len = MIN_BUCKETS;
	w->buckets = new_buckets(w->buckets_len);
	w->filter_refs = calloc(DW_FILTER_BITS / 2, 1);
	if (!w->buckets || !w->filter_refs)
		return -ENOMEM;
	if (p->was_adopted)
		err = watch_adopt(p);
	for (slot = 0; slot < w->len; slot++)
		if (!w->nodes[slot].key.ino)
			slot_free(w, slot);
	return err;
}

void watch_done(struct probe *p)
{
	free(p->watch.nodes);
	free(p->watch.buckets);
	free(p->watch.filter_refs);
	free(p->watch.ahead);
}

void probe_forget_stale(struct probe *p)
{
	struct watch_index *w = &p->watch;
	uint32_t slot;

	control_forget_stale(p, true);
	for (slot = 0; slot < w->len && w->has_stale; slot++)
		if (w->nodes[slot].key.ino && !w->nodes[slot].refs)
			watched_drop(p, &w->nodes[slot]);
	w->has_stale = false;
}

/* A node that is known already; the container may have changed since it was. */
static long watch_again(struct probe *p, struct watch_node *node, dw_container_t c)
{
	struct dw_watch watch = {.slot = (uint32_t)(node - p->watch.nodes), .container = c};

	if (node->refs == WATCH_AHEAD && p->watch.ahead_container == c) {
		node->refs = 1;
		return watch.slot;
	}
	if (node->refs == WATCH_AHEAD)
		node->refs = 0;
	if (!node->refs && bpf_map_update_elem(p->maps[MAP_WATCHED], &node->key, &watch, BPF_EXIST))
		return -errno;
	node->refs++;
	return watch.slot;
}

int watched_add(struct probe *p, const struct dw_inode *key, uint32_t refs, uint32_t *ret_slot)
{
	int err = slot_alloc(p, ret_slot);

	if (err)
		return err;
	__atomic_exchange_n(&p->dirty[*ret_slot], 0, __ATOMIC_SEQ_CST);
	add_node(p, *ret_slot, key, refs);
	return 0;
}

long probe_watch(struct probe *p, uint32_t dev, uint64_t ino, dw_container_t c)
{
	const struct dw_inode key = {.ino = ino, .dev = dev};
	struct watch_node *node = watched_find(p, &key);
	struct dw_watch watch = {.container = c};
	int err;

	if (!ino)
		return -EINVAL;
	if (node)
		return watch_again(p, node, c);
	control_add_dev(p, dev);
	err = watched_add(p, &key, 1, &watch.slot);
	if (err)
		return err;
	if (bpf_map_update_elem(p->maps[MAP_WATCHED], &key, &watch, BPF_ANY)) {
		watched_drop(p, &p->watch.nodes[watch.slot]);
		return -ENOSPC;
	}
	return watch.slot;
}

void probe_unwatch(struct probe *p, uint32_t dev, uint64_t ino, long slot)
{
	const struct dw_inode key = {.ino = ino, .dev = dev};
	struct watch_node *node = watched_find(p, &key);

	if (!node || node - p->watch.nodes != slot || !node->refs)
		return;
	if (--node->refs == 0)
		watched_drop(p, node);
}

uint64_t probe_take_dirty(struct probe *p, long slot, bool *ret_begun)
{
	uint64_t mark = 0;

	if (slot >= 0 && slot < (long)p->watch.len)
		mark = __atomic_exchange_n(&p->dirty[slot], 0, __ATOMIC_SEQ_CST);
	if (ret_begun)
		*ret_begun = mark & DW_MARK_BEGUN;
	return mark == DW_MARK_BEGUN ? 1 : mark & ~DW_MARK_BEGUN;
}

bool probe_take_begun(struct probe *p, uint32_t dev, uint64_t ino, long slot)
{
	__u64 hash = mix(&p->watch, &(struct dw_inode){.ino = ino, .dev = dev});
	__u64 *place = &p->control->begun[hash % DW_BEGUN], expected = hash;
	bool has_begun;

	probe_take_dirty(p, slot, &has_begun);
	return __atomic_compare_exchange_n(place, &expected, 0, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST) ||
	       has_begun;
}

bool probe_dirty_overflowed(const struct probe *p)
{
	return __atomic_load_n(&p->control->dirty_overflow, __ATOMIC_SEQ_CST) != p->overflow_seen;
}

int probe_sweep_dirty(struct probe *p, void (*fn)(uint32_t dev, uint64_t ino, long slot, void *arg),
		      void *arg)
{
	uint64_t overflow = __atomic_load_n(&p->control->dirty_overflow, __ATOMIC_SEQ_CST);
	struct watch_index *w = &p->watch;
	struct dw_inode key;
	uint32_t slot;
	int n = 0;

	if (overflow == p->overflow_seen)
		return 0;
	p->overflow_seen = overflow;
	for (slot = 0; slot < w->len; slot++) {
		key = w->nodes[slot].key;
		if (!key.ino || !__atomic_load_n(&p->dirty[slot], __ATOMIC_SEQ_CST))
			continue;
		n++;
		fn(key.dev, key.ino, slot, arg);
	}
	return n;
}

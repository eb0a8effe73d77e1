/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_control.c - who is who: what user space tells the programs.
 *
 * Programs cache what they concluded; after every change the epoch is bumped and
 * they look again.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "kernel/probe_internal.h"

#define MANY 4 /* so little of a ring is filled with records that may wait */

int control_init(struct probe *p)
{
	struct timespec tick;

	/* The coarse clock advances once per tick of the kernel. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick))
		return -errno;
	p->control->tier = p->tier;
	p->control->buckets = (uint32_t)probe_map_entries(p, MAP_TAGS);
	p->control->bucket_step = (uint32_t)((1ull << 32) / p->control->buckets);
	p->control->tick_ns = clock_of_timespec(&tick);
	if (!p->control->tick_ns)
		return -EINVAL;
	p->control->verdict_ticks = NS_PER_SEC / p->control->tick_ns;
	p->control->events_many = probe_map_entries(p, MAP_EVENTS) / MANY;
	p->control->dirty_many = probe_map_entries(p, MAP_DIRTY_RING) / MANY;
	if (getrandom(&p->control->set, sizeof(p->control->set), 0) !=
	    (ssize_t)sizeof(p->control->set))
		return -EIO;
	return 0;
}

void probe_set_heard(struct probe *p, bool heard)
{
	__atomic_store_n(&p->control->is_heard, heard, __ATOMIC_RELAXED);
}

void control_add_dev(struct probe *p, uint32_t dev)
{
	struct dw_control *c = p->control;
	uint32_t i;

	if (c->dev_count > DW_MAX_DEVS)
		return;
	for (i = 0; i < c->dev_count; i++)
		if (c->devs[i] == dev)
			return;
	if (c->dev_count < DW_MAX_DEVS)
		c->devs[c->dev_count] = dev;
	else
		log_info("more than %d file systems: the programs look at all of them",
			 DW_MAX_DEVS);
	__atomic_store_n(&c->dev_count, c->dev_count + 1, __ATOMIC_SEQ_CST);
}

void control_bump_epoch(struct probe *p)
{
	__atomic_add_fetch(&p->control->epoch, 1, __ATOMIC_SEQ_CST);
}

void control_wait_for_programs(const struct probe *p)
{
	uint32_t zero = 0, fd = (uint32_t)p->maps[MAP_TURN_ONE];

	/* An update of a map of maps returns only when programs that may use the old
	 * value are done; that the value is the same does not matter. */
	bpf_map_update_elem(p->maps[MAP_TURN], &zero, &fd, BPF_ANY);
}

/* --- what an earlier agent set and nobody has set again --- */

struct stale_key {
	uint32_t map; /* enum probe_map */
	uint32_t pad;
	struct dw_inode key; /* large enough for the keys of all three */
};

struct stale_node {
	struct stale_key key;
	UT_hash_handle hh;
};

static const struct {
	enum probe_map map;
	size_t key_size;
} who_is_who[] = {
	{MAP_ROOTS, sizeof(struct dw_inode)},
	{MAP_CGROUPS, sizeof(uint64_t)},
	{MAP_OVERLAYS, sizeof(uint32_t)},
};
#define WHO_IS_WHO_LEN (sizeof(who_is_who) / sizeof(who_is_who[0]))

static struct stale_key stale_key(enum probe_map map, const void *key)
{
	struct stale_key k = {.map = map};
	size_t i;

	for (i = 0; i < WHO_IS_WHO_LEN; i++)
		if (who_is_who[i].map == map)
			memcpy(&k.key, key, who_is_who[i].key_size);
	return k;
}

int control_note_stale(struct probe *p)
{
	struct dw_inode key, *previous;
	struct stale_node *node;
	size_t i;

	for (i = 0; i < WHO_IS_WHO_LEN; i++) {
		previous = NULL;
		while (!bpf_map_get_next_key(p->maps[who_is_who[i].map], previous, &key)) {
			previous = &key;
			node = calloc(1, sizeof(*node));
			if (!node)
				return -ENOMEM;
			node->key = stale_key(who_is_who[i].map, &key);
			HASH_ADD(hh, p->stale, key, sizeof(node->key), node);
		}
	}
	return 0;
}

static void stale_drop(struct probe *p, struct stale_node *node)
{
	HASH_DEL(p->stale, node);
	free(node);
}

static void set_again(struct probe *p, enum probe_map map, const void *key)
{
	struct stale_key k = stale_key(map, key);
	struct stale_node *node;

	HASH_FIND(hh, p->stale, &k, sizeof(k), node);
	if (node)
		stale_drop(p, node);
}

void control_forget_stale(struct probe *p, bool from_maps)
{
	struct stale_node *node, *next;

	HASH_ITER (hh, p->stale, node, next) {
		if (from_maps)
			bpf_map_delete_elem(p->maps[node->key.map], &node->key.key);
		stale_drop(p, node);
	}
	if (from_maps)
		control_bump_epoch(p);
}

/* --- setting and clearing --- */

static int set(struct probe *p, enum probe_map map, const void *key, const void *value)
{
	set_again(p, map, key);
	if (bpf_map_update_elem(p->maps[map], key, value, BPF_ANY))
		return -errno;
	control_bump_epoch(p);
	return 0;
}

static int clear(struct probe *p, enum probe_map map, const void *key)
{
	set_again(p, map, key);
	if (bpf_map_delete_elem(p->maps[map], key))
		return -errno;
	control_bump_epoch(p);
	return 0;
}

/* A container's slot; health sums up those that were ever named. */
static bool is_container(struct probe *p, dw_container_t c)
{
	if (c < 1 || c >= p->options.max_containers)
		return false;
	if (c >= p->containers_seen)
		p->containers_seen = c + 1;
	return true;
}

int probe_set_overlay(struct probe *p, uint32_t overlay_dev, dw_container_t c)
{
	return is_container(p, c) ? set(p, MAP_OVERLAYS, &overlay_dev, &c) : -EINVAL;
}

int probe_clear_overlay(struct probe *p, uint32_t overlay_dev, dw_container_t c)
{
	dw_container_t owner;

	if (!bpf_map_lookup_elem(p->maps[MAP_OVERLAYS], &overlay_dev, &owner) && owner != c)
		return 0;
	return clear(p, MAP_OVERLAYS, &overlay_dev);
}

int probe_set_root(struct probe *p, const struct dw_inode *inode, uint64_t generation,
		   dw_container_t c, enum dw_root_kind kind)
{
	struct dw_root root = {.container = c, .kind = kind, .generation = generation};

	if (kind != DW_ROOT_VOLUME && !is_container(p, c))
		return -EINVAL;
	if (kind == DW_ROOT_UPPER)
		p->uppers[c] = *inode;
	control_add_dev(p, inode->dev);
	return set(p, MAP_ROOTS, inode, &root);
}

int probe_clear_root(struct probe *p, const struct dw_inode *inode, dw_container_t c)
{
	struct dw_root root;

	if (!bpf_map_lookup_elem(p->maps[MAP_ROOTS], inode, &root) && root.container != c)
		return 0;
	return clear(p, MAP_ROOTS, inode);
}

int probe_set_cgroup(struct probe *p, uint64_t cgroup_id, dw_container_t c)
{
	return is_container(p, c) ? set(p, MAP_CGROUPS, &cgroup_id, &c) : -EINVAL;
}

int probe_clear_cgroup(struct probe *p, uint64_t cgroup_id)
{
	return clear(p, MAP_CGROUPS, &cgroup_id);
}

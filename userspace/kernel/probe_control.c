/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_control.c - who is who: what user space tells the programs.
 *
 * Programs cache what they concluded; after every change the epoch is bumped and
 * they look again.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "kernel/probe_internal.h"

int control_init(struct probe *p)
{
	struct timespec tick;

	/* The coarse clock advances once per tick of the kernel. */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick))
		return -errno;
	p->control->tick_ns = clock_of_timespec(&tick);
	if (!p->control->tick_ns)
		return -EINVAL;
	p->control->verdict_ticks = NS_PER_SEC / p->control->tick_ns;
	return 0;
}

int control_add_dev(struct probe *p, uint32_t dev)
{
	struct dw_control *c = p->control;
	uint32_t i;

	for (i = 0; i < c->dev_count; i++)
		if (c->devs[i] == dev)
			return 0;
	if (c->dev_count == DW_MAX_DEVS)
		return -ENOSPC;
	c->devs[c->dev_count] = dev;
	__atomic_store_n(&c->dev_count, c->dev_count + 1, __ATOMIC_SEQ_CST);
	return 0;
}

void control_bump_epoch(struct probe *p)
{
	__atomic_add_fetch(&p->control->epoch, 1, __ATOMIC_SEQ_CST);
}

void control_wait_for_programs(const struct probe *p)
{
	uint32_t zero = 0, fd = (uint32_t)p->maps[p->files_active];

	/* An update of a map of maps returns only when programs that may use the old
	 * value are done; that the value is the same does not matter. */
	bpf_map_update_elem(p->maps[MAP_FILES], &zero, &fd, BPF_ANY);
}

static int set(struct probe *p, enum probe_map map, const void *key, const void *value)
{
	if (bpf_map_update_elem(p->maps[map], key, value, BPF_ANY))
		return -errno;
	control_bump_epoch(p);
	return 0;
}

static int clear(struct probe *p, enum probe_map map, const void *key)
{
	if (bpf_map_delete_elem(p->maps[map], key))
		return -errno;
	control_bump_epoch(p);
	return 0;
}

static bool is_container(const struct probe *p, dw_container_t c)
{
	return c >= 1 && c < p->options.max_containers;
}

int probe_set_overlay(struct probe *p, uint32_t overlay_dev, dw_container_t c)
{
	return is_container(p, c) ? set(p, MAP_OVERLAYS, &overlay_dev, &c) : -EINVAL;
}

int probe_clear_overlay(struct probe *p, uint32_t overlay_dev)
{
	return clear(p, MAP_OVERLAYS, &overlay_dev);
}

int probe_set_root(struct probe *p, uint32_t dev, uint64_t ino, dw_container_t c,
		   enum dw_root_kind kind)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct dw_root root = {.container = c, .kind = kind};
	int err;

	if (kind != DW_ROOT_VOLUME && !is_container(p, c))
		return -EINVAL;
	err = control_add_dev(p, dev);
	return err ? err : set(p, MAP_ROOTS, &key, &root);
}

int probe_clear_root(struct probe *p, uint32_t dev, uint64_t ino)
{
	struct dw_inode key = {.ino = ino, .dev = dev};

	return clear(p, MAP_ROOTS, &key);
}

int probe_set_cgroup(struct probe *p, uint64_t cgroup_id, dw_container_t c)
{
	return is_container(p, c) ? set(p, MAP_CGROUPS, &cgroup_id, &c) : -EINVAL;
}

int probe_clear_cgroup(struct probe *p, uint64_t cgroup_id)
{
	return clear(p, MAP_CGROUPS, &cgroup_id);
}

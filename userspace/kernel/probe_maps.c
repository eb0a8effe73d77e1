/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_maps.c - which of the kernel's maps are memory of ours too.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/probe_internal.h"

size_t maps_page_align(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n + page - 1) / page * page;
}

/* @size of the mappings, for both mapping and unmapping. */
static size_t mapped_size(const struct probe *p, enum probe_map map)
{
	switch (map) {
	case MAP_CONTROL:
		return maps_page_align(sizeof(struct dw_control));
	case MAP_FILTER:
		return maps_page_align(DW_FILTER_BITS / DW_FILTER_LINE * sizeof(struct dw_filter));
	case MAP_DIRTY:
		return maps_page_align(p->options.max_watched * sizeof(uint64_t));
	case MAP_SLOTS:
		return maps_page_align((size_t)p->cpus * DW_SLOTS_PER_CPU * sizeof(struct dw_slot));
	case MAP_ADDED:
		return maps_page_align(p->options.max_containers * sizeof(struct dw_counters));
	default:
		return 0;
	}
}

static int map_one(const struct probe *p, enum probe_map map, void **ret)
{
	void *mapped = mmap(NULL, mapped_size(p, map), PROT_READ | PROT_WRITE, MAP_SHARED,
			    p->maps[map], 0);

	if (mapped == MAP_FAILED)
		return -errno;
	*ret = mapped;
	return 0;
}

/* For what is mapped piece by piece, when it is needed: see probe_watch.c. */
static int keep_addresses(const struct probe *p, enum probe_map map, void **ret)
{
	void *kept = mmap(NULL, mapped_size(p, map), PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (kept == MAP_FAILED)
		return -errno;
	*ret = kept;
	return 0;
}

int maps_map(struct probe *p)
{
	int err = 0;

	err = err ?: map_one(p, MAP_CONTROL, (void **)&p->control);
	err = err ?: map_one(p, MAP_FILTER, (void **)&p->filter);
	err = err ?: keep_addresses(p, MAP_DIRTY, (void **)&p->dirty);
	err = err ?: map_one(p, MAP_SLOTS, (void **)&p->slots);
	err = err ?: map_one(p, MAP_ADDED, (void **)&p->added);
	return err;
}

static void unmap(const struct probe *p, enum probe_map map, void *mapped)
{
	if (mapped)
		munmap(mapped, mapped_size(p, map));
}

void maps_unmap(struct probe *p)
{
	unmap(p, MAP_CONTROL, p->control);
	unmap(p, MAP_FILTER, p->filter);
	unmap(p, MAP_DIRTY, p->dirty);
	unmap(p, MAP_SLOTS, p->slots);
	unmap(p, MAP_ADDED, p->added);
}

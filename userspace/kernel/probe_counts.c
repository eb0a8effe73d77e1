/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_counts.c - counters, per-file aggregates, writers: out of the kernel's maps.
 *
 * A file's numbers are in its cell (probe_cells.c) and, not yet moved there, in a slot of
 * each CPU that wrote to it (probe_slots.c).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/probe_internal.h"

static void add_all(struct dw_counters *sum, const struct dw_counters *c)
{
	const uint64_t *from = (const uint64_t *)c;
	uint64_t *to = (uint64_t *)sum;
	size_t i;

	for (i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

void counters_add(struct dw_counters *sum, const struct dw_cpu_counters *c)
{
	int i;

	add_all(sum, &c->all);
	for (i = 0; i < DW_TARGET_MAX; i++) {
		sum->write_calls[i] += c->main[i].calls;
		sum->write_bytes[i] += c->main[i].bytes;
	}
}

int probe_read_counters(const struct probe *p, dw_container_t c, struct dw_counters *ret)
{
	auto_free struct dw_cpu_counters *by_cpu = calloc(p->cpus, sizeof(*by_cpu));
	struct dw_counters sum = {0};
	unsigned i;

	if (!by_cpu)
		return -ENOMEM;
	if (c >= p->options.max_containers)
		return -ENOENT;
	if (p->adopting[c].ino)
		counters_settle(p);
	if (bpf_map_lookup_elem(p->maps[MAP_COUNTERS], &c, by_cpu))
		return -errno;
	for (i = 0; i < p->cpus; i++)
		counters_add(&sum, &by_cpu[i]);
	add_all(&sum, &p->added[c]);
	*ret = sum;
	return 0;
}

int probe_add_counts(struct probe *p, dw_container_t c, enum dw_target target, uint64_t calls,
		     uint64_t bytes)
{
	if (c >= p->options.max_containers || (unsigned)target >= DW_TARGET_MAX)
		return -EINVAL;
	p->added[c].write_calls[target] += calls;
	p->added[c].write_bytes[target] += bytes;
	return 0;
}

static void adopt_one(const struct probe *p, dw_container_t c)
{
	const struct dw_inode upper = p->adopting[c];
	struct dw_totals totals;

	p->adopting[c].ino = 0;
	if (!upper.ino || bpf_map_lookup_elem(p->maps[MAP_PROVISIONAL], &upper, &totals))
		return;
	bpf_map_delete_elem(p->maps[MAP_PROVISIONAL], &upper);
	p->added[c].write_calls[DW_TARGET_LAYER] += totals.calls;
	p->added[c].write_bytes[DW_TARGET_LAYER] += totals.bytes;
}

/* One wait for all of them: with a hundred containers it would be a hundred, of 8 ms each. */
void counters_settle(const struct probe *p)
{
	dw_container_t c;

	if (!p->adopting[0].ino)
		return;
	p->adopting[0].ino = 0;
	control_wait_for_programs(p); /* whoever still counts it as nobody's */
	for (c = 1; c < p->options.max_containers; c++)
		adopt_one(p, c);
}

int probe_adopt_provisional(struct probe *p, dw_container_t c)
{
	if (c < 1 || c >= p->options.max_containers)
		return -EINVAL;
	if (p->tier == PROBE_TIER_FS)
		return 0;
	if (p->adopting[c].ino)
		counters_settle(p);
	p->adopting[c] = p->uppers[c];
	p->adopting[0].ino = 1; /* nobody's: some are to be done */
	return 0;
}

/* --- per file --- */

int probe_foreach_file(const struct probe *p, probe_file_fn fn, void *arg)
{
	return cells_foreach(p, fn, arg) ?: slots_foreach(p, false, fn, arg);
}

void probe_counts_epoch(const struct probe *p, uint64_t *ret_set, uint64_t *ret_drains)
{
	*ret_set = p->control->set;
	*ret_drains = p->control->drains;
}

/* --- single values --- */

int probe_read_execs(const struct probe *p, uint32_t overlay_dev, uint64_t ino, uint64_t *ret)
{
	struct dw_inode key = {.ino = ino, .dev = overlay_dev};

	return bpf_map_lookup_elem(p->maps[MAP_EXECS], &key, ret) ? -ENOENT : 0;
}

int probe_read_writer(const struct probe *p, uint64_t writer, struct dw_writer *ret)
{
	return bpf_map_lookup_elem(p->maps[MAP_WRITERS], &writer, ret) ? -ENOENT : 0;
}

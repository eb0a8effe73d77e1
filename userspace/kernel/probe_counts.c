/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_counts.c - counters, per-file aggregates, writers: out of the kernel's maps.
 *
 * A file's numbers are in the table "files" and, not yet moved there, in a slot of
 * each CPU that wrote to it. The slots of the main program are read as they change, and
 * emptied in the half it does not use; the others while we hold them, like a program
 * does: one that finds them held works around them.
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

/* Keys and values of one batched look-up; a bucket of the hash must fit. */
#define BATCH 512

struct batch {
	struct dw_file_key keys[BATCH];
	struct dw_file_stats stats[BATCH];
};

/* Returns 0, -ENOENT at the end, or -errno. */
static int foreach_batch(int map_fd, bool empty, void *from, void *next, probe_file_fn fn,
			 void *arg)
{
	auto_free struct batch *b = malloc(sizeof(*b));
	uint32_t n = BATCH, i;
	int err;

	if (!b)
		return -ENOMEM;
	err = empty ? bpf_map_lookup_and_delete_batch(map_fd, from, next, b->keys, b->stats, &n,
						      NULL)
		    : bpf_map_lookup_batch(map_fd, from, next, b->keys, b->stats, &n, NULL);
	if (err && errno != ENOENT)
		return -errno;
	for (i = 0; i < n; i++)
		fn(&b->keys[i], &b->stats[i], arg);
	return err ? -ENOENT : 0;
}

/* Report all entries of a table that no program adds to while it is emptied. */
static int foreach_entry(int map_fd, bool empty, probe_file_fn fn, void *arg)
{
	uint64_t cursor[2] = {0, 0};
	void *from = NULL;
	int err;

	do {
		err = foreach_batch(map_fd, empty, from, cursor, fn, arg);
		from = cursor;
	} while (!err);
	return err == -ENOENT ? 0 : err;
}

int probe_foreach_file(const struct probe *p, probe_file_fn fn, void *arg)
{
	int err = foreach_entry(p->maps[MAP_FILES_A], false, fn, arg);

	if (!err)
		err = foreach_entry(p->maps[MAP_FILES_B], false, fn, arg);
	return err ?: slots_foreach(p, false, fn, arg);
}

int probe_drain_files(struct probe *p, probe_file_fn fn, void *arg)
{
	int idle = p->files_active == MAP_FILES_A ? MAP_FILES_B : MAP_FILES_A;
	int full = p->files_active;
	uint32_t zero = 0, fd = (uint32_t)p->maps[idle];
	int err;

	/* A drain that failed half-way has left something in the idle one. */
	err = foreach_entry(p->maps[idle], true, fn, arg);
	if (err)
		return err;
	__atomic_or_fetch(&p->control->drains, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&p->control->half, !p->control->half, __ATOMIC_SEQ_CST);
	/* Returns when no program runs that saw the other table or the other half. */
	if (bpf_map_update_elem(p->maps[MAP_FILES], &zero, &fd, BPF_ANY))
		return -errno;
	p->files_active = idle;
	p->control->files_base = __atomic_load_n(&p->control->files_started, __ATOMIC_SEQ_CST);
	err = slots_foreach(p, true, fn, arg);
	err = err ?: foreach_entry(p->maps[full], true, fn, arg);
	__atomic_add_fetch(&p->control->drains, 1, __ATOMIC_SEQ_CST);
	return err;
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

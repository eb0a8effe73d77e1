/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_totals.c - the totals of all containers, many with one system call.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "kernel/probe_internal.h"

#define BATCH 128 /* containers a call reads */

struct batch {
	uint32_t keys[BATCH];
	struct dw_cpu_counters *values; /* of each container one a CPU */
	uint32_t len;
};

static void hand_out(const struct probe *p, const struct batch *b, probe_counters_fn fn, void *arg)
{
	struct dw_counters sum;
	uint32_t i;
	unsigned cpu;

	for (i = 0; i < b->len; i++) {
		sum = p->added[b->keys[i]];
		for (cpu = 0; cpu < p->cpus; cpu++)
			counters_add(&sum, &b->values[(size_t)i * p->cpus + cpu]);
		fn(b->keys[i], &sum, arg);
	}
}

/* Kernels before 5.13 have no such call for maps with values per CPU. */
static int read_one_by_one(const struct probe *p, uint32_t at, probe_counters_fn fn, void *arg)
{
	struct dw_counters c;
	int err = 0;

	for (; at < p->containers_seen && !err; at++) {
		err = probe_read_counters(p, at, &c);
		if (!err)
			fn(at, &c, arg);
	}
	return err;
}

int probe_foreach_counters(const struct probe *p, probe_counters_fn fn, void *arg)
{
	struct batch b = {.len = 0};
	auto_free struct dw_cpu_counters *values = NULL;
	uint32_t at = 0, next;

	counters_settle(p);
	/* One or two are as quick as they are. */
	if (p->containers_seen < 3)
		return read_one_by_one(p, 0, fn, arg);
	values = reallocarray(NULL, (size_t)BATCH * p->cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	b.values = values;
	for (; at < p->containers_seen; at += b.len) {
		b.len = p->containers_seen - at < BATCH ? p->containers_seen - at : BATCH;
		next = at - 1; /* where an array's batch begins: after this one */
		if (bpf_map_lookup_batch(p->maps[MAP_COUNTERS], at ? &next : NULL, &next, b.keys,
					 values, &b.len, NULL) &&
		    errno != ENOENT)
			return read_one_by_one(p, at, fn, arg);
		if (!b.len)
			return -EIO;
		hand_out(p, &b, fn, arg);
	}
	return 0;
}

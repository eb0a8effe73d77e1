/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_cells.c - per-file counts, out of the cells of files.bpf.h, and cells made free.
 *
 * Programs add to the cells while they are read: what is taken is exchanged for 0. A cell
 * is made free in two steps, so that no program adds to what is another file's by then.
 * The cells are memory of ours only while they are looked at.
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "kernel/probe_internal.h"

/* What is looked at, and whom it is told to. */
struct walk {
	struct probe *p;
	union dw_tags *tags;
	struct dw_cell *cells;
	size_t buckets;
	size_t tags_bytes, cells_bytes;
	probe_file_fn fn;    /* to be told what there is, */
	probe_take_fn wants; /* or whether it takes it */
	void *arg;
	bool has_taken;
};

typedef void (*cell_fn)(struct walk *w, __u32 *tag, struct dw_cell *cell);

static void *map_all(const struct probe *p, enum probe_map map, size_t size)
{
	void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p->maps[map], 0);

	return mapped == MAP_FAILED ? NULL : mapped;
}

static void walk_end(struct walk *w)
{
	if (w->tags)
		munmap(w->tags, w->tags_bytes);
	if (w->cells)
		munmap(w->cells, w->cells_bytes);
}

static int walk_begin(struct walk *w)
{
	w->buckets = w->p->control->buckets;
	w->tags_bytes = maps_page_align(w->buckets * sizeof(union dw_tags));
	w->cells_bytes = maps_page_align(w->buckets * DW_BUCKET_CELLS * sizeof(struct dw_cell));
	w->tags = map_all(w->p, MAP_TAGS, w->tags_bytes);
	w->cells = map_all(w->p, MAP_CELLS, w->cells_bytes);
	if (w->tags && w->cells)
		return 0;
	walk_end(w);
	return -ENOMEM;
}

static void for_each_cell(struct walk *w, cell_fn fn)
{
	size_t bucket, i;
	__u32 *tag;

	for (bucket = 0; bucket < w->buckets; bucket++)
		for (i = 0; i < DW_BUCKET_CELLS; i++) {
			tag = &w->tags[bucket].tag[i];
			if (__atomic_load_n(tag, __ATOMIC_ACQUIRE) & DW_TAG_USED)
				fn(w, tag, &w->cells[DW_CELL_INDEX(bucket, i, w->buckets)]);
		}
}

/* --- what a cell says --- */

static uint64_t boot_ns_of(const struct probe *p, uint32_t ticks)
{
	const struct dw_control *c = p->control;
	int32_t since = (int32_t)(ticks - (uint32_t)c->at_jiffies);

	return c->at_boot_ns + (uint64_t)((int64_t)since * (int64_t)c->tick_ns);
}

static bool tell(struct walk *w, const struct dw_cell *cell, uint64_t bytes, uint64_t calls)
{
	struct probe_file_key key = {.ino = cell->ino, .dev = cell->dev, .gen = cell->gen};
	struct probe_file_counts counts = {
		.bytes = bytes,
		.calls = calls,
		.first_boot_ns = boot_ns_of(w->p, cell->first_ticks),
		.last_boot_ns = boot_ns_of(w->p, cell->last_ticks),
		.first_writer = cell->first_writer,
		.last_writer = cell->last_writer,
		.container = DW_CELL_CONTAINER(cell->owner),
		.target = DW_CELL_TARGET(cell->owner),
	};

	if (!counts.container)
		counts.overlay_dev = cell->overlay_dev;
	if (w->wants)
		return w->wants(&key, &counts, w->arg);
	w->fn(&key, &counts, w->arg);
	return true;
}

static void read_cell(struct walk *w, __u32 *tag, struct dw_cell *cell)
{
	uint64_t bytes = __atomic_load_n(&cell->bytes, __ATOMIC_RELAXED);
	uint64_t calls = __atomic_load_n(&cell->calls, __ATOMIC_RELAXED);

	(void)tag;
	if (bytes | calls)
		tell(w, cell, bytes, calls);
}

static void take_cell(struct walk *w, __u32 *tag, struct dw_cell *cell)
{
	uint64_t bytes, calls;

	(void)tag;
	if (!(__atomic_load_n(&cell->bytes, __ATOMIC_RELAXED) |
	      __atomic_load_n(&cell->calls, __ATOMIC_RELAXED)))
		return;
	bytes = __atomic_exchange_n(&cell->bytes, 0, __ATOMIC_RELAXED);
	calls = __atomic_exchange_n(&cell->calls, 0, __ATOMIC_RELAXED);
	if (tell(w, cell, bytes, calls)) {
		w->has_taken = true;
		return;
	}
	__atomic_fetch_add(&cell->bytes, bytes, __ATOMIC_RELAXED);
	__atomic_fetch_add(&cell->calls, calls, __ATOMIC_RELAXED);
}

int cells_foreach(const struct probe *p, probe_file_fn fn, void *arg)
{
	struct walk w = {.p = (struct probe *)p, .fn = fn, .arg = arg};
	int err = probe_files_used(p) ? walk_begin(&w) : 0;

	if (err || !w.cells)
		return err;
	for_each_cell(&w, read_cell);
	walk_end(&w);
	return 0;
}

/* --- moved out; an agent that follows sees by .drains that something was --- */

static void drain_begins(struct probe *p)
{
	__atomic_or_fetch(&p->control->drains, 1, __ATOMIC_SEQ_CST);
}

static void drain_ends(struct probe *p, bool has_moved)
{
	if (has_moved)
		__atomic_add_fetch(&p->control->drains, 1, __ATOMIC_SEQ_CST);
	else
		__atomic_and_fetch(&p->control->drains, ~1ull, __ATOMIC_SEQ_CST);
}

int probe_take_files(struct probe *p, probe_take_fn fn, void *arg)
{
	struct walk w = {.p = p, .wants = fn, .arg = arg};
	int err = probe_files_used(p) ? walk_begin(&w) : 0;

	if (err || !w.cells)
		return err;
	drain_begins(p);
	for_each_cell(&w, take_cell);
	drain_ends(p, w.has_taken);
	walk_end(&w);
	return 0;
}

/* --- made free: told to leave, and freed when no program has hold of it --- */

static void tell_to_leave(struct walk *w, __u32 *tag, struct dw_cell *cell)
{
	(void)w;
	(void)cell;
	__atomic_fetch_or(tag, DW_TAG_LEAVING, __ATOMIC_SEQ_CST);
}

static void free_leaving(struct walk *w, __u32 *tag, struct dw_cell *cell)
{
	if ((*tag & DW_TAG_STATE) != DW_TAG_LEAVING)
		return;
	take_cell(w, tag, cell);
	__atomic_store_n(tag, 0, __ATOMIC_RELEASE);
	w->p->control->files_freed++;
}

/* The programs' half of the slots is turned, too, when the slots are to be emptied. */
static int free_cells(struct walk *w, cell_fn choose, bool empty_slots)
{
	struct dw_control *control = w->p->control;
	int err = 0;

	if (empty_slots)
		__atomic_store_n(&control->half, !control->half, __ATOMIC_SEQ_CST);
	for_each_cell(w, choose);
	control_wait_for_programs(w->p);
	if (empty_slots)
		err = slots_foreach(w->p, true, w->fn, w->arg);
	for_each_cell(w, free_leaving);
	return err;
}

int probe_drain_files(struct probe *p, probe_file_fn fn, void *arg)
{
	struct walk w = {.p = p, .fn = fn, .arg = arg};
	int err = walk_begin(&w);

	if (err)
		return err;
	drain_begins(p);
	err = free_cells(&w, tell_to_leave, true);
	drain_ends(p, true);
	walk_end(&w);
	return err;
}

/* --- those that were not written to for longest --- */

#define AGES 32 /* in powers of two of ticks */

struct prune {
	struct walk walk; /* first: what cell_fn gets */
	size_t by_age[AGES];
	uint32_t now, youngest;
};

static unsigned age_of(const struct prune *prune, const struct dw_cell *cell)
{
	uint32_t ticks = prune->now - cell->last_ticks;

	return ticks > 1 && ticks < 1u << 31 ? 31 - (unsigned)__builtin_clz(ticks) : 0;
}

static void note_now(struct walk *w, __u32 *tag, struct dw_cell *cell)
{
	struct prune *prune = (struct prune *)w;

	(void)tag;
	if ((int32_t)(cell->last_ticks - prune->now) > 0)
		prune->now = cell->last_ticks;
}

static void note_age(struct walk *w, __u32 *tag, struct dw_cell *cell)
{
	struct prune *prune = (struct prune *)w;

	(void)tag;
	prune->by_age[age_of(prune, cell)]++;
}

static void leave_if_old(struct walk *w, __u32 *tag, struct dw_cell *cell)
{
	struct prune *prune = (struct prune *)w;

	if (age_of(prune, cell) >= prune->youngest)
		tell_to_leave(w, tag, cell);
}

int probe_prune_files(struct probe *p, probe_file_fn fn, void *arg)
{
	struct prune prune = {.walk = {.p = p, .fn = fn, .arg = arg}, .youngest = AGES};
	size_t wanted, found = 0;
	int err = walk_begin(&prune.walk);

	if (err)
		return err;
	prune.now = (uint32_t)p->control->at_jiffies;
	for_each_cell(&prune.walk, note_now);
	for_each_cell(&prune.walk, note_age);
	wanted = prune.walk.buckets * DW_BUCKET_CELLS / 2;
	while (found < wanted && prune.youngest > 0)
		found += prune.by_age[--prune.youngest];
	drain_begins(p);
	err = free_cells(&prune.walk, leave_if_old, false);
	drain_ends(p, true);
	walk_end(&prune.walk);
	return err;
}

/* --- */

static void leave_if_of(struct walk *w, __u32 *tag, struct dw_cell *cell)
{
	if (DW_CELL_CONTAINER(cell->owner) == *(const dw_container_t *)w->arg)
		tell_to_leave(w, tag, cell);
}

static void ignore_counts(const struct probe_file_key *key, const struct probe_file_counts *counts,
			  void *arg)
{
	(void)key;
	(void)counts;
	(void)arg;
}

int cells_free_of(struct probe *p, dw_container_t c)
{
	struct walk w = {.p = p, .fn = ignore_counts, .arg = &c};
	int err = walk_begin(&w);

	if (err)
		return err;
	err = free_cells(&w, leave_if_of, false);
	walk_end(&w);
	return err;
}

static void stay(struct walk *w, __u32 *tag, struct dw_cell *cell)
{
	(void)w;
	(void)cell;
	__atomic_and_fetch(tag, ~DW_TAG_STATE | DW_TAG_USED, __ATOMIC_SEQ_CST);
}

int cells_repair(struct probe *p)
{
	struct walk w = {.p = p};
	int err = walk_begin(&w);

	if (err)
		return err;
	for_each_cell(&w, stay);
	walk_end(&w);
	return 0;
}

uint64_t probe_files_used(const struct probe *p)
{
	return __atomic_load_n(&p->control->files_started, __ATOMIC_RELAXED) -
	       p->control->files_freed;
}

uint64_t probe_files_size(const struct probe *p)
{
	return (uint64_t)p->control->buckets * DW_BUCKET_CELLS;
}

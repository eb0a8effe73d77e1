/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * files.bpf.h - the aggregates of files in map "cells": started, added to, found again.
 *
 * Programs of all processors add to a cell at once, so an addition is one instruction. A
 * cell is found by its tag, which is set last and cleared first; should two programs start
 * one for the same file at the same time, it has two, and user space adds them up.
 */
#ifndef FILES_BPF_H
#define FILES_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

#include "emit.bpf.h"
#include "layer.bpf.h"
#include "maps.bpf.h"

#define CELL_NONE  (~0u)
#define ANY_OWNER  (~0u) /* no container's: 65535 is the last one's number */
#define FIRST_HASH 0x9E3779B97F4A7C15ull
#define OTHER_HASH 0xD6E8FEB86659FD93ull

#define REGION_SHIFT 16 /* of inode numbers: the buckets of 65536 follow each other */
#define RATHER_FULL  10 /* of DW_BUCKET_CELLS */

/* To a tick's precision: a clock that costs a load, started at @boot_ns. */
static __always_inline __u64 boot_ns_at(__u64 boot_ns, __u64 ticks)
{
	struct dw_control *control = control_get();

	return control ? boot_ns + ticks * control->tick_ns : boot_ns;
}

/* --- tags --- */

#ifdef DW_OLD_KERNEL
/* No instruction there compares and exchanges; putting a key that is there fails. */
static __always_inline bool tag_take(union dw_tags *tags, __u32 i, __u32 value, __u32 cell)
{
	volatile __u32 *tag = &tags->tag[i];
	bool ours;

	if (bpf_map_update_elem(&claims, &cell, &cell, BPF_NOEXIST))
		return false;
	ours = !*tag;
	if (ours)
		*tag = value;
	bpf_map_delete_elem(&claims, &cell);
	return ours;
}
#else
/* By the 64 bits around it, for there is no smaller exchange: the other half may hinder. */
static __always_inline bool tag_take(union dw_tags *tags, __u32 i, __u32 value, __u32 cell)
{
	__u64 *two = &tags->two[i / 2], old = *(volatile __u64 *)two;
	__u32 shift = i % 2 * 32;

	return !(__u32)(old >> shift) &&
	       __sync_val_compare_and_swap(two, old, old | (__u64)value << shift) == old;
}
#endif

/* With a key that was drawn: no container can choose files for one bucket. */
static __always_inline __u64 hash_of(const struct dw_control *control, __u64 ino, __u64 dev_gen)
{
	ino ^= control->set;
	return ((ino ^ dev_gen << 32 ^ dev_gen >> 32) * FIRST_HASH) ^ dev_gen * OTHER_HASH;
}

static __always_inline __u32 tag_of(__u64 hash)
{
	return ((__u32)hash & ~DW_TAG_STATE) | DW_TAG_USED;
}

static __always_inline __u32 bucket_at(__u32 fraction, const struct dw_control *control)
{
	return (__u64)fraction * control->buckets >> 32;
}

/*
 * Inodes that follow each other have buckets that do: who writes files in the order in
 * which they were made, as most do, finds the next one's in the cache. Far apart they have
 * nothing to do with each other.
 */
static __always_inline __u32 first_bucket(const struct dw_control *control, __u64 ino,
					  __u64 dev_gen)
{
	__u64 region = (ino >> REGION_SHIFT ^ dev_gen << 32 ^ control->set) * FIRST_HASH;

	return bucket_at((region >> 32) + (__u32)ino * control->bucket_step, control);
}

/* For what finds its first one rather full: wherever the key says. */
static __always_inline __u32 other_bucket(const struct dw_control *control, __u64 hash)
{
	return bucket_at(hash >> 32, control);
}

static __always_inline union dw_tags *tags_at(__u32 bucket)
{
	return bpf_map_lookup_elem(&tags, &bucket);
}

/* @place is the bucket's number times DW_BUCKET_CELLS, and which cell of it. */
static __always_inline struct dw_cell *cell_at(__u32 place)
{
	struct dw_control *control = control_get();
	__u32 index;

	if (!control)
		return NULL;
	index = DW_CELL_INDEX(place / DW_BUCKET_CELLS, place % DW_BUCKET_CELLS, control->buckets);
	return bpf_map_lookup_elem(&cells, &index);
}

/* --- cells --- */

static __always_inline bool cell_is(const struct dw_cell *cell, __u64 ino, __u64 dev_gen,
				    __u32 owner)
{
	return cell->ino == ino && (cell->dev | (__u64)cell->gen << 32) == dev_gen &&
	       (owner == ANY_OWNER || (cell->owner ^ owner) >> DW_CELL_EPOCHS == 0);
}

/* The place of the file's cell in @bucket, or CELL_NONE. */
__weak __noinline __u32 bucket_find(__u32 bucket, __u32 tag, __u64 ino, __u64 dev_gen, __u32 owner)
{
	union dw_tags *tags = tags_at(bucket);
	struct dw_cell *cell;
	__u32 i;

	if (!tags)
		return CELL_NONE;
	for (i = 0; i < DW_BUCKET_CELLS; i++) {
		if (tags->tag[i] != tag)
			continue;
		cell = cell_at(bucket * DW_BUCKET_CELLS + i);
		if (cell && cell_is(cell, ino, dev_gen, owner))
			return bucket * DW_BUCKET_CELLS + i;
	}
	return CELL_NONE;
}

/* The place of the cell of @owner's file (or ANY_OWNER's), or CELL_NONE. */
__weak __noinline __u32 cell_find(__u64 ino, __u64 dev_gen, __u32 owner)
{
	struct dw_control *control = control_get();
	__u32 found, tag;
	__u64 hash;

	if (!control)
		return CELL_NONE;
	hash = hash_of(control, ino, dev_gen);
	tag = tag_of(hash);
	found = bucket_find(first_bucket(control, ino, dev_gen), tag, ino, dev_gen, owner);
	if (found != CELL_NONE || !control->has_others)
		return found;
	return bucket_find(other_bucket(control, hash), tag, ino, dev_gen, owner);
}

/* How far @bucket is filled: cells are taken from its beginning. */
__weak __noinline __u32 bucket_filled(__u32 bucket)
{
	union dw_tags *tags = tags_at(bucket);
	__u32 i;

	if (!tags)
		return DW_BUCKET_CELLS;
	for (i = 0; i < DW_BUCKET_CELLS; i++)
		if (!tags->tag[i])
			return i;
	return DW_BUCKET_CELLS;
}

/* A cell of @bucket, ours to fill; CELL_NONE when all are in use. */
static __always_inline __u32 bucket_take(__u32 bucket, __u32 tag)
{
	union dw_tags *tags = tags_at(bucket);
	__u32 i, cell;

	if (!tags)
		return CELL_NONE;
	tag = (tag & ~DW_TAG_STATE) | DW_TAG_FILLING;
	for (i = 0; i < DW_BUCKET_CELLS; i++) {
		cell = bucket * DW_BUCKET_CELLS + i;
		if (!tags->tag[i] && tag_take(tags, i, tag, cell))
			return cell;
	}
	return CELL_NONE;
}

/*
 * A free cell for the file, ours to fill; CELL_NONE when both its buckets are full. Most are
 * found in the first bucket then, and yet nearly nine in ten of all cells can be in use
 * before one is refused.
 */
__weak __noinline __u32 cell_take(__u64 ino, __u64 dev_gen)
{
	struct dw_control *control = control_get();
	__u32 bucket, other, filled;
	__u64 hash;

	if (!control)
		return CELL_NONE;
	hash = hash_of(control, ino, dev_gen);
	bucket = first_bucket(control, ino, dev_gen);
	filled = bucket_filled(bucket);
	if (filled >= RATHER_FULL) {
		other = other_bucket(control, hash);
		if (bucket_filled(other) < filled) {
			bucket = other;
			control->has_others = 1; /* before the tag is there to be found */
		}
	}
	return bucket_take(bucket, tag_of(hash));
}

static __always_inline void cell_publish(const struct dw_control *control, __u32 place, __u64 ino,
					 __u64 dev_gen)
{
	union dw_tags *tags = tags_at(place / DW_BUCKET_CELLS);

	if (tags)
		store_word_after(&tags->tag[place % DW_BUCKET_CELLS],
				 tag_of(hash_of(control, ino, dev_gen)));
}

/* --- a slot's --- */

static __always_inline __u64 slot_dev_gen(const struct dw_slot *slot)
{
	return slot->dev | (__u64)slot->gen << 32;
}

/* Let the cell say whose the file is, where that is true of every writer. */
static __always_inline void cell_judge(struct dw_cell *cell, const struct dw_slot *slot)
{
	bool lasts = slot->verdict == DW_VERDICT_COUNTED && slot->lasting == DW_LASTS_FOR_ALL;
	__u32 ticks = slot->claimed_jiffies;

	if (!slot->container) {
		cell->overlay_dev = slot->overlay_dev;
		return;
	}
	cell->judged_ticks = lasts ? ticks ?: 1 : 0;
	cell->owner = DW_CELL_OWNER(slot->container, slot->target) | DW_CELL_EPOCH(slot->epoch);
}

static __always_inline bool cell_is_judged(const struct dw_cell *cell,
					   const struct dw_control *control)
{
	return cell->judged_ticks && DW_CELL_CONTAINER(cell->owner) &&
	       DW_CELL_EPOCH(cell->owner ^ control->epoch) == 0 &&
	       (__u32)bpf_jiffies64() - cell->judged_ticks < control->verdict_ticks;
}

static __always_inline void cell_fill(struct dw_cell *cell, const struct dw_slot *slot)
{
	cell->ino = slot->ino;
	cell->dev = slot->dev;
	cell->gen = slot->gen;
	cell->bytes = slot->bytes;
	cell->calls = slot->calls;
	cell->first_writer = slot->first_writer;
	cell->last_writer = slot->last_writer;
	cell->first_ticks = slot->claimed_jiffies;
	cell->last_ticks = slot->last_jiffies;
	cell->owner = DW_CELL_OWNER(slot->container, slot->target);
	cell_judge(cell, slot);
}

/*
 * Find the slot's cell, unless it @is_new, or start it with what the slot holds: then
 * *@ret_first is set. NULL when it was started, and when there is no room for it.
 */
static __always_inline struct dw_cell *slot_cell(const struct dw_slot *slot, bool is_new,
						 bool *ret_first)
{
	__u32 owner = DW_CELL_OWNER(slot->container, slot->target);
	__u64 dev_gen = slot_dev_gen(slot);
	__u32 place = is_new ? CELL_NONE : cell_find(slot->ino, dev_gen, owner);
	struct dw_control *control = control_get();
	struct dw_cell *cell;

	*ret_first = false;
	if (place != CELL_NONE)
		return cell_at(place);
	place = cell_take(slot->ino, dev_gen);
	cell = cell_at(place);
	if (!cell || !control)
		return NULL;
	cell_fill(cell, slot);
	cell_publish(control, place, slot->ino, dev_gen);
	count(&control->files_started, 1);
	*ret_first = true;
	return NULL;
}

/* Move what the slot has counted into its cell. */
static __always_inline void slot_spill(struct dw_slot *slot)
{
	struct dw_counters *c;
	struct dw_cell *cell;
	bool is_first;

	if (!slot->ino || !(slot->calls | slot->bytes))
		return;
	cell = slot_cell(slot, false, &is_first);
	if (cell) {
		count(&cell->bytes, slot->bytes);
		count(&cell->calls, slot->calls);
		cell->last_ticks = slot->last_jiffies;
		cell->last_writer = slot->last_writer;
		if (!cell->first_writer)
			cell->first_writer = slot->first_writer;
	} else if (!is_first) {
		c = counters_of(slot->container);
		if (c)
			count(&c->files_unlisted, slot->calls);
	}
	slot->bytes = 0;
	slot->calls = 0;
}

/* The cell of @file, if it knows whose the file is. *@ret_new: there is none at all. */
static __always_inline struct dw_cell *file_cell(const struct file_id *file,
						 const struct dw_control *control, bool *ret_new)
{
	struct inode *real = real_inode((struct inode *)file->inode, file->magic);
	__u64 dev = file->sb_dev;
	struct dw_cell *cell;
	__u32 place;

	if (file->magic == OVERLAYFS_SUPER_MAGIC)
		dev = BPF_CORE_READ(real, i_sb, s_dev);
	place = cell_find(file->ino, dev | (__u64)file->gen << 32, ANY_OWNER);
	*ret_new = place == CELL_NONE;
	cell = cell_at(place);
	return cell && cell_is_judged(cell, control) ? cell : NULL;
}

#endif /* FILES_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * files.bpf.h - the aggregates of files in table "files": started, added to, found again.
 */
#ifndef FILES_BPF_H
#define FILES_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_helpers.h>

#include "emit.bpf.h"
#include "layer.bpf.h"
#include "maps.bpf.h"

static __always_inline void slot_file_key(const struct dw_slot *slot, struct dw_file_key *ret)
{
	ret->ino = slot->ino;
	ret->dev = slot->dev;
	ret->gen = slot->gen;
}

static __always_inline void *files_active(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&files, &zero);
}

/* To a tick's precision: a clock that costs a load, started at @boot_ns. */
static __always_inline __u64 boot_ns_at(__u64 boot_ns, __u64 ticks)
{
	struct dw_control *control = control_get();

	return control ? boot_ns + ticks * control->tick_ns : boot_ns;
}

static __always_inline __u64 slot_last_ns(const struct dw_slot *slot)
{
	return boot_ns_at(slot->claimed_boot_ns, slot->last_jiffies - slot->claimed_jiffies);
}

/* Let the aggregate say whose the file is, where the slot agrees and it is true of every writer. */
static __always_inline void stats_judge(struct dw_file_stats *stats, const struct dw_slot *slot)
{
	bool lasts = slot->verdict == DW_VERDICT_COUNTED && slot->lasting == DW_LASTS_FOR_ALL &&
		     slot->container == stats->container && slot->target == stats->target;

	stats->epoch = slot->epoch;
	stats->judged_boot_ns = slot->claimed_boot_ns;
	stats->judged_jiffies = lasts ? slot->claimed_jiffies : 0;
}

static __always_inline bool stats_are_judged(const struct dw_file_stats *stats,
					     const struct dw_control *control)
{
	return stats->judged_jiffies && stats->epoch == control->epoch &&
	       bpf_jiffies64() - stats->judged_jiffies < control->verdict_ticks;
}

static __always_inline void slot_to_stats(const struct dw_slot *slot, struct dw_file_stats *ret)
{
	ret->bytes = slot->bytes;
	ret->calls = slot->calls;
	ret->first_boot_ns = slot->claimed_boot_ns;
	ret->last_boot_ns = slot_last_ns(slot);
	ret->first_writer = slot->first_writer;
	ret->last_writer = slot->last_writer;
	ret->container = slot->container;
	ret->target = slot->target;
	ret->overlay_dev = slot->overlay_dev;
	stats_judge(ret, slot);
}

/*
 * Find or start the slot's aggregate in "files". Sets *@ret_first, and returns NULL, when
 * it was started, with what the slot holds already in it. NULL alone when the table is
 * full, and while the aggregate is a provisional one that nobody has adopted yet: what is
 * in the counters must not be added to them a second time.
 */
static __always_inline struct dw_file_stats *slot_stats(const struct dw_slot *slot, bool *ret_first)
{
	struct dw_control *control = control_get();
	struct dw_file_stats *stats, fresh = {};
	void *inner = files_active();
	struct dw_file_key key;

	*ret_first = false;
	if (!inner)
		return NULL;
	slot_file_key(slot, &key);
	stats = bpf_map_lookup_elem(inner, &key);
	if (stats)
		return stats->container || !slot->container ? stats : NULL;
	slot_to_stats(slot, &fresh);
	if (bpf_map_update_elem(inner, &key, &fresh, BPF_NOEXIST))
		return bpf_map_lookup_elem(inner, &key); /* another CPU was faster, or it is full */
	*ret_first = true;
	if (control)
		count(&control->files_started, 1);
	return NULL;
}

/* Move what the slot has counted into "files". */
static __always_inline void slot_spill(struct dw_slot *slot)
{
	struct dw_file_stats *stats;
	struct dw_counters *c;
	bool is_first;

	if (!slot->ino || !(slot->calls | slot->bytes))
		return;
	stats = slot_stats(slot, &is_first);
	if (stats) {
		count(&stats->bytes, slot->bytes);
		count(&stats->calls, slot->calls);
		stats->last_boot_ns = slot_last_ns(slot);
		stats->last_writer = slot->last_writer;
		if (!stats->first_writer)
			stats->first_writer = slot->first_writer;
	}
	if (!stats && !is_first) {
		c = counters_of(slot->container);
		if (c)
			count(&c->files_unlisted, slot->calls);
	}
	slot->bytes = 0;
	slot->calls = 0;
}

/* The aggregate of @file, if it knows whose the file is. */
static __always_inline struct dw_file_stats *file_stats(const struct file_id *file,
							const struct dw_control *control)
{
	struct inode *real = real_inode((struct inode *)file->inode, file->magic);
	struct dw_file_key key = {.ino = file->ino, .dev = file->sb_dev, .gen = file->gen};
	struct dw_file_stats *stats;
	void *inner = files_active();

	if (!inner)
		return NULL;
	if (file->magic == OVERLAYFS_SUPER_MAGIC)
		key.dev = BPF_CORE_READ(real, i_sb, s_dev);
	stats = bpf_map_lookup_elem(inner, &key);
	return stats && stats_are_judged(stats, control) ? stats : NULL;
}

#endif /* FILES_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * slot.bpf.h - a file as this CPU knows it: whose it is, and what was counted for it.
 *
 * A write to a file that has its slot costs a look at it; the walk and the table
 * "files" come with the first write, and again a second later. Whoever holds a slot
 * owns it; whoever finds it held takes a spare one, and empties it when done.
 */
#ifndef SLOT_BPF_H
#define SLOT_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "emit.bpf.h"
#include "layer.bpf.h"
#include "maps.bpf.h"
#include "task.bpf.h"

/* How a file is judged. */
#define JUDGE_WALK	 0 /* the inode is where the bytes land */
#define JUDGE_SUPERBLOCK 1 /* overlay by super block, tmpfs, else walk */
#define JUDGE_GIVEN	 2 /* as the slot says already */
#define JUDGE_DIR	 3 /* where an operation happens: walked to, not written to */

static __always_inline __u32 slot_base(void)
{
	return bpf_get_smp_processor_id() * DW_SLOTS_PER_CPU;
}

static __always_inline struct dw_slot *slot_at(__u32 index)
{
	return bpf_map_lookup_elem(&slots, &index);
}

static __always_inline void slot_release(struct dw_slot *slot)
{
#if defined(__TARGET_ARCH_x86)
	/* Stores are not reordered there, and an exchange costs as much as the rest. */
	asm volatile("" : : : "memory");
	*(volatile __u64 *)&slot->busy = 0;
#else
	exchange(&slot->busy, 0);
#endif
}

/* A slot whose owner is interrupted, preempted or being drained is worked around. */
static __always_inline struct dw_slot *slot_take_spare(__u32 *ret_index)
{
	__u32 index = slot_base() + DW_SLOTS_CACHED;
	struct dw_slot *slot;
	int i;

	for (i = 0; i < DW_SLOTS_SPARE; i++, index++) {
		slot = slot_at(index);
		if (slot && !exchange(&slot->busy, 1)) {
			*ret_index = index;
			return slot;
		}
	}
	return NULL;
}

static __always_inline struct dw_slot *slot_take(__u64 ino, __u32 *ret_index)
{
	__u32 index = slot_base() + (ino * 0x9E3779B97F4A7C15ull >> 56);
	struct dw_slot *slot = slot_at(index);

	if (!slot)
		return NULL;
	if (exchange(&slot->busy, 1))
		return slot_take_spare(ret_index);
	*ret_index = index;
	return slot;
}

static __always_inline bool slot_is_spare(__u32 index)
{
	return index % DW_SLOTS_PER_CPU >= DW_SLOTS_CACHED;
}

static __always_inline void slot_file_key(const struct dw_slot *slot, struct dw_file_key *ret)
{
	ret->ino = slot->ino;
	ret->dev = slot->dev;
	ret->gen = slot->gen;
}

static __always_inline void slot_to_stats(const struct dw_slot *slot, struct dw_file_stats *ret)
{
	ret->bytes = slot->bytes;
	ret->calls = slot->calls;
	ret->first_boot_ns = slot->claimed_boot_ns;
	ret->last_boot_ns = slot->last_boot_ns;
	ret->first_writer = slot->first_writer;
	ret->last_writer = slot->last_writer;
	ret->container = slot->container;
	ret->target = slot->target;
	ret->overlay_dev = slot->overlay_dev;
	ret->pad = 0;
}

/*
 * Find or start the slot's aggregate in "files". NULL when the table is full;
 * sets *@ret_first when it was started, with what the slot holds already in it.
 * NULL too while the aggregate is a provisional one that nobody has adopted yet:
 * what is in the counters must not be added to them a second time.
 */
static __always_inline struct dw_file_stats *slot_stats(const struct dw_slot *slot, bool *ret_first)
{
	struct dw_control *control = control_get();
	struct dw_file_stats *stats, fresh = {};
	struct dw_file_key key;
	__u32 zero = 0;
	void *inner;

	*ret_first = false;
	inner = bpf_map_lookup_elem(&files, &zero);
	if (!inner)
		return NULL;
	slot_file_key(slot, &key);
	stats = bpf_map_lookup_elem(inner, &key);
	if (stats)
		return stats->container || !slot->container ? stats : NULL;
	slot_to_stats(slot, &fresh);
	if (!bpf_map_update_elem(inner, &key, &fresh, BPF_NOEXIST)) {
		*ret_first = true;
		if (control)
			count(&control->files_started, 1);
	}
	return bpf_map_lookup_elem(inner, &key);
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
	if (stats && !is_first) {
		count(&stats->bytes, slot->bytes);
		count(&stats->calls, slot->calls);
		stats->last_boot_ns = slot->last_boot_ns;
		stats->last_writer = slot->last_writer;
		if (!stats->first_writer)
			stats->first_writer = slot->first_writer;
	}
	if (!stats) {
		c = counters_of(slot->container);
		if (c)
			count(&c->files_unlisted, slot->calls);
	}
	slot->bytes = 0;
	slot->calls = 0;
}

/* Files that are switches and not storage. */
static __always_inline bool is_pseudo(__u32 magic)
{
	switch (magic) {
	case 0x9fa0:	 /* proc */
	case 0x62656572: /* sysfs */
	case 0x63677270: /* cgroup v2 */
	case 0x27e0eb:	 /* cgroup v1 */
	case 0x64626720: /* debugfs */
	case 0x74726163: /* tracefs */
	case 0x73636673: /* securityfs */
	case 0x6165676c: /* pstore */
		return true;
	default:
		return false;
	}
}

/* Returns whether the verdict holds for later writes too. */
static __always_inline bool slot_judge(struct dw_slot *slot, __u32 magic, __u32 how)
{
	__u32 elsewhere;

	slot->container = 0;
	slot->overlay_dev = 0;
	slot->root = 0;
	if (how == JUDGE_SUPERBLOCK && magic == OVERLAYFS_SUPER_MAGIC) {
		judge_by_overlay(slot);
		return true;
	}
	if (how == JUDGE_SUPERBLOCK && is_pseudo(magic)) {
		slot->verdict = DW_VERDICT_NOBODY;
		return true;
	}
	elsewhere = magic == TMPFS_MAGIC ? DW_TARGET_TMPFS : DW_TARGET_OTHER;
	return judge_by_walk(slot, elsewhere) && slot->verdict != DW_VERDICT_COPY_UP;
}

/* No slot and no spare one: say that a run of a program was in vain. */
static __always_inline void count_lost_run(void)
{
	struct dw_control *control = control_get();

	if (control)
		count(&control->lost_runs, 1);
}

/* Empty the slot @index, which is ours, for another file. */
__weak __noinline int slot_empty(__u32 index)
{
	struct dw_slot *slot = slot_at(index);

	if (!slot)
		return 0;
	slot_spill(slot);
	slot->ino = 0;
	return 0;
}

/*
 * Make the empty slot @index that of the file whose inode's address stands in
 * .inode, as written by @cgroup_id. Returns whether an aggregate was started.
 */
__weak __noinline int slot_claim(__u32 index, __u64 cgroup_id, __u32 how)
{
	struct dw_control *control = control_get();
	struct dw_slot *slot = slot_at(index);
	bool is_first = false, is_lasting;
	struct inode *inode;
	struct file_id file;

	if (!slot || !control)
		return 0;
	inode = (struct inode *)slot->inode;
	file_id_read(inode, &file);
	slot->ino = file.ino;
	slot->gen = file.gen;
	slot->sb_dev = file.sb_dev;
	inode = real_inode(inode, file.magic);
	slot->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	slot->cgroup_id = cgroup_id;
	slot->epoch = *(volatile __u32 *)&control->epoch; /* before the look at the maps */
	is_lasting = how != JUDGE_GIVEN && slot_judge(slot, file.magic, how);
	slot->is_lasting = is_lasting;
	slot->claimed_jiffies = bpf_jiffies64();
	slot->claimed_boot_ns = bpf_ktime_get_boot_ns();
	slot->last_boot_ns = slot->claimed_boot_ns;
	slot->bytes = 0;
	slot->calls = 0;
	slot->first_writer = 0;
	if (how == JUDGE_DIR)
		return 0;
	if (slot->verdict == DW_VERDICT_PROVISIONAL)
		emit_sight(slot->overlay_dev);
	else if (slot->verdict != DW_VERDICT_COUNTED)
		return 0;
	slot_stats(slot, &is_first);
	return is_first;
}

static __always_inline bool slot_holds(const struct dw_slot *slot, const struct file_id *file,
				       __u64 cgroup_id)
{
	return slot->ino == file->ino && slot->gen == file->gen && slot->sb_dev == file->sb_dev &&
	       slot->cgroup_id == cgroup_id;
}

static __always_inline bool slot_is_valid(const struct dw_slot *slot)
{
	struct dw_control *control = control_get();

	return control && slot->is_lasting && slot->epoch == control->epoch &&
	       bpf_jiffies64() - slot->claimed_jiffies < control->verdict_ticks;
}

/* The slot of @file, ours until slot_done(). NULL: all are taken, the write is lost. */
static __always_inline struct dw_slot *slot_get(const struct file_id *file, __u64 cgroup_id,
						__u32 how, __u32 *ret_index, bool *ret_first)
{
	struct dw_slot *slot = slot_take(file->ino, ret_index);

	*ret_first = false;
	if (!slot)
		return NULL;
	if (slot_holds(slot, file, cgroup_id) && slot_is_valid(slot))
		return slot;
	slot_empty(*ret_index);
	slot->inode = file->inode;
	*ret_first = slot_claim(*ret_index, cgroup_id, how);
	return slot;
}

static __always_inline void slot_done(struct dw_slot *slot, __u32 index)
{
	if (slot_is_spare(index))
		slot_empty(index);
	slot_release(slot);
}

#endif /* SLOT_BPF_H */

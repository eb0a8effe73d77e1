/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * account.bpf.h - what a write adds to: the container's counters and its file's.
 *
 * Every hook ends here, so what counts is decided once. A write to a file that
 * this CPU knows costs a look at its slot and a few additions; the walk, the table
 * and the record come with the first write, and again a second later.
 */
#ifndef ACCOUNT_BPF_H
#define ACCOUNT_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "emit.bpf.h"
#include "layer.bpf.h"
#include "maps.bpf.h"
#include "task.bpf.h"

/* How a file is judged. */
#define JUDGE_WALK 0	   /* the inode is where the bytes land */
#define JUDGE_SUPERBLOCK 1 /* overlay by super block, tmpfs, else walk */
#define JUDGE_GIVEN 2	   /* as the slot says already */
#define JUDGE_DIR 3	   /* a directory, for what happens in it: walked to, not written to */

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
	exchange(&slot->busy, 0);
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
	return judge_by_walk(slot, elsewhere) &&
	       (slot->verdict != DW_VERDICT_COPY_UP || how == JUDGE_DIR);
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
	struct file_id file;

	if (!slot || !control)
		return 0;
	file_id_read((struct inode *)slot->inode, &file);
	slot->ino = file.ino;
	slot->dev = file.dev;
	slot->gen = file.gen;
	slot->cgroup_id = cgroup_id;
	slot->epoch = *(volatile __u32 *)&control->epoch; /* before the look at the maps */
	is_lasting = how != JUDGE_GIVEN && slot_judge(slot, file.magic, how);
	if (how == JUDGE_DIR && !S_ISDIR(file.mode)) /* its first write is still to come */
		is_lasting = false;
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
	return slot->ino == file->ino && slot->gen == file->gen && slot->dev == file->dev &&
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

/*
 * What the verdict on a directory says of an operation on the name of @ret->ino in
 * it. Returns false when it is nobody's business.
 */
static __always_inline bool judge_dir(struct inode *dir, struct op_info *ret)
{
	__u64 cgroup_id = bpf_get_current_cgroup_id();
	struct dw_slot *slot;
	struct file_id file;
	__u32 index, verdict;
	bool is_first;

	file_id_read(dir, &file);
	slot = slot_get(&file, cgroup_id, JUDGE_DIR, &index, &is_first);
	if (!slot) {
		count_lost_run();
		return false;
	}
	verdict = slot->verdict;
	ret->container = slot->container;
	ret->target = slot->target;
	ret->root = slot->root;
	ret->dir = address_of(dir);
	slot_done(slot, index);
	if (verdict == DW_VERDICT_COPY_UP)
		ret->flags |= DW_RECORD_WORKDIR;
	else if (verdict != DW_VERDICT_COUNTED || ret->target == DW_TARGET_OTHER)
		return false;
	ret->dev = file.dev;
	ret->parent_ino = file.ino;
	ret->cgroup_id = cgroup_id;
	return true;
}

/* Count an operation and tell of it: @op is complete but for the writer. */
static __always_inline void report_op(struct op_info *op)
{
	struct task_struct *task = current_task();

	if (op->target == DW_TARGET_LAYER && !(op->flags & DW_RECORD_WORKDIR))
		count_op(op->container, op->op);
	op->writer = writer_of(task, task_state(task, true));
	emit_op(op);
}

/* The record of a file's first write; @index is ours. */
__weak __noinline int emit_first_write(__u32 index, __u64 bytes, bool is_async)
{
	struct dw_slot *slot = slot_at(index);
	struct inode *inode;
	struct op_info op = {.op = DW_OP_WRITE};

	if (!slot)
		return 0;
	inode = (struct inode *)slot->inode;
	op.mode = BPF_CORE_READ(inode, i_mode);
	op.container = slot->container;
	op.target = slot->target;
	op.dev = slot->dev;
	op.gen = slot->gen;
	op.ino = slot->ino;
	op.bytes = bytes;
	op.writer = slot->last_writer;
	op.cgroup_id = slot->cgroup_id;
	op.dentry = inode_dentry(slot->inode);
	op.root = slot->root;
	op.is_async = is_async;
	if (!BPF_CORE_READ(inode, i_nlink))
		op.flags |= DW_RECORD_UNLINKED;
	emit_op(&op);
	return 0;
}

/* To a tick's precision: a clock that costs a load, started when the slot was claimed. */
static __always_inline __u64 slot_now(const struct dw_slot *slot)
{
	struct dw_control *control = control_get();

	if (!control)
		return slot->claimed_boot_ns;
	return slot->claimed_boot_ns +
	       (bpf_jiffies64() - slot->claimed_jiffies) * control->tick_ns;
}

/* Add to the counters and to the file what a hook saw of a write. */
static __always_inline void slot_add(struct dw_slot *slot, __u64 calls, __u64 bytes, __u64 writer)
{
	struct dw_counters *c;

	slot->calls += calls;
	slot->bytes += bytes;
	slot->last_writer = writer;
	slot->last_boot_ns = slot_now(slot);
	if (!slot->first_writer)
		slot->first_writer = writer;
	if (slot->verdict != DW_VERDICT_COUNTED)
		return;
	c = counters_of(slot->container);
	if (!c)
		return;
	if (calls)
		count(&c->write_calls[slot->target & (DW_TARGET_MAX - 1)], calls);
	count(&c->write_bytes[slot->target & (DW_TARGET_MAX - 1)], bytes);
}

/* Totals of an overlay that nobody has registered yet. */
static __always_inline void count_provisional(__u32 overlay_dev, __u64 calls, __u64 bytes)
{
	struct dw_totals *t = bpf_map_lookup_elem(&provisional, &overlay_dev), zero = {};

	if (!t) {
		bpf_map_update_elem(&provisional, &overlay_dev, &zero, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&provisional, &overlay_dev);
	}
	if (!t) {
		count_lost_run();
		return;
	}
	count(&t->calls, calls);
	count(&t->bytes, bytes);
}

/* Bytes of a file on its way up: nobody wrote them. */
static __always_inline void count_copy_up(dw_container_t container, __u64 bytes)
{
	struct dw_counters *c = counters_of(container);

	if (c)
		count(&c->copied_up_bytes, bytes);
}

#endif /* ACCOUNT_BPF_H */

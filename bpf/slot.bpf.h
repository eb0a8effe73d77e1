/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * slot.bpf.h - a file as this CPU knows it: whose it is, and what was counted for it.
 *
 * A write to a file that has its slot costs a look at it; the walk and the
 * file's cell come with the first write, and again a second later. The tier's main write
 * program is alone with its slots; the others take a lock, and who finds that held
 * uses a spare slot and empties it when done. A file that finds its slot with another
 * one that is written to goes on in its cell.
 */
#ifndef SLOT_BPF_H
#define SLOT_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "emit.bpf.h"
#include "files.bpf.h"
#include "layer.bpf.h"
#include "maps.bpf.h"
#include "task.bpf.h"

/* How a file is judged. */
#define JUDGE_WALK	 0  /* the inode is where the bytes land */
#define JUDGE_SUPERBLOCK 1  /* overlay by super block, tmpfs, else walk */
#define JUDGE_GIVEN	 2  /* as the slot says already */
#define JUDGE_KNOWN	 8  /* added: the slot says which file it is, of no overlay */
#define JUDGE_NEW	 16 /* added: the file has no cell */

/* Where a write is counted: got with hold_file(), let go with hold_done(). */
struct hold {
	struct dw_slot *slot;
	struct dw_slot *lock; /* whose .busy is ours; NULL for the main program */
	struct dw_cell *cell; /* straight in there, the slot being another file's */
	struct dw_control *control;
	__u32 index; /* of .slot */
	__u32 verdict;
	dw_container_t container;
	__u32 target;
	bool is_main;
	bool is_spare;
	bool is_first; /* an aggregate was started */
};

static __always_inline __u32 slot_base(void)
{
	return bpf_get_smp_processor_id() * DW_SLOTS_PER_CPU;
}

static __always_inline struct dw_slot *slot_at(__u32 index)
{
	return bpf_map_lookup_elem(&slots, &index);
}

/* Which of DW_SLOTS_CACHED. */
static __always_inline __u32 slot_hash(__u64 ino)
{
	return ino * 0x9E3779B97F4A7C15ull >> 56;
}

/* Slots held by one who is interrupted, preempted or draining are worked around. */
static __always_inline bool slot_take_spare(struct hold *h)
{
	__u32 index = slot_base() + DW_SLOTS_SPARES;
	struct dw_slot *slot;
	int i;

	for (i = 0; i < DW_SLOTS_SPARE; i++, index++) {
		slot = slot_at(index);
		if (slot && !exchange(&slot->busy, 1)) {
			h->slot = slot;
			h->lock = slot;
			h->index = index;
			h->is_spare = true;
			return true;
		}
	}
	return false;
}

/* Nothing was counted in the spare slot in hand. */
static __always_inline void slot_drop_spare(struct hold *h)
{
	h->slot->ino = 0;
	store_after(&h->lock->busy, 0);
}

/* The slot for inode @ino, ours until hold_done(). False: all are taken. */
static __always_inline bool slot_take(__u64 ino, struct hold *h)
{
	h->index = slot_base() + DW_SLOTS_OTHER + slot_hash(ino);
	h->slot = slot_at(h->index);
	h->lock = slot_at(slot_base() + DW_SLOT_LOCK);
	if (!h->slot || !h->lock)
		return false;
	return !exchange(&h->lock->busy, 1) || slot_take_spare(h);
}

/* That of the main program, which runs once at a time on a CPU. */
static __always_inline __u32 slot_main_index(const struct dw_control *control, __u64 ino)
{
	return slot_base() + (control->half & 1) * DW_SLOTS_CACHED + slot_hash(ino);
}

static __always_inline bool slot_take_main(__u64 ino, struct hold *h)
{
	h->index = slot_main_index(h->control, ino);
	h->slot = slot_at(h->index);
	return !!h->slot;
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

static __always_inline void slot_judge(struct dw_slot *slot, __u32 magic, __u32 how)
{
	__u32 elsewhere;

	slot->lasting = DW_LASTS_FOR_WRITER;
	slot->container = 0;
	slot->overlay_dev = 0;
	slot->root = 0;
	if (how == JUDGE_SUPERBLOCK && magic == OVERLAYFS_SUPER_MAGIC) {
		judge_by_overlay(slot);
		return;
	}
	if (how == JUDGE_SUPERBLOCK && is_pseudo(magic)) {
		slot->verdict = DW_VERDICT_NOBODY;
		return;
	}
	elsewhere = magic == TMPFS_MAGIC ? DW_TARGET_TMPFS : DW_TARGET_OTHER;
	if (!judge_by_walk(slot, elsewhere) || slot->verdict == DW_VERDICT_COPY_UP)
		slot->lasting = DW_LASTS_NOT;
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

/* Write down which file the slot is for. Returns the magic number of its super block. */
static __always_inline __u32 slot_identify(struct dw_slot *slot)
{
	struct inode *inode = (struct inode *)slot->inode;
	struct file_id file;

	file_id_read(inode, &file);
	inode = real_inode(inode, file.magic);
	slot->ino = file.ino;
	slot->gen = file.gen;
	slot->sb = file.sb;
	slot->sb_dev = file.sb_dev;
	slot->dev = file.sb_dev;
	if (file.magic == OVERLAYFS_SUPER_MAGIC)
		slot->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	return file.magic;
}

/* By what user space makes times of cells' ticks. Both clocks go on alike but for suspension. */
static __always_inline void note_time(struct dw_control *control, const struct dw_slot *slot)
{
	if (slot->claimed_jiffies - control->at_jiffies < control->verdict_ticks)
		return;
	control->at_boot_ns = slot->claimed_boot_ns;
	control->at_jiffies = slot->claimed_jiffies;
}

/*
 * Make the empty slot @index that of the file whose inode's address stands in
 * .inode, as written by the running task unless JUDGE_GIVEN. Returns whether an
 * aggregate was started.
 */
__weak __noinline int slot_claim(__u32 index, __u32 how)
{
	struct dw_control *control = control_get();
	struct dw_slot *slot = slot_at(index);
	bool is_first = false, is_new = how & JUDGE_NEW;
	struct dw_cell *cell;
	__u32 magic = 0;

	if (!slot || !control)
		return 0;
	if (!(how & JUDGE_KNOWN))
		magic = slot_identify(slot);
	how &= ~(JUDGE_KNOWN | JUDGE_NEW);
	slot->epoch = *(volatile __u32 *)&control->epoch; /* before the look at the maps */
	slot->lasting = DW_LASTS_NOT;
	if (how != JUDGE_GIVEN) {
		slot->cgroup = task_cgroup(current_task());
		slot->cgroup_id = bpf_get_current_cgroup_id();
		slot_judge(slot, magic, how);
	}
	slot->claimed_jiffies = bpf_jiffies64();
	slot->last_jiffies = slot->claimed_jiffies;
	slot->holds_until = slot->lasting ? slot->claimed_jiffies + control->verdict_ticks : 0;
	slot->claimed_boot_ns = bpf_ktime_get_boot_ns();
	note_time(control, slot);
	slot->bytes = 0;
	slot->calls = 0;
	slot->first_writer = 0;
	slot->task = 0;
	if (slot->verdict == DW_VERDICT_PROVISIONAL)
		emit_sight(slot->overlay_dev);
	else if (slot->verdict != DW_VERDICT_COUNTED)
		return 0;
	cell = slot_cell(slot, is_new, &is_first);
	if (cell)
		cell_judge(cell, slot);
	return is_first;
}

/*
 * Judge the place of the directory, or file, in the spare slot @index: which it is stands
 * there. Apart from slot_claim(), whose counting the verifier would look through in each
 * program that tells of operations only.
 */
__weak __noinline int slot_judge_place(__u32 index, bool is_dir)
{
	struct dw_slot *slot = slot_at(index);

	if (!slot)
		return 0;
	slot->cgroup_id = bpf_get_current_cgroup_id();
	slot->container = 0;
	slot->root = 0;
	if (is_dir)
		judge_dir_by_walk(slot);
	else
		judge_by_walk(slot, DW_TARGET_OTHER);
	return 0;
}

/* Whether @slot is that file's, and what it says of it still holds. */
static __always_inline bool slot_holds(const struct dw_slot *slot, __u64 ino, __u32 gen, __u64 sb,
				       const struct dw_control *control)
{
	return slot->ino == ino && slot->gen == gen && slot->sb == sb &&
	       slot->epoch == control->epoch && bpf_jiffies64() < slot->holds_until;
}

/* Whether what @slot says is true of @file, written by @task. */
static __always_inline bool slot_knows(const struct dw_slot *slot, const struct file_id *file,
				       struct task_struct *task, const struct dw_control *control)
{
	return slot_holds(slot, file->ino, file->gen, file->sb, control) &&
	       (slot->lasting == DW_LASTS_FOR_ALL || slot->cgroup == task_cgroup(task));
}

/*
 * Whether the slot stays with the file that has it, and @file's writes go into its
 * aggregate: until it comes again and the other has not been written to meanwhile.
 */
static __always_inline bool slot_is_kept(struct dw_slot *slot, const struct file_id *file)
{
	__u32 challenger = (__u32)file->ino ^ (__u32)slot->calls << 8 ^ (__u32)slot->calls >> 24;

	if (!slot->ino || slot->challenger == challenger)
		return false;
	if (slot->ino == file->ino && slot->sb == file->sb)
		return false; /* itself, to be judged again, or what had its number before */
	slot->challenger = challenger;
	return true;
}

/* Empty the slot in hand, and make it that of @file. */
static __always_inline void hold_claim(struct hold *h, const struct file_id *file, __u32 how)
{
	struct dw_slot *slot = h->slot;

	if (h->is_main) /* user space reads without a lock */
		exchange(&slot->seq, slot->seq + 1);
	slot_empty(h->index);
	slot->inode = file->inode;
	if (!file->magic) {
		slot->ino = file->ino;
		slot->gen = file->gen;
		slot->sb = file->sb;
		slot->sb_dev = file->sb_dev;
		slot->dev = file->sb_dev;
		how |= JUDGE_KNOWN;
	}
	h->is_first = slot_claim(h->index, how);
	if (h->is_main)
		store_after(&slot->seq, slot->seq + 1);
}

/*
 * Get hold of where writes of @task to @file are counted; @is_main for the tier's main
 * write program only. False: all slots are taken, the write is lost. Otherwise the
 * caller ends with hold_done().
 */
static __always_inline bool hold_file(const struct file_id *file, struct task_struct *task,
				      __u32 how, bool is_main, struct hold *h)
{
	h->control = control_get();
	h->is_main = is_main;
	if (!h->control || !(is_main ? slot_take_main(file->ino, h) : slot_take(file->ino, h)))
		return false;
	if (h->is_spare || !slot_knows(h->slot, file, task, h->control)) {
		bool is_new = false;

		if (h->is_spare || slot_is_kept(h->slot, file))
			h->cell = file_cell(file, h->control, &is_new);
		if (h->cell) {
			h->verdict = DW_VERDICT_COUNTED;
			h->container = DW_CELL_CONTAINER(h->cell->owner);
			h->target = DW_CELL_TARGET(h->cell->owner);
			return true;
		}
		hold_claim(h, file, is_new ? how | JUDGE_NEW : how);
	}
	h->verdict = h->slot->verdict;
	h->container = h->slot->container;
	h->target = h->slot->target;
	return true;
}

static __always_inline void hold_done(struct hold *h)
{
	if (h->is_main)
		return;
	if (h->is_spare)
		slot_empty(h->index);
	store_after(&h->lock->busy, 0);
}

#endif /* SLOT_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * steady.bpf.h - the write that most writes are: the slot knows the file and who writes.
 *
 * Apart from the rest for its speed: few values, so that they stay in registers, and
 * nothing between its instructions that is seldom run.
 */
#ifndef STEADY_BPF_H
#define STEADY_BPF_H

#include "kernel_types.h"

#include "account.bpf.h"
#include "calls.bpf.h"

/* The slot, if what it says of its file is true of @inode now; for the main program. */
static __always_inline struct dw_slot *steady_slot(const struct inode *inode,
						   const struct dw_control *control)
{
	struct dw_slot *slot = slot_at(slot_main_index(control, inode->i_ino));

	if (!slot || slot->ino != inode->i_ino || slot->gen != inode->i_generation ||
	    slot->epoch != control->epoch || slot->sb_dev != inode->i_sb->s_dev)
		return NULL;
	if (!slot->lasting || bpf_jiffies64() - slot->claimed_jiffies >= control->verdict_ticks)
		return NULL;
	return slot;
}

/*
 * Count the chunk of a write, or find that it is nobody's, as the next call of the task that
 * wrote last; from the tier's main program, for an inode of no overlay. Returns false when
 * it has to be looked at: nothing was done then.
 */
static __always_inline bool steady_chunk(struct inode *inode, __s64 pos, __u32 len, __u32 copied)
{
	struct dw_control *control = control_get();
	struct task_struct *task;
	struct dw_slot *slot;
	__u64 syscw;

	if (!control)
		return false;
	slot = steady_slot(inode, control);
	if (!slot)
		return false;
	task = current_task();
	if (slot->verdict == DW_VERDICT_NOBODY)
		return slot->cgroup == task_cgroup(task);
	if (slot->verdict != DW_VERDICT_COUNTED || !slot_knows_task(slot, task, control) ||
	    !copied || copied != len || !chunk_is_call(pos, copied))
		return false;
	syscw = TASK_LOAD(task, ioac.syscw);
	if (slot->syscw == syscw)
		return false;
	slot->syscw = syscw;
	slot_add(slot, 1, copied);
	main_add_totals(slot->container, slot->target, 1, copied);
	return true;
}

#endif /* STEADY_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * steady.bpf.h - the write that most writes are: the slot knows the file and who writes.
 *
 * Apart from the rest for its speed: few values, so that they stay in registers, and
 * nothing between its instructions that is seldom run. A program with 64 bytes of stack or
 * more gets a private one from 6.13 on, which costs a fifth of all this: arguments are read
 * from the context where they are used.
 */
#ifndef STEADY_BPF_H
#define STEADY_BPF_H

#include "kernel_types.h"

#include "account.bpf.h"
#include "calls.bpf.h"

/* The main program's slot, if it is the file's and what it says still holds. */
static __always_inline struct dw_slot *steady_slot(const struct dw_control *control, __u64 ino,
						   __u32 gen, __u64 sb)
{
	struct dw_slot *slot = slot_at(slot_main_index(control, ino));

	return slot && slot_holds(slot, ino, gen, sb, control) ? slot : NULL;
}

static __always_inline bool steady_is_nobodys(const struct dw_slot *slot, struct task_struct *task)
{
	return slot->verdict == DW_VERDICT_NOBODY && slot->cgroup == task_cgroup(task);
}

static __always_inline void steady_add(struct dw_slot *slot, __u64 bytes)
{
	slot_add(slot, 1, bytes);
	main_add_totals(slot->container, slot->target, 1, bytes);
}

/*
 * Count the chunk of a write, or find that it is nobody's, as the next call of the task that
 * wrote last; @ctx is that of the tier's main program, with an inode of no overlay. Returns
 * false when it has to be looked at: nothing was done then.
 */
static __always_inline bool steady_chunk(const unsigned long long *ctx)
{
	struct inode *inode = (struct inode *)ctx[0];
	struct dw_control *control = control_get();
	struct task_struct *task;
	struct dw_slot *slot;
	__u32 copied;
	__u64 syscw;

	if (!control)
		return false;
	slot = steady_slot(control, inode->i_ino, inode->i_generation, (__u64)inode->i_sb);
	if (!slot)
		return false;
	task = current_task();
	if (slot->verdict != DW_VERDICT_COUNTED)
		return steady_is_nobodys(slot, task);
	copied = ctx[3];
	if (!slot_knows_task(slot, task, control) || !copied || copied != (__u32)ctx[2])
		return false;
	syscw = TASK_LOAD(task, ioac.syscw);
	if (slot->syscw == syscw)
		return false;
	if (!chunk_is_call(ctx[1], copied) && !chunk_is_whole_call(task, copied))
		return false;
	slot->syscw = syscw;
	steady_add(slot, copied);
	return true;
}

/* The same for a call with its result; @sb is of the file that the task has open. */
static __always_inline bool steady_call(__u64 ino, __u32 gen, __u64 sb, struct task_struct *task,
					__u64 bytes)
{
	struct dw_control *control = control_get();
	struct dw_slot *slot = control ? steady_slot(control, ino, gen, sb) : NULL;

	if (!slot)
		return false;
	if (slot->verdict != DW_VERDICT_COUNTED)
		return steady_is_nobodys(slot, task);
	if (!slot_knows_task(slot, task, control))
		return false;
	steady_add(slot, bytes);
	return true;
}

#endif /* STEADY_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * account.bpf.h - what a write adds to: the container's counters and its file's.
 *
 * Every hook ends here, so what counts is decided once.
 */
#ifndef ACCOUNT_BPF_H
#define ACCOUNT_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "emit.bpf.h"
#include "layer.bpf.h"
#include "maps.bpf.h"
#include "slot.bpf.h"
#include "task.bpf.h"

/*
 * What the place of @inode says of an operation on it. Walked to each time: a directory that
 * is removed is moved to the work directory first. From the event of a file system, so it is
 * no overlay's. Returns false when it is nobody's business.
 */
static __always_inline bool judge_place(struct inode *inode, bool is_dir, struct op_info *ret)
{
	struct hold h = {};
	struct dw_slot *slot;
	__u32 verdict;

	if (!slot_take_spare(&h)) {
		count_lost_run();
		return false;
	}
	slot = h.slot;
	slot->inode = (__u64)inode;
	ret->dir = *(volatile __u64 *)&slot->inode; /* as address_of(), without a call */
	slot->ino = inode->i_ino;
	slot->gen = inode->i_generation;
	slot->sb_dev = PEEK(struct super_block, inode->i_sb, s_dev);
	slot->dev = slot->sb_dev;
	slot_judge_place(h.index, is_dir);
	ret->cgroup_id = slot->cgroup_id;
	verdict = slot->verdict;
	ret->container = slot->container;
	ret->target = slot->target;
	ret->root = slot->root;
	ret->dev = slot->dev;
	ret->parent_ino = slot->ino;
	slot_drop_spare(&h);
	if (verdict == DW_VERDICT_COPY_UP)
		ret->flags |= DW_RECORD_WORKDIR;
	return verdict == DW_VERDICT_COPY_UP ||
	       (verdict == DW_VERDICT_COUNTED && ret->target != DW_TARGET_OTHER);
}

/* Likewise, of an operation in @dir. */
static __always_inline bool judge_dir(struct inode *dir, struct op_info *ret)
{
	return judge_place(dir, true, ret);
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
	op.mode = PEEK(struct inode, inode, i_mode);
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
	if (!PEEK(struct inode, inode, i_nlink))
		op.flags |= DW_RECORD_UNLINKED;
	emit_op(&op);
	return 0;
}

/* Add to the totals of the container that only the main program adds to. */
static __always_inline void main_add_totals(dw_container_t container, __u32 target, __u64 calls,
					    __u64 bytes)
{
	struct dw_cpu_counters *c = bpf_map_lookup_elem(&counters, &container);

	if (!c)
		return;
	target &= DW_TARGET_MAX - 1;
	c->main[target].calls += calls;
	c->main[target].bytes += bytes;
}

static __always_inline void hold_add_totals(const struct hold *h, __u64 calls, __u64 bytes)
{
	struct dw_counters *c;
	__u32 target = h->target & (DW_TARGET_MAX - 1);

	if (h->verdict != DW_VERDICT_COUNTED)
		return;
	if (h->is_main) {
		main_add_totals(h->container, target, calls, bytes);
		return;
	}
	c = counters_of(h->container);
	if (!c)
		return;
	count(&c->write_calls[target], calls);
	count(&c->write_bytes[target], bytes);
}

static __always_inline void slot_add(struct dw_slot *slot, __u64 calls, __u64 bytes)
{
	slot->calls += calls;
	slot->bytes += bytes;
	slot->last_jiffies = bpf_jiffies64();
}

static __always_inline void cell_add(struct dw_cell *cell, __u64 calls, __u64 bytes, __u64 writer)
{
	count(&cell->calls, calls);
	count(&cell->bytes, bytes);
	cell->last_writer = writer;
	cell->last_ticks = bpf_jiffies64();
	if (!cell->first_writer) /* user space took what was counted, and that with it */
		cell->first_writer = writer;
}

/* Add to the file and to the totals what a hook saw of a write. */
static __always_inline void hold_add(struct hold *h, __u64 calls, __u64 bytes, __u64 writer)
{
	if (h->cell) {
		cell_add(h->cell, calls, bytes, writer);
	} else {
		slot_add(h->slot, calls, bytes);
		h->slot->last_writer = writer;
		if (!h->slot->first_writer)
			h->slot->first_writer = writer;
	}
	hold_add_totals(h, calls, bytes);
}

/*
 * Remember that @task wrote to the slot's file and is between two calls: until
 * tasks_forget() the next one needs no look at what is known of the task.
 */
static __always_inline void hold_note_task(struct hold *h, struct task_struct *task)
{
	struct dw_slot *slot = h->slot;

	if (h->cell || slot->last_writer == 1)
		return;
	slot->task = (__u64)task;
	slot->task_start = TASK_LOAD(task, start_boottime);
	slot->syscw = TASK_LOAD(task, ioac.syscw);
	slot->task_seq = h->control->task_seq;
}

static __always_inline bool slot_knows_task(const struct dw_slot *slot, struct task_struct *task,
					    const struct dw_control *control)
{
	return slot->task == (__u64)task && slot->task_seq == control->task_seq &&
	       slot->task_start == TASK_LOAD(task, start_boottime);
}

static __always_inline bool hold_knows_task(const struct hold *h, struct task_struct *task)
{
	return !h->cell && slot_knows_task(h->slot, task, h->control);
}

/* A further call of the task that is known to the slot. */
static __always_inline void hold_add_known(struct hold *h, __u64 calls, __u64 bytes)
{
	slot_add(h->slot, calls, bytes);
	hold_add_totals(h, calls, bytes);
}

/*
 * Add to the totals of the overlay that the inode at @inode is of, which nobody has
 * registered yet.
 */
__weak __noinline int count_provisional(__u64 inode, __u64 calls, __u64 bytes)
{
	struct inode *root = BPF_CORE_READ((struct inode *)inode, i_sb, s_root, d_inode);
	struct inode *upper = overlay_upper(root);
	struct dw_totals *t, zero = {};
	struct dw_inode key = {};

	if (!upper)
		return 0;
	key.ino = BPF_CORE_READ(upper, i_ino);
	key.dev = BPF_CORE_READ(upper, i_sb, s_dev);
	t = bpf_map_lookup_elem(&provisional, &key);
	if (!t) {
		bpf_map_update_elem(&provisional, &key, &zero, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&provisional, &key);
	}
	if (!t) {
		count_lost_run();
		return 0;
	}
	count(&t->calls, calls);
	count(&t->bytes, bytes);
	return 0;
}

/* Bytes of a file on its way up: nobody wrote them. */
static __always_inline void count_copy_up(dw_container_t container, __u64 bytes)
{
	struct dw_counters *c = counters_of(container);

	if (c)
		count(&c->copied_up_bytes, bytes);
}

#endif /* ACCOUNT_BPF_H */

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
 * What the place of a directory says of an operation in it. Walked to each time: a
 * directory that is removed is moved to the work directory first. Returns false when
 * it is nobody's business.
 */
static __always_inline bool judge_dir(struct inode *dir, struct op_info *ret)
{
	struct dw_slot *slot;
	__u32 index, verdict;

	slot = slot_take_spare(&index);
	if (!slot) {
		count_lost_run();
		return false;
	}
	ret->dir = address_of(dir);
	ret->cgroup_id = bpf_get_current_cgroup_id();
	slot->inode = ret->dir;
	slot_claim(index, ret->cgroup_id, JUDGE_DIR);
	verdict = slot->verdict;
	ret->container = slot->container;
	ret->target = slot->target;
	ret->root = slot->root;
	ret->dev = slot->dev;
	ret->parent_ino = slot->ino;
	slot_done(slot, index);
	if (verdict == DW_VERDICT_COPY_UP)
		ret->flags |= DW_RECORD_WORKDIR;
	return verdict == DW_VERDICT_COPY_UP ||
	       (verdict == DW_VERDICT_COUNTED && ret->target != DW_TARGET_OTHER);
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
	return slot->claimed_boot_ns + (bpf_jiffies64() - slot->claimed_jiffies) * control->tick_ns;
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

/* Add to the totals of the overlay that @inode is of, which nobody has registered yet. */
static __always_inline void count_provisional(struct inode *inode, __u64 calls, __u64 bytes)
{
	struct inode *root = BPF_CORE_READ(inode, i_sb, s_root, d_inode);
	struct inode *upper = overlay_upper(root);
	struct dw_totals *t, zero = {};
	struct dw_inode key = {};

	if (!upper)
		return;
	key.ino = BPF_CORE_READ(upper, i_ino);
	key.dev = BPF_CORE_READ(upper, i_sb, s_dev);
	t = bpf_map_lookup_elem(&provisional, &key);
	if (!t) {
		bpf_map_update_elem(&provisional, &key, &zero, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&provisional, &key);
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

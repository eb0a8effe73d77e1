/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * share.bpf.c - copy_file_range() that shares blocks instead of copying them (tier fs).
 *
 * xfs gives the range the blocks of another file, and nothing is written. To the caller it
 * is a copy like any other, and counts as one. What ioctl() shares is no write in any tier,
 * and what overlayfs shares for a copy-up costs nobody bytes.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.bpf.h"
#include "calls.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#ifndef DW_OLD_KERNEL /* it cannot tell which system call it is in */

#if defined(__TARGET_ARCH_x86)
#define NR_copy_file_range	  326
#define NR_compat_copy_file_range 377 /* nothing native has it */
#else
#define NR_copy_file_range	  285
#define NR_compat_copy_file_range 391
#endif

static __always_inline bool is_copy_range(struct task_struct *task)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	long nr = SYSCALL_NR(regs);

	return nr == NR_copy_file_range || nr == NR_compat_copy_file_range;
}

static __always_inline int add_shared(struct inode *inode, __u64 calls, __u64 bytes)
{
	struct task_struct *task = current_task();
	struct hold h = {};
	struct file_id file;

	file_id_load(inode, &file);
	if (!hold_file(&file, task, JUDGE_WALK, false, &h)) {
		count_lost_run();
		return 0;
	}
	if (h.verdict != DW_VERDICT_NOBODY && h.verdict != DW_VERDICT_COPY_UP) {
		hold_add(&h, calls, bytes, writer_of(task, task_state(task, true)));
		if (h.is_first)
			emit_first_write(h.index, bytes, false);
	}
	hold_done(&h);
	return 0;
}

/* Before it is done, but nothing tells of the end. */
SEC("tp_btf/xfs_reflink_remap_range")
int BPF_PROG(on_xfs_reflink, struct xfs_inode *from, __s64 from_pos, __s64 len,
	     struct xfs_inode *to, __s64 pos)
{
	struct task_struct *task = current_task();
	struct chunk chunk = {.pos = pos, .len = len, .copied = len};
	struct dw_task *state;

	if (!to || len <= 0 || !is_copy_range(task))
		return 0;
	state = task_state(task, true);
	if (state) {
		chunk.inode = address_of(&to->i_vnode);
		chunk.syscw = TASK_LOAD(task, ioac.syscw);
		call_begin(state, &chunk);
	}
	return add_shared(&to->i_vnode, 1, len);
}

/* It was not to be: the kernel goes on to copy, which is counted as it comes. */
SEC("tp_btf/xfs_reflink_remap_range_error")
int BPF_PROG(on_xfs_reflink_error, struct xfs_inode *to)
{
	struct task_struct *task = current_task();
	struct dw_task *state = task_state(task, false);

	if (!to || !state || state->inode != address_of(&to->i_vnode) || !is_copy_range(task))
		return 0;
	state->inode = 0;
	return add_shared(&to->i_vnode, -1, state->pos - state->pos_end);
}

#endif

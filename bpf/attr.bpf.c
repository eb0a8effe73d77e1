/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * attr.bpf.c - a file was truncated or its blocks were rearranged (tiers fs and syscall).
 *
 * ext4 has no event for mode, owner, times and attributes: those are seen as dirty
 * inodes only, and user space tells what changed.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* An operation on the file itself, judged by where the file is. */
static __always_inline int on_file_op(struct inode *inode, __u16 what)
{
	struct op_info op = {.op = what};

	if (!S_ISREG(inode->i_mode) || !judge_place(inode, false, &op) ||
	    op.flags & DW_RECORD_WORKDIR)
		return 0;
	op.parent_ino = 0;
	op.mode = inode->i_mode;
	op.ino = inode->i_ino;
	op.gen = inode->i_generation;
	op.dentry = inode_dentry(address_of(inode));
	report_op(&op);
	return 0;
}

/*
 * Fires for truncate(), ftruncate() and O_TRUNC unless the file grows; also when an
 * unlinked file is given up, which is no change of the layer.
 */
SEC("tp_btf/ext4_truncate_enter")
int BPF_PROG(on_ext4_truncate, struct inode *inode)
{
	if (!inode->i_nlink)
		return 0;
	return on_file_op(inode, DW_OP_TRUNCATE);
}

SEC("tp_btf/ext4_fallocate_enter")
int BPF_PROG(on_ext4_fallocate, struct inode *inode)
{
	return on_file_op(inode, DW_OP_FALLOCATE);
}

SEC("tp_btf/ext4_punch_hole")
int BPF_PROG(on_ext4_punch_hole, struct inode *inode)
{
	return on_file_op(inode, DW_OP_FALLOCATE);
}

SEC("tp_btf/ext4_zero_range")
int BPF_PROG(on_ext4_zero_range, struct inode *inode)
{
	return on_file_op(inode, DW_OP_FALLOCATE);
}

SEC("tp_btf/ext4_collapse_range")
int BPF_PROG(on_ext4_collapse_range, struct inode *inode)
{
	return on_file_op(inode, DW_OP_FALLOCATE);
}

SEC("tp_btf/ext4_insert_range")
int BPF_PROG(on_ext4_insert_range, struct inode *inode)
{
	return on_file_op(inode, DW_OP_FALLOCATE);
}

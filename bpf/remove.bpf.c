/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * remove.bpf.c - a name was removed (tiers fs and syscall).
 *
 * ext4 tells of unlink only; a removed directory shows in its parent's list.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* The name is still there when this fires: d_delete() comes after. */
SEC("tp_btf/ext4_unlink_exit")
int BPF_PROG(on_ext4_unlink, struct dentry *dentry, int ret)
{
	struct inode *inode = dentry->d_inode;
	struct op_info op = {.op = DW_OP_UNLINK};

	if (ret || !inode || !judge_dir(dentry->d_parent->d_inode, &op) || op.flags & DW_RECORD_WORKDIR)
		return 0;
	op.mode = inode->i_mode;
	op.ino = inode->i_ino;
	op.gen = inode->i_generation;
	op.dentry = address_of(dentry);
	if (!inode->i_nlink)
		op.flags |= DW_RECORD_UNLINKED;
	report_op(&op);
	return 0;
}

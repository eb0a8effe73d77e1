/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * remove.bpf.c - a name was removed (tiers fs and syscall).
 *
 * ext4 tells of unlink only: a removed directory, and a rename, show in the lists of
 * the directories. xfs tells of both, before they happen, and calls rmdir a removal.
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

	if (ret || !inode || !judge_dir(dentry->d_parent->d_inode, &op) ||
	    op.flags & DW_RECORD_WORKDIR)
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

SEC("tp_btf/xfs_remove")
int BPF_PROG(on_xfs_remove, struct xfs_inode *dir, const struct xfs_name *name)
{
	struct op_info op = {.op = DW_OP_UNLINK, .flags = DW_RECORD_PRE_EFFECT};

	if (!dir || !name || !judge_dir(&dir->i_vnode, &op) || op.flags & DW_RECORD_WORKDIR)
		return 0;
	op.dentry = inode_dentry(op.dir);
	op.name = (__u64)name->name;
	op.name_len = name->len;
	report_op(&op);
	return 0;
}

/* Out of the work directory: what the record of the creation there was the first half of. */
SEC("tp_btf/xfs_rename")
int BPF_PROG(on_xfs_rename, struct xfs_inode *from, struct xfs_inode *to,
	     struct xfs_name *from_name, struct xfs_name *to_name)
{
	struct op_info op = {.op = DW_OP_RENAME, .flags = DW_RECORD_PRE_EFFECT};
	struct op_info source = {};

	if (!from || !to || !from_name || !to_name || !judge_dir(&to->i_vnode, &op) ||
	    op.flags & DW_RECORD_WORKDIR)
		return 0;
	if (judge_dir(&from->i_vnode, &source))
		op.flags |= source.flags & DW_RECORD_WORKDIR;
	op.dentry = inode_dentry(op.dir);
	op.name = (__u64)to_name->name;
	op.name_len = to_name->len;
	if (source.dir && !(op.flags & DW_RECORD_WORKDIR)) {
		op.dentry2 = inode_dentry(source.dir);
		op.name2 = (__u64)from_name->name;
		op.name2_len = from_name->len;
	}
	report_op(&op);
	return 0;
}

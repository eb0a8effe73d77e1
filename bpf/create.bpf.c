/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * create.bpf.c - a file, directory, link or node came into being (tiers fs and syscall).
 *
 * On ext4 the event has the inode and its directory but no name yet; user space
 * joins it by dev and ino when it reads the directory. What is made in the work
 * directory is on its way into the layer: copied up, or created over a whiteout.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline __u16 create_op(__u16 mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return DW_OP_CREATE;
	case S_IFDIR:
		return DW_OP_MKDIR;
	case S_IFLNK:
		return DW_OP_SYMLINK;
	default:
		return DW_OP_MKNOD;
	}
}

SEC("tp_btf/ext4_allocate_inode")
int BPF_PROG(on_ext4_allocate_inode, struct inode *inode, struct inode *dir)
{
	struct op_info op = {};

	if (!judge_dir(dir, &op))
		return 0;
	op.op = create_op(inode->i_mode);
	op.mode = inode->i_mode; /* the argument is as before the umask */
	op.ino = inode->i_ino;
	op.gen = inode->i_generation;
	report_op(&op);
	return 0;
}

/*
 * --- xfs tells the name, before it is there. Its event for hard links is of no use:
 * most of them are files that were copied up. ---
 */

/* enum xfs_dir3_ftype, on disk */
#define XFS_FT_REGULAR 1
#define XFS_FT_DIR     2
#define XFS_FT_SYMLINK 7

static __always_inline __u16 create_op_xfs(int type)
{
	switch (type) {
	case XFS_FT_REGULAR:
		return DW_OP_CREATE;
	case XFS_FT_DIR:
		return DW_OP_MKDIR;
	case XFS_FT_SYMLINK:
		return DW_OP_SYMLINK;
	default:
		return DW_OP_MKNOD;
	}
}

static __always_inline int on_xfs_name(struct xfs_inode *dir, const struct xfs_name *name,
				       __u16 what)
{
	struct op_info op = {.op = what, .flags = DW_RECORD_PRE_EFFECT};

	if (!judge_dir(&dir->i_vnode, &op))
		return 0;
	op.dentry = inode_dentry(op.dir);
	op.name = (__u64)name->name;
	op.name_len = name->len;
	report_op(&op);
	return 0;
}

SEC("tp_btf/xfs_create")
int BPF_PROG(on_xfs_create, struct xfs_inode *dir, const struct xfs_name *name)
{
	return dir && name ? on_xfs_name(dir, name, create_op_xfs(name->type)) : 0;
}

SEC("tp_btf/xfs_symlink")
int BPF_PROG(on_xfs_symlink, struct xfs_inode *dir, const struct xfs_name *name)
{
	return dir && name ? on_xfs_name(dir, name, DW_OP_SYMLINK) : 0;
}

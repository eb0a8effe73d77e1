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

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel_types.h - the kernel fields driftwatch depends on, and no others.
 *
 * CO-RE resolves every field against the BTF of the running kernel, so order
 * and offsets here mean nothing; names and types do. A field that was renamed
 * between kernels gets a flavour (struct foo___old) next to its successor.
 *
 * DW_OLD_KERNEL builds the variant for kernels before 5.13: no atomic exchange,
 * no task storage, no bpf_get_current_task_btf().
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>

/* <bpf/bpf_tracing.h> then knows struct pt_regs by its kernel names. */
#define __VMLINUX_H__

typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

#define S_IFMT	      0170000
#define S_IFSOCK      0140000
#define S_IFLNK	      0120000
#define S_IFREG	      0100000
#define S_IFBLK	      0060000
#define S_IFDIR	      0040000
#define S_IFCHR	      0020000
#define S_IFIFO	      0010000
#define S_ISREG(mode) (((mode)&S_IFMT) == S_IFREG)
#define S_ISDIR(mode) (((mode)&S_IFMT) == S_IFDIR)

#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define TMPFS_MAGIC	      0x01021994
#define PAGE_SIZE	      4096 /* the smallest of any kernel we run on */
#define EIOCBQUEUED	      529

#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD   0x00200000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct load_weight {
	unsigned long weight; /* peek.bpf.h: a number of this size in a struct that has a name */
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct qstr {
	union {
		struct {
			__u32 hash;
			__u32 len;
		};
		__u64 hash_len;
	};
	const unsigned char *name;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
	struct dentry *s_root;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
	union {
		struct hlist_node d_alias;
	} d_u;
};

/* d_u was made anonymous in 7.x */
struct dentry___anonymous {
	struct hlist_node d_alias;
};

struct inode {
	__u16 i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	__u32 i_generation;
	__s64 i_size;
	struct hlist_head i_dentry;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

typedef struct {
	unsigned int val;
} kuid_t;

struct cred {
	kuid_t uid;
};

struct task_io_accounting {
	__u64 syscw;
};

struct fs_struct {
	struct path root;
};

struct mm_struct {
	struct file *exe_file;
};

struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct thread_info {
	__u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct mm_struct *mm;
	__u64 self_exec_id;
	struct task_io_accounting ioac;
	struct css_set *cgroups;
};

struct renamedata {
	struct dentry *old_dentry;
	struct dentry *new_dentry;
};

struct iattr {
	unsigned int ia_valid;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp;
};

struct kiocb {
	struct file *ki_filp;
	__s64 ki_pos;
	void (*ki_complete)(struct kiocb *iocb, long ret);
	int ki_flags;
};

struct iov_iter {
	bool data_source;
};

struct iov_iter___old { /* before 5.14: bit 0 is WRITE */
	unsigned int type;
};

struct iomap {
	__u64 length;
};

struct iomap_iter {
	struct inode *inode;
	struct iomap iomap;
	__s64 pos;
	__s64 iter_start_pos; /* since 6.15 */
	unsigned int flags;
};

struct iomap_iter___old { /* before 6.15 */
	__s64 processed;
};

struct io_uring_cqe {
	__s32 res;
};

struct io_kiocb {
	struct file *file;
	__u8 opcode;
};

struct xfs_inode {
	struct inode i_vnode;
};

struct xfs_name {
	const unsigned char *name;
	int len;
	int type;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};
#else
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};

struct pt_regs {
	__u64 regs[31];
	__u64 orig_x0;
	__s32 syscallno;
};
#endif

#pragma clang attribute pop

#endif /* KERNEL_TYPES_H */

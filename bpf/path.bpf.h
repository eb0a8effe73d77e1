/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * path.bpf.h - dentry to path, inside one super block or across mounts.
 *
 * A walk writes from the end of scratch.path towards its start, so that what is
 * cut off a path too long are its leading components. The functions are global:
 * the verifier then looks at each once, not at every place it is called from;
 * that is why they take numbers and not pointers.
 */
#ifndef PATH_BPF_H
#define PATH_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "peek.bpf.h"

#define PATH_STEP  16 /* components of a path put together by one call */
#define PATH_STEPS 12 /* calls, at most */
#define NAME_MASK  255

#ifdef DW_OLD_KERNEL
/* Programs of 5.10 are not preempted; an interrupt between the two is let through. */
static __always_inline __u64 exchange(__u64 *p, __u64 value)
{
	__u64 old = *p;

	*p = value;
	return old;
}

static __always_inline __u64 add_bits(__u64 *p, __u64 bits)
{
	return exchange(p, *p | bits);
}
#else
static __always_inline __u64 exchange(__u64 *p, __u64 value)
{
	return __sync_lock_test_and_set(p, value);
}

/* Returns what was there before. */
static __always_inline __u64 add_bits(__u64 *p, __u64 bits)
{
	return __sync_fetch_and_or(p, bits);
}
#endif

/* What was stored before is seen by who sees @value. */
static __always_inline void store_after(__u64 *p, __u64 value)
{
#if defined(__TARGET_ARCH_x86)
	/* Stores are not reordered there, and an exchange costs as much as the rest. */
	asm volatile("" : : : "memory");
	*(volatile __u64 *)p = value;
#else
	exchange(p, value);
#endif
}

/* For less than 64 bits, which no exchange is for: between what is stored before and after. */
static __always_inline void store_barrier(void)
{
#if !defined(__TARGET_ARCH_x86)
	__u64 barrier = 0;

	exchange(&barrier, 1);
#endif
	asm volatile("" : : : "memory");
}

static __always_inline void store_byte_after(__u8 *p, __u8 value)
{
	store_barrier();
	*(volatile __u8 *)p = value;
}

static __always_inline void store_word_after(__u32 *p, __u32 value)
{
	store_barrier();
	*(volatile __u32 *)p = value;
}

/* A pointer as a number, which a global function takes and a typed pointer it refuses. */
static __always_inline __u64 address_of(const void *p)
{
	__u64 address = 0;

	bpf_probe_read_kernel(&address, sizeof(address), &p);
	return address;
}

/* Memory to compose in; NULL when interrupts have nested more than SCRATCH_COUNT deep. */
static __always_inline struct scratch *scratch_take(void)
{
	struct scratch *s;
	__u32 i;

	for (i = 0; i < SCRATCH_COUNT; i++) {
		__u32 key = i;

		s = bpf_map_lookup_elem(&scratches, &key);
		if (s && !exchange(&s->busy, 1 + key))
			return s;
	}
	return NULL;
}

static __always_inline void scratch_release(struct scratch *s)
{
	store_after(&s->busy, 0);
}

/* The scratch that was taken as number @which - 1: how a global function is given one. */
static __always_inline struct scratch *scratch_number(__u32 which)
{
	__u32 key = which - 1;

	return bpf_map_lookup_elem(&scratches, &key);
}

static __always_inline void path_begin(struct scratch *s)
{
	s->flags = 0;
	s->has_missed = 0;
	s->off = DW_PATH_MAX - 1;
	s->path[DW_PATH_MAX - 1] = '\0';
}

/*
 * Put a name before what stands there. False: no room. The offset lives in memory
 * because the verifier would follow each value of a register.
 */
static __always_inline bool path_prepend_name(struct scratch *s, const void *name, __u32 len)
{
	__u32 off = s->off;

	len &= NAME_MASK;
	if (off < len + 1)
		return false;
	off = (off - len - 1) & (DW_PATH_MAX - 1);
	s->path[off] = '/';
	bpf_probe_read_kernel(&s->path[off + 1], len, name);
	s->off = off;
	return true;
}

static __always_inline bool path_prepend(struct scratch *s, struct dentry *dentry)
{
	return path_prepend_name(s, PEEK_POINTER(struct dentry, dentry, d_name.name),
				 PEEK(struct dentry, dentry, d_name.len));
}

/* Returns where in .path the path starts; it ends with a NUL at DW_PATH_MAX - 1. */
static __always_inline __u32 path_end(struct scratch *s)
{
	__u32 off = s->off;

	if (off == DW_PATH_MAX - 1) {
		s->path[DW_PATH_MAX - 2] = '/';
		off = DW_PATH_MAX - 2;
	}
	return off;
}

/*
 * Put up to PATH_STEP components of dentry @start, below dentry @stop (0: below the
 * super block's root), before what stands in scratch @which. Returns the dentry to go
 * on from, 0 when the path is complete or full. In steps, each verified once.
 */
__weak __noinline __u64 walk_path(__u32 which, __u64 start, __u64 stop)
{
	struct scratch *s = scratch_number(which);
	struct dentry *dentry = (void *)start, *parent;
	int i;

	if (!s)
		return 0;
	for (i = 0; i < PATH_STEP; i++) {
		if ((__u64)dentry == stop)
			return 0;
		parent = PEEK_POINTER(struct dentry, dentry, d_parent);
		if (parent == dentry) {
			s->has_missed = !!stop;
			return 0;
		}
		if (!path_prepend(s, dentry)) {
			s->flags = DW_RECORD_PATH_TRUNCATED;
			return 0;
		}
		dentry = parent;
	}
	return (__u64)dentry;
}

/*
 * Path of @dentry below @stop, before what stands in @s since path_begin(). Returns
 * where it starts. Sets .flags when leading components are missing, .has_missed when
 * the file was moved away from below @stop.
 */
static __always_inline __u32 path_walk(struct scratch *s, __u64 dentry, __u64 stop)
{
	int i;

	for (i = 0; i < PATH_STEPS && dentry; i++)
		dentry = walk_path(s->busy, dentry, stop);
	if (dentry)
		s->flags = DW_RECORD_PATH_TRUNCATED;
	return path_end(s);
}

/* The struct mount around a vfsmount. */
static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/*
 * Like walk_path(), from where .walk_dentry and .walk_mount of the scratch are up to
 * the running task's root, across mounts. Returns whether there is more.
 */
__weak __noinline int walk_mounts(__u32 which)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct dentry *root = BPF_CORE_READ(task, fs, root.dentry), *dentry, *parent;
	struct scratch *s = scratch_number(which);
	struct mount *mount, *above;
	int i;

	if (!s)
		return 0;
	for (i = 0; i < PATH_STEP; i++) {
		dentry = (void *)s->walk_dentry;
		mount = (void *)s->walk_mount;
		if (dentry == root)
			return 0;
		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			above = BPF_CORE_READ(mount, mnt_parent);
			if (above == mount)
				return 0;
			s->walk_dentry = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
			s->walk_mount = (__u64)above;
			continue;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			return 0;
		if (!path_prepend(s, dentry)) {
			s->flags = DW_RECORD_PATH_TRUNCATED;
			return 0;
		}
		s->walk_dentry = (__u64)parent;
	}
	return 1;
}

/* A file that lies nowhere has a name all the same: "/memfd:name". */
static __always_inline void path_prepend_anonymous(struct scratch *s, struct dentry *dentry)
{
	struct qstr name = {};
	char first = '/';

	bpf_core_read(&name, sizeof(name), &dentry->d_name);
	bpf_probe_read_kernel(&first, 1, name.name);
	if (first != '/')
		path_prepend_name(s, name.name, name.len);
}

/*
 * Path of the running task's executable, as its container sees it. Returns where it
 * starts, DW_PATH_MAX when there is none.
 */
static __always_inline __u32 path_of_exe(struct scratch *s)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);
	int i, more = 1;

	s->flags = 0;
	if (!exe)
		return DW_PATH_MAX;
	path_begin(s);
	s->walk_dentry = (__u64)BPF_CORE_READ(exe, f_path.dentry);
	s->walk_mount = (__u64)mount_of(BPF_CORE_READ(exe, f_path.mnt));
	for (i = 0; i < PATH_STEPS && more; i++)
		more = walk_mounts(s->busy);
	if (more)
		s->flags = DW_RECORD_PATH_TRUNCATED;
	if (s->off == DW_PATH_MAX - 1)
		path_prepend_anonymous(s, (struct dentry *)s->walk_dentry);
	return path_end(s);
}

#endif /* PATH_BPF_H */

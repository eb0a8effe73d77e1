/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * layer.bpf.h - inode to verdict: which container's layer it is in, or what else.
 *
 * Decided by where the inode is, never by the writer's cgroup: that only names
 * the writer, and the container of what lies outside every layer.
 */
#ifndef LAYER_BPF_H
#define LAYER_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "path.bpf.h"
#include "roots.bpf.h"
#include "task.bpf.h"

/* What identifies a file; read once per event, directly or by probe reads. */
struct file_id {
	__u64 inode; /* address of the one the task has open, or the hook was given */
	__u64 ino;   /* of the file in the upper layer, where .inode is an overlay's */
	__u64 sb;    /* address of .inode's super block */
	__u32 gen;
	__u32 sb_dev; /* of .sb */
	__u32 magic;  /* of .sb; 0: unknown, no overlay's */
	__u16 mode;
};

/* From the typed argument of a file system's event: never an overlay's inode. */
static __always_inline void file_id_load(struct inode *inode, struct file_id *ret)
{
	ret->inode = (__u64)inode;
	ret->ino = inode->i_ino;
	ret->gen = inode->i_generation;
	ret->sb = (__u64)inode->i_sb;
	ret->sb_dev = inode->i_sb->s_dev;
	ret->magic = 0; /* does not matter, and costs a cache line */
	ret->mode = inode->i_mode;
}

/*
 * The inode in the upper layer behind overlay inode @inode, 0 before copy-up. In
 * struct ovl_inode of all kernels since 4.19 the upper dentry follows the inode.
 */
static __always_inline struct inode *overlay_upper(struct inode *inode)
{
	struct dentry *dentry = NULL;

	bpf_probe_read_kernel(&dentry, sizeof(dentry),
			      (void *)inode + bpf_core_type_size(struct inode));
	return dentry ? BPF_CORE_READ(dentry, d_inode) : NULL;
}

/* The inode that identifies what is written to @inode: numbers of overlays are reused. */
static __always_inline struct inode *real_inode(struct inode *inode, __u32 magic)
{
	struct inode *upper;

	if (magic != OVERLAYFS_SUPER_MAGIC)
		return inode;
	upper = overlay_upper(inode);
	return upper ? upper : inode;
}

/* From a bare address. */
static __always_inline void file_id_read(struct inode *inode, struct file_id *ret)
{
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);
	struct inode *real;

	ret->inode = (__u64)inode;
	ret->sb = (__u64)sb;
	ret->sb_dev = BPF_CORE_READ(sb, s_dev);
	ret->magic = BPF_CORE_READ(sb, s_magic);
	ret->mode = BPF_CORE_READ(inode, i_mode);
	real = real_inode(inode, ret->magic);
	ret->ino = BPF_CORE_READ(real, i_ino);
	ret->gen = BPF_CORE_READ(real, i_generation);
}

static __always_inline bool is_root_itself(const struct dw_slot *slot)
{
	struct dw_inode key = {.ino = slot->ino, .dev = slot->dev};

	return is_root(bpf_map_lookup_elem(&roots, &key), slot->gen);
}

/*
 * The newest name of @inode, 0 when it has none (not yet instantiated, or the
 * file handle of a network client). Newest first: a file that was copied up still
 * has its name in the work directory behind the one it was linked to.
 */
static __always_inline __u64 inode_dentry(__u64 inode)
{
	__u64 alias = (__u64)PEEK_POINTER(struct inode, inode, i_dentry.first);

	if (!alias)
		return 0;
	if (bpf_core_field_exists(((struct dentry *)0)->d_u.d_alias))
		return alias - bpf_core_field_offset(struct dentry, d_u.d_alias);
	return alias - bpf_core_field_offset(struct dentry___anonymous, d_alias);
}

/* @root is the dentry of one, and found above @dir. */
static __always_inline void verdict_of_root(struct dw_slot *slot, __u64 root, __u64 dir)
{
	struct dw_root known, *found;

	slot->verdict = DW_VERDICT_NOBODY;
	if (!dir_root_recall(dir, root, &known)) {
		found = root_of_dentry(root, slot->dev);
		if (!found)
			return;
		known = *found;
	}
	slot->container = known.container;
	slot->root = root;
	if (known.kind == DW_ROOT_WORK) {
		slot->verdict = DW_VERDICT_COPY_UP;
	} else if (known.kind == DW_ROOT_UPPER) {
		slot->target = DW_TARGET_LAYER;
		slot->verdict = DW_VERDICT_COUNTED;
		slot->lasting = DW_LASTS_FOR_ALL;
	} else {
		slot->target = DW_TARGET_VOLUME;
		slot->container = current_container();
		slot->verdict = slot->container ? DW_VERDICT_COUNTED : DW_VERDICT_NOBODY;
	}
}

/* Outside every known root: by whose cgroup, or by whose unknown overlay. */
static __always_inline void verdict_of_writer(struct dw_slot *slot, __u32 target)
{
	__u32 overlay;

	slot->target = target;
	slot->container = current_container();
	if (slot->container) {
		slot->verdict = DW_VERDICT_COUNTED;
		return;
	}
	slot->verdict = DW_VERDICT_NOBODY;
	overlay = task_root_overlay(current_task());
	if (overlay && !bpf_map_lookup_elem(&overlays, &overlay)) {
		slot->overlay_dev = overlay;
		slot->verdict = DW_VERDICT_PROVISIONAL;
	}
}

static __always_inline void judge_by_root(struct dw_slot *slot, __u64 root, __u64 dir,
					  __u32 elsewhere)
{
	if (root == WALK_UNFINISHED)
		verdict_of_writer(slot, DW_TARGET_LAYER);
	else if (root)
		verdict_of_root(slot, root, dir);
	else
		verdict_of_writer(slot, elsewhere);
}

/* Judge the directory in @slot by its place in the file system it lies on. */
static __always_inline void judge_dir_by_walk(struct dw_slot *slot)
{
	struct dw_control *control = control_get();
	__u64 dir = inode_dentry(slot->inode), root = 0;

	if (dir && control && is_known_dev(control, slot->dev))
		root = root_above_dir(dir, slot->dev);
	judge_by_root(slot, root, dir, DW_TARGET_OTHER);
}

/*
 * The same for the file in @slot; outside every known root it is @elsewhere. Returns false
 * when it has no name to start from, which says nothing about its next write.
 */
static __always_inline bool judge_by_walk(struct dw_slot *slot, __u32 elsewhere)
{
	struct dw_control *control = control_get();
	__u64 dentry = inode_dentry(slot->inode), dir = 0, root = 0;

	if (dentry && control && is_known_dev(control, slot->dev)) {
		dir = (__u64)PEEK_POINTER(struct dentry, dentry, d_parent);
		if (is_root_itself(slot))
			root = dentry;
		else if (dir != dentry)
			root = root_above_dir(dir, slot->dev);
	}
	judge_by_root(slot, root, dir, elsewhere);
	return !!dentry;
}

/* The container whose upper root is that of the overlay @inode is of; 0: not registered. */
static __always_inline dw_container_t container_of_upper(struct inode *inode)
{
	struct inode *root = BPF_CORE_READ(inode, i_sb, s_root, d_inode);
	struct inode *upper = overlay_upper(root);
	struct dw_root *found;

	if (!upper)
		return 0;
	found = root_at(upper, BPF_CORE_READ(upper, i_sb, s_dev));
	return found && found->kind == DW_ROOT_UPPER ? found->container : 0;
}

/*
 * Judge a file of an overlay by its super block: by the upper root, because numbers
 * of super blocks are used again; by the number where file systems show others to user
 * space (btrfs).
 */
static __always_inline void judge_by_overlay(struct dw_slot *slot)
{
	dw_container_t *container = bpf_map_lookup_elem(&overlays, &slot->sb_dev);
	struct inode *inode = (struct inode *)slot->inode;

	slot->target = DW_TARGET_LAYER;
	slot->lasting = DW_LASTS_FOR_ALL;
	slot->container = container_of_upper(inode);
	if (!slot->container && container)
		slot->container = *container;
	if (slot->container) {
		slot->verdict = DW_VERDICT_COUNTED;
		return;
	}
	slot->overlay_dev = slot->sb_dev;
	slot->verdict = DW_VERDICT_PROVISIONAL;
}

#endif /* LAYER_BPF_H */

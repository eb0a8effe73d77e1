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
#include "task.bpf.h"

#define WALK_DEPTH	16
#define WALK_ROUNDS	64 /* paths deeper than both multiplied belong to the writer's container */
#define WALK_UNFINISHED 1
#define DIR_LASTS	8 /* for this part of the time that a verdict holds */

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

static __always_inline struct dw_control *control_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* Whether anything we know lies on the file system @dev. */
static __always_inline bool is_known_dev(const struct dw_control *c, __u32 dev)
{
	int i;

#pragma unroll
	for (i = 0; i < DW_MAX_DEVS; i++) {
		if (i >= c->dev_count)
			break;
		if (c->devs[i] == dev)
			return true;
	}
	return c->dev_count > DW_MAX_DEVS;
}

/* User space clears the roots of what was removed, but later: the number may be used again. */
static __always_inline bool is_root(const struct dw_root *root, __u32 gen)
{
	return root && (!root->generation || (__u32)root->generation == gen);
}

static __always_inline struct dw_root *root_at(struct inode *inode, __u32 dev)
{
	struct dw_inode key = {.dev = dev};
	struct dw_root *root;

	key.ino = PEEK(struct inode, inode, i_ino);
	root = bpf_map_lookup_elem(&roots, &key);
	return root && is_root(root, PEEK(struct inode, inode, i_generation)) ? root : NULL;
}

/*
 * Climb from dentry @start to a known root on file system @dev. Returns that
 * root's dentry, 0 when the super block's root came first. After WALK_DEPTH steps:
 * the dentry to go on from, WALK_UNFINISHED added.
 */
__weak __noinline __u64 climb(__u64 start, __u32 dev)
{
	struct dentry *dentry = (void *)start, *parent;
	int i;

	for (i = 0; i < WALK_DEPTH; i++) {
		if (root_at(PEEK_POINTER(struct dentry, dentry, d_inode), dev))
			return (__u64)dentry;
		parent = PEEK_POINTER(struct dentry, dentry, d_parent);
		if (parent == dentry)
			return 0;
		dentry = parent;
	}
	return (__u64)dentry + WALK_UNFINISHED;
}

/* The dentry of the known root at or above @dentry, 0, or WALK_UNFINISHED. */
static __always_inline __u64 root_above(__u64 dentry, __u32 dev)
{
	int i;

	for (i = 0; i < WALK_ROUNDS; i++) {
		dentry = climb(dentry, dev);
		if (!(dentry & WALK_UNFINISHED))
			return dentry;
		dentry -= WALK_UNFINISHED;
	}
	return WALK_UNFINISHED;
}

/*
 * Whether dentry @root is @dir or above it. A step is one read, where climb() makes four
 * look-ups; deeper than WALK_DEPTH one has to climb.
 */
static __always_inline bool is_beneath(__u64 dir, __u64 root)
{
	int i;

	for (i = 0; i < WALK_DEPTH; i++) {
		if (dir == root)
			return true;
		dir = (__u64)PEEK_POINTER(struct dentry, dir, d_parent);
	}
	return false;
}

static __always_inline bool dir_is_known(const struct dir_root *d, __u64 dir, __u64 parent,
					 __u32 dev, const struct dw_control *control)
{
	return d->dir == dir && d->parent == parent && d->dev == dev &&
	       d->epoch == control->epoch &&
	       bpf_jiffies64() - d->jiffies < control->verdict_ticks / DIR_LASTS &&
	       (d->root <= WALK_UNFINISHED || is_beneath(dir, d->root));
}

/*
 * The same for the directory @dir, and remembered for its other files. Only for as long
 * as it has its parent and, in a layer, all that is above: an overlay moves a directory to
 * the work directory before it removes what is in it, and the host moves whole trees away.
 * What lies in no layer and is moved into one, far above, is not noticed that soon.
 */
__weak __noinline __u64 root_above_dir(__u64 dir, __u32 dev)
{
	__u64 parent = (__u64)PEEK_POINTER(struct dentry, dir, d_parent), root;
	__u32 key = (dir * 0x9E3779B97F4A7C15ull >> 56) & (DIRS_COUNT - 1);
	struct dir_root *d = bpf_map_lookup_elem(&dirs, &key);
	struct dw_control *control = control_get();

	if (!control || !d || exchange(&d->busy, 1))
		return root_above(dir, dev);
	if (!dir_is_known(d, dir, parent, dev, control)) {
		d->dir = dir;
		d->parent = parent;
		d->dev = dev;
		d->epoch = *(volatile __u32 *)&control->epoch; /* before the look at the maps */
		d->jiffies = bpf_jiffies64();
		d->root = root_above(dir, dev);
	}
	root = d->root;
	store_after(&d->busy, 0);
	return root;
}

/* The same for the file in @slot, or the directory that something is done in. */
static __always_inline __u64 root_above_file(const struct dw_slot *slot, __u64 file)
{
	struct dw_inode key = {.ino = slot->ino, .dev = slot->dev};
	struct dentry *dentry = (void *)file, *parent;

	if (is_root(bpf_map_lookup_elem(&roots, &key), slot->gen))
		return file;
	parent = PEEK_POINTER(struct dentry, dentry, d_parent);
	return parent == dentry ? 0 : root_above_dir((__u64)parent, slot->dev);
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

static __always_inline void verdict_of_root(struct dw_slot *slot, __u64 dentry)
{
	struct dw_root *root = root_at(PEEK_POINTER(struct dentry, dentry, d_inode), slot->dev);

	slot->verdict = DW_VERDICT_NOBODY;
	if (!root)
		return;
	slot->container = root->container;
	slot->root = dentry;
	if (root->kind == DW_ROOT_WORK) {
		slot->verdict = DW_VERDICT_COPY_UP;
	} else if (root->kind == DW_ROOT_UPPER) {
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

/*
 * Judge the file in @slot by its place in the file system it lies on; outside every
 * known root it is @elsewhere. Returns false when it has no name to start from, which
 * says nothing about its next write.
 */
static __always_inline bool judge_by_walk(struct dw_slot *slot, __u32 elsewhere)
{
	struct dw_control *control = control_get();
	__u64 dentry = inode_dentry(slot->inode), root = 0;

	if (dentry && control && is_known_dev(control, slot->dev))
		root = root_above_file(slot, dentry);
	if (root == WALK_UNFINISHED)
		verdict_of_writer(slot, DW_TARGET_LAYER);
	else if (root)
		verdict_of_root(slot, root);
	else
		verdict_of_writer(slot, elsewhere);
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

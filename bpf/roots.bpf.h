/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * roots.bpf.h - from a dentry to the known root above it: an upper or work directory, the
 * source of a volume. Where the way up from a directory ends is remembered for a moment.
 */
#ifndef ROOTS_BPF_H
#define ROOTS_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "path.bpf.h"

#define WALK_DEPTH	16
#define WALK_ROUNDS	64 /* paths deeper than both multiplied belong to the writer's container */
#define WALK_UNFINISHED 1
#define DIR_LASTS	8 /* for this part of the time that a verdict holds */

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

static __always_inline struct dir_root *dir_root_at(__u64 dir)
{
	__u32 key = (dir * 0x9E3779B97F4A7C15ull >> 56) & (DIRS_COUNT - 1);

	return bpf_map_lookup_elem(&dirs, &key);
}

static __always_inline struct dw_root *root_of_dentry(__u64 dentry, __u32 dev)
{
	return root_at(PEEK_POINTER(struct dentry, dentry, d_inode), dev);
}

static __always_inline void dir_root_fill(struct dir_root *d, __u64 dir, __u32 dev)
{
	struct dw_root *root = NULL;

	d->root = root_above(dir, dev);
	if (d->root > WALK_UNFINISHED)
		root = root_of_dentry(d->root, dev);
	d->container = root ? root->container : 0;
	d->kind = root ? root->kind : 0;
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
	struct dir_root *d = dir_root_at(dir);
	struct dw_control *control = control_get();

	if (!control || !d || exchange(&d->busy, 1))
		return root_above(dir, dev);
	if (!dir_is_known(d, dir, parent, dev, control)) {
		d->dir = dir;
		d->parent = parent;
		d->dev = dev;
		d->epoch = *(volatile __u32 *)&control->epoch; /* before the look at the maps */
		d->jiffies = bpf_jiffies64();
		dir_root_fill(d, dir, dev);
	}
	root = d->root;
	store_after(&d->busy, 0);
	return root;
}

/* What root_above_dir() has just found to be above @dir. False: that is forgotten. */
static __always_inline bool dir_root_recall(__u64 dir, __u64 root, struct dw_root *ret)
{
	const volatile struct dir_root *d = dir_root_at(dir);
	struct dw_control *control = control_get();

	if (!control || !d)
		return false;
	ret->container = d->container;
	ret->kind = d->kind;
	/* Looked at last: who interrupts has put another there, or nothing, when this goes on. */
	return ret->kind && !d->busy && d->dir == dir && d->root == root &&
	       d->epoch == control->epoch;
}

#endif /* ROOTS_BPF_H */

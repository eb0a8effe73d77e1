/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dirty.bpf.c - a watched inode became dirty: what makes the ledger complete.
 *
 * No path and no walk: user space keeps the index of the inodes whose change can
 * change a layer's list (map "watched"), and is told when one goes from clean to
 * dirty. It takes the mark before it looks, so a change after that is a new mark.
 * An inode that is nobody's costs a load from the filter.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "emit.bpf.h"
#include "layer.bpf.h"
#include "maps.bpf.h"
#include "roots.bpf.h"
#include "task.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Macros of fs/ext4/ext4_jbd2.h, the same since 2013. */
#define EXT4_HT_INODE 1
#define EXT4_HT_XATTR 10

/*
 * Of type INODE: how many ext4_ioctl_setflags() asks for, and ext4_dirty_inode(), which has
 * told of it a moment ago (since 2013).
 */
#define BLOCKS_OF_FLAGS 1
#define BLOCKS_OF_DIRTY 2

#define MARK_BEGUN (1u << 31) /* beside DW_RECORD_PRE_EFFECT: also of an inode marked already */

/*
 * And marks it, if it has no slot to be marked in: whether or not it is marked already, or
 * user space could take that between the look and the change's being visible.
 */
static __always_inline bool may_be_watched(__u64 hash)
{
	__u32 bit = hash >> DW_FILTER_SHIFT, line = bit / DW_FILTER_LINE;
	struct dw_filter *known = bpf_map_lookup_elem(&filter, &line);
	__u32 word = bit / 64 % (DW_FILTER_LINE / 64);

	if (!known)
		return false;
	if (known->shared[word] >> (bit & 63) & 1)
		store_byte_after(&known->mark[(hash >> DW_SHARED_SHIFT) % DW_FILTER_MARKS], 1);
	return known->watched[word] >> (bit & 63) & 1;
}

static __always_inline void dirty_record(const struct dw_inode *key, const struct dw_watch *watch,
					 __u64 writer, __u32 flags)
{
	struct dw_dirty_record r = {.type = DW_RECORD_DIRTY};
	struct dw_control *control = control_get();
	struct dw_counters *c;
	long err;

	r.flags = flags;
	r.slot = watch->slot;
	r.container = watch->container;
	r.boot_ns = bpf_ktime_get_boot_ns();
	r.ino = key->ino;
	r.dev = key->dev;
	r.writer = writer;
	r.cgroup_id = bpf_get_current_cgroup_id();
	r.tgid = current_tgid();
	r.uid = current_uid();
	bpf_get_current_comm(r.comm, sizeof(r.comm));
	err = bpf_ringbuf_output(&dirty_ring, &r, sizeof(r), 0);
	if (control && bpf_ringbuf_query(&dirty_ring, BPF_RB_AVAIL_DATA) > control->dirty_many)
		urge(control);
	if (!err)
		return;
	c = counters_of(watch->container); /* the mark stays: user space sweeps */
	if (c)
		count(&c->dirty_overflow, 1);
	if (control)
		count(&control->dirty_overflow, 1);
}

/*
 * Whether @mark is set and still to be taken: who takes it after this sees the change that
 * was made before. Kernels without an exchange cannot make sure of that.
 */
static __always_inline bool is_marked(const __u64 *mark)
{
#ifdef DW_OLD_KERNEL
	return false;
#else
	__u64 barrier = 0;

	exchange(&barrier, 1);
	return *(const volatile __u64 *)mark;
#endif
}

/*
 * Whether who takes @mark will know of this change without a record. One that is yet to be
 * made is added to the mark: the look that takes it may come before the change.
 */
static __always_inline bool is_told_already(__u64 *mark, __u32 flags)
{
	return flags & MARK_BEGUN ? add_bits(mark, DW_MARK_BEGUN) : is_marked(mark);
}

static __always_inline void mark_and_tell(const struct dw_inode *key, const struct dw_watch *watch,
					  __u64 *mark, __u32 flags)
{
	struct task_struct *task = current_task();
	__u64 writer, before;

	writer = writer_of(task, is_kernel_thread(task) ? NULL : task_state(task, true));
	before = exchange(mark, (writer ? writer : 1) | (flags & MARK_BEGUN ? DW_MARK_BEGUN : 0));
	if (before & DW_MARK_BEGUN)
		flags |= DW_RECORD_PRE_EFFECT; /* what was there is not: the record says it */
	else if (before)
		return;
	dirty_record(key, watch, writer, flags & DW_RECORD_PRE_EFFECT);
}

/*
 * Returns whether it is watched. Not inlined: a record on its stack is not what inodes that
 * nobody watches pay for.
 */
static __noinline bool mark_watched(__u32 dev, __u64 ino, __u32 flags)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct dw_watch *watch;
	__u64 *mark;

	watch = bpf_map_lookup_elem(&watched, &key);
	if (!watch)
		return false;
	mark = bpf_map_lookup_elem(&dirty, &watch->slot);
	if (mark && !is_told_already(mark, flags))
		mark_and_tell(&key, watch, mark, flags);
	return true;
}

/* Returns whether it is watched. */
static __always_inline bool mark_inode(struct inode *inode, __u32 flags)
{
	struct dw_control *control = control_get();
	__u32 dev = inode->i_sb->s_dev;

	return control && is_known_dev(control, dev) &&
	       may_be_watched(dw_inode_hash(control->set, dev, inode->i_ino)) &&
	       mark_watched(dev, inode->i_ino, flags);
}

static __always_inline int on_inode(struct inode *inode, __u32 flags)
{
	mark_inode(inode, flags);
	return 0;
}

SEC("tp_btf/writeback_mark_inode_dirty")
int BPF_PROG(on_mark_inode_dirty, struct inode *inode)
{
	return on_inode(inode, 0);
}

SEC("tp_btf/ext4_mark_inode_dirty")
int BPF_PROG(on_ext4_mark_inode_dirty, struct inode *inode)
{
	return on_inode(inode, 0);
}

/* Whether @inode lies in a layer; as good as that where the way up is too long. */
static __always_inline bool is_in_layer(struct inode *inode, __u32 dev)
{
	__u64 dentry = inode_dentry(address_of(inode)), root;
	struct dw_root *known;

	if (!dentry)
		return false;
	root = root_above_dir((__u64)PEEK_POINTER(struct dentry, dentry, d_parent), dev);
	if (root <= WALK_UNFINISHED)
		return root == WALK_UNFINISHED;
	known = root_of_dentry(root, dev);
	return known && known->kind == DW_ROOT_UPPER;
}

/*
 * What is about to change in a file that user space is about to see first: the look at it
 * may come before the change. Not in a work directory: an overlay gives attributes to all
 * that it copies up.
 */
static __noinline int note_begun(struct inode *inode)
{
	struct dw_control *control = control_get();
	__u32 dev = inode->i_sb->s_dev;
	__u64 hash;

	if (!control || !is_known_dev(control, dev) || !is_in_layer(inode, dev))
		return 0;
	hash = dw_inode_hash(control->set, dev, inode->i_ino);
	exchange(&control->begun[hash % DW_BEGUN], hash);
	return on_inode(inode, DW_RECORD_PRE_EFFECT | MARK_BEGUN); /* watched since? */
}

/*
 * Extended attributes that fit the inode, and its flags, make no other event (fs/ext4/xattr.c
 * and ioctl.c call ext4_mark_iloc_dirty()). This one comes before the change, and may wait
 * for the journal between the two.
 */
SEC("tp_btf/ext4_journal_start_inode")
int BPF_PROG(on_ext4_journal_start, struct inode *inode, int blocks, int rsv_blocks,
	     int revoke_creds, int type)
{
	if (type == EXT4_HT_XATTR || (type == EXT4_HT_INODE && blocks == BLOCKS_OF_FLAGS)) {
		if (!mark_inode(inode, DW_RECORD_PRE_EFFECT | MARK_BEGUN))
			note_begun(inode);
	} else if (type == EXT4_HT_INODE && blocks != BLOCKS_OF_DIRTY) {
		mark_inode(inode, DW_RECORD_PRE_EFFECT);
	}
	return 0;
}

/* --- xfs --- */

/* Macros of fs/xfs/xfs_inode.h, the same since 2003 (the third since 2015). */
#define XFS_IOLOCK_EXCL	  (1u << 0)
#define XFS_ILOCK_EXCL	  (1u << 2)
#define XFS_MMAPLOCK_EXCL (1u << 4)

/*
 * xfs marks no inode dirty. But it logs an inode only while this task holds its lock
 * exclusively (xfs_trans_log_inode() asserts that), and a write that extends a file does
 * so under its I/O lock or logs the new size when it completes. This event comes when the
 * lock has been let go of: after the change. Readers take the locks shared.
 * What a module's tracepoint hands out may be NULL, says the verifier from 6.12 on.
 */
SEC("tp_btf/xfs_iunlock")
int BPF_PROG(on_xfs_iunlock, struct xfs_inode *inode, unsigned int locks)
{
	if (!inode || !(locks & (XFS_IOLOCK_EXCL | XFS_ILOCK_EXCL | XFS_MMAPLOCK_EXCL)))
		return 0;
	return on_inode(&inode->i_vnode, 0);
}

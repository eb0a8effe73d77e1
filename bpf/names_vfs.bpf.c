/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * names_vfs.bpf.c - renames, links, removals, mode, owner, times and attributes, once
 * they have succeeded (tier vfs-fexit; renames in vfs-kprobe too). Creations and sizes
 * are told by the file systems.
 *
 * Each of these functions runs twice, for the overlay and for the layer below it;
 * the first counts. All take the mount's id map as their first argument since 5.12; how
 * many more there are differs, and bpf_get_func_ret(), which need not know, came with 5.17.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* include/linux/fs.h: macros, so not in BTF */
#define ATTR_MODE  (1 << 0)
#define ATTR_UID   (1 << 1)
#define ATTR_GID   (1 << 2)
#define ATTR_SIZE  (1 << 3)
#define ATTR_ATIME (1 << 4)
#define ATTR_MTIME (1 << 5)

/* The name is @dentry's, the file is @inode; before, its name was that of @old, if any. */
static __always_inline int on_overlay_name(struct dentry *dentry, struct inode *inode,
					   struct dentry *old, __u16 what)
{
	struct inode *dir = BPF_CORE_READ(dentry, d_parent, d_inode);
	struct op_info op = {.op = what};
	dw_container_t *container;
	struct file_id file;

	file_id_read(dir, &file);
	if (file.magic != OVERLAYFS_SUPER_MAGIC)
		return 0;
	container = bpf_map_lookup_elem(&overlays, &file.sb_dev);
	if (!container)
		return 0;
	op.parent_ino = file.ino;
	dir = real_inode(dir, file.magic);
	op.dev = BPF_CORE_READ(dir, i_sb, s_dev);
	if (inode) { /* a name that was removed has none any more */
		file_id_read(inode, &file);
		op.mode = file.mode;
		op.ino = file.ino;
		op.gen = file.gen;
	}
	op.container = *container;
	op.target = DW_TARGET_LAYER;
	op.cgroup_id = bpf_get_current_cgroup_id();
	op.dentry = address_of(dentry);
	op.dentry2 = address_of(old);
	report_op(&op);
	return 0;
}

static __always_inline int on_overlay_op(struct dentry *dentry, __u16 what)
{
	return on_overlay_name(dentry, BPF_CORE_READ(dentry, d_inode), NULL, what);
}

static __always_inline int on_renamed(struct dentry *from, struct dentry *to)
{
	return on_overlay_name(to, BPF_CORE_READ(from, d_inode), from, DW_OP_RENAME);
}

/* vfs_rename() ends with these when it has succeeded, and they forget the old name. */
SEC("fentry/d_move")
int BPF_PROG(on_d_move, struct dentry *from, struct dentry *to)
{
	return on_renamed(from, to);
}

SEC("fentry/d_exchange")
int BPF_PROG(on_d_exchange, struct dentry *one, struct dentry *other)
{
	on_renamed(one, other);
	return on_renamed(other, one);
}

/* One call may change several; the size is told by the file system's own event. */
static __always_inline __u16 op_of_change(const struct iattr *attr)
{
	unsigned int valid = BPF_CORE_READ(attr, ia_valid);

	if (valid & ATTR_SIZE)
		return 0;
	if (valid & ATTR_MODE)
		return DW_OP_CHMOD;
	if (valid & (ATTR_UID | ATTR_GID))
		return DW_OP_CHOWN;
	return valid & (ATTR_ATIME | ATTR_MTIME) ? DW_OP_UTIMES : 0;
}

/* --- tier vfs-kprobe: these need no result --- */

SEC("kprobe/d_move")
int BPF_KPROBE(on_kprobe_d_move, struct dentry *from, struct dentry *to)
{
	return on_renamed(from, to);
}

SEC("kprobe/d_exchange")
int BPF_KPROBE(on_kprobe_d_exchange, struct dentry *one, struct dentry *other)
{
	on_renamed(one, other);
	return on_renamed(other, one);
}

/* How vfs_unlink() and vfs_rmdir() end when they have succeeded, and nothing else does. */
SEC("kprobe/d_delete")
int BPF_KPROBE(on_kprobe_d_delete, struct dentry *dentry)
{
	bool is_dir = S_ISDIR(BPF_CORE_READ(dentry, d_inode, i_mode));

	return on_overlay_name(dentry, NULL, NULL, is_dir ? DW_OP_RMDIR : DW_OP_UNLINK);
}

/*
 * --- those that do: the entry remembers the name for the return. An overlay's function
 * calls that of the layer below, never the other way round: the depth tells whose return
 * it is, and starts afresh with each name of an overlay. ---
 */

static __always_inline int name_begins(struct dentry *dentry, __u16 op)
{
	bool is_overlay = BPF_CORE_READ(dentry, d_sb, s_magic) == OVERLAYFS_SUPER_MAGIC;
	struct dw_task *state = task_state(current_task(), is_overlay);

	if (!state) {
		if (is_overlay)
			count_lost_run();
		return 0;
	}
	if (is_overlay) {
		state->naming = 1;
		state->name_op = op;
		state->name = address_of(dentry);
	} else if (state->naming) {
		state->naming++;
	}
	return 0;
}

static __always_inline int name_ends(int ret)
{
	struct dw_task *state = task_state(current_task(), false);

	if (!state || !state->naming || --state->naming || ret || !state->name_op)
		return 0;
	return on_overlay_op((struct dentry *)state->name, state->name_op);
}

#ifdef DW_OLD_KERNEL

SEC("kprobe/vfs_link")
int BPF_KPROBE(on_kprobe_vfs_link, struct dentry *from, struct inode *dir, struct dentry *to)
{
	return name_begins(to, DW_OP_LINK);
}

SEC("kprobe/vfs_setxattr")
int BPF_KPROBE(on_kprobe_vfs_setxattr, struct dentry *dentry)
{
	return name_begins(dentry, DW_OP_XATTR);
}

SEC("kprobe/notify_change")
int BPF_KPROBE(on_kprobe_notify_change, struct dentry *dentry, struct iattr *attr)
{
	return name_begins(dentry, op_of_change(attr));
}

#else

SEC("kprobe/vfs_link")
int BPF_KPROBE(on_kprobe_vfs_link, struct dentry *from, void *idmap, struct inode *dir,
	       struct dentry *to)
{
	return name_begins(to, DW_OP_LINK);
}

SEC("kprobe/vfs_setxattr")
int BPF_KPROBE(on_kprobe_vfs_setxattr, void *idmap, struct dentry *dentry)
{
	return name_begins(dentry, DW_OP_XATTR);
}

SEC("kprobe/notify_change")
int BPF_KPROBE(on_kprobe_notify_change, void *idmap, struct dentry *dentry, struct iattr *attr)
{
	return name_begins(dentry, op_of_change(attr));
}

#endif

SEC("kretprobe/vfs_link")
int BPF_KRETPROBE(on_kretprobe_vfs_link, int ret)
{
	return name_ends(ret);
}

SEC("kretprobe/vfs_setxattr")
int BPF_KRETPROBE(on_kretprobe_vfs_setxattr, int ret)
{
	return name_ends(ret);
}

SEC("kretprobe/notify_change")
int BPF_KRETPROBE(on_kretprobe_notify_change, int ret)
{
	return name_ends(ret);
}

/* --- tier vfs-fexit --- */

static __always_inline int on_changed(struct dentry *dentry, const struct iattr *attr)
{
	__u16 op = op_of_change(attr);

	return op ? on_overlay_op(dentry, op) : 0;
}

#ifdef DW_OLD_KERNEL /* before the id maps; the result stands behind the arguments */

SEC("fexit/vfs_link")
int BPF_PROG(on_vfs_link, struct dentry *from, struct inode *dir, struct dentry *to,
	     void *delegated, int ret)
{
	return ret ? 0 : on_overlay_op(to, DW_OP_LINK);
}

SEC("fexit/vfs_unlink")
int BPF_PROG(on_vfs_unlink, struct inode *dir, struct dentry *dentry, void *delegated, int ret)
{
	return ret ? 0 : on_overlay_op(dentry, DW_OP_UNLINK);
}

SEC("fexit/vfs_rmdir")
int BPF_PROG(on_vfs_rmdir, struct inode *dir, struct dentry *dentry, int ret)
{
	return ret ? 0 : on_overlay_op(dentry, DW_OP_RMDIR);
}

SEC("fexit/vfs_setxattr")
int BPF_PROG(on_vfs_setxattr, struct dentry *dentry, void *name, void *value, __u64 size, int flags,
	     int ret)
{
	return ret ? 0 : on_overlay_op(dentry, DW_OP_XATTR);
}

SEC("fexit/notify_change")
int BPF_PROG(on_notify_change, struct dentry *dentry, struct iattr *attr, void *delegated, int ret)
{
	return ret ? 0 : on_changed(dentry, attr);
}

#else

/* The function returned 0. The helper knows where the result is, however many arguments. */
static __always_inline bool has_succeeded(void *ctx)
{
	__u64 ret = 1;

	return !bpf_get_func_ret(ctx, &ret) && !(int)ret;
}

SEC("fexit/vfs_link")
int BPF_PROG(on_vfs_link, struct dentry *from, void *idmap, struct inode *dir, struct dentry *to)
{
	return has_succeeded(ctx) ? on_overlay_op(to, DW_OP_LINK) : 0;
}

SEC("fexit/vfs_unlink")
int BPF_PROG(on_vfs_unlink, void *idmap, struct inode *dir, struct dentry *dentry)
{
	return has_succeeded(ctx) ? on_overlay_op(dentry, DW_OP_UNLINK) : 0;
}

SEC("fexit/vfs_rmdir")
int BPF_PROG(on_vfs_rmdir, void *idmap, struct inode *dir, struct dentry *dentry)
{
	return has_succeeded(ctx) ? on_overlay_op(dentry, DW_OP_RMDIR) : 0;
}

SEC("fexit/vfs_setxattr")
int BPF_PROG(on_vfs_setxattr, void *idmap, struct dentry *dentry)
{
	return has_succeeded(ctx) ? on_overlay_op(dentry, DW_OP_XATTR) : 0;
}

SEC("fexit/notify_change")
int BPF_PROG(on_notify_change, void *idmap, struct dentry *dentry, struct iattr *attr)
{
	return has_succeeded(ctx) ? on_changed(dentry, attr) : 0;
}

#endif

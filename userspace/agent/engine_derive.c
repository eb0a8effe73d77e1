/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_derive.c - which operation a verified change stands for.
 *
 * Where a tier has no hook for an operation, the change of the layer tells: a new
 * mode is a chmod, an inode that vanished here and appeared there a rename. What a
 * record of the kernel side has explained already is not told twice. Growth of a
 * file that was changed before is no change of state.
 */
#include "agent/engine_internal.h"

#include <sys/stat.h>

#define OP(op) (1u << (op))

static const unsigned content_ops =
	OP(DW_OP_WRITE) | OP(DW_OP_TRUNCATE) | OP(DW_OP_FALLOCATE) | OP(DW_OP_CREATE);
static const unsigned creating_ops = OP(DW_OP_CREATE) | OP(DW_OP_MKDIR) | OP(DW_OP_SYMLINK) |
				     OP(DW_OP_MKNOD) | OP(DW_OP_LINK) | OP(DW_OP_RENAME);

static enum dw_op creation_of(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFDIR:
		return DW_OP_MKDIR;
	case S_IFLNK:
		return DW_OP_SYMLINK;
	case S_IFREG:
		return DW_OP_CREATE;
	default:
		return DW_OP_MKNOD;
	}
}

static enum dw_op attribute_of(const struct queued_change *c, unsigned explained)
{
	const struct stat *st = &c->info.st;
	bool content = explained & content_ops;

	if (c->bits & TREE_CHANGE_OWNER)
		return DW_OP_CHOWN; /* may drop set-id bits too: one operation */
	if (c->bits & TREE_CHANGE_MODE)
		return DW_OP_CHMOD; /* or a write that dropped set-id bits: worth telling too */
	if (c->bits & TREE_CHANGE_CAPABILITY)
		return DW_OP_XATTR;
	if (c->bits & TREE_CHANGE_SHRUNK)
		return content ? DW_OP_INVALID : DW_OP_TRUNCATE;
	if (c->bits & TREE_CHANGE_SIZE)
		return content || !(c->bits & TREE_CHANGE_VERDICT) ? DW_OP_INVALID : DW_OP_WRITE;
	if (c->bits & TREE_CHANGE_MTIME) {
		/* The kernel sets both times to now when content changes; utimes sets one of them.
		 */
		if (st->st_mtim.tv_sec != st->st_ctim.tv_sec ||
		    st->st_mtim.tv_nsec != st->st_ctim.tv_nsec)
			return S_ISDIR(st->st_mode) ? DW_OP_INVALID : DW_OP_UTIMES;
		return content || S_ISDIR(st->st_mode) || !(c->bits & TREE_CHANGE_VERDICT)
			       ? DW_OP_INVALID
			       : DW_OP_WRITE;
	}
	if (c->bits & TREE_CHANGE_CTIME)
		return S_ISDIR(st->st_mode) || content || explained & ENGINE_NAMES_CHANGED ||
				       c->bits & TREE_CHANGE_NLINK
			       ? DW_OP_INVALID
			       : DW_OP_XATTR;
	return DW_OP_INVALID;
}

static enum dw_op appearance_of(const struct queued_change *c, unsigned explained)
{
	if (c->bits & TREE_CHANGE_RENAMED)
		return explained & OP(DW_OP_RENAME) ? DW_OP_INVALID : DW_OP_RENAME;
	if (c->bits & TREE_CHANGE_LINKED && c->after == TREE_ADDED)
		return explained & OP(DW_OP_LINK) ? DW_OP_INVALID : DW_OP_LINK;
	if (explained & creating_ops)
		return DW_OP_INVALID;
	if (c->after == TREE_ADDED || c->before == TREE_DELETED)
		return creation_of(&c->info.st);
	return attribute_of(c, explained); /* a copy-up: what was it for? */
}

enum dw_op engine_derive_op(const struct queued_change *c, unsigned explained)
{
	unsigned removals = OP(DW_OP_UNLINK) | OP(DW_OP_RMDIR) | OP(DW_OP_RENAME);

	if (c->bits & TREE_CHANGE_INITIAL)
		return DW_OP_INVALID;
	if (c->info.is_whiteout) {
		bool is_new = c->bits & (TREE_CHANGE_APPEARED | TREE_CHANGE_WHITEOUT);

		/* What records say of its inode is no help: all whiteouts can share one. */
		if (!is_new)
			return DW_OP_INVALID;
		return c->lower_is_dir ? DW_OP_RMDIR : DW_OP_UNLINK;
	}
	if (c->bits & TREE_CHANGE_VANISHED) {
		if (explained & removals)
			return DW_OP_INVALID;
		return S_ISDIR(c->info.st.st_mode) ? DW_OP_RMDIR : DW_OP_UNLINK;
	}
	if (c->bits & TREE_CHANGE_APPEARED)
		return appearance_of(c, explained);
	return attribute_of(c, explained);
}

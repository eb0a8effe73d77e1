/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_stat.c - the state of one entry on disk and the verdict that follows from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "layer/beneath.h"
#include "layer/compare.h"
#include "ledger/tree_internal.h"

#define CAPABILITY_BYTES 64

static bool is_device(const struct tree_stat *st)
{
	return S_ISCHR(st->mode) || S_ISBLK(st->mode);
}

int tree_stat_entry(struct tree *t, int dirfd, const char *name, struct tree_stat *ret,
		    uint64_t *ret_btime_ns)
{
	struct statx x;

	t->lstats++;
	*ret = (struct tree_stat){0};
	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &x) < 0)
		return -errno;
	*ret = (struct tree_stat){
		.ino = x.stx_ino,
		.mtime_sec = tree_time_sec(x.stx_mtime.tv_sec),
		.mtime_ns = x.stx_mtime.tv_nsec,
		.ctime_sec = tree_time_sec(x.stx_ctime.tv_sec),
		.ctime_ns = x.stx_ctime.tv_nsec,
		.uid = x.stx_uid,
		.gid = x.stx_gid,
		.nlink = x.stx_nlink,
		.mode = x.stx_mode,
	};
	if (is_device(ret))
		ret->rdev = x.stx_rdev_major << 20 | x.stx_rdev_minor;
	else
		ret->size = x.stx_size;
	if (ret_btime_ns)
		*ret_btime_ns =
			x.stx_mask & STATX_BTIME
				? (uint64_t)x.stx_btime.tv_sec * NS_PER_SEC + x.stx_btime.tv_nsec
				: 0;
	return 0;
}

void tree_stat_to_stat(const struct tree *t, const struct tree_stat *st, struct stat *ret)
{
	*ret = (struct stat){
		.st_dev = makedev(t->dev >> 20, t->dev & 0xfffff),
		.st_ino = st->ino,
		.st_mode = st->mode,
		.st_nlink = st->nlink,
		.st_uid = st->uid,
		.st_gid = st->gid,
		.st_rdev = is_device(st) ? makedev(st->rdev >> 20, st->rdev & 0xfffff) : 0,
		.st_size = is_device(st) ? 0 : (off_t)st->size,
		.st_mtim = {st->mtime_sec, st->mtime_ns},
		.st_ctim = {st->ctime_sec, st->ctime_ns},
	};
}

/* What the rule looks at. */
struct evidence {
	struct stat upper;
	struct layer_entry lower;
	bool has_lower;
	char capability[CAPABILITY_BYTES];
	int capability_len;
};

static int gather(struct tree *t, struct tree_node *n, int dirfd, const struct tree_stat *st,
		  struct evidence *ret)
{
	struct layer_dir *lower = n->parent->dir->lower;
	int err = -ENOENT;

	tree_stat_to_stat(t, st, &ret->upper);
	ret->capability_len = 0;
	if (t->image_ns)
		err = n->flags & NODE_HAS_LOWER ? 0 : -ENOENT;
	else if (lower)
		err = layer_dir_lookup(lower, n->name, &ret->lower);
	if (err && err != -ENOENT)
		return err;
	ret->has_lower = !err;
	if (ret->has_lower && !t->image_ns)
		ret->lower.st.st_mtim.tv_sec = tree_time_sec(ret->lower.st.st_mtim.tv_sec);

	/* Costs a system call: where docker would look, and where it makes a finding. */
	if (!ret->has_lower && !(S_ISREG(st->mode) && (st->mode & 0111)))
		return 0;
	ret->capability_len =
		layer_read_capability(dirfd, n->name, ret->capability, sizeof(ret->capability));
	return ret->capability_len < 0 ? ret->capability_len : 0;
}

static int capability_differs(struct tree_node *n, const struct evidence *e)
{
	char lower[CAPABILITY_BYTES];
	int len = layer_dir_capability(n->parent->dir->lower, n->name, lower, sizeof(lower));

	if (len < 0)
		return len;
	return len != e->capability_len || memcmp(lower, e->capability, (size_t)len) != 0;
}

static bool is_whiteout(struct tree *t, struct tree_node *n, int dirfd, const struct stat *st)
{
	if (t->is_whole)
		return false;
	if (layer_is_whiteout(st))
		return true;
	return n->parent->dir->has_xwhiteouts &&
	       layer_is_xwhiteout(dirfd, n->name, st, t->user_xattr);
}

/*
 * By its times alone: an entry of the image, or one in its place. What becomes of the names
 * in a directory changes both of its times.
 */
static enum tree_verdict verdict_by_time(const struct tree *t, const struct tree_node *n,
					 const struct stat *st)
{
	bool is_later = (uint64_t)clock_of_timespec(&st->st_ctim) > t->image_ns;

	if (n->birth_ns > t->image_ns)
		return TREE_MODIFIED;
	if (S_ISDIR(st->st_mode) &&
	    clock_of_timespec(&st->st_ctim) == clock_of_timespec(&st->st_mtim))
		return TREE_NONE;
	return is_later ? TREE_MODIFIED : TREE_NONE;
}

/* enum tree_verdict or -errno. */
static int verdict_of(const struct tree *t, struct tree_node *n, const struct evidence *e,
		      bool whiteout)
{
	int differs;

	if (whiteout)
		return e->has_lower ? TREE_DELETED : TREE_NONE;
	if (!e->has_lower)
		return TREE_ADDED;
	if (t->image_ns)
		return verdict_by_time(t, n, &e->upper);
	if (layer_stat_differs(&e->upper, &e->lower.st))
		return TREE_MODIFIED;
	differs = capability_differs(n, e);
	if (differs < 0)
		return differs;
	return differs ? TREE_MODIFIED : TREE_NONE;
}

static unsigned stat_bits(const struct tree_node *n, const struct tree_stat *st)
{
	const struct tree_stat *old = &n->st;
	bool mtime = old->mtime_sec != st->mtime_sec || old->mtime_ns != st->mtime_ns;
	bool ctime = old->ctime_sec != st->ctime_sec || old->ctime_ns != st->ctime_ns;
	unsigned bits = 0;

	if (old->mode != st->mode)
		bits |= TREE_CHANGE_MODE;
	if (old->uid != st->uid || old->gid != st->gid)
		bits |= TREE_CHANGE_OWNER;
	/* Of a directory, these say no more than that names came or went. */
	if (S_ISDIR(st->mode))
		return bits | (ctime && !mtime ? TREE_CHANGE_CTIME : 0u);
	if (old->size != st->size)
		bits |= TREE_CHANGE_SIZE;
	if (old->size > st->size)
		bits |= TREE_CHANGE_SHRUNK;
	if (mtime)
		bits |= TREE_CHANGE_MTIME;
	if (ctime)
		bits |= TREE_CHANGE_CTIME;
	if (old->nlink != st->nlink)
		bits |= TREE_CHANGE_NLINK;
	return bits;
}

/* Of a new node no more than the inode and the type is known. */
static bool is_new(const struct tree_node *n)
{
	return !n->st.ctime_sec && !n->st.ctime_ns;
}

/* A copied-up entry is seen for the first time: what it was copied up for. */
static unsigned copy_bits(const struct tree *t, const struct evidence *e, bool whiteout)
{
	const struct stat *upper = &e->upper, *lower = &e->lower.st;
	unsigned bits = 0;

	if (!e->has_lower || t->image_ns || whiteout ||
	    (upper->st_mode & S_IFMT) != (lower->st_mode & S_IFMT))
		return 0;
	if (upper->st_mode != lower->st_mode)
		bits |= TREE_CHANGE_MODE;
	if (upper->st_uid != lower->st_uid || upper->st_gid != lower->st_gid)
		bits |= TREE_CHANGE_OWNER;
	if (S_ISDIR(upper->st_mode))
		return bits;
	if (upper->st_size != lower->st_size)
		bits |= TREE_CHANGE_SIZE;
	if (upper->st_size < lower->st_size)
		bits |= TREE_CHANGE_SHRUNK;
	if (upper->st_mtim.tv_sec != lower->st_mtim.tv_sec ||
	    upper->st_mtim.tv_nsec != lower->st_mtim.tv_nsec)
		bits |= TREE_CHANGE_MTIME;
	return bits;
}

/* Equal by stat: has it been touched only, or tampered with? */
static void judge_depth(struct tree *t, struct tree_node *n, unsigned bits)
{
	if (n->verdict != TREE_NONE || !(n->flags & NODE_HAS_LOWER) || (n->flags & NODE_WHITEOUT)) {
		n->depth = TREE_DEPTH_UNKNOWN;
		return;
	}
	/* There, that a name is in the upper directory says nothing. */
	if (t->image_ns || (t->is_whole && !(n->flags & NODE_WRITTEN))) {
		n->depth = TREE_DEPTH_UNKNOWN;
		return;
	}
	if (!S_ISREG(n->st.mode)) {
		/* Of a directory it depends on what is beneath it. */
		n->depth = S_ISDIR(n->st.mode) ? TREE_DEPTH_UNKNOWN : TREE_TOUCHED;
		return;
	}
	if ((bits & TREE_CHANGE_CTIME) || (n->flags & NODE_WRITTEN))
		compare_add(t, n);
}

int tree_judge(struct tree *t, struct tree_node *n, int dirfd, const struct tree_stat *st)
{
	struct tree_counted before;
	struct evidence e;
	bool was_whiteout = n->flags & NODE_WHITEOUT, whiteout;
	uint16_t capability;
	unsigned bits;
	int verdict, err;

	err = gather(t, n, dirfd, st, &e);
	if (err)
		return err;
	whiteout = is_whiteout(t, n, dirfd, &e.upper);
	verdict = verdict_of(t, n, &e, whiteout);
	if (verdict < 0)
		return verdict;

	bits = is_new(n) ? TREE_CHANGE_CTIME | copy_bits(t, &e, whiteout) : stat_bits(n, st);
	capability = 0;
	if (e.capability_len)
		capability =
			(uint16_t)(beneath_hash(t->key, e.capability, (size_t)e.capability_len) |
				   1u);
	if (capability != n->capability)
		bits |= TREE_CHANGE_CAPABILITY;
	if (verdict != n->verdict)
		bits |= TREE_CHANGE_VERDICT;
	if (whiteout != was_whiteout)
		bits |= TREE_CHANGE_WHITEOUT;

	before = tree_count_out(t, n);
	n->flags &= (uint16_t) ~(NODE_HAS_LOWER | NODE_WHITEOUT);
	n->flags |= (uint16_t)((e.has_lower ? NODE_HAS_LOWER : 0) | (whiteout ? NODE_WHITEOUT : 0));
	n->verdict = (uint8_t)verdict & 0xf;
	n->capability = capability;
	n->st = *st;
	judge_depth(t, n, bits);
	tree_count_in(t, n, before);
	return (int)bits;
}

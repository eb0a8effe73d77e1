/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * compare.h - does an upper entry differ from its lower counterpart?
 *
 * Two rules (design: the stat rule of docker diff, and what it is blind to):
 *   docker   mode with type, uid, gid, rdev, security.capability, and for anything
 *            but a directory size and mtime (equal, or same second and either side
 *            has no nanoseconds)
 *   deeper   content, other xattrs, inode flags
 * Source: moby vendor/github.com/moby/go-archive changes_linux.go, changes_unix.go.
 */
#ifndef LAYER_COMPARE_H
#define LAYER_COMPARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* overlayfs whiteout: character device 0/0. */
bool layer_is_whiteout(const struct stat *st);

/* What a layer's own attributes say about one of its directories. */
enum layer_dir_marks {
	LAYER_OPAQUE = 1u << 0,	    /* hides what is below */
	LAYER_XWHITEOUTS = 1u << 1, /* empty files in it may be whiteouts by attribute */
};

/*
 * Marks of a directory fd. @user_xattr: of a layer mounted with userxattr (rootless),
 * whose attributes are user.overlay.*; elsewhere a container sets those as it likes and
 * they mean nothing.
 */
unsigned layer_dir_marks(int dirfd, bool user_xattr);

/* A whiteout by attribute: an empty regular file in a directory with LAYER_XWHITEOUTS. */
bool layer_is_xwhiteout(int dirfd, const char *name, const struct stat *st, bool user_xattr);

/*
 * Was the layer @dirfd (its topmost directory) written by a rootless runtime? Told by
 * the owner of the directory it lies in, which no container can change.
 */
bool layer_uses_user_xattr(int dirfd);

/* docker's rule but for security.capability. */
bool layer_stat_differs(const struct stat *upper, const struct stat *lower);

/*
 * security.capability of an entry, by O_PATH or real fd of its directory and name.
 * Returns its length (0: none) with at most @size bytes in @buf, or -errno.
 */
int layer_read_capability(int dirfd, const char *name, void *buf, size_t size);

enum layer_depth {
	LAYER_SAME,	    /* copied up, equal: touched */
	LAYER_CONTENT,	    /* bytes differ though size and mtime are equal: tampered */
	LAYER_METADATA,	    /* other xattrs or inode flags differ */
	LAYER_NOT_COMPARED, /* larger than the bound */
};

/*
 * Compare beyond stat two regular files (by O_PATH fds). @max_bytes bounds what is
 * read from each. Returns enum layer_depth or -errno.
 */
int layer_compare_deep(int upper_fd, int lower_fd, uint64_t max_bytes);

/* A readable fd of the regular file that an O_PATH fd names, without touching atime. */
int layer_reopen(int path_fd);

/*
 * The same in steps, for readers that must not block for long: compare up to @step
 * bytes from @offset of two readable fds. Returns 1 when they differ, 0 when equal so
 * far, -errno; *ret_end is set once both have ended.
 */
int layer_compare_bytes(int upper_fd, int lower_fd, uint64_t offset, size_t step, bool *ret_end);

/* Whether other xattrs or inode flags differ, by two readable fds. */
bool layer_metadata_differs(int upper_fd, int lower_fd);

#endif /* LAYER_COMPARE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metadata.c - the part of compare.h about xattrs and inode flags.
 *
 * docker diff knows one xattr (security.capability); this looks at the others, so
 * that a change hidden behind an equal stat is still found.
 */
#include "layer/compare.h"

#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#define XATTR_LIST_BYTES  8192
#define XATTR_VALUE_BYTES 4096

/* Flags that a person sets; the rest (extents, project inheritance) comes with the disk. */
#define FLAGS_COMPARED (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL | FS_SYNC_FL)

static bool is_prefix(const char *prefix, const char *name)
{
	return !strncmp(prefix, name, strlen(prefix));
}

/* overlayfs keeps its own notes in xattrs; labels of security modules come from the mount. */
static bool is_compared(const char *name)
{
	return !is_prefix("trusted.overlay.", name) && !is_prefix("user.overlay.", name) &&
	       strcmp(name, "security.selinux") != 0 && strcmp(name, "security.capability") != 0;
}

static bool same_value(int a, int b, const char *name)
{
	char va[XATTR_VALUE_BYTES], vb[XATTR_VALUE_BYTES];
	ssize_t na = fgetxattr(a, name, va, sizeof(va));
	ssize_t nb = fgetxattr(b, name, vb, sizeof(vb));

	if (na < 0 || nb < 0)
		return (na < 0) == (nb < 0);
	return na == nb && !memcmp(va, vb, (size_t)na);
}

/* Is every compared xattr of @a also on @b, with the same value? */
static bool xattrs_within(int a, int b)
{
	char list[XATTR_LIST_BYTES];
	ssize_t len = flistxattr(a, list, sizeof(list));
	ssize_t at;

	for (at = 0; at < len; at += (ssize_t)strlen(list + at) + 1) {
		if (is_compared(list + at) && !same_value(a, b, list + at))
			return false;
	}
	return true;
}

/* overlayfs stores immutable and append-only of a copied-up file as letters in an xattr. */
static int protection(int fd)
{
	char letters[8];
	ssize_t len = fgetxattr(fd, "trusted.overlay.protattr", letters, sizeof(letters));
	int flags = 0;

	if (len < 0)
		len = fgetxattr(fd, "user.overlay.protattr", letters, sizeof(letters));
	for (; len > 0; len--) {
		if (letters[len - 1] == 'i')
			flags |= FS_IMMUTABLE_FL;
		else if (letters[len - 1] == 'a')
			flags |= FS_APPEND_FL;
	}
	return flags;
}

/* What cannot have flags has those that overlayfs keeps for it. */
static int flags_of(int fd)
{
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		flags = 0;
	return flags & FLAGS_COMPARED;
}

static bool flags_differ(int upper, int lower)
{
	return (flags_of(upper) | protection(upper)) != flags_of(lower);
}

bool layer_metadata_differs(int upper_fd, int lower_fd)
{
	return !xattrs_within(upper_fd, lower_fd) || !xattrs_within(lower_fd, upper_fd) ||
	       flags_differ(upper_fd, lower_fd);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * host_mounts.h - the host's own mounts, to tell a bind from a tmpfs and to find its source.
 *
 * From the text of mountinfo, or one by one from what mount_ids.h lists: then each has the
 * number that no other mount ever gets, and they are kept in the order of these.
 */
#ifndef HOST_MOUNTS_H
#define HOST_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "container/mountinfo.h"

#define HOST_MOUNTS_MAX 65536 /* the others are not taken notice of */

struct host_mount {
	uint64_t id; /* 0: from a text */
	uint32_t dev;
	bool is_remote;	      /* a server answers, or not: NFS, FUSE, … */
	bool is_overlay_root; /* all of an overlay, not a bind of a part of it */
	char *root, *mount_point;
};

struct host_mounts {
	struct host_mount *all;
	size_t len;
};

/* Append the mount of @line, of number @id. 0 or -ENOMEM. */
int host_mounts_add(struct host_mounts *mounts, uint64_t id, const struct mountinfo_line *line);
/* From the text of the host's mountinfo, which is cut up. 0 or -ENOMEM. */
int host_mounts_parse(char *text, struct host_mounts *ret);
/* Takes the one at @at out; host_mount_done() frees what it has. */
struct host_mount host_mounts_take(struct host_mounts *mounts, size_t at);
void host_mount_done(struct host_mount *m);
void host_mounts_done(struct host_mounts *mounts);

/* True when @path lies on a file system whose server might not answer. */
bool host_mounts_is_remote(const struct host_mounts *mounts, const char *path);

/* Is a file system of that device mounted? And: all of an overlay with that device? */
bool host_mounts_has(const struct host_mounts *mounts, uint32_t dev);
bool host_mounts_has_overlay(const struct host_mounts *mounts, uint32_t dev);

/* Where the host sees @root of the file system @dev, which the caller frees; NULL: nowhere. */
char *host_mounts_path_of(const struct host_mounts *mounts, uint32_t dev, const char *root);

/* A server answers for a file system of this type. */
bool host_mounts_type_is_remote(const char *type);

#endif /* HOST_MOUNTS_H */

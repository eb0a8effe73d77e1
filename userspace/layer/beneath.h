/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * beneath.h - reaching a file below a directory fd, whatever the names on the way do.
 *
 * A layer is written by its container: no symbolic link in it may lead out of it, and
 * its paths may be longer than PATH_MAX.
 */
#ifndef LAYER_BENEATH_H
#define LAYER_BENEATH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Open "a/b/c" (relative; "" is @rootfd itself) with @flags, following no symbolic
 * link at any step and never leaving @rootfd. Returns an fd the caller closes, or
 * -errno: -ENOENT, -ENOTDIR, -ELOOP when a step is not what the path says.
 */
int beneath_open(int rootfd, const char *path, int flags);

/* One step: open @name in @dirfd as a directory for listing, without touching atime. */
int beneath_open_dir(int dirfd, const char *name);

/* "/proc/self/fd/N" or, with @name, "/proc/self/fd/N/name": for calls that know no fd. */
#define BENEATH_PROC_SIZE 320
void beneath_proc_path(int fd, const char *name, char ret[BENEATH_PROC_SIZE]);

/* SipHash-1-3 of a name: tables keyed by a container's names must not be steerable. */
uint64_t beneath_hash(const uint64_t key[2], const void *bytes, size_t len);

#endif /* LAYER_BENEATH_H */

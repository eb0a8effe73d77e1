/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * file.h - reading and replacing files that others write.
 *
 * Paths are resolved relative to a directory fd (AT_FDCWD for the current one)
 * and sizes are bounded: a state file that a container can make grow never
 * becomes memory of ours.
 */
#ifndef FILE_H
#define FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/strbuf.h"

/*
 * Append the whole of a file to @out. Works on /proc files, whose size is 0.
 * Returns 0, -EFBIG when it holds more than @max_bytes, or the errno of open/read.
 */
int file_read(int dirfd, const char *path, size_t max_bytes, struct strbuf *out);

/*
 * Replace a file atomically: write beside it, fsync, rename. Mode 0600.
 * Returns 0 or -errno; on failure the old file is untouched.
 */
int file_replace(int dirfd, const char *path, const void *bytes, size_t len);

/* mkdir -p, with @mode for the directories it makes. Returns 0 or -errno. */
int file_make_dirs(const char *path, mode_t mode);

/*
 * Join @root and the absolute path @path ("/host" + "/proc/1/x"). @root may be
 * NULL, "" or "/". Returns memory the caller frees, NULL when out of memory.
 */
char *file_join(const char *root, const char *path);

/*
 * 1 << 32 and the generation of the inode behind @fd (O_PATH will do), which tells it from
 * an earlier one of its number; 0 where the file system does not tell: not ext4, not xfs.
 */
uint64_t file_generation(int fd);

/* The device number as the kernel and mountinfo know it: major << 20 | minor. */
uint32_t file_kernel_dev(dev_t st_dev);

#endif /* FILE_H */

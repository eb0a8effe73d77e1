/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hostfs.h - the host's files as the runtimes name them, beneath --host-root.
 *
 * Paths are absolute host paths. Beneath a host root, links are resolved inside it.
 * Nothing but regular files and directories is ever opened for reading, so that a
 * FIFO or a device left in a state directory cannot hold us up.
 */
#ifndef HOSTFS_H
#define HOSTFS_H

#include <dirent.h>
#include <jansson.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/strbuf.h"

#define HOSTFS_FILE_MAX	 (16u << 20) /* bytes of a state file */
#define HOSTFS_SMALL_MAX 65536	     /* bytes of a pid file, a command line, an id */
#define HOSTFS_PROC_MAX	 (64u << 20) /* bytes of a mountinfo */
#define HOSTFS_NAMES_MAX 65536	     /* entries taken from one directory */

struct hostfs {
	char *root;	 /* "" when files are taken as they are */
	int root_fd;	 /* -1 then */
	uint64_t capped; /* directories with more entries than HOSTFS_NAMES_MAX */
};

/* Returns 0 or -errno. */
int hostfs_init(struct hostfs *fs, const char *host_root);
void hostfs_done(struct hostfs *fs);

/* An fd for an absolute host path, or -errno. The caller closes it. */
int hostfs_open(const struct hostfs *fs, const char *path, int flags);

/* Append a regular file's content. 0, -EFBIG, -EINVAL (not a regular file), -errno. */
int hostfs_read(const struct hostfs *fs, const char *path, size_t max_bytes, struct strbuf *out);

/* stat() of a host path; links are followed within the host root. 0 or -errno. */
int hostfs_stat(const struct hostfs *fs, const char *path, struct stat *ret);

/*
 * Device (kernel dev_t) and inode behind an fd, without asking whoever serves the file
 * system: a FUSE server of a container may never answer. 0 or -errno.
 */
int hostfs_identify(int fd, uint32_t *ret_dev, uint64_t *ret_ino);

/*
 * A number that changes when the file does; 0 when there is none. Of several files,
 * fold the next into @stamp.
 */
uint64_t hostfs_stamp(const struct hostfs *fs, const char *path, uint64_t stamp);

/*
 * Call @fn for each name in a directory but "." and "..", of at most HOSTFS_NAMES_MAX.
 * Stops at the first non-zero return. Returns that, 0, or -errno of opening.
 */
int hostfs_foreach_name(struct hostfs *fs, const char *path, int (*fn)(const char *name, void *arg),
			void *arg);

/* The path with all links resolved, as the host sees it; NULL when it does not exist. */
char *hostfs_canonical(const struct hostfs *fs, const char *path);

/*
 * Read and parse a JSON object or array. 0, -EBADMSG with a sentence in @why when it
 * is not JSON, or an errno of hostfs_read(). The caller calls json_decref().
 */
int hostfs_read_json(const struct hostfs *fs, const char *path, struct strbuf *why, json_t **ret);

/* Strings of hostile JSON: NULL when absent, empty, not a string, or longer than 4096. */
const char *json_text(const json_t *object, const char *key);

#endif /* HOSTFS_H */

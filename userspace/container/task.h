/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * task.h - what /proc says of a container's first process.
 *
 * Everything may vanish at any moment, and what lies below /proc/PID/root belongs
 * to the container: it is only ever stat'ed, never opened, and links there are
 * resolved inside it.
 */
#ifndef TASK_H
#define TASK_H

#include <sys/types.h>

#include "container/container.h"
#include "container/host_mounts.h"
#include "container/hostfs.h"

#define TASK_MOUNTS_MAX 512 /* mounts of one container taken notice of */

/* Start time of a process in clock ticks after boot. 0, -ENOENT, -EBADMSG. */
int task_start_ticks(const struct hostfs *fs, pid_t pid, uint64_t *ret);

/* Wall time of such a start. */
uint64_t task_start_wall_ns(uint64_t start_ticks);

/* Its cgroup path in the v2 hierarchy, as from the root. 0 or -errno. */
int task_cgroup(const struct hostfs *fs, pid_t pid, struct strbuf *ret);

/* Whether its root is the directory at the host path @path. */
bool task_root_is(const struct hostfs *fs, pid_t pid, const char *path);

/*
 * Device of its root directory (kernel dev_t), -errno. Cheap: one stat.
 */
int task_root_dev(const struct hostfs *fs, pid_t pid, uint32_t *ret);

/*
 * An fd that tells the end of @pid, which the caller closes, so that asking costs one
 * call. -EOPNOTSUPP beneath a host root; -errno.
 */
int task_open(const struct hostfs *fs, pid_t pid);
bool task_has_ended(int fd);

/*
 * Root and mounts of @pid into @c: overlay (when its root is one), mounts, and
 * overlay.read_only. *ret_entered: its root is not the host's any more (a runtime's
 * init has the host's root until it pivots). 0 or -errno.
 */
int task_read_mounts(const struct hostfs *fs, pid_t pid, const struct host_mounts *host,
		     struct container *c, bool *ret_entered);

#endif /* TASK_H */

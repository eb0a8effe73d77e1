/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mount_ids.h - the mounts of the host by number: what came and what went.
 *
 * mountinfo is written anew by the kernel for each reading, in milliseconds where a thousand
 * containers are mounted. listmount() and statmount() tell the numbers, which are never
 * given twice, and of one mount what its line would. Linux 6.11 and later, where no seccomp
 * filter forbids them; elsewhere whoever asks reads mountinfo.
 *
 * A mount that is moved keeps its number: this alone shows in mountinfo only.
 */
#ifndef MOUNT_IDS_H
#define MOUNT_IDS_H

#include "container/host_mounts.h"
#include "container/hostfs.h"

struct mount_ids;

/* NULL: this kernel does not have it, or does not let us, or out of memory. */
struct mount_ids *mount_ids_open(const struct hostfs *fs);
struct mount_ids *mount_ids_close(struct mount_ids *m); /* takes NULL, returns NULL */

struct mount_ids_events {
	/* @m is gone from the list, and is freed after the call. */
	void (*on_gone)(const struct host_mount *m, void *arg);
	/* This one is new, and in the list already. 0, or what mount_ids_look() returns. */
	int (*on_new)(const struct mountinfo_line *line, void *arg);
	void *arg;
};

/*
 * Bring @mounts, which only this function fills, to what is mounted now; first what went,
 * then what came. 0, -E2BIG (more than HOST_MOUNTS_MAX), or -errno: @mounts lacks something.
 */
int mount_ids_look(struct mount_ids *m, struct host_mounts *mounts,
		   const struct mount_ids_events *events);

#endif /* MOUNT_IDS_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_cgroup.h - a cgroup of its own for a sandbox, in the v2 hierarchy.
 */
#ifndef SANDBOX_CGROUP_H
#define SANDBOX_CGROUP_H

#include <stdint.h>

#include "base/strbuf.h"

struct sandbox_cgroup {
	int root_fd; /* of the mount the cgroup lies in */
	int fd;	     /* of the cgroup, for CLONE_INTO_CGROUP; -1: there is none */
	uint64_t id; /* what the kernel calls it */
	char *path;  /* root-relative: "/driftwatch-<id>" */
};

#define SANDBOX_CGROUP_INIT             \
	{                               \
		.root_fd = -1, .fd = -1 \
	}

/*
 * Make cgroup driftwatch-<@container_id> where the v2 hierarchy is mounted writable.
 * Returns 0, or -errno with the reason in @why.
 */
int sandbox_cgroup_make(const char *container_id, struct strbuf *why, struct sandbox_cgroup *ret);

/* Remove it, once its processes have been reaped. */
void sandbox_cgroup_done(struct sandbox_cgroup *cgroup);

/* Remove our empty cgroups of runs that were killed. */
void sandbox_cgroup_sweep(void);

#endif /* SANDBOX_CGROUP_H */

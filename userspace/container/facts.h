/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * facts.h - what several sources say about one container, folded into one account.
 *
 * Pure: no I/O. Who a container is comes from the runtime's files first; whether it
 * runs, where and on which device comes from the kernel first.
 */
#ifndef FACTS_H
#define FACTS_H

#include "container/container.h"

#define FACTS_CGROUPS_MAX 8 /* a container's last cgroup ids, newest first */

struct facts_input {
	const char *id;
	/* What the runtimes' files say, most trusted first. */
	const struct container *const *said;
	size_t said_len;
	/* From /proc of its first process: pid, start, root, mounts. NULL: never seen. */
	const struct container *task;
	bool task_alive;
	/* Where its overlay is mounted now; NULL when it is not. */
	const struct container_overlay *mounted;
	/* What was made of it last time; keeps the layer of a container that exited. */
	const struct container *before;
	const char *runtime_hint; /* from the form of its cgroup or mount; may be NULL */
	const char *cgroup_path;  /* NULL when not known or gone */
	const uint64_t *cgroup_ids;
	size_t cgroup_ids_len;
	bool cgroup_alive;
	uint64_t seen_exit_wall_ns; /* when we noticed its end; 0 */
};

/* Returns NULL when out of memory. */
struct container *facts_merge(const struct facts_input *in);

/* Every field alike. */
bool facts_equal(const struct container *a, const struct container *b);

#endif /* FACTS_H */

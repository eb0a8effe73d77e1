/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_describe.h - a sandbox that has been set up, as a struct container.
 */
#ifndef SANDBOX_DESCRIBE_H
#define SANDBOX_DESCRIBE_H

#include "base/strbuf.h"
#include "container/container.h"
#include "container/sandbox_area.h"
#include "container/sandbox_plan.h"

/* 64 random hex digits and the NUL. 0 or -errno. */
int sandbox_make_id(char ret[65]);

/*
 * Now, by the clock that file systems stamp with: what comes later never has an
 * earlier time, so what the command changes can be told from what was there before.
 */
uint64_t sandbox_stamp_ns(void);

struct sandbox_facts {
	const char *id;
	const char *lower;
	const struct sandbox_area *area;
	const struct sandbox_plan *plan;
	char *const *argv;
	pid_t pid;
	const char *cgroup_path; /* NULL: none */
	uint64_t cgroup_id;
	uint64_t created_wall_ns;
};

/*
 * What is not in the facts is read from /proc/<pid>: the device numbers of its mounts.
 * The caller frees it. 0, -ESRCH (it has died), -ENOMEM or -errno.
 */
int sandbox_describe(const struct sandbox_facts *facts, struct container **ret);

#endif /* SANDBOX_DESCRIBE_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * processes.h - where the runtimes that run now keep their files.
 *
 * Looks at the command lines of dockerd, containerd, their shims, conmon, podman,
 * crio and runc, at the configuration files these name, and at shims' working
 * directories. Also notices new processes whose root is an overlay.
 */
#ifndef PROCESSES_H
#define PROCESSES_H

#include <stdint.h>
#include <sys/types.h>

#include "container/hostfs.h"
#include "container/source.h"

struct processes;

struct processes_events {
	/* A runtime keeps its files in @root (as it was told: not yet canonical). */
	source_discover_fn discover;
	/* A process seen for the first time, with the device of its root directory. */
	void (*on_process)(pid_t pid, uint32_t root_dev, void *arg);
	void *arg;
};

/* NULL: out of memory. @fs is borrowed. */
struct processes *processes_new(struct hostfs *fs, const struct processes_events *events);
struct processes *processes_free(struct processes *p); /* takes NULL, returns NULL */

/*
 * Look at processes that are new since the last call; @all: at every process again.
 * Costs one small read while no process was started, else what was started. 0 or -errno.
 */
int processes_look(struct processes *p, bool all);

/* --- for tests --- */

/* The roots that one command line tells. @argv: NUL-separated, as in /proc. */
void processes_read_command_line(const struct processes *p, pid_t pid, const char *comm,
				 const char *argv, size_t len);

#endif /* PROCESSES_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox.h - a throwaway container of our own making, for `driftwatch run`.
 *
 * An overlay over a directory of the host, in mount, PID, UTS and IPC namespaces
 * and a cgroup of its own; the host's network. It keeps changes off the host and
 * gives a monitor something to watch; it is no security boundary.
 *
 *	sandbox_open()       everything is set up, the command waits
 *	sandbox_container()  tell the engine whom to watch
 *	sandbox_start()      the command runs
 *	sandbox_wait()       it has ended, and everything it left running with it
 *	sandbox_close()      nothing of it remains
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "container/container.h"

/* Where the agent learns of running sandboxes: one <id>.json each, see sandbox_state.h. */
#define SANDBOX_STATE_DIR "/run/driftwatch/containers"

struct sandbox;

struct sandbox_volume {
	char *source;	   /* on the host */
	char *destination; /* in the container, absolute */
	bool read_only;
};

struct sandbox_options {
	const char *lower; /* directory that becomes the root; NULL: the host's own */
	const char *keep;  /* new or empty directory for the layer, kept; NULL: private, removed */
	const struct sandbox_volume *volumes;
	size_t volumes_len;
	char *const *tmpfs; /* paths in the container, absolute */
	size_t tmpfs_len;
	char *const *argv;	 /* the command, ended by NULL; borrowed until sandbox_start() */
	const sigset_t *signals; /* the command's signal mask; NULL: ours */
	int stdout_fd;		 /* becomes the command's standard output; -1: ours */
};

/*
 * Make the container; its first process waits before the command. Leftovers of
 * sandboxes that were killed are removed on the way.
 * Returns 0, or -errno with a sentence for the user in @error:
 *   -EPERM   not root, or a capability is missing
 *   -ENOENT, -ENOTDIR  --lower, a volume
 *   -ENOTEMPTY  keep holds something already
 */
int sandbox_open(const struct sandbox_options *options, struct strbuf *error, struct sandbox **ret);

/* Kill it, remove layer, cgroup and state. Takes NULL, returns NULL. */
struct sandbox *sandbox_close(struct sandbox *s);

/* Borrowed. Running, with pid, overlay, cgroup and mounts known. */
const struct container *sandbox_container(const struct sandbox *s);

/* Why it has no cgroup of its own; NULL when it has one. */
const char *sandbox_cgroup_problem(const struct sandbox *s);

/* Mounts of the host that are visible read-only, joined by ", "; "" when there are none. */
const char *sandbox_shared_mounts(const struct sandbox *s);

/*
 * Let the command run, and tell the agent. The container's started_wall_ns is from
 * then on when that was, not when it had been set up. 0 or -errno.
 */
int sandbox_start(struct sandbox *s);

/* Readable once the container has ended. */
int sandbox_fd(const struct sandbox *s);

/* Hand a signal to the command. */
void sandbox_signal(struct sandbox *s, int signo);

struct sandbox_result {
	int exit_code;	/* of the command; 128 + n when signal n ended it */
	int exec_errno; /* the command could not be executed; 0 when it was */
};

/* Wait for the end. 0 or -errno. */
int sandbox_wait(struct sandbox *s, struct sandbox_result *ret);

#endif /* SANDBOX_H */

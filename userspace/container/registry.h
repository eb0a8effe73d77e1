/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry.h - which containers exist on this node, whatever runs them.
 *
 * Sources, fastest first: overlay mounts appearing in /proc/1/mountinfo, cgroups
 * and first execs reported by the kernel side (hints), runtimes' state files
 * (inotify, and read at start), runtimes' command lines (--data-root, --root,
 * --exec-root of dockerd, containerd, podman, …). No daemon is ever asked.
 * A container is reported as soon as its layer is known, and again when more is
 * (name, image, pid, cgroup, mounts, exit, removal).
 * All file access goes beneath host_root. Not thread-safe.
 */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "base/strbuf.h"
#include "container/container.h"

struct registry;

struct registry_options {
	const char *host_root; /* NULL or "/" when not in a container */
	/* "docker=DIR", "podman=DIR", "containerd=DIR", "runc=DIR", …: roots besides those found */
	const char *const *runtime_roots;
	size_t runtime_roots_len;
};

enum registry_change {
	REGISTRY_ADDED,	  /* first report: the layer is known; read it now */
	REGISTRY_UPDATED, /* anything else became known or changed */
	REGISTRY_REMOVED, /* the runtime forgot it and its layer is gone */
};

/*
 * @c is borrowed: valid until the next call into the registry. Its address is not
 * an identity; its id is. ADDED and REMOVED come exactly once per life of an id.
 */
typedef void (*registry_fn)(enum registry_change change, const struct container *c, void *arg);

/*
 * Start watching. Nothing is reported before registry_scan(). 0 or -errno.
 */
int registry_open(const struct registry_options *options, registry_fn fn, void *arg,
		  struct registry **ret);
struct registry *registry_close(struct registry *r); /* takes NULL, returns NULL */

/* An epoll fd: readable when mounts or state files changed. */
int registry_fd(const struct registry *r);

/* Handle what registry_fd() announced. Never blocks. 0 or -errno. */
int registry_process(struct registry *r);

/*
 * When to call registry_tick() next (metadata retries at 0/100/500/2000 ms, a slow
 * full look every 30 s): milliseconds from now, never negative.
 */
int registry_timeout_ms(const struct registry *r);
int registry_tick(struct registry *r);

/* Look at everything that exists now. Reports additions through fn. 0 or -errno. */
int registry_scan(struct registry *r);

/* Hints from the kernel side; cheap, may be repeated, may be wrong. */
void registry_hint_cgroup(struct registry *r, uint64_t cgroup_id, const char *path, bool removed);
void registry_hint_task(struct registry *r, pid_t tgid, uint32_t overlay_dev, uint64_t cgroup_id);

/* Add a container the caller made itself (driftwatch run). Copied. 0 or -errno. */
int registry_add_own(struct registry *r, const struct container *c);

/* Borrowed like in registry_fn. NULL when unknown. */
const struct container *registry_find(const struct registry *r, const char *id);

/* --- for doctor --- */
struct registry_source {
	const char *kind;     /* "docker", "containerd", …, "mountinfo" */
	const char *root;     /* storage or state directory */
	const char *found_by; /* "command line of dockerd (pid 12)", "default", "option" */
	bool readable;
	unsigned containers;
	uint64_t errors;	/* state files that could not be read or parsed */
	const char *last_error; /* NULL or a sentence */
};
void registry_foreach_source(const struct registry *r,
			     void (*fn)(const struct registry_source *, void *), void *arg);

#endif /* REGISTRY_H */

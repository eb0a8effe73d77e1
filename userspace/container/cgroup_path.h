/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroup_path.h - which container a cgroup path belongs to, by its form alone.
 *
 * Names are hostile: a container with a delegated cgroup can create any path
 * below its own. The answer is a hint until a task or a state file confirms it.
 */
#ifndef CGROUP_PATH_H
#define CGROUP_PATH_H

#include <stddef.h>

#include "base/strbuf.h"
#include "container/container.h"

struct cgroup_owner {
	char id[CONTAINER_ID_MAX]; /* 64 hex digits, or the name for lxc and nspawn */
	const char *runtime;	   /* static: "docker", "podman", …; "unknown" */
	size_t scope_len;	   /* the path's prefix that is the container's own cgroup */
};

/*
 * The innermost container that @path (root-relative, as in the "0::" line) names.
 * Returns 0, or -ENOENT when no component has a known form.
 */
int cgroup_path_parse(const char *path, struct cgroup_owner *ret);

/*
 * The name that a runtime without a recognisable form gave its cgroup: "c1" of
 * "/default/c1", "rc2" of "/system.slice/runc-rc2.scope", "cr2" of
 * "/system.slice/crun-cr2.scope/container". -ENOENT for "/", slices and services.
 */
int cgroup_path_name(const char *path, char ret[CONTAINER_ID_MAX]);

/*
 * Pick the v2 path out of the text of /proc/PID/cgroup: the "0::" line, else
 * name=systemd, else pids or memory. Leading "/.." (the reader is in another cgroup
 * namespace) are dropped. Appends to @ret. Returns 0 or -ENOENT.
 */
int cgroup_file_parse(const char *text, struct strbuf *ret);

#endif /* CGROUP_PATH_H */

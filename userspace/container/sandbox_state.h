/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_state.h - the state file of a running sandbox, as the agent reads it.
 *
 * <SANDBOX_STATE_DIR>/<id>.json exists while the container runs; it is written whole
 * (<id>.json.new, then renamed) before the command starts:
 *
 *	{"schema": "driftwatch.sandbox/1", "id": "<64 hex>", "name": "run-<8 hex>",
 *	 "image": "apt-get install -y hello",	the command, cut to 256 bytes
 *	 "pid": 4711,				of its init, on the host
 *	 "created": RFC 3339, "started": RFC 3339,
 *	 "upper": …, "work": …, "merged": …, "lowers": […],	absolute host paths
 *	 "overlay_dev": 51,			kernel dev_t
 *	 "cgroup_path": "/driftwatch-<id>", "cgroup_id": "857"}	absent without a cgroup
 *
 * A text that is not UTF-8 stands as base64 under <key>_b64 instead (a lower: the
 * array "lowers_b64").
 */
#ifndef SANDBOX_STATE_H
#define SANDBOX_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "container/container.h"

/* Returns 0, -ENOMEM or -errno. */
int sandbox_state_write(const char *dir, const struct container *c);
void sandbox_state_remove(const char *dir, const char *id);

/*
 * Read @name in @dirfd: a container of runtime "driftwatch", running, without mounts;
 * whether its pid still lives is not looked at. The caller frees it.
 * Returns 0, -EBADMSG (not such a file), -EFBIG, -ENOMEM or -errno of reading.
 */
int sandbox_state_read(int dirfd, const char *name, struct container **ret);

/* The same from the file's text. 0, -EBADMSG or -ENOMEM. */
int sandbox_state_parse(const char *text, size_t len, struct container **ret);

/*
 * Whether the container that was read still runs: its process is there and has the
 * overlay as root, so it is not another one with the number.
 */
bool sandbox_state_is_live(const struct container *c);

/* Remove state files of containers that do not run any more. */
void sandbox_state_sweep(const char *dir);

#endif /* SANDBOX_STATE_H */

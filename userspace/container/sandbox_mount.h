/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_mount.h - make the root of a sandbox and move into it.
 *
 * Runs in the sandbox's first process, in a mount namespace of its own.
 */
#ifndef SANDBOX_MOUNT_H
#define SANDBOX_MOUNT_H

#include "base/strbuf.h"
#include "container/sandbox_area.h"
#include "container/sandbox_plan.h"

struct sandbox_root {
	const char *lower;
	const struct sandbox_area *area;
	const struct sandbox_plan *plan;
};

/*
 * Mount the overlay, everything of the plan, and make it "/"; the host's tree is
 * gone then. Returns 0, or -errno with what failed in @error.
 */
int sandbox_root_enter(const struct sandbox_root *root, struct strbuf *error);

/*
 * The option string of the overlay: layers, and nothing that would make the upper
 * directory differ from what the container shows. -E2BIG when it is longer than
 * mount(2) takes, -ENOMEM.
 */
int sandbox_overlay_options(const char *lower, const struct sandbox_area *area, struct strbuf *out);

/* open @path as seen from @root_fd, its symbolic links included. fd or -errno. */
int sandbox_open_beneath(int root_fd, const char *path, int flags);

#endif /* SANDBOX_MOUNT_H */

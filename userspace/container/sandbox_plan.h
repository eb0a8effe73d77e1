/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_plan.h - which file systems a sandbox gets to see, decided before it is made.
 *
 * Pure decision from the host's mountinfo and the options; sandbox_mount.h carries
 * it out. /proc, /sys and /dev are fresh, /run too where the root is the host's own;
 * other file systems mounted beneath the lower directory are shown read-only, since
 * the overlay covers one file system only; /tmp belongs to the layer.
 */
#ifndef SANDBOX_PLAN_H
#define SANDBOX_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "container/container.h"
#include "container/sandbox.h"

struct sandbox_mount {
	char *destination;   /* in the container */
	char *source;	     /* bind: on the host; NULL: the destination itself, made read-only */
	const char *fstype;  /* NULL: a bind */
	const char *data;    /* options of a fresh file system */
	unsigned long flags; /* MS_RDONLY, MS_NODEV, … */
	bool optional;	     /* goes without, when the place or the source is missing */
	bool create;	     /* the mount point is made when it is missing */
	bool listed;	     /* one of the container's mounts, of this kind: */
	enum mount_kind kind;
};

struct sandbox_plan {
	struct sandbox_mount *mounts; /* in order */
	size_t len, size;
	struct strbuf shared; /* host mounts shown read-only, for the user */
	bool failed;	      /* out of memory */
};

struct sandbox_plan_input {
	const char *lower;  /* absolute, no symbolic links */
	uint32_t lower_dev; /* kernel dev_t */
	char *mountinfo;    /* the host's, cut up in place */
	const char *area;   /* hidden from the container */
	const struct sandbox_options *options;
};

/* Fills an all-zero plan. 0 or -ENOMEM; sandbox_plan_done() in any case. */
int sandbox_plan_make(const struct sandbox_plan_input *input, struct sandbox_plan *ret);
void sandbox_plan_done(struct sandbox_plan *plan);

#endif /* SANDBOX_PLAN_H */

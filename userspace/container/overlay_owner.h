/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * overlay_owner.h - what the place of an overlay mount says about its owner.
 *
 * Text only. A name found here is confirmed by the runtime's own files before it is
 * believed, except containerd's, whose path holds the container's id itself.
 */
#ifndef OVERLAY_OWNER_H
#define OVERLAY_OWNER_H

#include <limits.h>

#include "container/container.h"

enum overlay_owner_kind {
	OWNER_UNKNOWN,
	OWNER_IGNORED,	   /* an image being built or unpacked, docker's "-init" layer */
	OWNER_LAYER_STORE, /* <home>/<name>/merged: docker or containers-storage */
	OWNER_DOCKER_ID,   /* <home>/rootfs/<snapshotter>/<name>: docker on containerd's store */
	OWNER_TASK,	   /* <home>/io.containerd.runtime.v2.task/<space>/<name>/rootfs */
};

struct overlay_owner {
	enum overlay_owner_kind kind;
	char home[PATH_MAX];
	char name[CONTAINER_ID_MAX];
	char space[CONTAINER_ID_MAX];
};

void overlay_owner_parse(const char *mount_point, struct overlay_owner *ret);

#endif /* OVERLAY_OWNER_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * docker_mounts.h - docker's names for layers: image/<driver>/layerdb/mounts.
 */
#ifndef DOCKER_MOUNTS_H
#define DOCKER_MOUNTS_H

#include "container/source.h"

#define DOCKER_MOUNT_ID_MAX 256

/* The name of the layer of container @id: 0, -ENOENT, -EBADMSG or -errno. */
int docker_read_mount_id(struct source *s, const char *driver, const char *id,
			 char ret[DOCKER_MOUNT_ID_MAX]);

/* The container whose layer is mounted at <home>/<mount_id>/merged. 0 or -ENOENT. */
int docker_find_mount(struct source *s, const char *driver, const char *mount_id,
		      char ret[CONTAINER_ID_MAX]);

/* Frees what docker_find_mount() remembers. */
void docker_mounts_done(struct source *s);

#endif /* DOCKER_MOUNTS_H */

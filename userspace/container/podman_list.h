/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * podman_list.h - the containers that a containers-storage lists, and their layers.
 *
 * The table belongs to the source (priv) and is read again when the files changed.
 */
#ifndef PODMAN_LIST_H
#define PODMAN_LIST_H

#include <uthash.h>

#include "container/source.h"

#define PODMAN_DRIVERS_LEN 5

extern const char *const podman_drivers[PODMAN_DRIVERS_LEN];

/* One line of containers.json. */
struct podman_listed {
	UT_hash_handle hh;
	char id[CONTAINER_ID_MAX];
	const char *driver; /* one of podman_drivers */
	char *layer, *name, *image, *image_id;
	uint64_t created_wall_ns;
	uint64_t hash; /* of the line's content */
};

struct podman_list {
	struct podman_listed *listed;
	uint64_t stamp; /* of the files that were read */
};

/* Of the files as they are now; 0: there are none. */
uint64_t podman_list_stamp(const struct source *s);

/* Read the files anew when they changed. 0, -ENOENT (no store here), -EBADMSG, -errno. */
int podman_list_read(struct source *s, struct strbuf *why);

/* Borrowed until the next reading; NULL when it is not listed. */
const struct podman_listed *podman_list_find(struct source *s, const char *id);

/* As source_ops.list. */
int podman_list_foreach(struct source *s, source_key_fn fn, void *arg);

/* The container on @layer. 0 or -ENOENT. */
int podman_find_layer(struct source *s, const char *layer, char ret[CONTAINER_ID_MAX]);

void podman_list_done(struct source *s);

#endif /* PODMAN_LIST_H */

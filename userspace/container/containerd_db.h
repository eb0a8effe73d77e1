/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * containerd_db.h - what containerd's two databases say of its containers.
 */
#ifndef CONTAINERD_DB_H
#define CONTAINERD_DB_H

#include "container/source.h"

struct containerd_db;

/* Open the databases below the root of @s. 0, -ENOENT, -EBADMSG, -ENOMEM or -errno. */
int containerd_db_open(const struct source *s, struct containerd_db **ret);
void containerd_db_close(struct containerd_db *db);

/* False when it was written to since it was opened: what was read may be mixed up. */
bool containerd_db_is_current(struct containerd_db *db);

typedef int (*containerd_db_fn)(const char *space, const char *id, uint64_t stamp, void *arg);

/*
 * Call @fn for each container; @stamp (never 0) is another one when it was made anew.
 * Stops at the first non-zero return and returns it.
 */
int containerd_db_foreach(struct containerd_db *db, containerd_db_fn fn, void *arg);

/* Name, image, creation time, layer, Kubernetes names. The caller frees it. */
int containerd_db_read(struct containerd_db *db, const char *space, const char *id,
		       struct container **ret);

/*
 * The directories of snapshot @key alone, into @ret, which has none so far.
 * -ENOENT: there is no such snapshot, or not all of its parents.
 */
int containerd_db_read_snapshot(struct containerd_db *db, const char *space, const char *key,
				struct container_overlay *ret);

#endif /* CONTAINERD_DB_H */

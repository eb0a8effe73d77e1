/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * docker_mounts.c - which container a layer mounted by docker belongs to.
 */
#include "container/docker_mounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define KNOWN_MOUNTS_MAX 65536

/* A mount id once read; they never change during a container's life. */
struct known_mount {
	UT_hash_handle hh_mount, hh_id;
	char mount_id[DOCKER_MOUNT_ID_MAX];
	char id[CONTAINER_ID_MAX];
};

struct docker {
	struct known_mount *by_mount, *by_id;
};

int docker_read_mount_id(struct source *s, const char *driver, const char *id,
			 char ret[DOCKER_MOUNT_ID_MAX])
{
	auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;
	int err;

	source_path(&path, s, "image", driver, "layerdb/mounts", id, "mount-id", NULL);
	err = hostfs_read(s->fs, strbuf_str(&path), DOCKER_MOUNT_ID_MAX - 1, &text);
	if (err)
		return err;
	if (!source_is_name(strbuf_str(&text)))
		return -EBADMSG;
	snprintf(ret, DOCKER_MOUNT_ID_MAX, "%s", strbuf_str(&text));
	return 0;
}

static void forget(struct docker *d, struct known_mount *known)
{
	HASH_DELETE(hh_mount, d->by_mount, known);
	HASH_DELETE(hh_id, d->by_id, known);
	free(known);
}

static void forget_all(struct docker *d)
{
	struct known_mount *known, *next;

	HASH_ITER (hh_mount, d->by_mount, known, next)
		forget(d, known);
}

void docker_mounts_done(struct source *s)
{
	if (!s->priv)
		return;
	forget_all(s->priv);
	free(s->priv);
	s->priv = NULL;
}

struct mount_search {
	struct source *s;
	struct docker *d;
	const char *driver;
};

static int learn_mount(const char *name, void *arg)
{
	struct mount_search *search = arg;
	struct docker *d = search->d;
	struct known_mount *known, *same;

	HASH_FIND(hh_id, d->by_id, name, strlen(name), known);
	if (known || !source_is_hex_id(name) || HASH_CNT(hh_id, d->by_id) >= KNOWN_MOUNTS_MAX)
		return 0;
	known = calloc(1, sizeof(*known));
	if (!known)
		return -ENOMEM;
	snprintf(known->id, sizeof(known->id), "%s", name);
	if (docker_read_mount_id(search->s, search->driver, name, known->mount_id)) {
		free(known);
		return 0;
	}
	HASH_FIND(hh_mount, d->by_mount, known->mount_id, strlen(known->mount_id), same);
	if (same)
		forget(d, same);
	HASH_ADD(hh_mount, d->by_mount, mount_id, strlen(known->mount_id), known);
	HASH_ADD(hh_id, d->by_id, id, strlen(known->id), known);
	return 0;
}

/* A container that was removed leaves the table when its answer is asked for. */
static struct known_mount *still_known(struct mount_search *search, const char *mount_id)
{
	struct known_mount *known;
	char now[DOCKER_MOUNT_ID_MAX];

	HASH_FIND(hh_mount, search->d->by_mount, mount_id, strlen(mount_id), known);
	if (!known)
		return NULL;
	if (!docker_read_mount_id(search->s, search->driver, known->id, now) &&
	    !strcmp(now, mount_id))
		return known;
	forget(search->d, known);
	return NULL;
}

int docker_find_mount(struct source *s, const char *driver, const char *mount_id,
		      char ret[CONTAINER_ID_MAX])
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct mount_search search = {s, NULL, driver};
	struct known_mount *known;

	if (!s->priv)
		s->priv = calloc(1, sizeof(struct docker));
	search.d = s->priv;
	if (!search.d || strlen(mount_id) >= DOCKER_MOUNT_ID_MAX)
		return -ENOENT;
	known = still_known(&search, mount_id);
	if (!known) {
		if (HASH_CNT(hh_id, search.d->by_id) >= KNOWN_MOUNTS_MAX)
			forget_all(search.d);
		source_path(&path, s, "image", driver, "layerdb/mounts", NULL);
		hostfs_foreach_name(s->fs, strbuf_str(&path), learn_mount, &search);
		HASH_FIND(hh_mount, search.d->by_mount, mount_id, strlen(mount_id), known);
	}
	if (!known)
		return -ENOENT;
	snprintf(ret, CONTAINER_ID_MAX, "%s", known->id);
	return 0;
}

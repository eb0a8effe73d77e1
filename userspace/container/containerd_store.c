/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * containerd_store.c - the containers of containerd, running or not, from its --root.
 *
 *	io.containerd.metadata.v1.bolt/meta.db		   who there is, image, snapshot
 *	io.containerd.snapshotter.v1.overlayfs/metadata.db which directories a snapshot has
 *
 * Keys are "<namespace>/<id>". What was read of a container is kept while its creation
 * time stays the same, so that a change costs one look at the list.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "container/containerd_db.h"
#include "container/source.h"

#define CONTAINERS_MAX 65536
#define TRIES_MAX      3 /* while the database is written */

struct stored {
	UT_hash_handle hh;
	char *key;
	uint64_t stamp;
	bool is_seen, is_new; /* in the current pass */
	struct container *c;
};

struct store {
	struct stored *stored;
	uint64_t stamp; /* of the file that was read */
};

static void forget(struct store *store, struct stored *one)
{
	HASH_DEL(store->stored, one);
	container_free(one->c);
	free(one->key);
	free(one);
}

static void store_done(struct source *s)
{
	struct store *store = s->priv;
	struct stored *one, *next;

	if (!store)
		return;
	HASH_ITER (hh, store->stored, one, next)
		forget(store, one);
	free(store);
	s->priv = NULL;
}

static const char *meta_path(struct strbuf *path, const struct source *s)
{
	return source_path(path, s, "io.containerd.metadata.v1.bolt", "meta.db", NULL);
}

static uint64_t store_root_stamp(struct source *s)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	return hostfs_stamp(s->fs, meta_path(&path, s), 0);
}

struct reading {
	struct containerd_db *db;
	struct store *store;
};

static int take_new(struct reading *r, const char *space, const char *id, const char *key,
		    uint64_t stamp)
{
	struct stored *one;
	int err;

	if (HASH_COUNT(r->store->stored) >= CONTAINERS_MAX)
		return 0;
	one = calloc(1, sizeof(*one));
	if (!one)
		return -ENOMEM;
	err = containerd_db_read(r->db, space, id, &one->c);
	one->key = err ? NULL : strdup(key);
	if (!one->key) {
		container_free(one->c);
		free(one);
		/* What is gone or strange is passed over; what is corrupt is not. */
		return err == -ENOENT ? 0 : (err ? err : -ENOMEM);
	}
	one->stamp = stamp;
	one->is_seen = one->is_new = true;
	HASH_ADD_KEYPTR(hh, r->store->stored, one->key, strlen(one->key), one);
	return 0;
}

static int take_container(const char *space, const char *id, uint64_t stamp, void *arg)
{
	auto_strbuf struct strbuf key = STRBUF_INIT;
	struct reading *r = arg;
	struct stored *one;

	/* Docker's are known better from docker's own files. */
	if (!source_is_name(id) || !source_is_name(space) || !strcmp(space, "moby"))
		return 0;
	strbuf_addf(&key, "%s/%s", space, id);
	HASH_FIND_STR(r->store->stored, strbuf_str(&key), one);
	if (one && one->stamp == stamp) {
		one->is_seen = true;
		return 0;
	}
	if (one)
		forget(r->store, one);
	return take_new(r, space, id, strbuf_str(&key), stamp);
}

static int read_once(struct source *s, struct store *store)
{
	struct reading r = {.store = store};
	struct stored *one, *next;
	int err;

	err = containerd_db_open(s, &r.db);
	if (err)
		return err;
	HASH_ITER (hh, store->stored, one, next)
		one->is_seen = one->is_new = false;
	err = containerd_db_foreach(r.db, take_container, &r);
	if (!containerd_db_is_current(r.db))
		err = -EAGAIN;
	containerd_db_close(r.db);
	HASH_ITER (hh, store->stored, one, next) {
		/* Read across a commit, a page may have been another one by then. */
		if (err ? one->is_new : !one->is_seen)
			forget(store, one);
	}
	return err;
}

/* Read again when the file changed. 0, -ENOENT, -EBADMSG with a sentence, -errno. */
static int reread(struct source *s, struct strbuf *why)
{
	uint64_t stamp = store_root_stamp(s);
	struct store *store = s->priv;
	int err = -EAGAIN;

	if (!store)
		store = s->priv = calloc(1, sizeof(*store));
	if (!store)
		return -ENOMEM;
	if (!stamp)
		return -ENOENT;
	if (stamp == store->stamp)
		return 0;
	for (int i = 0; i < TRIES_MAX && err == -EAGAIN; i++)
		err = read_once(s, store);
	if (err && err != -ENOENT)
		strbuf_addf(why, "%s/io.containerd.metadata.v1.bolt/meta.db cannot be read: %s",
			    s->root, strerror(-err));
	store->stamp = err ? 0 : stamp;
	return err;
}

static struct stored *find(struct source *s, const char *key)
{
	const struct store *store = s->priv;
	struct stored *one = NULL;

	if (store)
		HASH_FIND_STR(store->stored, key, one);
	return one;
}

static int store_list(struct source *s, source_key_fn fn, void *arg)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	int err = reread(s, &why);
	struct stored *one, *next;
	const struct store *store = s->priv;
	size_t n = 0, len;
	char **keys;

	if (err)
		return err;
	/* @fn makes us read again, so the table may change below us. */
	len = HASH_COUNT(store->stored);
	keys = calloc(len + 1, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	HASH_ITER (hh, store->stored, one, next)
		keys[n++] = strdup(one->key);
	for (size_t i = 0; i < len && !err; i++)
		err = keys[i] ? fn(keys[i], arg) : -ENOMEM;
	for (size_t i = 0; i < len; i++)
		free(keys[i]);
	free(keys);
	return err;
}

static uint64_t store_stamp(struct source *s, const char *key)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	const struct stored *one;

	/* While it cannot be read, what was read stays true. */
	if (!strchr(key, '/') || reread(s, &why) == -ENOENT)
		return 0;
	one = find(s, key);
	return one ? one->stamp : 0;
}

static int store_read(struct source *s, const char *key, struct strbuf *why, struct container **ret)
{
	const struct stored *one;
	int err = reread(s, why);

	one = find(s, key);
	if (!one)
		return err ? err : -ENOENT;
	*ret = container_copy(one->c);
	return *ret ? 0 : -ENOMEM;
}

/* The database is written in place, far too often to be watched. */
static void store_watches(struct source *s, const char *key, source_watch_fn fn, void *arg)
{
	(void)s;
	(void)key;
	(void)fn;
	(void)arg;
}

const struct source_ops containerd_store_source_ops = {
	.kind = "containerd-store",
	.rank = RANK_RUNTIME,
	.list = store_list,
	.root_stamp = store_root_stamp,
	.stamp = store_stamp,
	.read = store_read,
	.watches = store_watches,
	.done = store_done,
};

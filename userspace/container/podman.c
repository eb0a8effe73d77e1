/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * podman.c - containers-storage: what podman and CRI-O keep below their graph root.
 *
 *	<driver>-containers/containers.json		who is there, and on which layer
 *	<driver>-containers/volatile-containers.json	the same of containers run with --rm
 *	<driver>-containers/<id>/userdata/config.json	CRI-O's pod names; there once started
 *	<driver>/<layer>/{diff,work,lower}		the layer
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/clock.h"
#include "container/mountinfo.h"
#include "container/source.h"

#define CONTAINERS_MAX 65536

static const char *const drivers[] = {"overlay", "overlay2", "vfs", "btrfs", "zfs"};
static const char *const lists[] = {"containers.json", "volatile-containers.json"};

#define DRIVERS_LEN (sizeof(drivers) / sizeof(drivers[0]))
#define LISTS_LEN   (sizeof(lists) / sizeof(lists[0]))

/* One line of containers.json. */
struct listed {
	UT_hash_handle hh;
	char id[CONTAINER_ID_MAX];
	const char *driver;
	char *layer, *name, *image, *image_id;
	uint64_t created_wall_ns;
	uint64_t hash; /* of the line's content */
};

struct podman {
	struct listed *listed;
	uint64_t stamp; /* of the lists that were read */
};

static void free_listed(struct listed *l)
{
	free(l->layer);
	free(l->name);
	free(l->image);
	free(l->image_id);
	free(l);
}

static void forget_all(struct podman *p)
{
	struct listed *l, *next;

	HASH_ITER (hh, p->listed, l, next) {
		HASH_DEL(p->listed, l);
		free_listed(l);
	}
}

static void podman_done(struct source *s)
{
	if (!s->priv)
		return;
	forget_all(s->priv);
	free(s->priv);
	s->priv = NULL;
}

static const char *list_path(struct strbuf *path, const struct source *s, size_t driver,
			     size_t list)
{
	strbuf_reset(path);
	strbuf_addf(path, "%s/%s-containers/%s", s->root, drivers[driver], lists[list]);
	return strbuf_str(path);
}

static uint64_t lists_stamp(const struct source *s)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	uint64_t stamp = 0;

	for (size_t i = 0; i < DRIVERS_LEN; i++) {
		for (size_t j = 0; j < LISTS_LEN; j++)
			stamp = hostfs_stamp(s->fs, list_path(&path, s, i, j), stamp);
	}
	return stamp;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
	return hash * 31 + 1;
}

/* The metadata is JSON in a string: what the user called image and container. */
static bool take_metadata(const json_t *item, struct listed *l)
{
	const char *text = json_string_value(json_object_get(item, "metadata"));
	json_t *metadata = text ? json_loads(text, 0, NULL) : NULL;
	const char *name = json_text(metadata, "name");
	bool ok;

	ok = source_set(&l->name, name) && source_set(&l->image, json_text(metadata, "image-name"));
	json_decref(metadata);
	/* Working containers of image builds have no name of podman's there. */
	return ok && l->name;
}

static struct listed *read_item(const json_t *item, const char *driver)
{
	const char *id = json_text(item, "id"), *layer = json_text(item, "layer");
	const char *created = json_text(item, "created"), *image = json_text(item, "image");
	struct listed *l;

	if (!id || !source_is_hex_id(id) || !layer || !source_is_name(layer))
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	snprintf(l->id, sizeof(l->id), "%s", id);
	l->driver = driver;
	if (!source_set(&l->layer, layer) || !source_set(&l->image_id, image) ||
	    !take_metadata(item, l)) {
		free_listed(l);
		return NULL;
	}
	if (created && clock_parse_rfc3339(created, &l->created_wall_ns))
		l->created_wall_ns = 0;
	l->hash = hash_text(hash_text(hash_text(1, l->layer), l->name), l->image);
	return l;
}

static void take_items(struct podman *p, const json_t *json, const char *driver)
{
	struct listed *l, *same;
	json_t *item;
	size_t i;

	json_array_foreach (json, i, item) {
		if (HASH_COUNT(p->listed) >= CONTAINERS_MAX)
			return;
		l = read_item(item, driver);
		if (!l)
			continue;
		HASH_FIND_STR(p->listed, l->id, same);
		if (same)
			free_listed(l);
		else
			HASH_ADD_STR(p->listed, id, l);
	}
}

/* Read the lists anew when they changed. 0, -ENOENT (no store here), -EBADMSG, -errno. */
static int reread(struct source *s, struct strbuf *why)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	uint64_t stamp = lists_stamp(s);
	struct podman *p = s->priv;
	json_t *json;
	int err;

	if (!p)
		p = s->priv = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	if (p->stamp == stamp)
		return stamp ? 0 : -ENOENT;
	forget_all(p);
	p->stamp = 0;
	for (size_t i = 0; i < DRIVERS_LEN; i++) {
		for (size_t j = 0; j < LISTS_LEN; j++) {
			err = hostfs_read_json(s->fs, list_path(&path, s, i, j), why, &json);
			if (err == -ENOENT || err == -ENOTDIR)
				continue;
			if (err)
				return err;
			take_items(p, json, drivers[i]);
			json_decref(json);
		}
	}
	p->stamp = stamp;
	return stamp ? 0 : -ENOENT;
}

static struct listed *find(struct source *s, const char *id)
{
	const struct podman *p = s->priv;
	struct listed *l = NULL;

	if (p)
		HASH_FIND_STR(p->listed, id, l);
	return l;
}

static int podman_list(struct source *s, source_key_fn fn, void *arg)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	int err = reread(s, &why), i = 0, len;
	struct listed *l, *next;
	struct podman *p = s->priv;
	char(*ids)[CONTAINER_ID_MAX];

	if (err)
		return err;
	/* @fn makes us read again, so the table may change below us. */
	len = (int)HASH_COUNT(p->listed);
	ids = calloc((size_t)len + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	HASH_ITER (hh, p->listed, l, next)
		memcpy(ids[i++], l->id, sizeof(l->id));
	for (i = 0; i < len && !err; i++)
		err = fn(ids[i], arg);
	free(ids);
	return err;
}

static const char *config_path(struct strbuf *path, const struct source *s, const struct listed *l)
{
	strbuf_reset(path);
	strbuf_addf(path, "%s/%s-containers/%s/userdata/config.json", s->root, l->driver, l->id);
	return strbuf_str(path);
}

static uint64_t podman_stamp(struct source *s, const char *key)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, why = STRBUF_INIT;
	struct listed *l;

	if (reread(s, &why) == -EBADMSG)
		return lists_stamp(s); /* read() says what is wrong */
	l = find(s, key);
	return l ? hostfs_stamp(s->fs, config_path(&path, s, l), l->hash | 1) : 0;
}

static bool take_crio(const json_t *notes, struct container *c)
{
	static const char prefix[] = "io.kubernetes.cri-o.";
	const char *type = json_text(notes, "io.kubernetes.cri-o.ContainerType");
	json_t *labels;
	bool ok;

	(void)prefix;
	if (!type)
		return true;
	labels = json_loads(json_string_value(json_object_get(notes, "io.kubernetes.cri-o.Labels"))
				    ?: "{}",
			    0, NULL);
	c->is_sandbox = !strcmp(type, "sandbox");
	ok = source_set(&c->runtime, "cri-o") &&
	     source_set(&c->image, json_text(notes, "io.kubernetes.cri-o.ImageName")) &&
	     source_set(&c->pod, json_text(notes, "io.kubernetes.cri-o.KubeName")) &&
	     source_set(&c->pod_namespace, json_text(notes, "io.kubernetes.cri-o.Namespace")) &&
	     source_set(&c->pod, json_text(labels, "io.kubernetes.pod.name")) &&
	     source_set(&c->pod_uid, json_text(labels, "io.kubernetes.pod.uid")) &&
	     source_set(&c->pod_namespace, json_text(labels, "io.kubernetes.pod.namespace")) &&
	     source_set(&c->pod_container, json_text(labels, "io.kubernetes.container.name"));
	json_decref(labels);
	c->privileged =
		!strcmp(json_text(notes, "io.kubernetes.cri-o.PrivilegedRuntime") ?: "", "true");
	return ok;
}

/* The OCI configuration is written when a container is first started. */
static bool take_config(struct source *s, const struct listed *l, struct container *c)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, why = STRBUF_INIT;
	const char *privileged;
	json_t *json, *notes;
	bool ok;

	if (hostfs_read_json(s->fs, config_path(&path, s, l), &why, &json))
		return true;
	notes = json_object_get(json, "annotations");
	privileged = json_text(notes, "io.podman.annotations.privileged");
	c->privileged = privileged && !strcmp(privileged, "TRUE");
	c->overlay.read_only =
		json_is_true(json_object_get(json_object_get(json, "root"), "readonly"));
	c->state = CONTAINER_EXITED;
	ok = take_crio(notes, c);
	json_decref(json);
	return ok;
}

static bool take_layer(struct source *s, const struct listed *l, struct container *c)
{
	auto_strbuf struct strbuf home = STRBUF_INIT, text = STRBUF_INIT;
	int err = -ENOTSUP;

	if (!strncmp(l->driver, "overlay", strlen("overlay")))
		err = source_read_layer(s->fs, source_path(&home, s, l->driver, NULL), l->layer,
					&c->overlay);
	if (!err)
		return true;
	if (err == -ENOTSUP)
		strbuf_addf(&text, "storage driver %s has no upper directory", l->driver);
	else
		strbuf_addf(&text, "the layer cannot be read: %s", strerror(-err));
	return source_set(&c->storage_error, strbuf_str(&text));
}

static int podman_read(struct source *s, const char *key, struct strbuf *why,
		       struct container **ret)
{
	int err = reread(s, why);
	struct container *c;
	struct listed *l;

	if (err)
		return err;
	l = find(s, key);
	if (!l)
		return -ENOENT;
	c = container_new(key, "podman");
	if (!c)
		return -ENOMEM;
	c->created_wall_ns = l->created_wall_ns;
	if (!source_set(&c->name, l->name) || !source_set(&c->image, l->image) ||
	    !source_set(&c->image_id, l->image_id) || !take_layer(s, l, c) ||
	    !take_config(s, l, c)) {
		container_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

int podman_find_layer(struct source *s, const char *layer, char ret[CONTAINER_ID_MAX])
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	const struct podman *p;
	struct listed *l, *next;

	if (reread(s, &why))
		return -ENOENT;
	p = s->priv;
	HASH_ITER (hh, p->listed, l, next) {
		if (strcmp(l->layer, layer) != 0)
			continue;
		memcpy(ret, l->id, sizeof(l->id));
		return 0;
	}
	return -ENOENT;
}

static void podman_watches(struct source *s, const char *key, source_watch_fn fn, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	const struct listed *l = key ? find(s, key) : NULL;

	if (l) {
		config_path(&path, s, l);
		strbuf_truncate(&path, path.len - strlen("/config.json"));
		fn(strbuf_str(&path), key, arg);
	}
	for (size_t i = 0; i < DRIVERS_LEN && !key; i++) {
		strbuf_reset(&path);
		strbuf_addf(&path, "%s/%s-containers", s->root, drivers[i]);
		fn(strbuf_str(&path), "", arg);
	}
}

const struct source_ops podman_source_ops = {
	.kind = "podman",
	.rank = RANK_RUNTIME,
	.list = podman_list,
	.stamp = podman_stamp,
	.read = podman_read,
	.watches = podman_watches,
	.done = podman_done,
};

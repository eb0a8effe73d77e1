/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * podman_list.c - containers-storage's containers.json, read when it changed.
 */
#include "container/podman_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define CONTAINERS_MAX 65536

const char *const podman_drivers[PODMAN_DRIVERS_LEN] = {"overlay", "overlay2", "vfs", "btrfs",
							"zfs"};
static const char *const lists[] = {"containers.json", "volatile-containers.json"};

#define LISTS_LEN (sizeof(lists) / sizeof(lists[0]))

static void free_listed(struct podman_listed *l)
{
	free(l->layer);
	free(l->name);
	free(l->image);
	free(l->image_id);
	free(l);
}

static void forget_all(struct podman_list *p)
{
	struct podman_listed *l, *next;

	HASH_ITER (hh, p->listed, l, next) {
		HASH_DEL(p->listed, l);
		free_listed(l);
	}
}

void podman_list_done(struct source *s)
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
	strbuf_addf(path, "%s/%s-containers/%s", s->root, podman_drivers[driver], lists[list]);
	return strbuf_str(path);
}

uint64_t podman_list_stamp(const struct source *s)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	uint64_t stamp = 0;

	for (size_t i = 0; i < PODMAN_DRIVERS_LEN; i++) {
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
static bool take_metadata(const json_t *item, struct podman_listed *l)
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

static struct podman_listed *read_item(const json_t *item, const char *driver)
{
	const char *id = json_text(item, "id"), *layer = json_text(item, "layer");
	const char *created = json_text(item, "created"), *image = json_text(item, "image");
	struct podman_listed *l;

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

static void take_items(struct podman_list *p, const json_t *json, const char *driver)
{
	struct podman_listed *l, *same;
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

int podman_list_read(struct source *s, struct strbuf *why)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	uint64_t stamp = podman_list_stamp(s);
	struct podman_list *p = s->priv;
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
	for (size_t i = 0; i < PODMAN_DRIVERS_LEN; i++) {
		for (size_t j = 0; j < LISTS_LEN; j++) {
			err = hostfs_read_json(s->fs, list_path(&path, s, i, j), why, &json);
			if (err == -ENOENT || err == -ENOTDIR)
				continue;
			if (err)
				return err;
			take_items(p, json, podman_drivers[i]);
			json_decref(json);
		}
	}
	p->stamp = stamp;
	return stamp ? 0 : -ENOENT;
}

const struct podman_listed *podman_list_find(struct source *s, const char *id)
{
	const struct podman_list *p = s->priv;
	struct podman_listed *l = NULL;

	if (p)
		HASH_FIND_STR(p->listed, id, l);
	return l;
}

int podman_list_foreach(struct source *s, source_key_fn fn, void *arg)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	int err = podman_list_read(s, &why), i = 0, len;
	struct podman_listed *l, *next;
	struct podman_list *p = s->priv;
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

int podman_find_layer(struct source *s, const char *layer, char ret[CONTAINER_ID_MAX])
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	const struct podman_list *p;
	struct podman_listed *l, *next;

	if (podman_list_read(s, &why))
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

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

#include "container/podman_list.h"

static const char *config_path(struct strbuf *path, const struct source *s,
			       const struct podman_listed *l)
{
	strbuf_reset(path);
	strbuf_addf(path, "%s/%s-containers/%s/userdata/config.json", s->root, l->driver, l->id);
	return strbuf_str(path);
}

static uint64_t podman_stamp(struct source *s, const char *key)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, why = STRBUF_INIT;
	const struct podman_listed *l;

	if (podman_list_read(s, &why) == -EBADMSG)
		return podman_list_stamp(s); /* read() says what is wrong */
	l = podman_list_find(s, key);
	return l ? hostfs_stamp(s->fs, config_path(&path, s, l), l->hash | 1) : 0;
}

static bool take_crio(const json_t *notes, struct container *c)
{
	const char *type = json_text(notes, "io.kubernetes.cri-o.ContainerType");
	json_t *labels;
	bool ok;

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
static bool take_config(struct source *s, const struct podman_listed *l, struct container *c)
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

/* The layer that @layer was made from, if the list @name of layers has it. The caller frees it. */
static char *parent_in(struct source *s, const char *driver, const char *name, const char *layer)
{
	auto_strbuf struct strbuf folder = STRBUF_INIT, path = STRBUF_INIT, why = STRBUF_INIT;
	const char *id, *parent = NULL;
	char *copy;
	json_t *json, *item;
	size_t i;

	strbuf_addf(&folder, "%s-layers", driver);
	source_path(&path, s, strbuf_str(&folder), name, NULL);
	if (hostfs_read_json(s->fs, strbuf_str(&path), &why, &json))
		return NULL;
	json_array_foreach (json, i, item) {
		id = json_text(item, "id");
		if (id && !strcmp(id, layer))
			parent = json_text(item, "parent");
	}
	copy = parent && source_is_name(parent) ? strdup(parent) : NULL;
	json_decref(json);
	return copy;
}

static int take_copy(struct source *s, const struct podman_listed *l, struct container *c)
{
	auto_strbuf struct strbuf upper = STRBUF_INIT, image = STRBUF_INIT;
	auto_free char *parent = parent_in(s, l->driver, "layers.json", l->layer);

	if (!parent)
		parent = parent_in(s, l->driver, "volatile-layers.json", l->layer);
	if (!parent)
		return -ENOENT;
	source_path(&upper, s, l->driver, source_copies_in(l->driver), l->layer, NULL);
	source_path(&image, s, l->driver, source_copies_in(l->driver), parent, NULL);
	return source_take_whole(s->fs, strbuf_str(&upper), strbuf_str(&image), &c->overlay);
}

static bool take_layer(struct source *s, const struct podman_listed *l, struct container *c)
{
	auto_strbuf struct strbuf home = STRBUF_INIT, text = STRBUF_INIT;
	int err = -ENOTSUP;

	if (source_copies_in(l->driver))
		err = take_copy(s, l, c);
	else if (!strncmp(l->driver, "overlay", strlen("overlay")))
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
	int err = podman_list_read(s, why);
	struct container *c;
	const struct podman_listed *l;

	if (err)
		return err;
	l = podman_list_find(s, key);
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

static void podman_watches(struct source *s, const char *key, source_watch_fn fn, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	const struct podman_listed *l = key ? podman_list_find(s, key) : NULL;

	if (l) {
		config_path(&path, s, l);
		strbuf_truncate(&path, path.len - strlen("/config.json"));
		fn(strbuf_str(&path), key, arg);
	}
	for (size_t i = 0; i < PODMAN_DRIVERS_LEN && !key; i++) {
		strbuf_reset(&path);
		strbuf_addf(&path, "%s/%s-containers", s->root, podman_drivers[i]);
		fn(strbuf_str(&path), "", arg);
	}
}

const struct source_ops podman_source_ops = {
	.kind = "podman",
	.rank = RANK_RUNTIME,
	.list = podman_list_foreach,
	.stamp = podman_stamp,
	.read = podman_read,
	.watches = podman_watches,
	.done = podman_list_done,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * docker.c - the containers of one dockerd, from its --data-root.
 *
 *	containers/<id>/{config.v2,hostconfig}.json	 who it is
 *	image/<driver>/layerdb/mounts/<id>/mount-id	 which layer it has
 *	<driver>/<mount-id>/{diff,work,lower}		 that layer
 *	image/<driver>/imagedb/content/sha256/<image>	 when its image was made
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "container/containerd_db.h"
#include "container/docker_mounts.h"
#include "container/source.h"

#define MOUNTS_MAX 512

static int list_ids(struct source *s, source_key_fn fn, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	return hostfs_foreach_name(s->fs, source_path(&path, s, "containers", NULL), fn, arg);
}

struct id_filter {
	source_key_fn fn;
	void *arg;
};

static int only_ids(const char *name, void *arg)
{
	const struct id_filter *filter = arg;

	return source_is_hex_id(name) ? filter->fn(name, filter->arg) : 0;
}

static int docker_list(struct source *s, source_key_fn fn, void *arg)
{
	return list_ids(s, only_ids, &(struct id_filter){fn, arg});
}

static uint64_t docker_stamp(struct source *s, const char *key)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	uint64_t stamp;

	if (!source_is_hex_id(key))
		return 0;
	stamp = hostfs_stamp(s->fs,
			     source_path(&path, s, "containers", key, "config.v2.json", NULL), 0);
	if (!stamp)
		return 0;
	return hostfs_stamp(
		s->fs, source_path(&path, s, "containers", key, "hostconfig.json", NULL), stamp);
}

/* Docker writes year 1 for "never". */
static uint64_t time_of(const json_t *object, const char *key)
{
	const char *text = json_text(object, key);
	uint64_t ns;

	if (!text || !strncmp(text, "0001-", 5) || clock_parse_rfc3339(text, &ns))
		return 0;
	return ns;
}

static void take_state(const json_t *state, struct container *c)
{
	json_int_t pid = json_integer_value(json_object_get(state, "Pid"));

	c->started_wall_ns = time_of(state, "StartedAt");
	c->finished_wall_ns = time_of(state, "FinishedAt");
	if (json_is_true(json_object_get(state, "Running"))) {
		c->state = json_is_true(json_object_get(state, "Paused")) ? CONTAINER_PAUSED
									  : CONTAINER_RUNNING;
		if (pid > 0 && pid <= INT32_MAX)
			c->pid = (pid_t)pid;
	} else {
		c->state = c->started_wall_ns ? CONTAINER_EXITED : CONTAINER_CREATED;
	}
}

static int take_mount(const json_t *point, const char *destination, struct container_mount *m)
{
	const char *type = json_text(point, "Type"), *source = json_text(point, "Source");

	m->kind = type && !strcmp(type, "tmpfs") ? MOUNT_TMPFS : MOUNT_VOLUME;
	m->destination = strdup(destination);
	if (!m->destination)
		return -ENOMEM;
	if (m->kind == MOUNT_VOLUME && source && *source == '/' && !source_set(&m->source, source))
		return -ENOMEM;
	m->read_only = json_is_false(json_object_get(point, "RW"));
	return 0;
}

static int take_mounts(json_t *points, struct container *c)
{
	const char *destination;
	json_t *point;
	int err;

	if (!json_object_size(points))
		return 0;
	c->mounts = calloc(json_object_size(points), sizeof(*c->mounts));
	if (!c->mounts)
		return -ENOMEM;
	json_object_foreach (points, destination, point) {
		if (c->mounts_len >= MOUNTS_MAX || *destination != '/')
			continue;
		err = take_mount(point, destination, &c->mounts[c->mounts_len++]);
		if (err)
			return err;
	}
	return 0;
}

static bool take_config(const json_t *json, struct container *c)
{
	const char *name = json_text(json, "Name");

	c->created_wall_ns = time_of(json, "Created");
	c->restart_count = (unsigned)json_integer_value(json_object_get(json, "RestartCount"));
	take_state(json_object_get(json, "State"), c);
	if (name && *name == '/')
		name++;
	return source_set(&c->name, name) &&
	       source_set(&c->image, json_text(json_object_get(json, "Config"), "Image")) &&
	       source_set(&c->image_id, json_text(json, "Image")) &&
	       !take_mounts(json_object_get(json, "MountPoints"), c);
}

static void take_image_time(struct source *s, const char *driver, struct container *c)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, why = STRBUF_INIT;
	json_t *json;

	if (!c->image_id || strncmp(c->image_id, "sha256:", 7) != 0 ||
	    !source_is_hex_id(c->image_id + 7))
		return;
	source_path(&path, s, "image", driver, "imagedb/content/sha256", c->image_id + 7, NULL);
	if (hostfs_read_json(s->fs, strbuf_str(&path), &why, &json))
		return;
	c->image_created_wall_ns = time_of(json, "created");
	json_decref(json);
}

static int take_layer(struct source *s, const char *driver, struct container *c)
{
	auto_strbuf struct strbuf home = STRBUF_INIT;
	char mount_id[DOCKER_MOUNT_ID_MAX];
	int err;

	err = docker_read_mount_id(s, driver, c->id, mount_id);
	if (!err)
		err = source_read_layer(s->fs, source_path(&home, s, driver, NULL), mount_id,
					&c->overlay);
	return err;
}

/*
 * On containerd's image store the layer is a snapshot named like the container. Whose
 * containerd it is, dockerd's own or the system's, no file tells.
 */
static void take_snapshot(struct source *s, struct container *c)
{
	auto_strbuf struct strbuf own = STRBUF_INIT;
	const char *const roots[] = {source_path(&own, s, "containerd/daemon", NULL),
				     "/var/lib/containerd"};

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		auto_free char *root = strdup(roots[i]);
		struct source store = {.fs = s->fs, .root = root};
		struct containerd_db *db;
		int err;

		if (!root || containerd_db_open(&store, &db))
			continue;
		err = containerd_db_read_snapshot(db, "moby", c->id, &c->overlay);
		containerd_db_close(db);
		if (!err)
			return;
	}
}

/* What docker itself put into a copy of the image is beside it: <id>-init. */
static int take_copy(struct source *s, const char *driver, struct container *c)
{
	auto_strbuf struct strbuf upper = STRBUF_INIT, image = STRBUF_INIT;
	char mount_id[DOCKER_MOUNT_ID_MAX];
	int err;

	err = docker_read_mount_id(s, driver, c->id, mount_id);
	if (err)
		return err;
	source_path(&upper, s, driver, source_copies_in(driver), mount_id, NULL);
	strbuf_addf(&image, "%s-init", strbuf_str(&upper));
	return source_take_whole(s->fs, strbuf_str(&upper), strbuf_str(&image), &c->overlay);
}

/* Drivers without a directory of the container's own are said so. */
static bool take_driver(struct source *s, const char *driver, struct container *c)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	int err;

	if (!driver || !source_is_name(driver))
		return true;
	if (!strcmp(driver, "overlay2") || !strcmp(driver, "overlay") || source_copies_in(driver)) {
		take_image_time(s, driver, c);
		err = source_copies_in(driver) ? take_copy(s, driver, c) : take_layer(s, driver, c);
		if (err)
			strbuf_addf(&text, "docker's record of the layer cannot be read: %s",
				    strerror(-err));
	} else if (!strcmp(driver, "overlayfs")) {
		take_snapshot(s, c);
	} else {
		strbuf_addf(&text, "storage driver %s has no upper directory", driver);
	}
	return !text.len || source_set(&c->storage_error, strbuf_str(&text));
}

static void take_host_config(struct source *s, const char *id, struct container *c)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, why = STRBUF_INIT;
	json_t *json;

	source_path(&path, s, "containers", id, "hostconfig.json", NULL);
	if (hostfs_read_json(s->fs, strbuf_str(&path), &why, &json))
		return;
	c->privileged = json_is_true(json_object_get(json, "Privileged"));
	c->overlay.read_only = json_is_true(json_object_get(json, "ReadonlyRootfs"));
	json_decref(json);
}

static int docker_read(struct source *s, const char *key, struct strbuf *why,
		       struct container **ret)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct container *c;
	json_t *json;
	bool ok;
	int err;

	if (!source_is_hex_id(key))
		return -ENOENT;
	source_path(&path, s, "containers", key, "config.v2.json", NULL);
	err = hostfs_read_json(s->fs, strbuf_str(&path), why, &json);
	if (err)
		return err;
	c = container_new(key, "docker");
	ok = c && take_config(json, c) && take_driver(s, json_text(json, "Driver"), c);
	if (ok)
		take_host_config(s, key, c);
	json_decref(json);
	if (!ok) {
		container_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

static void docker_watches(struct source *s, const char *key, source_watch_fn fn, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	if (key)
		fn(source_path(&path, s, "containers", key, NULL), key, arg);
	else
		fn(source_path(&path, s, "containers", NULL), "", arg);
}

const struct source_ops docker_source_ops = {
	.kind = "docker",
	.rank = RANK_RUNTIME,
	.list = docker_list,
	.stamp = docker_stamp,
	.read = docker_read,
	.watches = docker_watches,
	.done = docker_mounts_done,
};

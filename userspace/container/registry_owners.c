/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_owners.c - the container whose overlay is mounted in a runtime's own place.
 */
#include <stdlib.h>
#include <string.h>

#include "container/docker_mounts.h"
#include "container/podman_list.h"
#include "container/registry_internal.h"

static const char *runtime_of_space(const char *space)
{
	if (!strcmp(space, "moby"))
		return "docker";
	return !strcmp(space, "k8s.io") ? "cri" : "containerd";
}

static void attach_id(struct registry *r, struct super *s, const char *id, const char *runtime)
{
	struct entry *e = entry_get(r, id);

	if (!e)
		return;
	e->runtime_hint = runtime;
	mounts_attach(r, s, e);
	sources_refresh_id(r, id);
	task_update(r, e);
}

/* docker's or containers-storage's directory, by the files beside the layers. */
static struct source *store_of(struct registry *r, const char *parent, const char *driver)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, by = STRBUF_INIT;
	struct source *s = source_find(r, "docker", parent);
	struct stat st;

	if (!s)
		s = source_find(r, "podman", parent);
	if (s)
		return s;
	strbuf_addf(&by, "overlay mounted below %s", parent);
	strbuf_addf(&path, "%s/image/%s/layerdb", parent, driver);
	if (!hostfs_stat(&r->fs, strbuf_str(&path), &st))
		return source_add(r, "docker", parent, strbuf_str(&by));
	strbuf_reset(&path);
	strbuf_addf(&path, "%s/%s-containers", parent, driver);
	if (!hostfs_stat(&r->fs, strbuf_str(&path), &st))
		return source_add(r, "podman", parent, strbuf_str(&by));
	return NULL;
}

bool mounts_resolve_store(struct registry *r, struct super *s, const struct overlay_owner *owner)
{
	auto_free char *parent = strdup(owner->home);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	char id[CONTAINER_ID_MAX];
	struct source *store;
	bool is_docker;

	if (!slash || slash == parent)
		return false;
	*slash = '\0';
	store = store_of(r, parent, slash + 1);
	if (!store)
		return false;
	if (!store->readable)
		source_look(r, store); /* its first container is being made */
	is_docker = store->ops == &docker_source_ops;
	if (is_docker ? docker_find_mount(store, slash + 1, owner->name, id)
		      : podman_find_layer(store, owner->name, id))
		return false;
	attach_id(r, s, id, is_docker ? "docker" : "podman");
	return true;
}

/* containerd's own directory, by where it put the snapshot. */
static void discover_store(struct registry *r, const char *upper, const char *by)
{
	auto_free char *root = upper ? strdup(upper) : NULL;
	char *mark = root ? strstr(root, "/io.containerd.snapshotter.v1.") : NULL;

	if (!mark || mark == root)
		return;
	*mark = '\0';
	source_add(r, "containerd-store", root, by);
}

bool mounts_resolve_task(struct registry *r, struct super *s, const struct overlay_owner *owner)
{
	auto_strbuf struct strbuf by = STRBUF_INIT, key = STRBUF_INIT;
	const struct facts *f = NULL;
	struct source *source;

	strbuf_addf(&by, "overlay mounted below %s", owner->home);
	strbuf_addf(&key, "%s/%s", owner->space, owner->name);
	source = source_add(r, "containerd", owner->home, strbuf_str(&by));
	discover_store(r, s->overlay.upper, strbuf_str(&by));
	for (struct source *other = r->sources; other; other = other->next) {
		if (other == source || other->ops == &containerd_store_source_ops)
			source_refresh(r, other, strbuf_str(&key));
	}
	if (source)
		f = facts_find(r, source, strbuf_str(&key));
	attach_id(r, s, f && f->entry ? f->entry->id : owner->name, runtime_of_space(owner->space));
	return s->entry;
}

bool mounts_resolve_docker_id(struct registry *r, struct super *s,
			      const struct overlay_owner *owner)
{
	source_add(r, "docker", owner->home, "container mounted below it");
	attach_id(r, s, owner->name, "docker");
	return s->entry;
}

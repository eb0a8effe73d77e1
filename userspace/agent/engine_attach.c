/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_attach.c - what the kernel side is told about a container: its overlay, the
 * roots of its layer and volumes, its cgroups.
 *
 * Volume sources can be shared by containers: they stay set while one uses them.
 * What there is no room for is counted in track.untold, and told when there is.
 */
#include "agent/engine_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"

static void set_overlay(struct engine *e, struct track *t, uint32_t dev)
{
	if (!e->probe || !t->c->slot || t->overlay_dev == dev)
		return;
	if (t->overlay_dev)
		probe_clear_overlay(e->probe, t->overlay_dev, t->c->slot);
	t->overlay_dev = dev;
	if (!dev)
		return;
	if (probe_set_overlay(e->probe, dev, t->c->slot)) {
		t->overlay_dev = 0;
		t->untold++;
		return;
	}
	probe_adopt_provisional(e->probe, t->c->slot);
}

static void set_cgroups(struct engine *e, struct track *t, const uint64_t *ids, size_t len)
{
	uint64_t *copy;

	if (!e->probe || !t->c->slot)
		return;
	if (len == t->cgroup_ids_len &&
	    (!len || memcmp(ids, t->cgroup_ids, len * sizeof(*ids)) == 0))
		return;
	for (size_t i = 0; i < t->cgroup_ids_len; i++)
		probe_clear_cgroup(e->probe, t->cgroup_ids[i]);
	copy = len ? malloc(len * sizeof(*copy)) : NULL;
	if (len && !copy)
		len = 0;
	free(t->cgroup_ids);
	t->cgroup_ids = copy;
	t->cgroup_ids_len = 0;
	for (size_t i = 0; i < len; i++)
		if (probe_set_cgroup(e->probe, ids[i], t->c->slot))
			t->untold++;
		else
			copy[t->cgroup_ids_len++] = ids[i];
}

static void drop_volume(struct engine *e, const struct dw_inode *key)
{
	struct volume_root *v;

	HASH_FIND(hh, e->volumes, key, sizeof(*key), v);
	if (!v || --v->users)
		return;
	if (v->is_set)
		probe_clear_root(e->probe, key, 0);
	HASH_DEL(e->volumes, v);
	free(v);
}

/* Another file may have that number now. */
static void set_generation(struct engine *e, const struct dw_inode *key, uint64_t generation)
{
	struct volume_root *v;

	HASH_FIND(hh, e->volumes, key, sizeof(*key), v);
	if (!v || v->generation == generation)
		return;
	v->generation = generation;
	v->is_set = false;
}

static void add_volume(struct engine *e, const struct dw_inode *key, uint64_t generation)
{
	struct volume_root *v;

	HASH_FIND(hh, e->volumes, key, sizeof(*key), v);
	if (!v) {
		v = calloc(1, sizeof(*v));
		if (!v)
			return;
		v->key = *key;
		HASH_ADD(hh, e->volumes, key, sizeof(v->key), v);
	}
	v->users++;
	set_generation(e, key, generation);
}

static void tell_volumes(struct engine *e, struct track *t)
{
	struct volume_root *v;

	for (size_t i = 0; i < t->volumes_len; i++) {
		HASH_FIND(hh, e->volumes, &t->volumes[i], sizeof(v->key), v);
		if (v && !v->is_set)
			v->is_set = !probe_set_root(e->probe, &v->key, v->generation, 0,
						    DW_ROOT_VOLUME);
		t->untold += !v || !v->is_set;
	}
}

static void clear_volumes(struct engine *e, struct track *t)
{
	for (size_t i = 0; i < t->volumes_len; i++)
		drop_volume(e, &t->volumes[i]);
	free(t->volumes);
	t->volumes = NULL;
	t->volumes_len = 0;
}

static void set_volumes(struct engine *e, struct track *t, const struct container *meta)
{
	auto_free uint64_t *generations = NULL;
	struct dw_inode *list;
	bool is_same;
	size_t len = 0;

	if (!e->probe || !t->c->slot)
		return;
	generations = calloc(meta->mounts_len + 1, sizeof(*generations));
	list = calloc(meta->mounts_len + 1, sizeof(*list));
	if (!list || !generations) {
		free(list);
		return;
	}
	for (size_t i = 0; i < meta->mounts_len; i++) {
		const struct container_mount *m = &meta->mounts[i];

		if (m->kind != MOUNT_VOLUME || !m->root_ino)
			continue;
		generations[len] = m->generation;
		list[len++] = (struct dw_inode){.ino = m->root_ino, .dev = m->dev};
	}
	is_same = len == t->volumes_len &&
		  (!len || memcmp(list, t->volumes, len * sizeof(*list)) == 0);
	for (size_t i = 0; i < len; i++)
		if (is_same)
			set_generation(e, &list[i], generations[i]);
		else /* before the old ones go: shared ones stay set */
			add_volume(e, &list[i], generations[i]);
	if (is_same) {
		free(list);
		return;
	}
	clear_volumes(e, t);
	t->volumes = list;
	t->volumes_len = len;
}

static struct dw_inode stat_root(const struct engine *e, const char *path, uint64_t *ret_generation)
{
	auto_free char *host = file_join(e->options.registry.host_root, path);
	struct dw_inode key = {0};
	auto_close int fd = -1;
	struct stat st;

	if (host)
		fd = open(host, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		key.ino = st.st_ino;
		key.dev = file_kernel_dev(st.st_dev);
		*ret_generation = file_generation(fd);
	}
	return key;
}

static void set_root(struct engine *e, struct track *t, const char *path, enum dw_root_kind kind,
		     struct dw_inode *told)
{
	uint64_t generation = 0;
	struct dw_inode key;

	if (told->ino || !path)
		return;
	key = stat_root(e, path, &generation);
	if (!key.ino)
		return;
	if (probe_set_root(e->probe, &key, generation, t->c->slot, kind))
		t->untold++;
	else
		*told = key;
}

static void set_roots(struct engine *e, struct track *t, const struct container_overlay *o)
{
	if (!e->probe || !t->c->slot)
		return;
	set_root(e, t, o->upper, DW_ROOT_UPPER, &t->upper);
	set_root(e, t, o->work, DW_ROOT_WORK, &t->work);
}

void engine_detach(struct engine *e, struct track *t)
{
	if (!e->probe || e->keeps_pins)
		return;
	set_overlay(e, t, 0);
	set_cgroups(e, t, NULL, 0);
	clear_volumes(e, t);
	if (t->upper.ino)
		probe_clear_root(e->probe, &t->upper, t->c->slot);
	if (t->work.ino)
		probe_clear_root(e->probe, &t->work, t->c->slot);
	t->upper.ino = t->work.ino = 0;
}

void engine_attach(struct engine *e, struct track *t)
{
	const struct container *meta = t->c->meta;

	t->untold = 0;
	set_roots(e, t, &meta->overlay);
	set_overlay(e, t, meta->overlay.dev);
	set_cgroups(e, t, meta->cgroup_ids, meta->cgroup_ids_len);
	set_volumes(e, t, meta);
	tell_volumes(e, t);
}

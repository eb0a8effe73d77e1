/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * container.c - making, copying and freeing struct container.
 */
#include "container/container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const state_names[] = {
	[CONTAINER_CREATED] = "created", [CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",	 [CONTAINER_EXITED] = "exited",
	[CONTAINER_REMOVED] = "removed",
};

const char *container_state_name(enum container_state state)
{
	if ((size_t)state >= sizeof(state_names) / sizeof(state_names[0]))
		return "unknown";
	return state_names[state];
}

struct container *container_new(const char *id, const char *runtime)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->id = strndup(id, CONTAINER_ID_MAX - 1);
	c->runtime = runtime ? strdup(runtime) : NULL;
	if (!c->id || (runtime && !c->runtime))
		return container_free(c);
	snprintf(c->short_id, sizeof(c->short_id), "%.*s", CONTAINER_SHORT_ID_LEN, id);
	return c;
}

static void free_mounts(struct container_mount *mounts, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		free(mounts[i].destination);
		free(mounts[i].source);
	}
	free(mounts);
}

static void free_overlay(struct container_overlay *overlay)
{
	free(overlay->upper);
	free(overlay->work);
	free(overlay->merged);
	for (size_t i = 0; i < overlay->lowers_len; i++)
		free(overlay->lowers[i]);
	free(overlay->lowers);
}

struct container *container_free(struct container *c)
{
	if (!c)
		return NULL;
	free(c->id);
	free(c->name);
	free(c->runtime);
	free(c->image);
	free(c->image_id);
	free(c->pod_namespace);
	free(c->pod);
	free(c->pod_uid);
	free(c->pod_container);
	free(c->cgroup_ids);
	free(c->cgroup_path);
	free(c->storage_error);
	free_overlay(&c->overlay);
	free_mounts(c->mounts, c->mounts_len);
	free(c);
	return NULL;
}

/* Duplicates *p in place; a NULL stays one. False: out of memory, *p is NULL. */
static bool own_string(char **p)
{
	if (!*p)
		return true;
	*p = strdup(*p);
	return *p;
}

static bool copy_overlay(const struct container_overlay *from, struct container_overlay *to)
{
	bool ok;

	to->lowers = NULL;
	to->lowers_len = 0;
	ok = own_string(&to->upper) & own_string(&to->work) & own_string(&to->merged);
	if (!from->lowers_len)
		return ok;
	to->lowers = calloc(from->lowers_len, sizeof(*to->lowers));
	if (!to->lowers)
		return false;
	for (; to->lowers_len < from->lowers_len; to->lowers_len++) {
		to->lowers[to->lowers_len] = strdup(from->lowers[to->lowers_len]);
		if (!to->lowers[to->lowers_len])
			return false;
	}
	return ok;
}

static bool copy_mounts(const struct container *from, struct container *to)
{
	struct container_mount *m;

	to->mounts = NULL;
	to->mounts_len = 0;
	if (!from->mounts_len)
		return true;
	to->mounts = calloc(from->mounts_len, sizeof(*to->mounts));
	if (!to->mounts)
		return false;
	while (to->mounts_len < from->mounts_len) {
		m = &to->mounts[to->mounts_len];
		*m = from->mounts[to->mounts_len];
		to->mounts_len++;
		if (!(own_string(&m->destination) & own_string(&m->source)))
			return false;
	}
	return true;
}

static bool copy_cgroup_ids(const struct container *from, struct container *to)
{
	to->cgroup_ids = NULL;
	to->cgroup_ids_len = 0;
	if (!from->cgroup_ids_len)
		return true;
	to->cgroup_ids = calloc(from->cgroup_ids_len, sizeof(*to->cgroup_ids));
	if (!to->cgroup_ids)
		return false;
	memcpy(to->cgroup_ids, from->cgroup_ids, from->cgroup_ids_len * sizeof(*to->cgroup_ids));
	to->cgroup_ids_len = from->cgroup_ids_len;
	return true;
}

struct container *container_copy(const struct container *c)
{
	struct container *copy = malloc(sizeof(*copy));
	bool ok;

	if (!copy)
		return NULL;
	/* Every pointer is replaced below, whatever fails, so that freeing is safe. */
	*copy = *c;
	ok = own_string(&copy->id) & own_string(&copy->name) & own_string(&copy->runtime) &
	     own_string(&copy->image) & own_string(&copy->image_id) &
	     own_string(&copy->pod_namespace) & own_string(&copy->pod) &
	     own_string(&copy->pod_uid) & own_string(&copy->pod_container) &
	     own_string(&copy->cgroup_path) & own_string(&copy->storage_error);
	ok &= copy_overlay(&c->overlay, &copy->overlay);
	ok &= copy_mounts(c, copy);
	ok &= copy_cgroup_ids(c, copy);
	return ok ? copy : container_free(copy);
}

/* A digest nobody chose; the ids of runc and ctr are names that a person gave. */
static bool is_digest(const char *id)
{
	return strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

const char *container_label(const struct container *c)
{
	if (c->pod_container && *c->pod_container)
		return c->pod_container;
	if (c->name && *c->name)
		return c->name;
	return is_digest(c->id) ? c->short_id : c->id;
}

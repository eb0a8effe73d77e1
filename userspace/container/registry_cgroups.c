/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_cgroups.c - cgroups of the v2 hierarchy and their ids.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "container/cgroup_path.h"
#include "container/mountinfo.h"
#include "container/registry_internal.h"

#define ROOT_ID 1 /* of the v2 hierarchy: where all tasks are whose cgroups are of v1 */

static int take_cgroup2(const struct mountinfo_line *line, void *arg)
{
	char **root = arg;

	if (strcmp(line->type, "cgroup2") != 0 || strcmp(line->root, "/") != 0)
		return 0;
	*root = strdup(line->mount_point);
	return 1;
}

void cgroup_find_root(struct registry *r)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	if (!watch_read_mounts(r->watch, &text) && text.len)
		mountinfo_foreach(text.data, take_cgroup2, &r->cgroup_root, NULL);
}

/* The part of a task's cgroup path that is the whole container's. */
static size_t scope_len(const struct entry *e, const char *path)
{
	static const char *const inner[] = {"/container", "/payload", "/supervisor"};
	char name[CONTAINER_ID_MAX];
	struct cgroup_owner owner;
	size_t len = strlen(path), inner_len;

	if (!cgroup_path_parse(path, &owner))
		return strcmp(owner.id, e->id) ? 0 : owner.scope_len;
	/* A service's cgroup that a container was left in is not its own. */
	if (cgroup_path_name(path, name))
		return 0;
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++) {
		inner_len = strlen(inner[i]);
		if (len > inner_len && !strcmp(path + len - inner_len, inner[i]))
			return len - inner_len;
	}
	return len;
}

static void add_id(struct entry *e, uint64_t id)
{
	size_t at = 0;

	if (!id || (e->cgroup_ids_len && e->cgroup_ids[0] == id))
		return;
	while (at < e->cgroup_ids_len && e->cgroup_ids[at] != id)
		at++;
	if (at == FACTS_CGROUPS_MAX)
		at--;
	if (at == e->cgroup_ids_len)
		e->cgroup_ids_len++;
	memmove(e->cgroup_ids + 1, e->cgroup_ids, at * sizeof(*e->cgroup_ids));
	e->cgroup_ids[0] = id;
}

static uint64_t inode_of(const struct registry *r, const char *scope)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct stat st;

	if (!r->cgroup_root)
		return 0;
	strbuf_addf(&path, "%s%s", r->cgroup_root, scope);
	return hostfs_stat(&r->fs, strbuf_str(&path), &st) ? 0 : st.st_ino;
}

void task_set_cgroup(struct registry *r, struct entry *e, const char *path, uint64_t cgroup_id)
{
	size_t len = scope_len(e, path);
	auto_free char *scope = len > 1 ? strndup(path, len) : NULL;
	uint64_t id;

	if (!scope)
		return;
	id = inode_of(r, scope);
	/* Gone by now: the kernel side knew its number; but one of v1, never. */
	if (!id && len == strlen(path) && cgroup_id != ROOT_ID)
		id = cgroup_id;
	if (!id)
		return;
	add_id(e, id);
	if (!e->cgroup_path || strcmp(e->cgroup_path, scope) != 0) {
		free(e->cgroup_path);
		e->cgroup_path = strdup(scope);
	}
	cgroup_check(r, e);
	entry_touch(r, e);
}

void cgroup_check(struct registry *r, struct entry *e)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;
	bool was_alive = e->cgroup_alive;

	if (!e->cgroup_path || !r->cgroup_root)
		return;
	strbuf_addf(&path, "%s%s/cgroup.events", r->cgroup_root, e->cgroup_path);
	e->cgroup_alive = !hostfs_read(&r->fs, strbuf_str(&path), HOSTFS_SMALL_MAX, &text) &&
			  strstr(strbuf_str(&text), "populated 1");
	if (e->cgroup_alive != was_alive)
		entry_touch(r, e);
}

static void forget(struct registry *r, struct cgroup_seen *seen)
{
	HASH_DEL(r->cgroups, seen);
	free(seen->path);
	free(seen);
}

void cgroup_forget_all(struct registry *r)
{
	struct cgroup_seen *seen, *next;

	HASH_ITER (hh, r->cgroups, seen, next)
		forget(r, seen);
}

static void remember(struct registry *r, uint64_t id, const char *path)
{
	struct cgroup_seen *seen;

	HASH_FIND(hh, r->cgroups, &id, sizeof(id), seen);
	if (seen)
		forget(r, seen);
	if (HASH_COUNT(r->cgroups) >= CGROUPS_REMEMBERED)
		forget(r, r->cgroups); /* the oldest */
	seen = calloc(1, sizeof(*seen));
	if (!seen)
		return;
	seen->id = id;
	seen->path = strdup(path);
	if (!seen->path) {
		free(seen);
		return;
	}
	HASH_ADD(hh, r->cgroups, id, sizeof(seen->id), seen);
}

static struct entry *entry_of_path(const struct registry *r, const char *path)
{
	struct entry *e, *next;

	HASH_ITER (hh, r->entries, e, next) {
		if (e->cgroup_path && !strcmp(e->cgroup_path, path))
			return e;
		for (const struct facts *f = e->facts; f; f = f->next) {
			if (f->said && f->said->cgroup_path && !strcmp(f->said->cgroup_path, path))
				return e;
		}
	}
	return NULL;
}

static struct entry *entry_of_cgroup(const struct registry *r, const char *path)
{
	struct cgroup_owner owner;

	if (!cgroup_path_parse(path, &owner))
		return entry_find(r, owner.id);
	return entry_of_path(r, path);
}

void registry_hint_cgroup(struct registry *r, uint64_t cgroup_id, const char *path, bool removed)
{
	struct entry *e = entry_of_cgroup(r, path);
	struct cgroup_owner owner;

	if (!removed)
		remember(r, cgroup_id, path);
	if (!e && !removed) {
		mounts_look(r, false);
		if (!cgroup_path_parse(path, &owner))
			sources_refresh_id(r, owner.id);
		e = entry_of_cgroup(r, path);
	}
	if (!e && !removed) {
		/* Who makes it runs now: a daemon just started, a runc with its --root. */
		processes_look(r->processes, false);
		if (!cgroup_path_parse(path, &owner))
			sources_refresh_id(r, owner.id);
		e = entry_of_cgroup(r, path);
	}
	if (!e)
		return;
	/* While its own cgroup lives, a path of the same form elsewhere proves nothing. */
	if (!removed && !e->cgroup_alive)
		task_set_cgroup(r, e, path, cgroup_id);
	e->retry_step = 0;
	entry_retry(r, e);
	task_update(r, e);
	registry_flush(r);
}

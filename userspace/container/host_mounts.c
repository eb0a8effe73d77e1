/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * host_mounts.c - which file systems the host has, and where.
 */
#include "container/host_mounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

bool host_mounts_type_is_remote(const char *type)
{
	static const char *const remote[] = {"fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs"};

	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++) {
		if (!strncmp(type, remote[i], strlen(remote[i])))
			return true;
	}
	return false;
}

int host_mounts_add(struct host_mounts *mounts, uint64_t id, const struct mountinfo_line *line)
{
	struct host_mount *m, *grown;

	if (mounts->len >= HOST_MOUNTS_MAX)
		return 0;
	if ((mounts->len & (mounts->len - 1)) == 0) {
		grown = reallocarray(mounts->all, mounts->len ? 2 * mounts->len : 1,
				     sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		mounts->all = grown;
	}
	m = &mounts->all[mounts->len];
	*m = (struct host_mount){
		.id = id,
		.dev = line->dev,
		.is_remote = host_mounts_type_is_remote(line->type),
		.is_overlay_root = !strcmp(line->type, "overlay") && !strcmp(line->root, "/"),
	};
	m->root = strdup(line->root);
	m->mount_point = strdup(line->mount_point);
	mounts->len++;
	return m->root && m->mount_point ? 0 : -ENOMEM;
}

static int take_line(const struct mountinfo_line *line, void *arg)
{
	return host_mounts_add(arg, 0, line);
}

int host_mounts_parse(char *text, struct host_mounts *ret)
{
	int err;

	*ret = (struct host_mounts){0};
	err = mountinfo_foreach(text, take_line, ret, NULL);
	if (err)
		host_mounts_done(ret);
	return err;
}

void host_mount_done(struct host_mount *m)
{
	free(m->root);
	free(m->mount_point);
}

struct host_mount host_mounts_take(struct host_mounts *mounts, size_t at)
{
	struct host_mount taken = mounts->all[at];

	mounts->len--;
	memmove(&mounts->all[at], &mounts->all[at + 1], (mounts->len - at) * sizeof(*mounts->all));
	return taken;
}

void host_mounts_done(struct host_mounts *mounts)
{
	for (size_t i = 0; i < mounts->len; i++)
		host_mount_done(&mounts->all[i]);
	free(mounts->all);
	*mounts = (struct host_mounts){0};
}

/* @path without the directory @prefix in front; NULL when it does not lie there. */
static const char *below(const char *path, const char *prefix)
{
	size_t len = prefix ? strlen(prefix) : 0;

	if (!len || !path)
		return NULL;
	if (!strcmp(prefix, "/"))
		return path;
	if (strncmp(path, prefix, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return path + len;
}

bool host_mounts_is_remote(const struct host_mounts *mounts, const char *path)
{
	for (size_t i = 0; i < mounts->len; i++) {
		if (mounts->all[i].is_remote && below(path, mounts->all[i].mount_point))
			return true;
	}
	return false;
}

bool host_mounts_has(const struct host_mounts *mounts, uint32_t dev)
{
	for (size_t i = 0; i < mounts->len; i++) {
		if (mounts->all[i].dev == dev)
			return true;
	}
	return false;
}

bool host_mounts_has_overlay(const struct host_mounts *mounts, uint32_t dev)
{
	for (size_t i = 0; i < mounts->len; i++) {
		if (mounts->all[i].dev == dev && mounts->all[i].is_overlay_root)
			return true;
	}
	return false;
}

char *host_mounts_path_of(const struct host_mounts *mounts, uint32_t dev, const char *root)
{
	const struct host_mount *best = NULL;
	const char *inside;
	auto_strbuf struct strbuf path = STRBUF_INIT;

	for (size_t i = 0; i < mounts->len; i++) {
		const struct host_mount *m = &mounts->all[i];

		if (m->dev == dev && below(root, m->root) &&
		    (!best || strlen(m->root) > strlen(best->root)))
			best = m;
	}
	if (!best)
		return NULL;
	inside = strcmp(best->root, "/") != 0 ? below(root, best->root) : root;
	if (strcmp(best->mount_point, "/") != 0)
		strbuf_adds(&path, best->mount_point);
	if (inside && strcmp(inside, "/") != 0)
		strbuf_adds(&path, inside);
	if (!path.len)
		strbuf_addc(&path, '/');
	return strbuf_take(&path);
}

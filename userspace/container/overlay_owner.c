/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * overlay_owner.c - the mount points that runtimes give to overlays.
 */
#include "container/overlay_owner.h"

#include <stdio.h>
#include <string.h>

#include "container/source.h"

#define PARTS_MAX 4

/* The last components of a path, last first, and where each begins. */
struct tail {
	char part[PARTS_MAX][NAME_MAX + 1];
	size_t start[PARTS_MAX];
	size_t count;
};

static void split_tail(const char *path, struct tail *ret)
{
	size_t end = strlen(path), start;

	ret->count = 0;
	while (end && ret->count < PARTS_MAX) {
		start = end;
		while (start && path[start - 1] != '/')
			start--;
		if (end - start > NAME_MAX || start == end)
			return;
		snprintf(ret->part[ret->count], NAME_MAX + 1, "%.*s", (int)(end - start),
			 path + start);
		ret->start[ret->count++] = start;
		end = start ? start - 1 : 0;
	}
}

static bool ends_with(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);

	return len >= suffix_len && !strcmp(text + len - suffix_len, suffix);
}

/* The directory that holds the component beginning at @start, without its slash. */
static bool set_home(const char *path, size_t start, struct overlay_owner *ret)
{
	if (start < 2 || start > sizeof(ret->home))
		return false;
	memcpy(ret->home, path, start - 1);
	ret->home[start - 1] = '\0';
	return true;
}

static bool set_name(const char *name, char ret[CONTAINER_ID_MAX])
{
	if (!source_is_name(name))
		return false;
	memcpy(ret, name, strlen(name) + 1);
	return true;
}

static bool is_task_dir(const char *name)
{
	return !strcmp(name, "io.containerd.runtime.v2.task") ||
	       !strcmp(name, "io.containerd.runtime.v1.linux");
}

static bool is_temporary(const char *path, const struct tail *t)
{
	return !strncmp(t->part[0], "containerd-mount", strlen("containerd-mount")) ||
	       !strncmp(t->part[0], "buildkit-mount", strlen("buildkit-mount")) ||
	       strstr(path, "/buildkit/executor/") || strstr(path, "/runc-overlayfs/executor/");
}

void overlay_owner_parse(const char *mount_point, struct overlay_owner *ret)
{
	const char *path = mount_point;
	struct tail t;

	*ret = (struct overlay_owner){.kind = OWNER_UNKNOWN};
	split_tail(path, &t);
	if (t.count == 0)
		return;
	if (is_temporary(path, &t)) {
		ret->kind = OWNER_IGNORED;
	} else if (t.count >= 4 && !strcmp(t.part[0], "rootfs") && is_task_dir(t.part[3])) {
		if (set_home(path, t.start[3], ret) && set_name(t.part[1], ret->name) &&
		    set_name(t.part[2], ret->space))
			ret->kind = OWNER_TASK;
	} else if (t.count >= 3 && !strcmp(t.part[2], "rootfs") && source_is_hex_id(t.part[0])) {
		if (set_home(path, t.start[2], ret) && set_name(t.part[0], ret->name))
			ret->kind = OWNER_DOCKER_ID;
	} else if (t.count >= 3 && !strcmp(t.part[0], "merged")) {
		if (ends_with(t.part[1], "-init"))
			ret->kind = OWNER_IGNORED;
		else if (set_home(path, t.start[1], ret) && set_name(t.part[1], ret->name))
			ret->kind = OWNER_LAYER_STORE;
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mount_table.c - the difference between two readings of mountinfo.
 */
#include "container/mount_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "container/mountinfo.h"

struct update {
	struct mount_table *table;
	const struct mount_table_events *events;
};

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ull;
	return hash;
}

static void free_super(struct super *s)
{
	for (size_t i = 0; i < s->mount_points_len; i++)
		free(s->mount_points[i]);
	mountinfo_overlay_done(&s->overlay);
	free(s);
}

static void remove_super(struct mount_table *t, struct super *s,
			 const struct mount_table_events *events)
{
	HASH_DEL(t->supers, s);
	if (events)
		events->on_unmounted(s, events->arg);
	free_super(s);
}

void mount_table_done(struct mount_table *t)
{
	struct super *s, *next;

	HASH_ITER (hh, t->supers, s, next)
		remove_super(t, s, NULL);
}

struct super *mount_table_find(const struct mount_table *t, uint32_t dev)
{
	struct super *s;

	HASH_FIND(hh, t->supers, &dev, sizeof(dev), s);
	return s;
}

static bool has_point(const struct super *s, const char *path)
{
	for (size_t i = 0; i < s->mount_points_len; i++) {
		if (!strcmp(s->mount_points[i], path))
			return true;
	}
	return false;
}

struct super *mount_table_find_point(const struct mount_table *t, const char *path)
{
	struct super *s, *next;

	HASH_ITER (hh, t->supers, s, next) {
		if (has_point(s, path))
			return s;
	}
	return NULL;
}

static struct super *new_super(struct mount_table *t, uint32_t dev)
{
	struct super *s;

	if (HASH_COUNT(t->supers) >= MOUNT_TABLE_MAX) {
		t->refused++;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->dev = dev;
	HASH_ADD(hh, t->supers, dev, sizeof(s->dev), s);
	return s;
}

static int add_point(struct super *s, const char *path)
{
	if (s->mount_points_len == MOUNT_POINTS_MAX)
		return 0;
	s->mount_points[s->mount_points_len] = strdup(path);
	if (!s->mount_points[s->mount_points_len])
		return -ENOMEM;
	s->mount_points_len++;
	return 0;
}

static struct super *add_super(struct mount_table *t, const struct mountinfo_line *line)
{
	struct super *s = new_super(t, line->dev);

	if (!s)
		return NULL;
	if (mountinfo_overlay_parse(line->super_options, &s->overlay))
		t->bad++;
	s->overlay.dev = line->dev;
	s->overlay.merged = strdup(line->mount_point);
	s->options_hash = hash_text(line->super_options);
	return s;
}

static int take_line(const struct mountinfo_line *line, void *arg)
{
	struct update *u = arg;
	struct super *s;

	/* A bind of a part of an overlay is no root of a container. */
	if (strcmp(line->root, "/") != 0)
		return 0;
	s = mount_table_find(u->table, line->dev);
	if (s && !s->is_seen && !s->is_private &&
	    s->options_hash != hash_text(line->super_options)) {
		/* The number of an unmounted one was given to another mount. */
		remove_super(u->table, s, u->events);
		s = NULL;
	}
	if (!s)
		s = add_super(u->table, line);
	if (!s)
		return 0;
	if (s->is_private)
		s->options_hash = hash_text(line->super_options);
	s->is_seen = true;
	s->is_private = false;
	if (has_point(s, line->mount_point))
		return 0;
	if (add_point(s, line->mount_point))
		return -ENOMEM;
	return 0;
}

int mount_table_update(struct mount_table *t, char *text, const struct mount_table_events *events)
{
	struct update u = {t, events};
	struct super *s, *next;
	unsigned bad = 0;
	int err;

	HASH_ITER (hh, t->supers, s, next)
		s->is_seen = false;
	err = mountinfo_foreach_overlay(text, take_line, &u, &bad);
	t->bad += bad;
	if (err)
		return err;
	HASH_ITER (hh, t->supers, s, next) {
		if (!s->is_seen && !s->is_private)
			remove_super(t, s, events);
	}
	HASH_ITER (hh, t->supers, s, next) {
		if (s->points_known == s->mount_points_len)
			continue;
		events->on_mounted(s, events->arg);
		s->points_known = s->mount_points_len;
	}
	return 0;
}

struct super *mount_table_add_private(struct mount_table *t, struct container_overlay *overlay,
				      pid_t pid)
{
	struct super *s = new_super(t, overlay->dev);

	if (!s)
		return NULL;
	s->is_private = true;
	s->pid = pid;
	s->overlay = *overlay;
	*overlay = (struct container_overlay){0};
	return s;
}

void mount_table_drop(struct mount_table *t, struct super *s,
		      const struct mount_table_events *events)
{
	remove_super(t, s, events);
}

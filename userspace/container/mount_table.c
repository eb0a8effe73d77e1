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
	struct host_mounts *host;
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

bool mount_table_is_at(const struct super *s, const char *path)
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
		if (mount_table_is_at(s, path))
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

static void note_change(struct mount_table *t, uint32_t dev)
{
	if (t->changed_len < CHANGES_MAX)
		t->changed[t->changed_len] = dev;
	t->changed_len++;
}

void mount_table_lose(struct mount_table *t, uint32_t dev)
{
	struct super *s = mount_table_find(t, dev);

	if (!s || s->is_private)
		return;
	s->is_seen = false;
	note_change(t, dev);
}

int mount_table_take(struct mount_table *t, const struct mountinfo_line *line,
		     const struct mount_table_events *events)
{
	struct super *s;

	/* A bind of a part of an overlay is no root of a container. */
	if (strcmp(line->type, "overlay") != 0 || strcmp(line->root, "/") != 0)
		return 0;
	s = mount_table_find(t, line->dev);
	if (s && !s->is_seen && !s->is_private &&
	    s->options_hash != hash_text(line->super_options)) {
		/* The number of an unmounted one was given to another mount. */
		remove_super(t, s, events);
		s = NULL;
	}
	if (!s)
		s = add_super(t, line);
	if (!s)
		return 0;
	if (s->is_private)
		s->options_hash = hash_text(line->super_options);
	s->is_seen = true;
	s->is_private = false;
	if (mount_table_is_at(s, line->mount_point))
		return 0;
	note_change(t, line->dev);
	return add_point(s, line->mount_point);
}

static void drop_if_lost(struct mount_table *t, struct super *s,
			 const struct mount_table_events *events)
{
	if (s && !s->is_seen && !s->is_private)
		remove_super(t, s, events);
}

static void tell_if_new(struct super *s, const struct mount_table_events *events)
{
	if (!s || s->points_known == s->mount_points_len)
		return;
	events->on_mounted(s, events->arg);
	s->points_known = s->mount_points_len;
}

static void settle_all(struct mount_table *t, const struct mount_table_events *events)
{
	struct super *s, *next;

	HASH_ITER (hh, t->supers, s, next)
		drop_if_lost(t, s, events);
	HASH_ITER (hh, t->supers, s, next)
		tell_if_new(s, events);
}

void mount_table_settle(struct mount_table *t, const struct mount_table_events *events)
{
	const unsigned n = t->changed_len;

	t->changed_len = 0;
	if (n > CHANGES_MAX) {
		settle_all(t, events);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		drop_if_lost(t, mount_table_find(t, t->changed[i]), events);
	for (unsigned i = 0; i < n; i++)
		tell_if_new(mount_table_find(t, t->changed[i]), events);
}

static int take_line(const struct mountinfo_line *line, void *arg)
{
	struct update *u = arg;
	int err = u->host ? host_mounts_add(u->host, 0, line) : 0;

	return err ? err : mount_table_take(u->table, line, u->events);
}

int mount_table_update(struct mount_table *t, char *text, const struct mount_table_events *events,
		       struct host_mounts *host)
{
	struct update u = {t, events, host};
	struct super *s, *next;
	unsigned bad = 0;
	int err;

	HASH_ITER (hh, t->supers, s, next)
		s->is_seen = false;
	if (host)
		err = mountinfo_foreach(text, take_line, &u, &bad);
	else
		err = mountinfo_foreach_overlay(text, take_line, &u, &bad);
	t->bad += bad;
	t->changed_len = 0;
	if (!err)
		settle_all(t, events);
	return err;
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

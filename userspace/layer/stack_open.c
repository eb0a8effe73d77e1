/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stack_open.c - the directories of lower layers that are open now.
 *
 * A few per stack, least recently used first to go; what is not open is opened from its
 * parent, or else from the root of its layer.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/beneath.h"
#include "layer/stack_internal.h"

int stack_open_lower(const struct lower *l)
{
	auto_close int fd = open(l->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	/* Another directory at the path of a removed layer must not answer for it. */
	if (l->ino && (st.st_dev != l->dev || st.st_ino != l->ino))
		return -ESTALE;
	return take_fd(&fd);
}

static void close_part(struct open_part *p)
{
	if (p->dir_id)
		close(p->fd);
	p->dir_id = 0;
}

void layer_stack_idle(struct layer_stack *s)
{
	size_t i;

	for (i = 0; i < STACK_OPEN_MAX; i++)
		close_part(&s->open[i]);
	absent_names_forget(s);
}

void stack_close_dir(const struct layer_dir *d)
{
	size_t i;

	for (i = 0; i < STACK_OPEN_MAX; i++) {
		if (d->stack->open[i].dir_id == d->id)
			close_part(&d->stack->open[i]);
	}
}

static struct open_part *find_open(struct layer_stack *s, uint64_t dir_id, int layer)
{
	size_t i;

	for (i = 0; i < STACK_OPEN_MAX; i++) {
		if (s->open[i].dir_id == dir_id && s->open[i].layer == layer)
			return &s->open[i];
	}
	return NULL;
}

static int keep_open(struct layer_stack *s, uint64_t dir_id, int layer, int fd)
{
	struct open_part *oldest = &s->open[0];
	size_t i;

	for (i = 0; i < STACK_OPEN_MAX && oldest->dir_id; i++) {
		if (!s->open[i].dir_id || s->open[i].used < oldest->used)
			oldest = &s->open[i];
	}
	close_part(oldest);
	*oldest = (struct open_part){dir_id, ++s->clock, layer, fd};
	return fd;
}

/* The path of @dir relative to the root of its layers. */
static int path_of(const struct layer_dir *dir, struct strbuf *ret)
{
	const struct layer_dir *d;
	size_t len = 0, at, n;

	for (d = dir; d->parent; d = d->parent)
		len += strlen(d->name) + 1;
	for (at = 0; at < len; at++)
		strbuf_addc(ret, '/');
	if (strbuf_failed(ret) || !ret->data)
		return -ENOMEM;
	for (d = dir, at = len; d->parent; d = d->parent) {
		n = strlen(d->name);
		memcpy(ret->data + at - n, d->name, n);
		at -= n + 1;
	}
	return 0;
}

static int open_by_path(struct layer_dir *dir, int layer)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct layer_stack *s = dir->stack;
	auto_close int root = -1;
	int err;

	root = stack_open_lower(&s->lowers[layer]);
	if (root < 0 || !dir->parent)
		return take_fd(&root);
	err = path_of(dir, &path);
	if (err)
		return err;
	return beneath_open(root, strbuf_str(&path) + 1, O_PATH | O_DIRECTORY);
}

int stack_part_fd(struct layer_dir *dir, size_t part)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct layer_stack *s = dir->stack;
	int layer = dir->parts[part].layer;
	struct open_part *open = find_open(s, dir->id, layer);
	int fd;

	if (open) {
		open->used = ++s->clock;
		return open->fd;
	}
	open = dir->parent ? find_open(s, dir->parent->id, layer) : NULL;
	if (open) {
		fd = openat(open->fd, dir->name, flags);
		fd = fd < 0 ? -errno : fd;
	} else {
		fd = open_by_path(dir, layer);
	}
	return fd < 0 ? fd : keep_open(s, dir->id, layer, fd);
}

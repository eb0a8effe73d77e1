/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_fd.c - a directory of the layer, opened step by step from its root.
 *
 * Paths lie while a container renames: at every step the inode must be the node's. The
 * last few directories stay open while there is work, so that a walk does not begin at
 * the root for each; a kept fd is an inode that was checked, wherever it is moved to.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/beneath.h"
#include "ledger/tree_internal.h"

static struct tree_open_dir *find(struct tree *t, const struct tree_node *n)
{
	size_t i;

	for (i = 0; i < TREE_FDS; i++) {
		if (t->open[i].node == n)
			return &t->open[i];
	}
	return NULL;
}

static void release(struct tree_open_dir *o)
{
	if (o->node)
		close(o->fd);
	o->node = NULL;
}

void tree_forget_fd(struct tree *t, const struct tree_node *n)
{
	struct tree_open_dir *o = node_is_dir(n) ? find(t, n) : NULL;

	if (o)
		release(o);
}

void tree_close_fds(struct tree *t)
{
	size_t i;

	for (i = 0; i < TREE_FDS; i++)
		release(&t->open[i]);
}

static void keep(struct tree *t, struct tree_node *n, int fd)
{
	struct tree_open_dir *oldest = &t->open[0];
	size_t i;

	for (i = 0; i < TREE_FDS && oldest->node; i++) {
		if (!t->open[i].node || t->open[i].used < oldest->used)
			oldest = &t->open[i];
	}
	release(oldest);
	*oldest = (struct tree_open_dir){n, ++t->open_clock, fd};
}

/* One step down. Returns the fd, kept, or -errno. */
static int step(struct tree *t, int dirfd, struct tree_node *n)
{
	auto_close int fd = beneath_open_dir(dirfd, n->name);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino != n->st.ino)
		return -ESTALE;
	keep(t, n, fd);
	return take_fd(&fd);
}

int tree_dir_fd(struct tree *t, struct tree_node *n)
{
	auto_free struct tree_node **way = NULL;
	struct tree_open_dir *o = NULL;
	struct tree_node *at;
	size_t len = 0, i;
	int fd = t->rootfd;

	for (at = n; at->parent && !(o = find(t, at)); at = at->parent)
		len++;
	if (o) {
		o->used = ++t->open_clock;
		fd = o->fd;
	}
	if (!len)
		return fd;

	way = calloc(len, sizeof(struct tree_node *));
	if (!way)
		return -ENOMEM;
	for (at = n, i = len; i; at = at->parent)
		way[--i] = at;
	for (i = 0; i < len && fd >= 0; i++)
		fd = step(t, fd, way[i]);
	return fd;
}

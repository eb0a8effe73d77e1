/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stack.c - the lower layers and their merged directories, see stack.h.
 *
 * A merged directory is the list of the layers that contribute to it, found once from
 * the list of its parent: a layer that lacks a directory is never asked about anything
 * beneath it, so deep stacks cost what their overlap costs.
 */
#include "layer/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "layer/beneath.h"
#include "layer/compare.h"
#include "layer/stack_internal.h"

#define LOWERS_MAX 65535 /* overlayfs allows 500 */

static int add_lower(struct layer_stack *s, const char *host_root, const char *path)
{
	struct lower *l = &s->lowers[s->lowers_len];
	auto_close int fd = -1;
	struct stat st;

	l->path = file_join(host_root, path);
	if (!l->path)
		return -ENOMEM;
	s->lowers_len++;
	fd = stack_open_lower(l);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->user_xattr = layer_uses_user_xattr(fd);
	return 0;
}

static struct layer_dir *dir_new(struct layer_stack *s, struct layer_dir *parent, const char *name)
{
	size_t most = parent ? parent->parts_len : s->lowers_len;
	struct layer_dir *dir = calloc(1, sizeof(*dir) + most * sizeof(dir->parts[0]));

	if (!dir)
		return NULL;
	dir->name = strdup(name);
	if (!dir->name) {
		free(dir);
		return NULL;
	}
	dir->stack = s;
	dir->parent = parent;
	dir->id = ++s->next_dir_id;
	dir->refs = 1;
	if (parent)
		parent->refs++;
	return dir;
}

static int open_root(struct layer_stack *s)
{
	size_t i;

	s->root = dir_new(s, NULL, "");
	if (!s->root)
		return -ENOMEM;
	/* An opaque root would hide the layers below; overlayfs does not look at it. */
	for (i = 0; i < s->lowers_len; i++)
		s->root->parts[s->root->parts_len++].layer = (uint16_t)i;
	return 0;
}

int layer_stack_open(const char *host_root, char *const *lowers, size_t lowers_len,
		     struct strbuf *error, struct layer_stack **ret)
{
	struct layer_stack *s;
	size_t i;
	int err = 0;

	if (lowers_len > LOWERS_MAX)
		return -E2BIG;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	/* Without randomness the tables are still right, only steerable. */
	if (getrandom(s->hash_key, sizeof(s->hash_key), GRND_NONBLOCK) < 0)
		s->hash_key[0] = (uint64_t)(uintptr_t)s;
	s->lowers = calloc(lowers_len + 1, sizeof(*s->lowers));
	s->memory = lookup_memory_new(s->hash_key);
	if (!s->lowers || !s->memory)
		err = -ENOMEM;

	for (i = 0; i < lowers_len && !err; i++) {
		err = add_lower(s, host_root, lowers[i]);
		if (err && error)
			strbuf_addf(error, "cannot open lower layer %s: %s", lowers[i],
				    strerror(-err));
	}
	if (!err)
		err = open_root(s);
	if (err) {
		layer_stack_close(s);
		return err;
	}
	*ret = s;
	return 0;
}

struct layer_stack *layer_stack_close(struct layer_stack *s)
{
	size_t i;

	if (!s)
		return NULL;
	layer_stack_idle(s);
	layer_dir_put(s->root);
	for (i = 0; i < s->lowers_len; i++)
		free(s->lowers[i].path);
	free(s->lowers);
	lookup_memory_free(s->memory);
	free(s);
	return NULL;
}

void layer_stack_forget(struct layer_stack *s)
{
	absent_names_forget(s);
	lookup_memory_forget(s->memory);
}

struct layer_dir *layer_stack_root(struct layer_stack *s)
{
	return s->root;
}

void layer_stack_set_whole(struct layer_stack *s, bool is_whole)
{
	s->is_whole = is_whole;
}

bool layer_stack_is_whole(const struct layer_stack *s)
{
	return s->is_whole;
}

uint64_t layer_stack_disk_lookups(const struct layer_stack *s)
{
	return s->disk_lookups;
}

bool layer_dir_has_layers(const struct layer_dir *d)
{
	return d->parts_len;
}

struct layer_dir *layer_dir_get(struct layer_dir *d)
{
	d->refs++;
	return d;
}

void layer_dir_put(struct layer_dir *d)
{
	struct layer_dir *parent;

	/* A loop, not recursion: the last reference may free a chain of any depth. */
	for (; d && --d->refs == 0; d = parent) {
		stack_close_dir(d);
		parent = d->parent;
		free(d->name);
		free(d);
	}
}

/* Marks need a readable fd; the ones we keep are O_PATH. */
static int read_marks(struct layer_dir *dir, size_t part)
{
	struct layer_stack *s = dir->stack;
	auto_close int fd = -1;
	int path_fd;

	path_fd = stack_part_fd(dir, part);
	if (path_fd < 0)
		return path_fd == -ENOENT ? -ESTALE : path_fd;
	fd = beneath_open_dir(path_fd, ".");
	if (fd < 0)
		return fd;
	return (int)layer_dir_marks(fd, s->lowers[dir->parts[part].layer].user_xattr);
}

/* Fill in which of the parent's layers contribute to @dir. */
static int find_parts(struct layer_dir *dir)
{
	struct layer_dir *parent = dir->parent;
	struct layer_part *new;
	struct stat st;
	int answer, marks;
	size_t i;

	for (i = 0; i < parent->parts_len; i++) {
		answer = stack_part_lookup(parent, i, dir->name, &st);
		if (answer < 0)
			return answer;
		if (answer == PART_ABSENT)
			continue;
		/* A whiteout or a file here ends what the layers below could add. */
		if (answer == PART_HIDDEN || !S_ISDIR(st.st_mode))
			break;
		new = &dir->parts[dir->parts_len];
		new->layer = parent->parts[i].layer;
		dir->parts_len++;
		marks = read_marks(dir, dir->parts_len - 1);
		if (marks < 0)
			return marks;
		new->has_xwhiteouts = marks &LAYER_XWHITEOUTS;
		if (marks & LAYER_OPAQUE)
			break;
	}
	return dir->parts_len ? 0 : -ENOENT;
}

struct layer_dir *layer_dir_open(struct layer_dir *parent, const char *name)
{
	struct layer_dir *dir = dir_new(parent->stack, parent, name);
	struct layer_dir *smaller;
	int err;

	if (!dir) {
		errno = ENOMEM;
		return NULL;
	}
	err = find_parts(dir);
	if (err) {
		layer_dir_put(dir);
		errno = -err;
		return NULL;
	}
	/* Room was made for all layers of the parent; few directories are in all of them. */
	smaller = realloc(dir, sizeof(*dir) + dir->parts_len * sizeof(dir->parts[0]));
	return smaller ? smaller : dir;
}

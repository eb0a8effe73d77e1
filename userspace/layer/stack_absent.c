/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stack_absent.c - names that the image surely does not have, without asking the disk.
 *
 * Whoever reads a large directory of a container asks for thousands of names that no
 * layer has, one call per layer each. After some of these in a row all names of the
 * directory are listed once; what is not among them is absent. Only of the directory
 * that was asked last, and no more names than make up for the listing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/beneath.h"
#include "layer/stack_internal.h"

#define MISSES_MIN     64    /* before the first listing; then at each doubling */
#define NAMES_PER_MISS 8     /* listed at most: a call for a name costs as much as that many */
#define NAMES_MAX      16384 /* of all layers of a directory */

static void table_free(struct absent_names *a)
{
	free(a->hashes);
	a->hashes = NULL;
	a->size = 0;
}

void absent_names_forget(struct layer_stack *s)
{
	table_free(&s->absent);
	s->absent = (struct absent_names){.dir_id = 0};
}

static uint64_t hash_of(const struct layer_stack *s, const char *name)
{
	uint64_t hash = beneath_hash(s->hash_key, name, strlen(name));

	return hash ? hash : 1; /* 0 is a free place */
}

static bool has_hash(const struct absent_names *a, uint64_t hash)
{
	size_t at;

	for (at = hash & (a->size - 1); a->hashes[at]; at = (at + 1) & (a->size - 1)) {
		if (a->hashes[at] == hash)
			return true;
	}
	return false;
}

static void put_hash(struct absent_names *a, uint64_t hash)
{
	size_t at = hash & (a->size - 1);

	while (a->hashes[at] && a->hashes[at] != hash)
		at = (at + 1) & (a->size - 1);
	a->hashes[at] = hash;
}

/* Returns how many names were read, -E2BIG when there are more than @max, or -errno. */
static int list_part(struct layer_dir *dir, size_t part, int max)
{
	struct layer_stack *s = dir->stack;
	auto_closedir DIR *d = NULL;
	struct dirent *e;
	int fd, n = 0;

	fd = stack_part_fd(dir, part);
	if (fd < 0)
		return fd;
	fd = beneath_open_dir(fd, ".");
	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while ((errno = 0, e = readdir(d))) {
		if (++n > max)
			return -E2BIG;
		put_hash(&s->absent, hash_of(s, e->d_name));
	}
	return errno ? -errno : n;
}

static void list(struct layer_dir *dir, int max)
{
	struct absent_names *a = &dir->stack->absent;
	size_t size = 1, i;
	int n;

	while (size < 2 * (size_t)max)
		size *= 2;
	a->hashes = calloc(size, sizeof(*a->hashes));
	if (!a->hashes)
		return;
	a->size = size;
	for (i = 0; i < dir->parts_len; i++) {
		n = list_part(dir, i, max);
		if (n < 0) {
			table_free(a);
			return;
		}
		max -= n;
	}
}

void absent_names_note_miss(struct layer_dir *dir)
{
	struct absent_names *a = &dir->stack->absent;
	unsigned names;

	if (a->dir_id != dir->id) {
		absent_names_forget(dir->stack);
		a->dir_id = dir->id;
	}
	a->misses++;
	names = a->misses * NAMES_PER_MISS;
	if (a->hashes || a->misses < MISSES_MIN || a->misses & (a->misses - 1) || names > NAMES_MAX)
		return;
	list(dir, (int)names);
}

bool absent_names_tell(const struct layer_dir *dir, const char *name)
{
	const struct absent_names *a = &dir->stack->absent;

	return a->hashes && a->dir_id == dir->id && !has_hash(a, hash_of(dir->stack, name));
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stack_lookup.c - one name in a merged directory, and the memory of answers.
 *
 * The memory is a direct-mapped table that doubles while it is small: an answer
 * displaces whatever stood in its place. It starts tiny, since most containers change
 * few files, and ends at MEMORY_MAX, since a container chooses which names are asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "layer/beneath.h"
#include "layer/compare.h"
#include "layer/stack_internal.h"

#define MEMORY_MIN 32
#define MEMORY_MAX 4096

struct answer {
	uint64_t hash;
	uint64_t dir_id;
	struct layer_entry entry; /* entry.layer < 0: the image has no such name */
	bool capability_absent;
	char name[];
};

struct lookup_memory {
	uint64_t key[2]; /* of the stack */
	size_t size, used;
	struct answer **slots;
};

struct lookup_memory *lookup_memory_new(const uint64_t key[2])
{
	struct lookup_memory *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->size = MEMORY_MIN;
	m->slots = calloc(m->size, sizeof(*m->slots));
	if (!m->slots)
		return lookup_memory_free(m);
	memcpy(m->key, key, sizeof(m->key));
	return m;
}

void lookup_memory_forget(struct lookup_memory *m)
{
	size_t i;

	for (i = 0; m->slots && i < m->size; i++) {
		free(m->slots[i]);
		m->slots[i] = NULL;
	}
	m->used = 0;
}

struct lookup_memory *lookup_memory_free(struct lookup_memory *m)
{
	if (!m)
		return NULL;
	lookup_memory_forget(m);
	free(m->slots);
	free(m);
	return NULL;
}

static uint64_t hash_of(const struct lookup_memory *m, uint64_t dir_id, const char *name)
{
	uint64_t key[2] = {m->key[0] ^ dir_id, m->key[1]};

	return beneath_hash(key, name, strlen(name));
}

static struct answer *recall(struct layer_dir *dir, const char *name)
{
	struct lookup_memory *m = dir->stack->memory;
	uint64_t hash = hash_of(m, dir->id, name);
	struct answer *a = m->slots[hash & (m->size - 1)];

	if (!a || a->hash != hash || a->dir_id != dir->id || strcmp(a->name, name) != 0)
		return NULL;
	return a;
}

static void put_answer(struct lookup_memory *m, struct answer *a)
{
	struct answer **slot = &m->slots[a->hash & (m->size - 1)];

	m->used += *slot == NULL;
	free(*slot);
	*slot = a;
}

static void grow(struct lookup_memory *m)
{
	struct lookup_memory bigger = {.size = m->size * 2};
	size_t i;

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return; /* the small table goes on serving */
	for (i = 0; i < m->size; i++) {
		if (m->slots[i])
			put_answer(&bigger, m->slots[i]);
	}
	free(m->slots);
	m->slots = bigger.slots;
	m->size = bigger.size;
	m->used = bigger.used;
}

static void remember(struct layer_dir *dir, const char *name, const struct layer_entry *entry)
{
	struct lookup_memory *m = dir->stack->memory;
	size_t len = strlen(name);
	struct answer *a = calloc(1, sizeof(*a) + len + 1);

	if (!a)
		return;
	if (m->used >= m->size / 2 && m->size < MEMORY_MAX)
		grow(m);
	a->hash = hash_of(m, dir->id, name);
	a->dir_id = dir->id;
	a->entry = *entry;
	memcpy(a->name, name, len + 1);
	put_answer(m, a);
}

int stack_part_lookup(struct layer_dir *dir, size_t part, const char *name, struct stat *ret)
{
	const struct layer_part *p = &dir->parts[part];
	struct layer_stack *s = dir->stack;
	int fd = stack_part_fd(dir, part);

	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	s->disk_lookups++;
	if (fstatat(fd, name, ret, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? PART_ABSENT : -errno;
	if (layer_is_whiteout(ret))
		return PART_HIDDEN;
	if (p->has_xwhiteouts && layer_is_xwhiteout(fd, name, ret, s->lowers[p->layer].user_xattr))
		return PART_HIDDEN;
	return PART_PRESENT;
}

static int look_up(struct layer_dir *dir, const char *name, struct layer_entry *ret)
{
	int answer;
	size_t i;

	*ret = (struct layer_entry){.layer = -1};
	for (i = 0; i < dir->parts_len; i++) {
		answer = stack_part_lookup(dir, i, name, &ret->st);
		if (answer < 0)
			return answer;
		if (answer == PART_HIDDEN)
			return 0;
		if (answer == PART_PRESENT) {
			ret->layer = dir->parts[i].layer;
			return 0;
		}
	}
	return 0;
}

int layer_dir_lookup(struct layer_dir *dir, const char *name, struct layer_entry *ret)
{
	struct layer_entry entry;
	struct answer *a;
	int err;

	if (absent_names_tell(dir, name))
		return -ENOENT;
	a = recall(dir, name);
	if (a) {
		entry = a->entry;
	} else {
		err = look_up(dir, name, &entry);
		if (err)
			return err;
		remember(dir, name, &entry);
	}
	if (entry.layer < 0) {
		absent_names_note_miss(dir);
		return -ENOENT;
	}
	*ret = entry;
	return 0;
}

int layer_dir_open_entry(struct layer_dir *dir, const char *name)
{
	struct layer_entry entry;
	size_t i;
	int fd, err;

	err = layer_dir_lookup(dir, name, &entry);
	if (err)
		return err;
	for (i = 0; i < dir->parts_len; i++) {
		if (dir->parts[i].layer == entry.layer)
			break;
	}
	if (i == dir->parts_len)
		return -ESTALE;
	fd = stack_part_fd(dir, i);
	if (fd < 0)
		return fd;
	fd = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int layer_dir_capability(struct layer_dir *dir, const char *name, void *buf, size_t size)
{
	char path[BENEATH_PROC_SIZE];
	auto_close int fd = -1;
	struct answer *a = recall(dir, name);
	ssize_t n;

	if (a && (a->capability_absent || a->entry.layer < 0))
		return 0;
	fd = layer_dir_open_entry(dir, name);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;

	beneath_proc_path(fd, NULL, path);
	n = getxattr(path, "security.capability", buf, size);
	if (n < 0 && errno != ENODATA && errno != ENOTSUP)
		return -errno;
	a = recall(dir, name);
	if (n <= 0 && a)
		a->capability_absent = true;
	return n < 0 ? 0 : (int)n;
}

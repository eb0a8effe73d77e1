/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * writers.c - processes by number, shared by all files they changed.
 *
 * Three indexes over the same entries: the ledger's number, the kernel's number
 * (of map "writers", absent for entries loaded from a state file), and the process
 * image itself, so that the threads of one process are one writer.
 */
#include "ledger/writers.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/cleanup.h"

struct image_key {
	uint64_t start_boot_ns;
	uint32_t tgid;
	uint32_t uid;
	char comm[DW_COMM_LEN];
	uint64_t executable_hash;
};

struct entry {
	uint64_t number;
	struct image_key image;
	struct writer writer;
	UT_hash_handle by_number;
	UT_hash_handle by_image;
};

/* Threads have kernel numbers of their own: many of these for one entry. */
struct kernel_alias {
	uint64_t kernel_id;
	uint64_t number;
	UT_hash_handle hh;
};

struct writers {
	struct entry *numbers;
	struct entry *images;
	struct kernel_alias *aliases;
	struct kernel_alias *last_alias; /* asked for: records of one task come in a row */
	uint64_t next_number;
	uint64_t dropped;
	size_t max;
};

struct writers *writers_new(size_t max)
{
	struct writers *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->max = max;
	w->next_number = 1;
	return w;
}

static void entry_drop(struct writers *w, struct entry *e)
{
	/* NOLINTBEGIN(clang-analyzer-core.NullDereference): uthash keeps its own lists */
	HASH_DELETE(by_number, w->numbers, e);
	HASH_DELETE(by_image, w->images, e);
	/* NOLINTEND(clang-analyzer-core.NullDereference) */
	free(e->writer.executable);
	free(e);
}

static void alias_drop(struct writers *w, struct kernel_alias *a)
{
	if (w->last_alias == a)
		w->last_alias = NULL;
	HASH_DEL(w->aliases, a);
	free(a);
}

struct writers *writers_free(struct writers *w)
{
	struct kernel_alias *a, *next_alias;
	struct entry *e, *next;

	if (!w)
		return NULL;
	HASH_ITER (hh, w->aliases, a, next_alias)
		alias_drop(w, a);
	HASH_ITER (by_number, w->numbers, e, next)
		entry_drop(w, e);
	free(w);
	return NULL;
}

/* FNV-1a: only to tell images apart, collisions merely merge two writers of one pid. */
static uint64_t hash_text(const char *s)
{
	uint64_t h = 14695981039346656037ull;

	for (; s && *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211ull;
	return h;
}

static struct image_key image_of(const struct writer *p)
{
	struct image_key key;

	memset(&key, 0, sizeof(key)); /* hashed as bytes: padding must be zero */
	key.start_boot_ns = p->start_boot_ns;
	key.tgid = (uint32_t)p->tgid;
	key.uid = (uint32_t)p->uid;
	memcpy(key.comm, p->comm, sizeof(key.comm));
	key.executable_hash = hash_text(p->executable);
	return key;
}

static void add_alias(struct writers *w, uint64_t kernel_id, uint64_t number)
{
	struct kernel_alias *a;

	HASH_FIND(hh, w->aliases, &kernel_id, sizeof(kernel_id), a);
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return; /* the next record asks again */
		a->kernel_id = kernel_id;
		HASH_ADD(hh, w->aliases, kernel_id, sizeof(kernel_id), a);
	}
	a->number = number;
}

static struct entry *entry_new(struct writers *w, const struct writer *process,
			       const struct image_key *image)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->writer = *process;
	e->writer.comm[DW_COMM_LEN - 1] = '\0';
	e->writer.executable = process->executable ? strdup(process->executable) : NULL;
	e->image = *image;
	e->number = w->next_number++;
	HASH_ADD(by_number, w->numbers, number, sizeof(e->number), e);
	HASH_ADD(by_image, w->images, image, sizeof(e->image), e);
	return e;
}

uint64_t writers_add(struct writers *w, uint64_t kernel_id, const struct writer *process)
{
	struct image_key image = image_of(process);
	struct entry *e;

	HASH_FIND(by_image, w->images, &image, sizeof(image), e);
	if (!e && HASH_CNT(by_number, w->numbers) < w->max)
		e = entry_new(w, process, &image);
	if (!e) {
		w->dropped++;
		return 0;
	}
	if (kernel_id)
		add_alias(w, kernel_id, e->number);
	return e->number;
}

uint64_t writers_by_kernel_id(struct writers *w, uint64_t kernel_id)
{
	struct kernel_alias *a = w->last_alias;

	if (a && a->kernel_id == kernel_id)
		return a->number;
	HASH_FIND(hh, w->aliases, &kernel_id, sizeof(kernel_id), a);
	if (a)
		w->last_alias = a;
	return a ? a->number : 0;
}

const struct writer *writers_get(const struct writers *w, uint64_t number)
{
	struct entry *e;

	HASH_FIND(by_number, w->numbers, &number, sizeof(number), e);
	return e ? &e->writer : NULL;
}

size_t writers_sweep(struct writers *w, bool (*is_used)(uint64_t number, void *arg), void *arg)
{
	struct kernel_alias *a, *next_alias;
	struct entry *e, *next;
	size_t gone = 0;

	HASH_ITER (hh, w->aliases, a, next_alias)
		if (!is_used(a->number, arg))
			alias_drop(w, a);
	HASH_ITER (by_number, w->numbers, e, next) {
		if (is_used(e->number, arg))
			continue;
		entry_drop(w, e);
		gone++;
	}
	return gone;
}

void writers_foreach(const struct writers *w,
		     void (*fn)(uint64_t number, const struct writer *writer, void *arg), void *arg)
{
	struct entry *e, *next;

	HASH_ITER (by_number, w->numbers, e, next)
		fn(e->number, &e->writer, arg);
}

size_t writers_count(const struct writers *w)
{
	return HASH_CNT(by_number, w->numbers);
}

uint64_t writers_dropped(const struct writers *w)
{
	return w->dropped;
}

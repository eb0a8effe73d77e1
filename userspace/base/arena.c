/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * arena.c - see arena.h.
 */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 32768

struct arena_block {
	struct arena_block *next;
	size_t size;
	char data[];
};

static int add_block(struct arena *a, size_t len)
{
	size_t size = len > BLOCK_BYTES ? len : BLOCK_BYTES;
	struct arena_block *b = malloc(sizeof(*b) + size);

	if (!b)
		return -1;
	b->size = size;
	b->next = a->blocks;
	a->blocks = b;
	a->used = 0;
	return 0;
}

char *arena_copy(struct arena *a, const char *text, size_t len)
{
	char *copy;

	if ((!a->blocks || a->blocks->size - a->used <= len) && add_block(a, len + 1))
		return NULL;
	copy = a->blocks->data + a->used;
	memcpy(copy, text, len);
	copy[len] = '\0';
	a->used += len + 1;
	return copy;
}

static void free_after(struct arena_block *b)
{
	struct arena_block *next = b ? b->next : NULL;

	if (b)
		b->next = NULL;
	for (b = next; b; b = next) {
		next = b->next;
		free(b);
	}
}

void arena_reset(struct arena *a)
{
	free_after(a->blocks);
	a->used = 0;
	if (a->blocks && a->blocks->size > BLOCK_BYTES)
		arena_done(a);
}

void arena_done(struct arena *a)
{
	free_after(a->blocks);
	free(a->blocks);
	*a = (struct arena){0};
}

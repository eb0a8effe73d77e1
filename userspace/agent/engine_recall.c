/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_recall.c - see engine_recall.h.
 */
#include "agent/engine_recall.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define PLACES_MIN 256

struct recall_place {
	uint64_t ino;
	uint32_t dev;
	uint32_t number; /* of the recall, from 1; 0: free */
};

static uint32_t home_of(const struct recall_table *t, uint32_t dev, uint64_t ino)
{
	uint64_t mixed = (ino ^ (uint64_t)dev << 32) * 0x9e3779b97f4a7c15ull;

	return (uint32_t)(mixed >> 32) & (t->places_len - 1);
}

/* Where it is or would be. */
static struct recall_place *place_of(const struct recall_table *t, uint32_t dev, uint64_t ino)
{
	uint32_t i = home_of(t, dev, ino);

	while (t->places[i].number && (t->places[i].ino != ino || t->places[i].dev != dev))
		i = (i + 1) & (t->places_len - 1);
	return &t->places[i];
}

static struct recall *by_number(const struct recall_table *t, uint32_t number)
{
	return &t->chunks[(number - 1) / RECALL_CHUNK][(number - 1) % RECALL_CHUNK];
}

static int grow(struct recall_table *t)
{
	struct recall_table bigger = {.places_len = t->places_len ? 2 * t->places_len : PLACES_MIN};
	uint32_t i;

	bigger.places = calloc(bigger.places_len, sizeof(*bigger.places));
	if (!bigger.places)
		return -ENOMEM;
	for (i = 0; i < t->places_len; i++)
		if (t->places[i].number)
			*place_of(&bigger, t->places[i].dev, t->places[i].ino) = t->places[i];
	free(t->places);
	t->places = bigger.places;
	t->places_len = bigger.places_len;
	return 0;
}

static void put_free(struct recall_table *t, uint32_t number)
{
	*by_number(t, number) = (struct recall){.next_free = t->free};
	t->free = number;
}

static int add_chunk(struct recall_table *t)
{
	uint32_t first = t->chunks_len * RECALL_CHUNK, i;
	struct recall *chunk;

	if (first == RECALL_MAX)
		return -ENOSPC;
	chunk = malloc(RECALL_CHUNK * sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	t->chunks[t->chunks_len++] = chunk;
	for (i = RECALL_CHUNK; i; i--)
		put_free(t, first + i);
	return 0;
}

struct recall *recall_find(const struct recall_table *t, uint32_t dev, uint64_t ino)
{
	const struct recall_place *place = t->used ? place_of(t, dev, ino) : NULL;

	return place && place->number ? by_number(t, place->number) : NULL;
}

struct recall *recall_make(struct recall_table *t, uint32_t dev, uint64_t ino)
{
	struct recall *r = recall_find(t, dev, ino);
	uint32_t number;

	if (r || !ino)
		return r;
	/* At most half full. */
	if ((2 * t->used >= t->places_len && grow(t)) || (!t->free && add_chunk(t)))
		return NULL;
	number = t->free;
	r = by_number(t, number);
	t->free = r->next_free;
	r->next_free = 0;
	r->key = (struct dw_inode){.ino = ino, .dev = dev};
	*place_of(t, dev, ino) = (struct recall_place){.ino = ino, .dev = dev, .number = number};
	t->used++;
	return r;
}

/* Close the gap: whoever was put behind it moves back into it. */
static void close_gap(struct recall_table *t, uint32_t hole)
{
	const uint32_t mask = t->places_len - 1;
	uint32_t i, home;

	t->places[hole].number = 0;
	for (i = (hole + 1) & mask; t->places[i].number; i = (i + 1) & mask) {
		home = home_of(t, t->places[i].dev, t->places[i].ino);
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		t->places[hole] = t->places[i];
		t->places[i].number = 0;
		hole = i;
	}
}

static void drop(struct recall_table *t, struct recall *r)
{
	struct recall_place *place = place_of(t, r->key.dev, r->key.ino);
	uint32_t number = place->number;

	close_gap(t, (uint32_t)(place - t->places));
	t->used--;
	put_free(t, number);
}

void recall_forget_told(struct recall *r, unsigned but_ops)
{
	free(r->created_at);
	r->created_at = NULL;
	r->ops &= but_ops;
	r->origin = (struct tree_cause){0};
	r->told_wall_ns = 0;
}

void recall_drop_pending(struct recall *r)
{
	free(r->pending);
	r->pending = NULL;
	r->pending_until_ns = 0;
}

/* Returns whether anything is left. */
static bool forget_due(struct recall *r, uint64_t now_ns)
{
	if (r->told_until_ns <= now_ns) {
		recall_forget_told(r, 0);
		r->told_until_ns = 0;
	}
	if (r->mark_until_ns <= now_ns) {
		r->mark = (struct tree_cause){0};
		r->mark_until_ns = 0;
	}
	if (r->pending_until_ns <= now_ns)
		recall_drop_pending(r);
	return r->told_until_ns || r->mark_until_ns || r->pending_until_ns;
}

static void give_back(struct recall_table *t)
{
	while (t->chunks_len)
		free(t->chunks[--t->chunks_len]);
	free(t->places);
	*t = (struct recall_table){0};
}

void recall_expire(struct recall_table *t, uint64_t now_ns)
{
	uint32_t number;

	for (number = 1; number <= t->chunks_len * RECALL_CHUNK; number++) {
		struct recall *r = by_number(t, number);

		if (r->key.ino && !forget_due(r, now_ns))
			drop(t, r);
	}
	if (!t->used)
		give_back(t);
}

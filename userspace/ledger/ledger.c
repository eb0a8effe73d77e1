/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ledger.c - the set of containers and what is kept about each.
 */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/clock.h"

#define MAX_WRITERS 65536

/* The public part first: a ledger_container pointer is an entry pointer. */
struct entry {
	struct ledger_container c;
	UT_hash_handle hh; /* by c.meta->id, in order of insertion */
};

struct ledger {
	struct entry *entries;
	struct writers *writers;
};

static const char *const loss_names[LOSS_MAX] = {
	[LOSS_RING_FULL] = "ring_full",
	[LOSS_DIRTY_FULL] = "dirty_full",
	[LOSS_WATCH_FULL] = "watch_full",
	[LOSS_FILES_FULL] = "files_full",
	[LOSS_PATH] = "path_too_long",
	[LOSS_PROGRAM_MISS] = "program_miss",
	[LOSS_WALK_FAILED] = "walk_failed",
	[LOSS_DETACHED] = "program_detached",
	[LOSS_GAP] = "gap",
	[LOSS_AUDIT] = "audit",
	[LOSS_ROOTS_FULL] = "roots_full",
};

const char *loss_reason_name(enum loss_reason reason)
{
	return reason < LOSS_MAX ? loss_names[reason] : "unknown";
}

const char *ledger_verdict_name(enum tree_verdict v)
{
	switch (v) {
	case TREE_ADDED:
		return "added";
	case TREE_MODIFIED:
		return "modified";
	case TREE_DELETED:
		return "deleted";
	case TREE_NONE:
		break;
	}
	return "";
}

struct ledger *ledger_new(void)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->writers = writers_new(MAX_WRITERS);
	if (!l->writers) {
		free(l);
		return NULL;
	}
	return l;
}

static void entry_free(struct ledger *l, struct entry *e)
{
	HASH_DEL(l->entries, e);
	tree_free(e->c.tree);
	container_free(e->c.meta);
	free(e);
}

struct ledger *ledger_free(struct ledger *l)
{
	struct entry *e, *next;

	if (!l)
		return NULL;
	HASH_ITER (hh, l->entries, e, next)
		entry_free(l, e);
	writers_free(l->writers);
	free(l);
	return NULL;
}

static struct entry *find(const struct ledger *l, const char *id)
{
	struct entry *e;

	HASH_FIND_STR(l->entries, id, e);
	return e;
}

int ledger_add(struct ledger *l, const struct container *meta, struct ledger_container **ret)
{
	struct entry *e;

	if (find(l, meta->id))
		return -EEXIST;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->c.meta = container_copy(meta);
	if (!e->c.meta) {
		free(e);
		return -ENOMEM;
	}
	e->c.seen_wall_ns = clock_wall_ns();
	HASH_ADD_KEYPTR(hh, l->entries, e->c.meta->id, strlen(e->c.meta->id), e);
	*ret = &e->c;
	return 0;
}

int ledger_update(struct ledger_container *c, const struct container *meta)
{
	struct entry *e = (struct entry *)c;
	struct container *copy = container_copy(meta);
	char *id;

	if (!copy)
		return -ENOMEM;
	/* The hash holds a pointer to the id: the string itself must stay. */
	id = c->meta->id;
	c->meta->id = copy->id;
	copy->id = id;
	e->hh.key = id;
	container_free(c->meta);
	c->meta = copy;
	return 0;
}

void ledger_remove(struct ledger *l, struct ledger_container *c)
{
	entry_free(l, (struct entry *)c);
}

struct ledger_container *ledger_find_id(const struct ledger *l, const char *id)
{
	struct entry *e = find(l, id);

	return e ? &e->c : NULL;
}

size_t ledger_count(const struct ledger *l)
{
	return HASH_COUNT(l->entries);
}

int ledger_foreach(const struct ledger *l, int (*fn)(struct ledger_container *c, void *arg),
		   void *arg)
{
	struct entry *e, *next;
	int stop;

	HASH_ITER (hh, l->entries, e, next) {
		stop = fn(&e->c, arg);
		if (stop)
			return stop;
	}
	return 0;
}

struct writers *ledger_writers(const struct ledger *l)
{
	return l->writers;
}

bool ledger_container_is_complete(const struct ledger_container *c)
{
	return c->tree && !c->incomplete && tree_is_complete(c->tree);
}

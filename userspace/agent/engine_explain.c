/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_explain.c - what records of the last moments explain.
 *
 * Three short memories by inode: operations the kernel side has told already,
 * creations that wait for their name, and who marked the inode dirty last; and one by
 * name, for what xfs tells before there is an inode. Each is bounded; an entry too many
 * only makes a line of tail less precise.
 */
#include "agent/engine_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PENDING_NS (1500 * NS_PER_MSEC)

static struct explained *find_explained(const struct engine *e, uint32_t dev, uint64_t ino)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct explained *x;

	HASH_FIND(hh, e->explained, &key, sizeof(key), x);
	return x;
}

static struct explained *touch_explained(struct engine *e, uint32_t dev, uint64_t ino)
{
	struct explained *x = find_explained(e, dev, ino);

	if (!x) {
		if (HASH_COUNT(e->explained) >= ENGINE_MAX_PENDING)
			return NULL;
		x = calloc(1, sizeof(*x));
		if (!x)
			return NULL;
		x->key = (struct dw_inode){.ino = ino, .dev = dev};
		HASH_ADD(hh, e->explained, key, sizeof(x->key), x);
	}
	x->expires_ns = clock_mono_ns() + ENGINE_EXPLAIN_NS;
	return x;
}

static void forget_creation(struct engine *e, const struct dw_inode *key)
{
	struct explained *x = find_explained(e, key->dev, key->ino);

	if (!x)
		return;
	free(x->created_at);
	x->created_at = NULL;
	x->ops = 0;
	x->origin = (struct tree_cause){0};
}

void engine_explain(struct engine *e, uint32_t dev, uint64_t ino, enum dw_op op)
{
	struct explained *x = touch_explained(e, dev, ino);

	if (x)
		x->ops |= op == DW_OP_INVALID ? ENGINE_NAMES_CHANGED : 1u << op;
}

void engine_explain_creation(struct engine *e, const struct dw_inode *key, enum dw_op op,
			     const char *path)
{
	struct explained *x = touch_explained(e, key->dev, key->ino);

	if (!x)
		return;
	x->ops |= 1u << op;
	free(x->created_at);
	x->created_at = strdup(path);
}

void engine_keep_origin(struct engine *e, uint32_t dev, uint64_t ino,
			const struct tree_cause *cause)
{
	struct explained *x = touch_explained(e, dev, ino);

	if (x && !x->origin.writer)
		x->origin = *cause;
}

const struct tree_cause *engine_find_origin(const struct engine *e, uint32_t dev, uint64_t ino)
{
	struct explained *x = find_explained(e, dev, ino);

	return x && x->origin.writer ? &x->origin : NULL;
}

const char *engine_created_at(const struct engine *e, uint32_t dev, uint64_t ino)
{
	struct explained *x = find_explained(e, dev, ino);

	return x ? x->created_at : NULL;
}

unsigned engine_explained_ops(const struct engine *e, uint32_t dev, uint64_t ino)
{
	struct explained *x = find_explained(e, dev, ino);

	return x ? x->ops : 0;
}

/* --- by name --- */

static char *told_key(const struct track *t, const char *path)
{
	auto_strbuf struct strbuf key = STRBUF_INIT;

	strbuf_addf(&key, "%u%s", t->c->slot, path);
	return strbuf_take(&key);
}

struct told_name *engine_find_told(const struct engine *e, const struct track *t, const char *path)
{
	auto_free char *key = e->told ? told_key(t, path) : NULL;
	struct told_name *told = NULL;

	if (key)
		HASH_FIND_STR(e->told, key, told);
	return told;
}

static struct told_name *touch_told(struct engine *e, const struct track *t, const char *path)
{
	struct told_name *told = engine_find_told(e, t, path);

	if (!told && HASH_COUNT(e->told) < ENGINE_MAX_PENDING) {
		told = calloc(1, sizeof(*told));
		if (told)
			told->key = told_key(t, path);
		if (told && !told->key) {
			free(told);
			return NULL;
		}
		if (told)
			HASH_ADD_KEYPTR(hh, e->told, told->key, strlen(told->key), told);
	}
	if (told)
		told->expires_ns = clock_mono_ns() + ENGINE_EXPLAIN_NS;
	return told;
}

void engine_tell_name(struct engine *e, const struct track *t, const char *path, enum dw_op op)
{
	struct told_name *told = touch_told(e, t, path);

	if (!told)
		return;
	if (op == DW_OP_INVALID || op == DW_OP_MKDIR)
		told->is_dir = true;
	else if (op != DW_OP_RMDIR)
		told->is_dir = false;
	if (op != DW_OP_INVALID)
		told->ops |= 1u << op;
}

static void expire_told(struct engine *e, uint64_t now_ns)
{
	struct told_name *told, *next;

	HASH_ITER (hh, e->told, told, next) {
		if (told->expires_ns > now_ns)
			continue;
		HASH_DEL(e->told, told);
		free(told->key);
		free(told);
	}
}

/* --- pending creations --- */

struct pending_create *engine_find_pending(const struct engine *e, uint32_t dev, uint64_t ino)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct pending_create *p;

	HASH_FIND(hh, e->pending, &key, sizeof(key), p);
	return p;
}

void engine_drop_pending(struct engine *e, struct pending_create *p)
{
	HASH_DEL(e->pending, p);
	free(p);
}

void engine_keep_pending(struct engine *e, const struct dw_op_record *r)
{
	struct pending_create *p = engine_find_pending(e, r->dev, r->ino);

	if (!p) {
		if (HASH_COUNT(e->pending) >= ENGINE_MAX_PENDING)
			return; /* the tree will find it and tell it as derived */
		p = calloc(1, sizeof(*p));
		if (!p)
			return;
		p->key = (struct dw_inode){.ino = r->ino, .dev = r->dev};
		HASH_ADD(hh, e->pending, key, sizeof(p->key), p);
	}
	forget_creation(e, &p->key); /* a new life of the inode number */
	p->record = *r;
	p->expires_ns = clock_mono_ns() + PENDING_NS;
}

void engine_note_mark(struct engine *e, uint32_t dev, uint64_t ino, const struct tree_cause *cause)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct recent_mark *m;

	HASH_FIND(hh, e->marks, &key, sizeof(key), m);
	if (!m) {
		if (HASH_COUNT(e->marks) >= ENGINE_MAX_PENDING)
			return;
		m = calloc(1, sizeof(*m));
		if (!m)
			return;
		m->key = key;
		HASH_ADD(hh, e->marks, key, sizeof(m->key), m);
	}
	m->cause = *cause;
	m->expires_ns = clock_mono_ns() + ENGINE_EXPLAIN_NS;
}

const struct tree_cause *engine_find_mark(const struct engine *e, uint32_t dev, uint64_t ino)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct recent_mark *m;

	HASH_FIND(hh, e->marks, &key, sizeof(key), m);
	return m ? &m->cause : NULL;
}

void engine_expire(struct engine *e, uint64_t now_ns)
{
	struct pending_create *p, *next_p;
	struct explained *x, *next_x;
	struct recent_mark *m, *next_m;

	HASH_ITER (hh, e->pending, p, next_p)
		if (p->expires_ns <= now_ns)
			engine_drop_pending(
				e, p); /* never had a name that lasted: O_TMPFILE, copy-up */
	HASH_ITER (hh, e->explained, x, next_x) {
		if (x->expires_ns > now_ns)
			continue;
		HASH_DEL(e->explained, x);
		free(x->created_at);
		free(x);
	}
	HASH_ITER (hh, e->marks, m, next_m) {
		if (m->expires_ns > now_ns)
			continue;
		HASH_DEL(e->marks, m);
		free(m);
	}
	expire_told(e, now_ns);
}

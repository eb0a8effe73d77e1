/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_explain.c - what records of the last moments explain.
 *
 * By inode: operations the kernel side has told already, creations that wait for their
 * name, and who marked the inode dirty last; and by name, for what xfs tells before
 * there is an inode. Both are bounded; an entry too many only makes a line of tail less
 * precise.
 */
#include "agent/engine_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PENDING_NS (1500 * NS_PER_MSEC)

static struct recall *touch_told_of(struct engine *e, uint32_t dev, uint64_t ino, uint64_t wall_ns)
{
	struct recall *r = recall_make(&e->recalls, dev, ino);

	if (!r)
		return NULL;
	r->told_until_ns = e->now_ns + ENGINE_EXPLAIN_NS;
	if (r->told_wall_ns < wall_ns)
		r->told_wall_ns = wall_ns;
	return r;
}

static uint64_t told_at(const struct engine *e, const struct dw_op_record *r)
{
	return engine_wall_of_boot(e, r->boot_ns);
}

void engine_explain(struct engine *e, const struct dw_op_record *record)
{
	struct recall *r = touch_told_of(e, record->dev, record->ino, told_at(e, record));

	if (r)
		r->ops |= 1u << record->op;
}

void engine_explain_names(struct engine *e, uint32_t dev, uint64_t ino)
{
	struct recall *r = touch_told_of(e, dev, ino, 0);

	if (r)
		r->ops |= ENGINE_NAMES_CHANGED;
}

void engine_explain_creation(struct engine *e, const struct dw_op_record *record, const char *path)
{
	struct recall *r = touch_told_of(e, record->dev, record->ino, told_at(e, record));

	if (!r)
		return;
	r->ops |= 1u << record->op;
	free(r->created_at);
	r->created_at = strdup(path);
}

void engine_keep_origin(struct engine *e, uint32_t dev, uint64_t ino,
			const struct tree_cause *cause)
{
	struct recall *r = touch_told_of(e, dev, ino, cause->wall_ns);

	if (r && !r->origin.writer)
		r->origin = *cause;
}

const struct tree_cause *engine_find_origin(const struct engine *e, uint32_t dev, uint64_t ino)
{
	const struct recall *r = recall_find(&e->recalls, dev, ino);

	return r && r->origin.writer ? &r->origin : NULL;
}

const char *engine_created_at(const struct engine *e, uint32_t dev, uint64_t ino)
{
	const struct recall *r = recall_find(&e->recalls, dev, ino);

	return r ? r->created_at : NULL;
}

unsigned engine_explained_ops(const struct engine *e, uint32_t dev, uint64_t ino)
{
	const struct recall *r = recall_find(&e->recalls, dev, ino);

	return r ? r->ops : 0;
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

	if (!told && HASH_COUNT(e->told) < ENGINE_MAX_TOLD) {
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
		told->expires_ns = e->now_ns + ENGINE_EXPLAIN_NS;
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

struct recall *engine_find_pending(const struct engine *e, uint32_t dev, uint64_t ino)
{
	struct recall *r = recall_find(&e->recalls, dev, ino);

	return r && r->pending ? r : NULL;
}

/* What was told of the inode number's earlier life says nothing of this one; but its end. */
static void forget_told(struct recall *r)
{
	recall_forget_told(r, 1u << DW_OP_UNLINK | 1u << DW_OP_RMDIR);
}

void engine_forget_earlier(struct engine *e, uint32_t dev, uint64_t ino, uint64_t birth_wall_ns)
{
	struct recall *r = recall_find(&e->recalls, dev, ino);

	if (!r)
		return;
	if (r->told_wall_ns && engine_is_earlier(r->told_wall_ns, birth_wall_ns))
		forget_told(r);
	if (r->pending && engine_is_earlier(told_at(e, r->pending), birth_wall_ns))
		recall_drop_pending(r);
}

void engine_keep_pending(struct engine *e, const struct dw_op_record *record)
{
	struct recall *r = recall_make(&e->recalls, record->dev, record->ino);

	if (!r)
		return; /* the tree will find it and tell it as derived */
	forget_told(r);
	if (!r->pending)
		r->pending = malloc(sizeof(*r->pending));
	if (!r->pending)
		return;
	*r->pending = *record;
	r->pending_until_ns = e->now_ns + PENDING_NS;
}

/* --- who marked it --- */

void engine_note_mark(struct engine *e, uint32_t dev, uint64_t ino, const struct tree_cause *cause)
{
	struct recall *r = recall_make(&e->recalls, dev, ino);

	if (!r)
		return;
	r->mark = *cause;
	r->mark_until_ns = e->now_ns + ENGINE_EXPLAIN_NS;
}

const struct tree_cause *engine_find_mark(const struct engine *e, uint32_t dev, uint64_t ino)
{
	const struct recall *r = recall_find(&e->recalls, dev, ino);

	return r && r->mark_until_ns ? &r->mark : NULL;
}

void engine_expire(struct engine *e, uint64_t now_ns)
{
	recall_expire(&e->recalls, now_ns); /* a creation that never had a name that lasted */
	expire_told(e, now_ns);
}

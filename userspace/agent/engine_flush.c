/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_flush.c - the records and the verified changes of one flush become events.
 *
 * Records come first: they know the process and the moment. Each notes for its inode
 * which operation it explains; a change of the tree that nothing explains becomes a
 * derived event. Creations arrive without a name on file systems whose hook has none:
 * they wait for the tree, or for the record of their own removal, to name them.
 */
#include "agent/engine_internal.h"

#include <stdlib.h>
#include <string.h>

#define NEARBY 64 /* changes of one operation lie this close to each other */

/* --- records --- */

/* A pending creation has got its name. */
static void emit_creation(struct engine *e, struct track *t, struct pending_create *p, char *path,
			  size_t len)
{
	struct queued_op q = {.record = p->record, .path = path, .path_len = len};

	q.record.target = DW_TARGET_LAYER;
	q.record.flags &= (__u16)~DW_RECORD_WORKDIR;
	engine_explain(e, p->key.dev, p->key.ino, p->record.op);
	engine_drop_pending(e, p);
	engine_emit_op(e, t, &q);
}

/*
 * Copy-up makes its file in the work directory, and so does creation over a
 * whiteout: only the latter is a creation.
 */
static bool is_creation(const struct pending_create *p, const struct tree_node_info *info,
			enum tree_verdict before)
{
	if (!(p->record.flags & DW_RECORD_WORKDIR))
		return !info->has_lower || before == TREE_DELETED || info->verdict == TREE_ADDED;
	return info->verdict == TREE_ADDED || before == TREE_DELETED;
}

/* The tree may know the name already: the first scan ran between record and flush. */
static bool name_pending(struct engine *e, struct track *t, struct pending_create *p)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct tree_node *node = t->c->tree ? tree_find_ino(t->c->tree, p->key.ino) : NULL;
	struct tree_node_info info;

	if (!node)
		return false;
	tree_node_info(node, &info);
	if (!is_creation(p, &info, TREE_NONE))
		return false;
	tree_node_path(node, &path);
	emit_creation(e, t, p, path.data, path.len);
	return true;
}

static void handle_op(struct engine *e, struct queued_op *q)
{
	const struct dw_op_record *r = &q->record;
	struct track *t = engine_track_of_slot(e, r->container);
	struct pending_create *p;

	if (!t)
		return;
	if (r->flags & DW_RECORD_NO_PATH) {
		engine_keep_pending(e, r);
		p = engine_find_pending(e, r->dev, r->ino);
		if (p &&
		    !(r->flags & DW_RECORD_WORKDIR)) /* else only its change can tell what it is */
			name_pending(e, t, p);
		return;
	}
	if (r->flags & DW_RECORD_WORKDIR)
		return; /* overlayfs at work: the layer shows what came of it */
	if (r->op == DW_OP_EXEC) {
		engine_note_exec(e, t, q);
		return;
	}
	p = engine_find_pending(e, r->dev, r->ino);
	if (p && q->path && r->target == DW_TARGET_LAYER && !(p->record.flags & DW_RECORD_WORKDIR))
		emit_creation(e, t, p, q->path,
			      q->path_len); /* named by its first write or its removal */
	engine_explain(e, r->dev, r->ino, r->op);
	engine_emit_op(e, t, q);
}

/* --- changes --- */

void engine_on_tree_change(const struct tree_change *change, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct track *t = arg;
	struct engine *e = t->engine;
	struct queued_change *q;

	if (change->bits & TREE_CHANGE_APPEARED)
		t->labels_due = true;
	if (change->bits & TREE_CHANGE_INITIAL)
		return; /* not news; a pending creation finds it by inode */
	if (e->changes_len == ENGINE_MAX_QUEUED)
		return; /* counted by the ledger all the same: only its line in tail is missing */
	q = &e->changes[e->changes_len++];
	memset(q, 0, sizeof(*q));
	q->track = t;
	q->bits = change->bits;
	q->before = change->before;
	q->cause = change->cause;
	tree_node_info(change->node, &q->info);
	q->after = q->info.verdict;
	tree_node_path(change->node, &path);
	q->path_len = path.len;
	q->path = strbuf_take(&path);
	q->old_path = change->old_path ? strdup(change->old_path) : NULL;
}

/* "gone" is half of a rename, or of a replacement at the same name. */
static bool is_half(const struct engine *e, size_t i)
{
	const struct queued_change *gone = &e->changes[i];
	size_t first = i > NEARBY ? i - NEARBY : 0,
	       last = i + NEARBY < e->changes_len ? i + NEARBY : e->changes_len;

	for (size_t k = first; k < last; k++) {
		const struct queued_change *c = &e->changes[k];

		if (k == i || c->track != gone->track || !(c->bits & TREE_CHANGE_APPEARED) ||
		    !c->path)
			continue;
		if (c->old_path && c->info.st.st_ino == gone->info.st.st_ino &&
		    strcmp(c->old_path, gone->path) == 0)
			return true;
		if (c->path_len == gone->path_len && memcmp(c->path, gone->path, c->path_len) == 0)
			return true;
	}
	return false;
}

/*
 * A file of the image that is renamed is copied up first, and a whiteout takes its
 * old name. Returns that whiteout, to be told as one rename.
 */
static struct queued_change *find_old_name(struct engine *e, size_t i, uint32_t dev)
{
	const struct queued_change *c = &e->changes[i];
	size_t first = i > NEARBY ? i - NEARBY : 0;
	size_t last = i + NEARBY < e->changes_len ? i + NEARBY : e->changes_len;
	struct pending_create *p;

	if (!c->path || c->info.is_whiteout || c->after != TREE_ADDED ||
	    !(c->bits & TREE_CHANGE_APPEARED) ||
	    c->bits & (TREE_CHANGE_RENAMED | TREE_CHANGE_LINKED))
		return NULL;
	p = engine_find_pending(e, dev, c->info.st.st_ino);
	if (!p || !(p->record.flags & DW_RECORD_WORKDIR))
		return NULL;
	for (size_t k = first; k < last; k++) {
		struct queued_change *gone = &e->changes[k];

		if (gone->track == c->track && gone->info.is_whiteout && !gone->is_claimed &&
		    gone->path && gone->bits & (TREE_CHANGE_APPEARED | TREE_CHANGE_WHITEOUT))
			return gone;
	}
	return NULL;
}

/* What changes of one flush mean for each other, before any is told. */
static void relate_changes(struct engine *e)
{
	const unsigned names = TREE_CHANGE_RENAMED | TREE_CHANGE_LINKED | TREE_CHANGE_VANISHED;

	for (size_t i = 0; i < e->changes_len; i++) {
		struct queued_change *c = &e->changes[i], *gone;
		uint32_t dev = c->track->c->tree ? tree_dev(c->track->c->tree) : 0;

		if (c->bits & names)
			engine_explain(e, dev, c->info.st.st_ino, DW_OP_INVALID);
		gone = find_old_name(e, i, dev);
		if (!gone)
			continue;
		gone->is_claimed = true;
		c->bits |= TREE_CHANGE_RENAMED;
		c->old_path = strdup(gone->path);
	}
}

static void handle_change(struct engine *e, size_t i)
{
	struct queued_change *c = &e->changes[i];
	uint32_t dev = c->track->c->tree ? tree_dev(c->track->c->tree) : 0;
	uint64_t ino = c->info.st.st_ino;
	struct pending_create *p;
	enum dw_op op;

	if (!c->path || c->is_claimed || (c->bits & TREE_CHANGE_VANISHED && is_half(e, i)))
		return;
	p = c->bits & TREE_CHANGE_APPEARED ? engine_find_pending(e, dev, ino) : NULL;
	if (p && !c->info.is_whiteout && !(c->bits & (TREE_CHANGE_RENAMED | TREE_CHANGE_LINKED)) &&
	    is_creation(p, &c->info, c->before))
		emit_creation(e, c->track, p, c->path, c->path_len);
	op = engine_derive_op(c, engine_explained_ops(e, dev, ino));
	if (op != DW_OP_INVALID)
		engine_emit_derived(e, c, op);
}

static void drop_changes(struct engine *e)
{
	for (size_t i = 0; i < e->changes_len; i++) {
		free(e->changes[i].path);
		free(e->changes[i].old_path);
	}
	e->changes_len = 0;
}

static void drop_ops(struct engine *e)
{
	for (size_t i = 0; i < e->ops_len; i++) {
		free(e->ops[i].path);
		free(e->ops[i].path2);
	}
	e->ops_len = 0;
}

void engine_flush_events(struct engine *e)
{
	for (size_t i = 0; i < e->ops_len; i++)
		handle_op(e, &e->ops[i]);
	drop_ops(e);
	relate_changes(e);
	for (size_t i = 0; i < e->changes_len; i++)
		handle_change(e, i);
	drop_changes(e);
}

void engine_drop_queues(struct engine *e)
{
	drop_ops(e);
	drop_changes(e);
	engine_expire(e, UINT64_MAX);
}

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
#include <sys/stat.h>
#include <utlist.h>

/* --- records --- */

/* A pending creation has got its name. */
static void emit_creation(struct engine *e, struct track *t, struct recall *p, const char *path,
			  size_t len)
{
	struct queued_op q = {.record = *p->pending, .path = path, .path_len = len};

	q.record.target = DW_TARGET_LAYER;
	q.record.flags &= (__u16)~DW_RECORD_WORKDIR;
	recall_drop_pending(p);
	engine_explain_creation(e, &q.record, path);
	engine_emit_op(e, t, &q);
}

/*
 * Copy-up makes its file in the work directory, and so does creation over a
 * whiteout: only the latter is a creation.
 */
static bool is_creation(const struct recall *p, const struct tree_node_info *info,
			enum tree_verdict before)
{
	/* An inode number used again, for something else. */
	if (p->pending->mode && (p->pending->mode ^ info->st.st_mode) & S_IFMT)
		return false;
	if (!(p->pending->flags & DW_RECORD_WORKDIR))
		return !info->has_lower || before == TREE_DELETED || info->verdict == TREE_ADDED;
	return info->verdict == TREE_ADDED || before == TREE_DELETED;
}

/* The tree may know the name already: the first scan ran between record and flush. */
static void name_pending(struct engine *e, struct track *t, struct recall *p)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct tree_node *node = t->c->tree ? tree_find_ino(t->c->tree, p->key.ino) : NULL;
	struct tree_node_info info;

	if (!node)
		return;
	tree_node_info(node, &info);
	if (!is_creation(p, &info, TREE_NONE))
		return;
	tree_node_path(node, &path);
	emit_creation(e, t, p, path.data, path.len);
}

/* What neither a record nor a change of this flush has named. */
static void name_leftovers(struct engine *e)
{
	for (size_t i = 0; i < e->ops_len; i++) {
		const struct dw_op_record *r = &e->ops[i].record;
		struct track *t = engine_track_of_slot(e, r->container);
		struct recall *p;

		/* Of what is made in the work directory only a change tells what it is. */
		if (!t || !(r->flags & DW_RECORD_NO_PATH) || r->flags & DW_RECORD_WORKDIR)
			continue;
		p = engine_find_pending(e, r->dev, r->ino);
		if (p)
			name_pending(e, t, p);
	}
}

/* xfs tells names, before there is an inode or while there still is one. */
static bool is_by_name(const struct dw_op_record *r)
{
	return r->flags & DW_RECORD_PRE_EFFECT && !r->ino;
}

/* Directories whose removal is told by name: the change is what knows that they were some. */
static void note_vanished_dirs(struct engine *e)
{
	bool has_any = false;

	for (size_t i = 0; i < e->ops_len && !has_any; i++)
		has_any = is_by_name(&e->ops[i].record) && e->ops[i].record.op == DW_OP_UNLINK;
	for (size_t i = 0; i < e->changes_len && has_any; i++) {
		const struct queued_change *c = &e->changes[i];

		if (c->bits & TREE_CHANGE_VANISHED && S_ISDIR(c->info.st.st_mode) && c->path)
			engine_tell_name(e, c->track, c->path, DW_OP_INVALID);
	}
}

static bool was_dir(struct engine *e, struct track *t, const struct queued_op *q)
{
	const struct told_name *told = engine_find_told(e, t, q->path);
	struct tree_node *node = NULL;
	struct tree_node_info info;

	if (told)
		return told->is_dir;
	if (t->c->tree)
		node = tree_find_path(t->c->tree, q->path, q->path_len);
	if (!node)
		return false;
	tree_node_info(node, &info);
	return S_ISDIR(info.st.st_mode);
}

/* To xfs every removal is one of a name. */
static void name_removal(struct engine *e, struct track *t, struct queued_op *q)
{
	if (q->record.op != DW_OP_UNLINK || !was_dir(e, t, q))
		return;
	q->record.op = DW_OP_RMDIR;
	t->c->derived_ops[DW_OP_RMDIR]++;
	t->c->derived_ops[DW_OP_UNLINK]--; /* beneath 0: the kernel side has counted it */
}

static void tell_names(struct engine *e, struct track *t, struct queued_op *q)
{
	if (q->path && q->record.target == DW_TARGET_LAYER) {
		name_removal(e, t, q);
		engine_tell_name(e, t, q->path, q->record.op);
	}
	if (q->path2 && q->record.target == DW_TARGET_LAYER)
		engine_tell_name(e, t, q->path2, q->record.op);
}

/* Each operation explains one change. */
static unsigned take_told(const struct engine *e, const struct queued_change *c)
{
	struct told_name *told = engine_find_told(e, c->track, c->path);
	unsigned ops = told ? told->ops : 0;

	if (told && c->bits & (TREE_CHANGE_APPEARED | TREE_CHANGE_VANISHED))
		told->ops = 0;
	return ops;
}

static void handle_op(struct engine *e, struct queued_op *q)
{
	const struct dw_op_record *r = &q->record;
	struct track *t = engine_track_of_slot(e, r->container);
	struct recall *p;

	if (!t)
		return;
	if (r->flags & DW_RECORD_NO_PATH) {
		engine_keep_pending(e, r); /* a later record or the tree names it */
		return;
	}
	if (r->flags & DW_RECORD_WORKDIR)
		return; /* overlayfs at work: the layer shows what came of it */
	if (r->op == DW_OP_EXEC) {
		engine_note_exec(e, t, q);
		return;
	}
	p = engine_find_pending(e, r->dev, r->ino);
	/* Its first write, or its removal, names what was created. */
	if (p && q->path && r->target == DW_TARGET_LAYER &&
	    !(p->pending->flags & DW_RECORD_WORKDIR))
		emit_creation(e, t, p, q->path, q->path_len);
	if (is_by_name(r))
		tell_names(e, t, q);
	else
		engine_explain(e, r);
	engine_emit_op(e, t, q);
}

/* --- changes --- */

/* What a record said before the tree had the node is truer than its directory's mark. */
static void note_appearance(struct engine *e, struct track *t, const struct tree_change *change)
{
	const struct tree_cause *origin;
	struct tree_node_info info;
	uint32_t dev;

	t->labels_due = true;
	if (!t->c->tree)
		return; /* still being opened */
	dev = tree_dev(t->c->tree);
	tree_node_info(change->node, &info);
	engine_forget_earlier(e, dev, info.st.st_ino, info.birth_wall_ns);
	origin = engine_find_origin(e, dev, info.st.st_ino);
	if (origin && !info.is_whiteout)
		tree_node_set_cause(change->node, true, origin);
}

/* Written to, and changed before: nothing is derived from that, see attribute_of(). */
static bool is_growth(const struct tree_change *change)
{
	struct tree_node_info info;

	if (!tree_change_is_growth(change->bits))
		return false;
	if (change->bits & TREE_CHANGE_SIZE)
		return true;
	tree_node_info(change->node, &info);
	return info.st.st_mtim.tv_sec == info.st.st_ctim.tv_sec &&
	       info.st.st_mtim.tv_nsec == info.st.st_ctim.tv_nsec;
}

void engine_on_tree_change(const struct tree_change *change, void *arg)
{
	struct track *t = arg;
	struct engine *e = t->engine;
	struct queued_change *q;

	if (change->bits & TREE_CHANGE_APPEARED)
		note_appearance(e, t, change);
	if (change->bits & TREE_CHANGE_INITIAL)
		return; /* not news; a pending creation finds it by inode */
	if (is_growth(change))
		return;
	if (e->changes_len == ENGINE_MAX_QUEUED)
		return; /* counted by the ledger all the same: only its line in tail is missing */
	q = &e->changes[e->changes_len++];
	memset(q, 0, sizeof(*q));
	q->track = t;
	q->bits = change->bits;
	q->before = change->before;
	q->cause = change->cause;
	tree_node_info(change->node, &q->info);
	q->after = change->bits & TREE_CHANGE_VANISHED ? TREE_NONE : q->info.verdict;
	q->lower_is_dir = q->info.is_whiteout && S_ISDIR(tree_node_lower_mode(change->node));
	t->told_in = e->flushes;
	strbuf_reset(&e->scratch);
	tree_node_path(change->node, &e->scratch);
	q->path = arena_copy(&e->texts, strbuf_str(&e->scratch), e->scratch.len);
	q->path_len = q->path ? e->scratch.len : 0;
	q->old_path = engine_keep_text(e, change->old_path);
}

/* Created under another name, and found here: renamed in between. */
static void find_first_name(struct engine *e, struct queued_change *c, uint32_t dev)
{
	const char *first = engine_created_at(e, dev, c->info.st.st_ino);

	if (!first || c->old_path || c->after != TREE_ADDED || !(c->bits & TREE_CHANGE_APPEARED) ||
	    strcmp(first, c->path) == 0)
		return;
	c->old_path = engine_keep_text(e, first);
	if (c->old_path)
		c->bits |= TREE_CHANGE_RENAMED;
}

static void handle_change(struct engine *e, struct queued_change *c)
{
	uint32_t dev = c->track->c->tree ? tree_dev(c->track->c->tree) : 0;
	uint64_t ino = c->info.st.st_ino;
	struct recall *p;
	enum dw_op op;

	if (!c->path || c->is_claimed)
		return;
	p = c->bits & TREE_CHANGE_APPEARED ? engine_find_pending(e, dev, ino) : NULL;
	if (p && !c->info.is_whiteout && !(c->bits & (TREE_CHANGE_RENAMED | TREE_CHANGE_LINKED)) &&
	    is_creation(p, &c->info, c->before))
		emit_creation(e, c->track, p, c->path, c->path_len);
	find_first_name(e, c, dev);
	op = engine_derive_op(c, engine_explained_ops(e, dev, ino) | take_told(e, c));
	if (op != DW_OP_INVALID)
		engine_emit_derived(e, c, op);
}

static void drop_queued(struct engine *e)
{
	e->ops_len = e->changes_len = 0;
	e->flushes++;
	e->flush_held_ns = 0;
	arena_reset(&e->texts);
}

void engine_flush_events(struct engine *e)
{
	if (!e->ops_len && !e->changes_len)
		return;
	note_vanished_dirs(e);
	for (size_t i = 0; i < e->ops_len; i++)
		handle_op(e, &e->ops[i]);
	engine_relate_changes(e);
	for (size_t i = 0; i < e->changes_len; i++)
		handle_change(e, &e->changes[i]);
	name_leftovers(e);
	drop_queued(e);
}

/* Has a layer whose changes are queued more that is to be read now? */
static bool is_amid_reading(const struct engine *e, uint64_t now_ns)
{
	const struct track *t;

	DL_FOREACH (e->busy, t)
		if (t->told_in == e->flushes && t->work_due_ns && t->work_due_ns <= now_ns)
			return true;
	return false;
}

void engine_flush_events_once_read(struct engine *e)
{
	uint64_t now = clock_mono_ns();

	if (!e->ops_len && !e->changes_len)
		return;
	if (!e->flush_held_ns)
		e->flush_held_ns = now;
	if (e->changes_len > ENGINE_MAX_QUEUED / 2 ||
	    now - e->flush_held_ns >= ENGINE_COALESCE_MAX_NS || !is_amid_reading(e, now))
		engine_flush_events(e);
}

void engine_drop_queues(struct engine *e)
{
	drop_queued(e);
	arena_done(&e->texts);
	strbuf_done(&e->scratch);
	engine_expire(e, UINT64_MAX);
}

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

#include "base/clock.h"

#define PENDING_NS (1500 * NS_PER_MSEC)

/* --- what explains what --- */

static void explain(struct engine *e, uint32_t dev, uint64_t ino, enum dw_op op)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct explained *x;

	HASH_FIND(hh, e->explained, &key, sizeof(key), x);
	if (!x) {
		if (HASH_COUNT(e->explained) >= ENGINE_MAX_PENDING)
			return; /* an operation may then be told twice, as derived */
		x = calloc(1, sizeof(*x));
		if (!x)
			return;
		x->key = key;
		HASH_ADD(hh, e->explained, key, sizeof(x->key), x);
	}
	x->ops |= 1u << op;
	x->expires_ns = clock_mono_ns() + ENGINE_EXPLAIN_NS;
}

static unsigned explained_ops(const struct engine *e, uint32_t dev, uint64_t ino)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct explained *x;

	HASH_FIND(hh, e->explained, &key, sizeof(key), x);
	return x ? x->ops : 0;
}

static struct pending_create *find_pending(const struct engine *e, uint32_t dev, uint64_t ino)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	struct pending_create *p;

	HASH_FIND(hh, e->pending, &key, sizeof(key), p);
	return p;
}

static void drop_pending(struct engine *e, struct pending_create *p)
{
	HASH_DEL(e->pending, p);
	free(p);
}

void engine_expire(struct engine *e, uint64_t now_ns)
{
	struct pending_create *p, *next_p;
	struct explained *x, *next_x;

	HASH_ITER (hh, e->pending, p, next_p)
		if (p->expires_ns <= now_ns)
			drop_pending(e, p); /* never had a name that lasted: O_TMPFILE, copy-up */
	HASH_ITER (hh, e->explained, x, next_x) {
		if (x->expires_ns > now_ns)
			continue;
		HASH_DEL(e->explained, x);
		free(x);
	}
}

/* --- from records to events --- */

/* A volume's or tmpfs' path starts at its own root: put the mount point in front. */
static void add_mount_point(const struct track *t, const struct dw_op_record *r, struct strbuf *out)
{
	const struct container *meta = t->c->meta;

	for (size_t i = 0; i < meta->mounts_len; i++) {
		const struct container_mount *m = &meta->mounts[i];
		bool same = r->target == DW_TARGET_VOLUME
				    ? m->kind == MOUNT_VOLUME && m->dev == r->root_dev &&
					      m->root_ino == r->root_ino
				    : m->kind == MOUNT_TMPFS && m->dev == r->dev;

		if (!same)
			continue;
		if (strcmp(m->destination, "/") != 0)
			strbuf_adds(out, m->destination);
		return;
	}
}

static void fill_stat(struct event *event, const struct tree_node_info *info)
{
	event->has_stat = true;
	event->ino = info->st.st_ino;
	event->mode = info->st.st_mode;
	event->uid = info->st.st_uid;
	event->gid = info->st.st_gid;
	event->size = (uint64_t)info->st.st_size;
	event->change = info->verdict;
	event->is_runtime = info->is_runtime;
}

static uint64_t writer_of(struct engine *e, const struct dw_op_record *r)
{
	return engine_writer(e, r->writer, r->tgid, r->uid, r->comm, r->cgroup_id,
			     r->flags & DW_RECORD_RUNTIME);
}

/* Attribution for the file lists: who created or first wrote this node. */
static struct tree_node *note_on_node(struct engine *e, struct track *t, const struct queued_op *q,
				      uint64_t writer, struct event *event)
{
	struct tree_cause cause = {.writer = writer, .wall_ns = event->wall_ns};
	struct tree_node *node = NULL;
	struct tree_node_info info;

	(void)e;
	if (!t->c->tree || !q->path)
		return NULL;
	node = tree_find_path(t->c->tree, q->path, q->path_len);
	if (!node)
		return NULL;
	if (q->record.op != DW_OP_UNLINK && q->record.op != DW_OP_EXEC)
		tree_node_add_writes(node, 0, 0, &cause, &cause);
	tree_node_info(node, &info);
	fill_stat(event, &info);
	return node;
}

/* The syscall and vfs tiers count by overlay inode: remember the upper inode behind it. */
static void note_alias(struct engine *e, struct track *t, const struct dw_op_record *r,
		       struct tree_node *node)
{
	struct dw_inode key = {.ino = r->ino, .dev = r->dev};
	struct tree_node_info info;
	struct alias *a;

	if (!node || !t->c->tree || r->dev == tree_dev(t->c->tree))
		return;
	HASH_FIND(hh, e->aliases, &key, sizeof(key), a);
	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return;
		a->key = key;
		HASH_ADD(hh, e->aliases, key, sizeof(a->key), a);
	}
	tree_node_info(node, &info);
	a->upper_ino = info.st.st_ino;
}

static void emit_op(struct engine *e, struct track *t, const struct queued_op *q)
{
	const struct dw_op_record *r = &q->record;
	uint64_t writer = writer_of(e, r);
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct event event = {
		.type = EVENT_DRIFT,
		.container = t->c,
		.wall_ns = clock_wall_of_boot(r->boot_ns),
		.op = r->op,
		.target = r->target < DW_TARGET_MAX ? r->target : DW_TARGET_OTHER,
		.path_truncated = r->flags & DW_RECORD_PATH_TRUNCATED,
		.mode = r->mode,
		.ino = r->ino,
		.cgroup_id = r->cgroup_id,
		.is_runtime = r->flags & DW_RECORD_RUNTIME,
		.bytes = r->bytes,
		.old_path = q->path2,
		.old_path_len = q->path2_len,
	};

	if (event.target == DW_TARGET_LAYER)
		note_alias(e, t, r, note_on_node(e, t, q, writer, &event));
	else
		add_mount_point(t, r, &path);
	strbuf_add(&path, q->path ? q->path : "", q->path_len);
	event.path = strbuf_str(&path);
	event.path_len = path.len;
	event.writer = writers_get(ledger_writers(e->ledger), writer);
	if (event.target == DW_TARGET_LAYER && r->op != DW_OP_EXEC)
		t->c->last_drift_wall_ns = event.wall_ns;
	engine_emit(e, &event);
}

static void keep_pending(struct engine *e, const struct dw_op_record *r)
{
	struct pending_create *p = find_pending(e, r->dev, r->ino);

	if (!p) {
		if (HASH_COUNT(e->pending) >= ENGINE_MAX_PENDING)
			return; /* the tree will find it and tell it as derived */
		p = calloc(1, sizeof(*p));
		if (!p)
			return;
		p->key = (struct dw_inode){.ino = r->ino, .dev = r->dev};
		HASH_ADD(hh, e->pending, key, sizeof(p->key), p);
	}
	p->record = *r;
	p->expires_ns = clock_mono_ns() + PENDING_NS;
}

/* A pending creation has got its name. */
static void emit_creation(struct engine *e, struct track *t, struct pending_create *p, char *path,
			  size_t len)
{
	struct queued_op q = {.record = p->record, .path = path, .path_len = len};

	explain(e, p->key.dev, p->key.ino, p->record.op);
	drop_pending(e, p);
	emit_op(e, t, &q);
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
		keep_pending(e, r);
		p = find_pending(e, r->dev, r->ino);
		if (p)
			name_pending(e, t, p);
		return;
	}
	if (r->op == DW_OP_EXEC) {
		engine_note_exec(e, t, q);
		return;
	}
	p = find_pending(e, r->dev, r->ino);
	if (p && q->path && r->target == DW_TARGET_LAYER && !(p->record.flags & DW_RECORD_WORKDIR))
		emit_creation(e, t, p, q->path,
			      q->path_len); /* named by its first write or its removal */
	explain(e, r->dev, r->ino, r->op);
	emit_op(e, t, q);
}

/* --- from changes to events --- */

void engine_on_tree_change(const struct tree_change *change, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct track *t = arg;
	struct engine *e = t->engine;
	struct queued_change *q;

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
	size_t first = i > 64 ? i - 64 : 0,
	       last = i + 64 < e->changes_len ? i + 64 : e->changes_len;

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

static void emit_derived(struct engine *e, const struct queued_change *c, enum dw_op op)
{
	struct track *t = c->track;
	struct event event = {
		.type = EVENT_DRIFT,
		.container = t->c,
		.wall_ns = c->cause.wall_ns,
		.op = op,
		.derived = true,
		.path = c->path,
		.path_len = c->path_len,
	};

	fill_stat(&event, &c->info);
	event.change = c->after;
	if (c->old_path && (op == DW_OP_RENAME || op == DW_OP_LINK)) {
		event.old_path = c->old_path;
		event.old_path_len = strlen(c->old_path);
	}
	event.writer = writers_get(ledger_writers(e->ledger), c->cause.writer);
	if (event.writer)
		event.cgroup_id = event.writer->cgroup_id;
	t->c->derived_ops[op]++;
	t->c->last_drift_wall_ns = event.wall_ns ? event.wall_ns : clock_wall_ns();
	engine_emit(e, &event);
}

static void handle_change(struct engine *e, size_t i)
{
	struct queued_change *c = &e->changes[i];
	uint32_t dev = c->track->c->tree ? tree_dev(c->track->c->tree) : 0;
	uint64_t ino = c->info.st.st_ino;
	struct pending_create *p;
	enum dw_op op;

	if (!c->path)
		return;
	if (c->bits & TREE_CHANGE_VANISHED && is_half(e, i))
		return;
	p = c->bits & TREE_CHANGE_APPEARED ? find_pending(e, dev, ino) : NULL;
	if (p && !c->info.is_whiteout && is_creation(p, &c->info, c->before)) {
		emit_creation(e, c->track, p, c->path, c->path_len);
		if (c->bits & TREE_CHANGE_RENAMED)
			return;
	}
	op = engine_derive_op(c, explained_ops(e, dev, ino));
	if (op != DW_OP_INVALID)
		emit_derived(e, c, op);
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

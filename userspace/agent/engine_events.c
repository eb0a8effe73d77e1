/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_events.c - one record, or one verified change, as an event.
 */
#include "agent/engine_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

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

void engine_fill_stat(struct event *event, const struct tree_node_info *info)
{
	event->has_stat = !info->is_whiteout;
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

/*
 * A record names the process; the directory's mark, which made the node, only guesses
 * it. So a creation, and the first write soon after a node came, say who was first.
 */
static bool is_origin(const struct dw_op_record *r, const struct tree_node_info *info,
		      uint64_t wall_ns)
{
	switch (r->op) {
	case DW_OP_CREATE:
	case DW_OP_MKDIR:
	case DW_OP_SYMLINK:
	case DW_OP_MKNOD:
		return true;
	case DW_OP_WRITE:
	case DW_OP_TRUNCATE:
		return info->has_lower && !info->write_calls &&
		       info->first_wall_ns + NS_PER_SEC > wall_ns;
	default:
		return false;
	}
}

/* Attribution for the file lists. */
static void note_on_node(struct engine *e, struct track *t, const struct queued_op *q,
			 uint64_t writer, struct event *event)
{
	struct tree_cause cause = {.writer = writer, .wall_ns = event->wall_ns};
	struct tree_node *node = NULL;
	struct tree_node_info info;

	if (t->c->tree && q->path)
		node = tree_find_at(t->c->tree, q->record.ino, q->path, q->path_len);
	if (!node) {
		if (t->c->tree) /* read later: then it is to be known who was first */
			engine_keep_origin(e, tree_dev(t->c->tree), q->record.ino, &cause);
		return;
	}
	tree_node_info(node, &info);
	if (is_origin(&q->record, &info, event->wall_ns))
		tree_node_set_cause(node, true, &cause);
	else if (q->record.op != DW_OP_UNLINK)
		tree_node_add_writes(node, 0, 0, NULL, &cause);
	engine_fill_stat(event, &info);
}

void engine_emit_op(struct engine *e, struct track *t, const struct queued_op *q)
{
	const struct dw_op_record *r = &q->record;
	uint64_t writer = writer_of(e, r);
	auto_strbuf struct strbuf path = STRBUF_INIT; /* of what is not in the layer */
	struct event event = {
		.type = EVENT_DRIFT,
		.container = t->c,
		.wall_ns = engine_wall_of_boot(e, r->boot_ns),
		.op = r->op,
		.target = r->target < DW_TARGET_MAX ? r->target : DW_TARGET_OTHER,
		.path_truncated = r->flags & DW_RECORD_PATH_TRUNCATED,
		.mode = r->mode,
		.ino = r->ino,
		.cgroup_id = r->cgroup_id,
		.is_runtime = r->flags & DW_RECORD_RUNTIME,
		.bytes = r->bytes,
		.path = q->path ? q->path : "",
		.path_len = q->path_len,
		.old_path = q->path2,
		.old_path_len = q->path2_len,
	};

	if (event.target == DW_TARGET_LAYER) {
		note_on_node(e, t, q, writer, &event);
	} else if (engine_has_subscriber(e)) {
		add_mount_point(t, r, &path);
		strbuf_add(&path, event.path, event.path_len);
		event.path = strbuf_str(&path);
		event.path_len = path.len;
	}
	if (engine_has_subscriber(e))
		event.writer = writers_get(ledger_writers(e->ledger), writer);
	if (event.target == DW_TARGET_LAYER && r->op != DW_OP_EXEC)
		t->c->last_drift_wall_ns = event.wall_ns;
	engine_emit(e, &event);
}

/*
 * The inode itself knows better than its directory who renamed, linked or whited it out.
 * Its mark may be lost: who copied a file up for its new name is known from that as well.
 */
static struct tree_cause cause_of(struct engine *e, const struct queued_change *c)
{
	uint32_t dev = c->track->c->tree ? tree_dev(c->track->c->tree) : 0;
	struct recall *p = engine_find_pending(e, dev, c->info.st.st_ino);
	const struct tree_cause *mark = engine_find_mark(e, dev, c->info.st.st_ino);
	bool has_mark =
		mark && mark->writer && !engine_is_earlier(mark->wall_ns, c->info.birth_wall_ns);
	struct tree_cause cause = c->cause;

	if (p && (c->info.is_whiteout || (c->is_copied_up && !has_mark))) {
		cause.writer = writer_of(e, p->pending);
		cause.wall_ns = engine_wall_of_boot(e, p->pending->boot_ns);
	} else if (has_mark) {
		cause = *mark;
	}
	return cause;
}

/* The list of files names the same writer as the event. */
static void note_cause(struct track *t, const struct queued_change *c,
		       const struct tree_cause *cause)
{
	struct tree_node *node;

	if (cause->writer == c->cause.writer || !t->c->tree || c->bits & TREE_CHANGE_VANISHED)
		return;
	node = tree_find_at(t->c->tree, c->info.st.st_ino, c->path, c->path_len);
	if (node)
		tree_node_set_cause(node, c->bits & TREE_CHANGE_APPEARED, cause);
}

void engine_emit_derived(struct engine *e, const struct queued_change *c, enum dw_op op)
{
	struct tree_cause cause = cause_of(e, c);
	struct track *t = c->track;
	struct event event = {
		.type = EVENT_DRIFT,
		.container = t->c,
		.wall_ns = cause.wall_ns,
		.op = op,
		.derived = true,
		.path = c->path,
		.path_len = c->path_len,
	};

	engine_fill_stat(&event, &c->info);
	event.change = c->after;
	if (c->old_path && (op == DW_OP_RENAME || op == DW_OP_LINK)) {
		event.old_path = c->old_path;
		event.old_path_len = strlen(c->old_path);
	}
	event.writer = writers_get(ledger_writers(e->ledger), cause.writer);
	if (event.writer)
		event.cgroup_id = event.writer->cgroup_id;
	note_cause(t, c, &cause);
	t->c->derived_ops[op]++;
	t->c->last_drift_wall_ns = event.wall_ns ? event.wall_ns : clock_wall_ns();
	engine_emit(e, &event);
}

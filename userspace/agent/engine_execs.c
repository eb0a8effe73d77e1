/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_execs.c - executions of drifted files, told once and counted.
 */
#include "agent/engine_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static struct tree_node *drifted_node(const struct track *t, const char *path,
				      struct tree_node_info *info)
{
	struct tree_node *node =
		t->c->tree && path ? tree_find_path(t->c->tree, path, strlen(path)) : NULL;

	if (!node)
		return NULL;
	tree_node_info(node, info);
	if (info->verdict != TREE_ADDED && info->verdict != TREE_MODIFIED)
		return NULL;
	return node;
}

static void emit_exec(struct engine *e, struct track *t, const struct queued_op *q,
		      const struct tree_node_info *info)
{
	const struct dw_op_record *r = &q->record;
	struct event event = {
		.type = EVENT_DRIFT,
		.container = t->c,
		.wall_ns = clock_wall_of_boot(r->boot_ns),
		.op = DW_OP_EXEC,
		.path = q->path,
		.path_len = q->path_len,
		.cgroup_id = r->cgroup_id,
	};
	uint64_t writer =
		engine_writer(e, r->writer, r->tgid, r->uid, r->comm, r->cgroup_id, false);

	engine_fill_stat(&event, info);
	event.writer = writers_get(ledger_writers(e->ledger), writer);
	engine_emit(e, &event);
}

static struct executed *find_exec(struct track *t, uint32_t dev, uint64_t ino)
{
	for (size_t i = 0; i < t->execs_len; i++)
		if (t->execs[i].overlay_dev == dev && t->execs[i].ino == ino)
			return &t->execs[i];
	return NULL;
}

static void remember_exec(struct track *t, const struct queued_op *q)
{
	struct executed *x = find_exec(t, q->record.dev, q->record.ino);
	struct executed *bigger;

	if (x || t->execs_len >= ENGINE_MAX_EXECS)
		return;
	bigger = realloc(t->execs, (t->execs_len + 1) * sizeof(*bigger));
	if (!bigger)
		return;
	t->execs = bigger;
	x = &t->execs[t->execs_len];
	*x = (struct executed){.ino = q->record.ino, .overlay_dev = q->record.dev};
	x->path = strdup(q->path);
	if (x->path)
		t->execs_len++;
}

/* The kernel reports an inode's first execution (a script's every one) and counts the rest. */
void engine_note_exec(struct engine *e, struct track *t, const struct queued_op *q)
{
	struct tree_node_info info;

	if (!q->path || q->path[0] != '/')
		return; /* a script by a relative name: not resolvable from outside */
	if (!(q->record.flags & DW_RECORD_SCRIPT))
		remember_exec(t, q);
	if (!drifted_node(t, q->path, &info))
		return;
	if (q->record.flags & DW_RECORD_SCRIPT)
		t->c->new_executable_runs++;
	else
		engine_count_execs(e, t);
	emit_exec(e, t, q, &info);
}

/*
 * Runs while it was the image's own do not count later. That it was can be said only of those
 * before a moment up to which all is told and looked at: a new file may yet be unknown.
 */
static void note_own(struct engine *e, const struct track *t, struct executed *x, uint64_t runs)
{
	if (x->own && probe_has_told(e->probe, &x->own_then) && t->c->tree &&
	    tree_is_settled(t->c->tree))
		x->seen = x->own;
	x->own = runs;
	probe_note_moment(e->probe, &x->own_then);
}

void engine_count_execs(struct engine *e, struct track *t)
{
	struct tree_node_info info;
	uint64_t runs;

	for (size_t i = 0; i < t->execs_len; i++) {
		struct executed *x = &t->execs[i];

		if (probe_read_execs(e->probe, x->overlay_dev, x->ino, &runs) || runs <= x->seen)
			continue;
		if (!drifted_node(t, x->path, &info)) {
			note_own(e, t, x, runs);
			continue;
		}
		t->c->new_executable_runs += runs - x->seen;
		x->seen = runs;
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_records.c - records of the kernel side: marks go to the trees, hints to the
 * registry, operations into the queue of this flush.
 */
#include "agent/engine_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define DRAIN_BATCH 4096
#define SWEEP_SHARE 10 /* sweeping takes at most one part in so many */

/* --- writers --- */

static void copy_comm(char *ret, const char *comm)
{
	memcpy(ret, comm, DW_COMM_LEN);
	ret[DW_COMM_LEN - 1] = '\0';
}

/* The map knows the executable and more; the record alone is the second best. */
uint64_t engine_writer(struct engine *e, uint64_t kernel_id, uint32_t tgid, uint32_t uid,
		       const char *comm, uint64_t cgroup_id, bool is_runtime)
{
	struct writers *writers = ledger_writers(e->ledger);
	uint64_t number = kernel_id ? writers_by_kernel_id(writers, kernel_id) : 0;
	struct dw_writer known;
	struct writer w = {0};

	if (number)
		return number;
	if (kernel_id && probe_read_writer(e->probe, kernel_id, &known) == 0) {
		w = (struct writer){
			.start_boot_ns = known.start_boot_ns,
			.cgroup_id = known.cgroup_id,
			.tgid = (pid_t)known.tgid,
			.vpid = (pid_t)known.vpid,
			.ppid = (pid_t)known.ppid,
			.uid = known.uid,
			.is_runtime = known.flags & DW_RECORD_RUNTIME,
			.executable =
				known.exe_len > 2 ? known.exe : NULL, /* "/": a memfd has no path */
		};
		known.exe[DW_EXE_MAX - 1] = '\0';
		copy_comm(w.comm, known.comm);
		return writers_add(writers, kernel_id, &w);
	}
	if (!tgid)
		return 0;
	w.tgid = (pid_t)tgid;
	w.uid = uid;
	w.cgroup_id = cgroup_id;
	w.is_runtime = is_runtime;
	copy_comm(w.comm, comm);
	return writers_add(writers, 0,
			   &w); /* not under the kernel's number: the map may know later */
}

/* --- dirty marks --- */

struct mark {
	uint32_t dev;
	uint64_t ino;
	struct tree_cause cause;
	bool is_begun; /* the change may be still to come */
};

static bool mark_track(struct track *t, const struct mark *m)
{
	if (!t || !t->c->tree || tree_dev(t->c->tree) != m->dev ||
	    !tree_find_ino(t->c->tree, m->ino))
		return false;
	tree_mark(t->c->tree, m->ino, &m->cause, m->is_begun);
	engine_want_work(t, t->engine->now_ns);
	return true;
}

static int mark_any(struct ledger_container *c, void *arg)
{
	mark_track(c->engine_data, arg);
	return 0;
}

/* Its record was refused: until it is read again the list may be wrong. */
static int mark_swept(struct ledger_container *c, void *arg)
{
	if (mark_track(c->engine_data, arg))
		c->incomplete |= 1u << LOSS_DIRTY_FULL;
	return 0;
}

struct leaving {
	const struct mark *mark;
	size_t left, refused; /* by trees that have the inode */
};

static int leave_in_tree(struct ledger_container *c, void *arg)
{
	struct leaving *l = arg;

	if (!c->tree || tree_dev(c->tree) != l->mark->dev || !tree_find_ino(c->tree, l->mark->ino))
		return 0;
	if (tree_leave_marked(c->tree, l->mark->ino, &l->mark->cause))
		l->left++;
	else
		l->refused++;
	return 0;
}

/* Nobody waits for the truth about a file that is written to all the time. */
static bool leave_marked(struct engine *e, const struct dw_dirty_record *r, const struct mark *m)
{
	struct leaving l = {.mark = m};

	if (e->is_asked || r->flags & DW_RECORD_PRE_EFFECT)
		return false;
	ledger_foreach(e->ledger, leave_in_tree, &l);
	return l.left && !l.refused;
}

static void on_dirty(struct engine *e, const struct dw_dirty_record *r)
{
	struct mark m = {.dev = r->dev, .ino = r->ino};
	bool has_begun;

	m.cause.wall_ns = engine_wall_of_boot(e, r->boot_ns);
	/* The record names who made it dirty; a kernel thread writes pages back. */
	if (r->writer)
		m.cause.writer = engine_writer(e, r->writer > 1 ? r->writer : 0, r->tgid, r->uid,
					       r->comm, r->cgroup_id, r->flags & DW_RECORD_RUNTIME);
	if (leave_marked(e, r, &m))
		return;
	probe_take_dirty(e->probe, r->slot, &has_begun);
	m.is_begun = has_begun || r->flags & DW_RECORD_PRE_EFFECT;
	engine_note_mark(e, r->dev, r->ino, &m.cause);
	/* Not only who had it watched first: its number may be another container's by now. */
	ledger_foreach(e->ledger, mark_any, &m);
}

static void on_swept(uint32_t dev, uint64_t ino, long slot, void *arg)
{
	struct engine *e = arg;
	uint64_t kernel_id = probe_take_dirty(e->probe, slot, NULL);
	struct mark m = {.dev = dev, .ino = ino, .is_begun = true};

	m.cause.wall_ns = clock_wall_ns();
	if (kernel_id > 1)
		m.cause.writer = engine_writer(e, kernel_id, 0, 0, "", 0, false);
	if (m.cause.writer)
		engine_note_mark(e, dev, ino, &m.cause);
	ledger_foreach(e->ledger, mark_swept, &m);
}

void engine_sweep_dirty(struct engine *e, bool now)
{
	uint64_t start = clock_mono_ns();

	if (!probe_dirty_overflowed(e->probe) || (!now && start < e->next_sweep_ns))
		return;
	probe_sweep_dirty(e->probe, on_swept, e);
	e->next_sweep_ns = clock_mono_ns() + (clock_mono_ns() - start) * SWEEP_SHARE;
}

/* --- operations --- */

static const char *copy_path(struct engine *e, const char *path, size_t len)
{
	return len ? arena_copy(&e->texts, path, len) : NULL;
}

static void on_op(struct engine *e, const struct probe_record *r)
{
	struct queued_op *q;

	if (r->op->op == DW_OP_INVALID || r->op->op >= DW_OP_MAX)
		return;
	if (e->ops_len == ENGINE_MAX_QUEUED)
		engine_flush_events(e);
	q = &e->ops[e->ops_len++];
	q->record = *r->op;
	q->path = q->path2 = NULL;
	q->path_len = q->path2_len = 0;
	if (r->op->flags & DW_RECORD_NO_PATH)
		return;
	q->path = copy_path(e, r->path, r->path_len);
	q->path_len = q->path ? r->path_len : 0;
	q->path2 = copy_path(e, r->path2, r->path2_len);
	q->path2_len = q->path2 ? r->path2_len : 0;
}

static void on_record(const struct probe_record *r, void *arg)
{
	struct engine *e = arg;

	switch (r->type) {
	case DW_RECORD_DIRTY:
		on_dirty(e, r->dirty);
		break;
	case DW_RECORD_OP:
		on_op(e, r);
		break;
	case DW_RECORD_CGROUP:
		if (e->registry)
			registry_hint_cgroup(e->registry, r->cgroup->cgroup_id, r->path,
					     r->cgroup->op == DW_CGROUP_RMDIR);
		break;
	case DW_RECORD_SIGHT:
		if (e->registry)
			registry_hint_task(e->registry, (pid_t)r->sight->tgid,
					   r->sight->overlay_dev, r->sight->cgroup_id);
		break;
	case DW_RECORD_INVALID:
		break;
	}
}

int engine_drain(struct engine *e)
{
	int n = probe_drain(e->probe, DRAIN_BATCH, on_record, e);

	if (n == DRAIN_BATCH)
		e->flush_at_ns = e->now_ns; /* more wait: in the next step */
	engine_make_room_for_files(e);
	return n;
}

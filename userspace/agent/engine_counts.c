/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_counts.c - numbers of the kernel side: totals, per-file counts, executions.
 *
 * The kernel's per-file aggregates are cumulative. Folding adds to each node what
 * came since the last folding, so a count is exact however often it is asked for;
 * aggregates are moved out of the kernel only when their map fills up.
 */
#include "agent/engine_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define MAX_FOLDED     262144
#define REUSE_SLACK_NS (50 * NS_PER_MSEC)

/* --- totals --- */

static void subtract(struct dw_counters *a, const struct dw_counters *b)
{
	uint64_t *left = (uint64_t *)a;
	const uint64_t *right = (const uint64_t *)b;

	for (size_t i = 0; i < sizeof(*a) / sizeof(*left); i++)
		left[i] = left[i] >= right[i] ? left[i] - right[i] : 0;
}

static void take_counters(dw_container_t slot, const struct dw_counters *counters, void *arg)
{
	struct engine *e = arg;
	struct track *t = engine_track_of_slot(e, slot);

	if (!t || t->c->removed_wall_ns)
		return;
	t->c->counters = *counters;
	subtract(&t->c->counters, &t->c->counters_base);
	engine_count_execs(e, t);
}

void engine_refresh_counters(struct engine *e, struct ledger_container *c)
{
	struct dw_counters now;

	if (!e->probe)
		return;
	if (!c)
		probe_foreach_counters(e->probe, take_counters, e);
	else if (c->slot && probe_read_counters(e->probe, c->slot, &now) == 0)
		take_counters(c->slot, &now, e);
}

/* --- per-file counts --- */

static struct folded *folded_of(struct engine *e, const struct dw_file_key *key)
{
	struct folded *f;

	HASH_FIND(hh, e->folded, key, sizeof(*key), f);
	if (f || HASH_COUNT(e->folded) >= MAX_FOLDED)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->key = *key;
	HASH_ADD(hh, e->folded, key, sizeof(f->key), f);
	return f;
}

/* The same key may come from the hash and from every CPU's slot: sums, then the difference. */
static void gather(const struct dw_file_key *key, const struct dw_file_stats *s, void *arg)
{
	struct folded *f = folded_of(arg, key);

	if (!f)
		return;
	if (f->container && s->container && f->container != s->container)
		f->bytes = f->calls = 0; /* the number of a dead container's file, used again */
	f->new_bytes += s->bytes;
	f->new_calls += s->calls;
	f->container = s->container;
	f->target = s->target;
	f->overlay_dev = s->overlay_dev;
	if (s->first_boot_ns && (!f->first_boot_ns || s->first_boot_ns < f->first_boot_ns)) {
		f->first_boot_ns = s->first_boot_ns;
		f->first_writer = s->first_writer;
	}
	if (s->last_boot_ns >= f->last_boot_ns) {
		f->last_boot_ns = s->last_boot_ns;
		f->last_writer = s->last_writer;
	}
}

/* Of files written before the container was known, the overlay tells whose they are. */
static struct track *track_of(const struct engine *e, const struct folded *f)
{
	if (f->container || !f->overlay_dev)
		return engine_track_of_slot(e, f->container);
	for (size_t slot = 1; slot < e->slots_len; slot++)
		if (e->by_slot[slot] && e->by_slot[slot]->overlay_dev == f->overlay_dev)
			return e->by_slot[slot];
	return NULL;
}

static struct tree_node *node_of(const struct track *t, const struct folded *f)
{
	if (!t || !t->c->tree || (f->container && f->target != DW_TARGET_LAYER))
		return NULL;
	/*
	 * Every tier counts by the upper inode, and what is counted for the container's
	 * layer lies on its upper's file system, whatever number that has: a subvolume of
	 * btrfs shows stat another than the kernel's.
	 */
	if (!f->container && f->key.dev != tree_dev(t->c->tree))
		return NULL;
	return tree_find_ino(t->c->tree, f->key.ino);
}

static struct tree_cause cause_of(struct engine *e, uint64_t kernel_writer, uint64_t boot_ns)
{
	struct tree_cause cause = {0};

	cause.writer = engine_writer(e, kernel_writer, 0, 0, "", 0, false);
	cause.wall_ns = boot_ns ? clock_wall_of_boot(boot_ns) : 0;
	return cause;
}

static void emit_burst(struct engine *e, struct track *t, struct tree_node *node,
		       const struct folded *f, const struct tree_cause *last)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct tree_node_info info;
	struct event event = {
		.type = EVENT_WRITE,
		.container = t->c,
		.op = DW_OP_WRITE,
		.target = f->target < DW_TARGET_MAX ? f->target : DW_TARGET_OTHER,
		.wall_ns = last->wall_ns,
		.count = f->new_calls,
		.bytes = f->new_bytes,
	};

	tree_node_path(node, &path);
	tree_node_info(node, &info);
	event.path = strbuf_str(&path);
	event.path_len = path.len;
	engine_fill_stat(&event, &info);
	event.writer = writers_get(ledger_writers(e->ledger), last->writer);
	engine_emit(e, &event);
}

/* An inode number used again: writes from before the node's time are not its own. */
static bool is_of_earlier_file(const struct tree_node *node, const struct folded *f)
{
	struct tree_node_info info;

	tree_node_info(node, &info);
	return clock_wall_of_boot(f->last_boot_ns) + REUSE_SLACK_NS < info.birth_wall_ns;
}

/*
 * new_* hold the kernel's totals now: turn them into the difference, fold it.
 * A file that has no node (yet) keeps its difference for the next time.
 */
static void fold_one(struct engine *e, struct folded *f, bool drained)
{
	struct track *t = track_of(e, f);
	struct tree_node *node = node_of(t, f);
	uint64_t total_bytes = f->new_bytes, total_calls = f->new_calls;

	f->new_bytes = total_bytes > f->bytes ? total_bytes - f->bytes : 0;
	f->new_calls = total_calls > f->calls ? total_calls - f->calls : 0;
	if (node && f->new_calls + f->new_bytes && !is_of_earlier_file(node, f)) {
		struct tree_cause first = cause_of(e, f->first_writer, f->first_boot_ns);
		struct tree_cause last = cause_of(e, f->last_writer, f->last_boot_ns);

		tree_node_add_writes(node, f->new_bytes, f->new_calls, &first, &last);
		if (!t->work_due_ns) /* written, yet equal by stat: the tree compares contents */
			t->work_due_ns = clock_mono_ns();
		if (!f->container) /* the kernel has not counted it for anybody */
			probe_add_counts(e->probe, t->c->slot, DW_TARGET_LAYER, f->new_calls,
					 f->new_bytes);
		if (engine_has_raw_subscriber(e))
			emit_burst(e, t, node, f, &last);
		f->bytes = total_bytes;
		f->calls = total_calls;
	}
	f->new_bytes = f->new_calls = 0;
	if (drained) { /* the kernel starts again at 0 */
		HASH_DEL(e->folded, f);
		free(f);
	}
}

static void fold_all(struct engine *e, bool drained)
{
	struct folded *f, *next;

	HASH_ITER (hh, e->folded, f, next)
		if (f->new_bytes || f->new_calls)
			fold_one(e, f, drained);
}

void engine_fold_files(struct engine *e)
{
	if (!e->probe)
		return;
	probe_foreach_file(e->probe, gather, e);
	fold_all(e, false);
}

void engine_drain_files(struct engine *e)
{
	engine_fold_files(e);
	probe_drain_files(e->probe, gather, e);
	fold_all(e, true);
}

/*
 * Entries of the time before the container was known hold their files back: moved out
 * of the kernel once, later writes are listed under the container.
 */
void engine_adopt_files(struct engine *e, const struct track *t)
{
	const struct folded *f;
	bool has_any = false;

	if (!e->probe || !t->overlay_dev)
		return;
	engine_fold_files(e);
	for (f = e->folded; f && !has_any; f = f->hh.next)
		has_any = !f->container && f->overlay_dev == t->overlay_dev;
	if (has_any)
		engine_drain_files(e);
}

void engine_emit_bursts(struct engine *e)
{
	if (engine_has_raw_subscriber(e))
		engine_fold_files(e);
}

void engine_forget_counts(struct engine *e, const struct track *t)
{
	struct folded *f, *next;

	HASH_ITER (hh, e->folded, f, next) {
		if (!f->container || engine_track_of_slot(e, f->container) != t)
			continue;
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): uthash keeps its own list */
		HASH_DEL(e->folded, f);
		free(f);
	}
}

/* --- executions of drifted files --- */

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

void engine_count_execs(struct engine *e, struct track *t)
{
	struct tree_node_info info;
	uint64_t runs;

	for (size_t i = 0; i < t->execs_len; i++) {
		struct executed *x = &t->execs[i];

		if (probe_read_execs(e->probe, x->overlay_dev, x->ino, &runs) || runs <= x->seen)
			continue;
		if (drifted_node(t, x->path, &info))
			t->c->new_executable_runs += runs - x->seen;
		x->seen = runs; /* runs while it was the image's own do not count later */
	}
}

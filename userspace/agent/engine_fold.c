/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_fold.c - the kernel's per-file counts, folded into the nodes of the trees.
 *
 * They add up in the kernel until they are taken. Folding adds to each node what came since
 * the last folding, so a count is exact however often it is asked for. They are taken when
 * the ledger is saved, for what was taken would die with the agent, and when there are many:
 * what was folded in of each would have to be remembered here.
 */
#include "agent/engine_internal.h"
#include "agent/engine_state.h"

#include <stdlib.h>

#include "base/clock.h"

#define MAX_FOLDED   262144
#define MANY_FILES   8192 /* with a cell: counts are taken whenever they are asked for */
#define UNCLAIMED_NS (10 * NS_PER_SEC) /* counts of a file that has no node wait so long */

static struct folded_key key_of(const struct probe_file_key *file, dw_container_t container)
{
	return (struct folded_key){.file = *file, .container = container};
}

static struct folded *find_folded(const struct engine *e, const struct folded_key *key)
{
	struct folded *f;

	HASH_FIND(hh, e->folded, key, sizeof(*key), f);
	return f;
}

static struct folded *folded_of(struct engine *e, const struct folded_key *key)
{
	struct folded *f = find_folded(e, key);

	if (f || HASH_COUNT(e->folded) >= MAX_FOLDED)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->key = *key;
	HASH_ADD(hh, e->folded, key, sizeof(f->key), f);
	return f;
}

/* When and by whom, of what was counted. */
static void note(struct folded *f, const struct probe_file_counts *s)
{
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
	if (f->key.container || !f->overlay_dev)
		return engine_track_of_slot(e, f->key.container);
	for (size_t slot = 1; slot < e->slots_len; slot++)
		if (e->by_slot[slot] && e->by_slot[slot]->overlay_dev == f->overlay_dev)
			return e->by_slot[slot];
	return NULL;
}

static struct tree_node *node_of(const struct track *t, const struct folded *f)
{
	if (!t || !t->c->tree || (f->key.container && f->target != DW_TARGET_LAYER))
		return NULL;
	/*
	 * Every tier counts by the upper inode, and what is counted for the container's
	 * layer lies on its upper's file system, whatever number that has: a subvolume of
	 * btrfs shows stat another than the kernel's.
	 */
	if (!f->key.container && f->key.file.dev != tree_dev(t->c->tree))
		return NULL;
	return tree_find_ino(t->c->tree, f->key.file.ino);
}

static struct tree_cause cause_of(struct engine *e, uint64_t kernel_writer, uint64_t boot_ns)
{
	struct tree_cause cause = {0};

	cause.writer = engine_writer(e, kernel_writer, 0, 0, "", 0, false);
	cause.wall_ns = engine_wall_of_boot(e, boot_ns);
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
static bool is_of_earlier_file(const struct engine *e, const struct tree_node *node,
			       const struct folded *f)
{
	struct tree_node_info info;

	tree_node_info(node, &info);
	return engine_wall_of_boot(e, f->last_boot_ns) + ENGINE_REUSE_SLACK_NS < info.birth_wall_ns;
}

/*
 * new_* hold what is in the kernel now, which with what was drained is all that was ever
 * counted: the difference to what was folded in is new. A file that has no node (yet)
 * keeps its difference for the next time.
 */
static void fold_one(struct engine *e, struct folded *f)
{
	struct track *t = track_of(e, f);
	struct tree_node *node = node_of(t, f);
	uint64_t bytes = f->new_bytes + f->drained_bytes, calls = f->new_calls + f->drained_calls;
	struct tree_cause first, last;

	f->new_bytes = bytes > f->bytes ? bytes - f->bytes : 0;
	f->new_calls = calls > f->calls ? calls - f->calls : 0;
	if (!node || !(f->new_calls | f->new_bytes) || is_of_earlier_file(e, node, f))
		return;
	first = cause_of(e, f->first_writer, f->first_boot_ns);
	last = cause_of(e, f->last_writer, f->last_boot_ns);
	tree_node_add_writes(node, f->new_bytes, f->new_calls, &first, &last);
	if (!t->work_due_ns) /* written, yet equal by stat: the tree compares contents */
		engine_want_work(t, clock_mono_ns());
	/* Other tiers have totals of overlays nobody knew: probe_adopt_provisional(). */
	if (!f->key.container && probe_tier(e->probe) == PROBE_TIER_FS)
		probe_add_counts(e->probe, t->c->slot, DW_TARGET_LAYER, f->new_calls, f->new_bytes);
	if (engine_has_raw_subscriber(e))
		emit_burst(e, t, node, f, &last);
	f->bytes = bytes;
	f->calls = calls;
}

/*
 * Of no more use: all that was drained is folded in, and the kernel starts again at 0; or
 * nobody has claimed it for so long that the file is gone.
 */
static bool is_over(const struct folded *f, uint64_t boot_ns, bool in_kernel)
{
	if (in_kernel || !(f->drained_bytes | f->drained_calls))
		return false;
	if (f->bytes == f->drained_bytes && f->calls == f->drained_calls)
		return true;
	return boot_ns > f->last_boot_ns + UNCLAIMED_NS;
}

static void fold_all(struct engine *e)
{
	uint64_t boot_ns = clock_boot_ns();
	struct folded *f, *next;

	HASH_ITER (hh, e->folded, f, next) {
		bool in_kernel = f->new_bytes | f->new_calls;

		if (in_kernel || f->drained_bytes || f->drained_calls)
			fold_one(e, f);
		f->new_bytes = f->new_calls = 0;
		if (is_over(f, boot_ns, in_kernel)) {
			HASH_DEL(e->folded, f);
			free(f);
		}
	}
}

/* --- out of the kernel --- */

/* The same key may come from a cell and from every CPU's slot: sums, then the difference. */
static void gather(const struct probe_file_key *key, const struct probe_file_counts *s, void *arg)
{
	struct folded_key k = key_of(key, s->container);
	struct folded *f = folded_of(arg, &k);

	if (!f)
		return;
	note(f, s);
	f->new_bytes += s->bytes;
	f->new_calls += s->calls;
}

/* Fold in what is taken; false when it has no node (yet), and is to stay where it was. */
static bool take(const struct probe_file_key *key, const struct probe_file_counts *s, void *arg)
{
	struct folded_key k = key_of(key, s->container);
	struct folded once = {.key = k}, *f = find_folded(arg, &k);

	if (!f)
		f = &once;
	note(f, s);
	f->drained_bytes += s->bytes;
	f->drained_calls += s->calls;
	if (f != &once) /* some of it was folded in before: fold_all() knows how much */
		return true;
	fold_one(arg, f);
	return f->bytes == f->drained_bytes && f->calls == f->drained_calls;
}

/* What the kernel forgets, and may have to wait here for its node. */
static void take_all(const struct probe_file_key *key, const struct probe_file_counts *s, void *arg)
{
	struct folded_key k = key_of(key, s->container);
	struct engine *e = arg;
	struct folded *f;
	struct track *t;

	e->drained++;
	if (take(key, s, arg))
		return;
	f = folded_of(e, &k);
	if (f) {
		note(f, s);
		f->drained_bytes += s->bytes;
		f->drained_calls += s->calls;
		return;
	}
	t = engine_track_of_slot(e, s->container);
	if (t)
		engine_report_loss(e, t, LOSS_FILES_FULL, s->calls);
}

void engine_fold_files(struct engine *e)
{
	if (!e->probe)
		return;
	if (probe_files_used(e->probe) > MANY_FILES) {
		engine_take_files(e);
		engine_state_save_soon(e);
		return;
	}
	probe_foreach_file(e->probe, gather, e);
	fold_all(e);
}

void engine_take_files(struct engine *e)
{
	if (!e->probe)
		return;
	probe_take_files(e->probe, take, e);
	probe_foreach_slot(e->probe, gather, e);
	fold_all(e);
}

/* What was moved out would die with the agent. */
static void fold_moved(struct engine *e)
{
	engine_fold_files(e);
	engine_state_save_soon(e);
}

void engine_drain_files(struct engine *e)
{
	probe_drain_files(e->probe, take_all, e);
	fold_moved(e);
}

void engine_make_room_for_files(struct engine *e)
{
	if (probe_files_used(e->probe) <= probe_files_size(e->probe) / 32 * 27)
		return;
	probe_prune_files(e->probe, take_all, e);
	fold_moved(e);
}

void engine_adopt_files(struct engine *e, const struct track *t)
{
	const struct folded *f;
	bool has_any = false;

	if (!e->probe || !t->overlay_dev)
		return;
	for (f = e->folded; f && !has_any; f = f->hh.next)
		has_any = !f->key.container && f->overlay_dev == t->overlay_dev;
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
		if (!f->key.container || engine_track_of_slot(e, f->key.container) != t)
			continue;
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): uthash keeps its own list */
		HASH_DEL(e->folded, f);
		free(f);
	}
}

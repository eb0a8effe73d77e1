/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_track.c - containers come, change and go.
 *
 * The order matters: the kernel side is told whose a layer is before the layer is
 * read, so that nothing written in between is missed (attach first, then scan).
 */
#include "agent/engine_internal.h"
#include "agent/engine_state.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

/* --- slots: the first is nobody's --- */

int engine_init_slots(struct engine *e, size_t slots)
{
	e->slots_len = slots;
	e->by_slot = calloc(slots, sizeof(*e->by_slot));
	e->free_slots = calloc(slots, sizeof(*e->free_slots));
	return e->by_slot && e->free_slots ? 0 : -ENOMEM;
}

void engine_release_slot(struct engine *e, dw_container_t slot)
{
	e->free_slots[(e->free_head + e->free_len) % e->slots_len] = slot;
	e->free_len++;
}

/* All but those whose counters go on for a container of an earlier agent. */
void engine_fill_slots(struct engine *e)
{
	for (size_t slot = 1; slot < e->slots_len; slot++)
		if (!engine_state_is_reserved(e, (dw_container_t)slot))
			engine_release_slot(e, (dw_container_t)slot);
}

static void take_slot(struct engine *e, struct track *t)
{
	struct ledger_container *c = t->c;
	bool is_new = false;

	c->slot = engine_state_take_slot(e, c->meta->id, &c->counters_base, &c->seen_wall_ns);
	if (!c->slot && !e->free_len) {
		e->stats.containers_refused++;
		log_warning(
			"more than %zu containers: %s is listed but not counted (--max-containers)",
			e->slots_len - 1, container_label(c->meta));
		return;
	}
	if (!c->slot) {
		c->slot = e->free_slots[e->free_head];
		e->free_head = (e->free_head + 1) % e->slots_len;
		e->free_len--;
		if (e->probe)
			probe_read_counters(e->probe, c->slot, &c->counters_base);
		c->counts_pending = e->probe && probe_tier(e->probe) == PROBE_TIER_FS;
		is_new = true;
	}
	e->by_slot[c->slot] = t;
	if (is_new) /* may write down all of .by_slot */
		engine_state_note_slot(e, t);
}

static void give_slot_back(struct engine *e, struct track *t)
{
	dw_container_t slot = t->c->slot;

	if (!slot)
		return;
	e->by_slot[slot] = NULL;
	engine_release_slot(e, slot);
	t->c->slot = 0;
}

struct track *engine_track_of_slot(const struct engine *e, dw_container_t slot)
{
	return slot && slot < e->slots_len ? e->by_slot[slot] : NULL;
}

/* --- the tree --- */

static const char *fs_name(long magic)
{
	switch ((unsigned long)magic) {
	case EXT4_SUPER_MAGIC:
		return "ext4";
	case XFS_SUPER_MAGIC:
		return "xfs";
	case BTRFS_SUPER_MAGIC:
		return "btrfs";
	case TMPFS_MAGIC:
		return "tmpfs";
	default:
		return "other";
	}
}

/* Live lists need dirty events that are proven complete: ext4's and xfs's. */
static const char *why_not_live(struct engine *e, const char *fs)
{
	if (!e->probe)
		return "nothing is watched: lists are as of the last scan";
	if (strcmp(fs, "ext4") == 0 && probe_sees(e->probe, PROBE_SEES_DIRTY_EXT4))
		return NULL;
	if (strcmp(fs, "xfs") == 0 && !probe_want(e->probe, PROBE_SEES_DIRTY_XFS))
		return NULL;
	if (strcmp(fs, "xfs") == 0)
		return "xfs is not watched (doctor says why): lists are as of the last scan";
	return "the upper layer's file system reports no complete changes: lists are as of the "
	       "last scan";
}

/*
 * The fs tier counts where the file system reports its writes; elsewhere it sees none.
 * The roots of all subvolumes of a btrfs have one number: what is written beneath them is
 * counted by cgroup, as target "other".
 */
static unsigned unseen_on(const struct engine *e, const char *fs, bool is_whole)
{
	if (e->probe && is_whole && strcmp(fs, "btrfs") == 0)
		return 1u << PROBE_SEES_LAYER_WRITES;
	if (!e->probe || probe_tier(e->probe) != PROBE_TIER_FS || strcmp(fs, "ext4") == 0 ||
	    strcmp(fs, "xfs") == 0)
		return 0;
	return 1u << PROBE_SEES_LAYER_WRITES | 1u << PROBE_SEES_COPY_UP_BYTES;
}

/* Whoever removes something from a layer that nobody uses is about to remove all of it. */
static bool is_in_use(const struct container *meta)
{
	if (!meta->overlay.is_whole)
		return meta->overlay.dev != 0;
	return meta->state == CONTAINER_RUNNING || meta->state == CONTAINER_PAUSED;
}

/* A plain directory: the image is what was there when the container was made. */
static void limit_to_times(struct track *t, uint64_t *ret_image_wall_ns)
{
	const struct container *meta = t->c->meta;

	*ret_image_wall_ns = meta->created_wall_ns ? meta->created_wall_ns : meta->started_wall_ns;
	t->c->limits =
		t->is_scanned
			? "a plain directory: what is newer than the container, as of the last "
			  "scan; what was deleted before it was first seen is not listed"
			: "a plain directory: what is newer than the container; what was deleted "
			  "before it was first seen is not listed";
}

void engine_open_tree(struct engine *e, struct track *t)
{
	const struct container_overlay *o = &t->c->meta->overlay;
	auto_free char *upper = file_join(e->options.registry.host_root, o->upper);
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct layer_stack *stack = NULL;
	struct statfs fs = {0};
	int err;

	if (!upper)
		return;
	err = statfs(upper, &fs) ? -errno : 0;
	if (!err)
		err = layer_stack_open(e->options.registry.host_root, o->lowers, o->lowers_len,
				       &error, &stack);
	if (!err) {
		const char *fs_type = fs_name(fs.f_type);
		struct tree_options options = {
			.host_root = e->options.registry.host_root,
			.upper = o->upper,
			.stack = stack,
			.watcher = engine_watcher(t),
			.limits = {e->options.max_files, e->options.max_compare_bytes, &e->files},
			.on_change = engine_on_tree_change,
			.arg = t,
			.mounts_seen_ns = &e->mounts_seen_ns,
			.fs_type = fs_type,
		};

		layer_stack_set_whole(stack, o->is_whole);
		t->c->limits = why_not_live(e, fs_type);
		t->c->unseen = unseen_on(e, fs_type, o->is_whole);
		options.events_complete = !t->c->limits;
		t->is_scanned = t->c->limits;
		if (o->is_whole && !o->lowers_len)
			limit_to_times(t, &options.image_wall_ns);
		err = tree_open(&options, &t->c->tree);
	}
	if (err) {
		if (!(t->c->incomplete & 1u << LOSS_WALK_FAILED))
			engine_report_loss(e, t, LOSS_WALK_FAILED, 1);
		log_debug("cannot read the layer of %s: %s %s", t->c->meta->id, strbuf_str(&error),
			  strerror(-err));
		return;
	}
	t->c->incomplete &= ~(1u << LOSS_WALK_FAILED);
	t->is_mounted = is_in_use(t->c->meta);
	tree_set_mounted(t->c->tree, t->is_mounted);
	t->last_rescan_ns = clock_mono_ns();
	engine_want_work(t, t->last_rescan_ns);
}

/* --- announcements --- */

static void announce(struct engine *e, struct track *t, enum event_type type)
{
	struct event event = {.type = type, .container = t->c};

	engine_emit(e, &event);
}

static void announce_state(struct engine *e, struct track *t)
{
	enum container_state state = t->c->meta->state;
	bool running = state == CONTAINER_RUNNING || state == CONTAINER_PAUSED;

	if (running && !t->was_running)
		announce(e, t, EVENT_CONTAINER_START);
	else if (!running && t->was_running)
		announce(e, t, EVENT_CONTAINER_STOP);
	t->was_running = running;
}

/* Its end: what it has written is looked at while it is still there. */
static void set_mounted(struct engine *e, struct track *t)
{
	bool is_mounted = is_in_use(t->c->meta);

	if (!is_mounted && t->is_mounted)
		engine_take_left(e);
	t->is_mounted = is_mounted;
	tree_set_mounted(t->c->tree, is_mounted);
}

/* Bring everything that depends on the description in line with it. */
static void apply(struct engine *e, struct track *t)
{
	const struct container *meta = t->c->meta;

	t->labels_due = true;
	engine_attach(e, t);
	if (!t->c->tree && meta->overlay.upper && !t->c->removed_wall_ns)
		engine_open_tree(e, t);
	else if (t->c->tree)
		set_mounted(e, t);
	announce_state(e, t);
}

int engine_track(struct engine *e, const struct container *meta, struct ledger_container **ret)
{
	struct ledger_container *c = ledger_find_id(e->ledger, meta->id);
	struct track *t;
	int err;

	if (c && c->removed_wall_ns)
		engine_forget(e, c->engine_data); /* a new life under an old id */
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	err = ledger_add(e->ledger, meta, &c);
	if (err) {
		free(t);
		return err;
	}
	t->engine = e;
	t->c = c;
	c->engine_data = t;
	engine_be_busy(t); /* also without a layer: it is known once that is */
	take_slot(e, t);
	apply(e, t);
	if (ret)
		*ret = c;
	return 0;
}

static void untrack(struct engine *e, struct track *t)
{
	struct ledger_container *c = t->c;

	if (c->removed_wall_ns)
		return;
	engine_refresh_counters(e, c);
	engine_fold_files(e);
	engine_audit_forget(e, t);
	c->removed_wall_ns = clock_wall_ns();
	e->removed_len++;
	c->meta->state = CONTAINER_REMOVED;
	engine_flush_events(e);
	if (c->tree)
		tree_freeze(c->tree);
	engine_detach(e, t);
	announce_state(e, t);
	announce(e, t, EVENT_CONTAINER_REMOVE);
}

void engine_forget(struct engine *e, struct track *t)
{
	engine_flush_events(e); /* queued changes point at the track */
	engine_audit_forget(e, t);
	engine_detach(e, t);
	engine_forget_counts(e, t);
	if (t->prev)
		DL_DELETE(e->busy, t);
	give_slot_back(e, t);
	e->removed_len -= t->c->removed_wall_ns != 0;
	ledger_remove(e->ledger, t->c);
	for (size_t i = 0; i < t->execs_len; i++)
		free(t->execs[i].path);
	free(t->execs);
	free(t);
}

/* How a test that fills a table has it for its own containers: all others are left out. */
static bool is_left_out(const struct container *meta)
{
	const char *below = getenv("DRIFTWATCH_ONLY_BELOW"), *upper = meta->overlay.upper;

	return below && (!upper || strncmp(upper, below, strlen(below)) != 0);
}

void engine_on_registry(enum registry_change change, const struct container *meta, void *arg)
{
	struct engine *e = arg;
	struct ledger_container *c = ledger_find_id(e->ledger, meta->id);

	if (change == REGISTRY_REMOVED) {
		if (c && !((struct track *)c->engine_data)->is_own)
			untrack(e, c->engine_data);
		return;
	}
	if (!c || c->removed_wall_ns) {
		if (!is_left_out(meta))
			engine_track(e, meta, NULL);
		return;
	}
	if (ledger_update(c, meta) == 0)
		apply(e, c->engine_data);
}

int engine_add_own(struct engine *e, const struct container *meta, struct ledger_container **ret)
{
	struct ledger_container *c;
	int err = engine_track(e, meta, &c);

	if (err)
		return err;
	((struct track *)c->engine_data)->is_own = true;
	if (ret)
		*ret = c;
	return 0;
}

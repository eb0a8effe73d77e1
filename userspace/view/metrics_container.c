/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metrics_container.c - the families that have series per container.
 *
 * What a container's tier cannot see has no series; what it can see is there from
 * the first scrape on, at 0, so that increase() finds the first event too.
 */
#include "view/json.h"
#include "view/metrics_internal.h"

typedef void (*emit_fn)(struct metrics *m, const struct scraped_container *s);

static void emit_info(struct metrics *m, const struct scraped_container *s)
{
	metrics_u64(m, &s->info_labels, 1);
}

static void emit_time(struct metrics *m, const struct scraped_container *s, uint64_t wall_ns)
{
	if (wall_ns)
		metrics_seconds(m, &s->labels, wall_ns);
}

static void emit_created(struct metrics *m, const struct scraped_container *s)
{
	emit_time(m, s, s->c->meta->created_wall_ns);
}

static void emit_started(struct metrics *m, const struct scraped_container *s)
{
	emit_time(m, s, s->c->meta->started_wall_ns);
}

static void emit_image_created(struct metrics *m, const struct scraped_container *s)
{
	emit_time(m, s, s->c->meta->image_created_wall_ns);
}

static void emit_last_drift(struct metrics *m, const struct scraped_container *s)
{
	emit_time(m, s, s->c->last_drift_wall_ns);
}

static void emit_complete(struct metrics *m, const struct scraped_container *s)
{
	metrics_u64(m, &s->labels, ledger_container_is_complete(s->c));
}

static void emit_lost(struct metrics *m, const struct scraped_container *s)
{
	for (int i = 0; i < LOSS_MAX; i++)
		metrics_u64_by(m, &s->labels, "reason", loss_reason_name(i), s->c->lost[i]);
}

static void emit_rescans(struct metrics *m, const struct scraped_container *s)
{
	for (int i = 0; i < LOSS_MAX; i++)
		metrics_u64_by(m, &s->labels, "reason", loss_reason_name(i), s->c->rescans[i]);
}

static void emit_drift_files(struct metrics *m, const struct scraped_container *s)
{
	if (!s->c->tree)
		return;
	metrics_u64_by(m, &s->labels, "change", "added", s->counts.added);
	metrics_u64_by(m, &s->labels, "change", "modified", s->counts.modified);
	metrics_u64_by(m, &s->labels, "change", "deleted", s->counts.deleted);
}

static void emit_drift_bytes(struct metrics *m, const struct scraped_container *s)
{
	if (s->c->tree)
		metrics_u64(m, &s->labels, s->counts.bytes);
}

static void emit_drift_executables(struct metrics *m, const struct scraped_container *s)
{
	if (s->c->tree)
		metrics_u64(m, &s->labels, s->counts.executables);
}

static void emit_truncated(struct metrics *m, const struct scraped_container *s)
{
	if (s->c->tree)
		metrics_u64(m, &s->labels, s->counts.unlisted != 0);
}

static void emit_unlisted(struct metrics *m, const struct scraped_container *s)
{
	if (s->c->tree)
		metrics_u64(m, &s->labels, s->counts.unlisted);
}

static void emit_targets(struct metrics *m, const struct scraped_container *s,
			 const __u64 numbers[DW_TARGET_MAX])
{
	for (int t = 0; t < DW_TARGET_MAX; t++) {
		if (view_sees(s->probe, s->c, view_sight_of_target(t)))
			metrics_u64_by(m, &s->labels, "target", event_target_name(t), numbers[t]);
	}
}

static void emit_write_calls(struct metrics *m, const struct scraped_container *s)
{
	emit_targets(m, s, s->c->counters.write_calls);
}

static void emit_written_bytes(struct metrics *m, const struct scraped_container *s)
{
	emit_targets(m, s, s->c->counters.write_bytes);
}

static void emit_copied_up(struct metrics *m, const struct scraped_container *s)
{
	if (view_sees(s->probe, s->c, PROBE_SEES_COPY_UP_BYTES))
		metrics_u64(m, &s->labels, s->c->counters.copied_up_bytes);
}

static enum probe_sight sight_of_op(enum dw_op op)
{
	switch (op) {
	case DW_OP_WRITE:
		return PROBE_SEES_LAYER_WRITES;
	case DW_OP_LINK:
		return PROBE_SEES_LINK;
	case DW_OP_UNLINK:
	case DW_OP_RMDIR:
		return PROBE_SEES_UNLINK;
	case DW_OP_RENAME:
		return PROBE_SEES_RENAME;
	case DW_OP_TRUNCATE:
	case DW_OP_FALLOCATE:
		return PROBE_SEES_TRUNCATE;
	case DW_OP_CHMOD:
	case DW_OP_CHOWN:
	case DW_OP_UTIMES:
	case DW_OP_XATTR:
		return PROBE_SEES_ATTR;
	default:
		return PROBE_SEES_CREATE;
	}
}

/* What a verified change of the layer can be told to have been. */
static bool is_derivable(enum dw_op op)
{
	return op != DW_OP_WRITE && op != DW_OP_TRUNCATE && op != DW_OP_FALLOCATE;
}

/* Executions of files of the image are counted too, so they are no events of the layer. */
static void emit_file_events(struct metrics *m, const struct scraped_container *s)
{
	for (int op = DW_OP_INVALID + 1; op < DW_OP_MAX; op++) {
		uint64_t count = s->c->counters.ops[op] + s->c->derived_ops[op];

		if (op == DW_OP_EXEC)
			continue;
		if (count || view_sees(s->probe, s->c, sight_of_op(op)) ||
		    (s->probe && s->c->tree && is_derivable(op)))
			metrics_u64_by(m, &s->labels, "op", event_op_name(op), count);
	}
}

static void emit_new_executable_runs(struct metrics *m, const struct scraped_container *s)
{
	if (s->c->new_executable_runs || view_sees(s->probe, s->c, PROBE_SEES_EXEC))
		metrics_u64(m, &s->labels, s->c->new_executable_runs);
}

static const struct container_family {
	const char *name;
	enum metric_type type;
	emit_fn emit;
	const char *help;
} families[] = {
	{"driftwatch_container", METRIC_INFO, emit_info,
	 "Identity of a container; join with group_left on container_id"},
	{"driftwatch_container_created_timestamp_seconds", METRIC_GAUGE, emit_created,
	 "When the writable layer was made"},
	{"driftwatch_container_start_time_seconds", METRIC_GAUGE, emit_started,
	 "When the container was last started"},
	{"driftwatch_container_image_created_timestamp_seconds", METRIC_GAUGE, emit_image_created,
	 "When the image was made, as its configuration says"},
	{"driftwatch_container_complete", METRIC_GAUGE, emit_complete,
	 "0 while something was lost and has not been read again"},
	{"driftwatch_container_truncated", METRIC_GAUGE, emit_truncated,
	 "1 when the list of files has met its bound: names are missing then"},
	{"driftwatch_container_unlisted_files", METRIC_GAUGE, emit_unlisted,
	 "Added files that are counted but not listed, for want of room"},
	{"driftwatch_container_drift_files", METRIC_GAUGE, emit_drift_files,
	 "Files in the writable layer that differ from the image"},
	{"driftwatch_container_drift_bytes", METRIC_GAUGE, emit_drift_bytes,
	 "Bytes of the regular files in the writable layer"},
	{"driftwatch_container_drift_executables", METRIC_GAUGE, emit_drift_executables,
	 "Added and modified executable files"},
	{"driftwatch_container_last_drift_timestamp_seconds", METRIC_GAUGE, emit_last_drift,
	 "When the list of drift last changed"},
	{"driftwatch_container_write_calls", METRIC_COUNTER, emit_write_calls,
	 "Write calls that wrote something, by where they landed"},
	{"driftwatch_container_written_bytes", METRIC_COUNTER, emit_written_bytes,
	 "Bytes written, by where they landed"},
	{"driftwatch_container_copied_up_bytes", METRIC_COUNTER, emit_copied_up,
	 "Bytes that overlayfs copied up, written by nobody"},
	{"driftwatch_container_file_events", METRIC_COUNTER, emit_file_events,
	 "Operations on files of the layer"},
	{"driftwatch_container_new_executable_runs", METRIC_COUNTER, emit_new_executable_runs,
	 "Executions of files of the writable layer"},
	{"driftwatch_container_events_lost", METRIC_COUNTER, emit_lost,
	 "Changes that could not be delivered"},
	{"driftwatch_ledger_rescans", METRIC_COUNTER, emit_rescans,
	 "Layers read again after a loss; without labels of a container: of those gone since"},
};

#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

uint64_t metrics_count_container(const struct scraped_container *s)
{
	struct metrics m = {0};

	for (size_t i = 0; i < FAMILY_COUNT; i++)
		families[i].emit(&m, s);
	return m.series;
}

uint64_t metrics_count_missing(const struct scraped_container *s)
{
	struct ledger_container with_slot = *s->c;
	struct scraped_container copy = *s;

	if (!s->probe || s->c->slot || s->c->removed_wall_ns)
		return 0;
	with_slot.slot = 1;
	copy.c = &with_slot;
	return metrics_count_container(&copy) - metrics_count_container(s);
}

/* Containers forgotten since: with them the sum over all labels never falls. */
static void add_forgotten_rescans(struct metrics *m, const struct scrape *scrape)
{
	auto_strbuf struct strbuf labels = STRBUF_INIT;
	const uint64_t *all = scrape->input->rescans;

	if (!all)
		return;
	metrics_label(&labels, "container_id", "");
	metrics_label(&labels, "namespace", "");
	metrics_label(&labels, "pod", "");
	metrics_label(&labels, "container", "");
	for (int i = 0; i < LOSS_MAX; i++) {
		uint64_t known = scrape->rescans[i];

		metrics_u64_by(m, &labels, "reason", loss_reason_name(i),
			       all[i] > known ? all[i] - known : 0);
	}
}

void metrics_add_containers(struct metrics *m, const struct scrape *scrape)
{
	for (size_t i = 0; i < FAMILY_COUNT; i++) {
		metrics_family(m, families[i].name, families[i].type, families[i].help);
		for (size_t k = 0; k < scrape->shown; k++)
			families[i].emit(m, &scrape->containers[k]);
		if (families[i].emit == emit_rescans)
			add_forgotten_rescans(m, scrape);
	}
}

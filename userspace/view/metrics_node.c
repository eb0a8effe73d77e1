/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metrics_node.c - what a scrape says about the node and about driftwatch itself.
 */
#include <stdlib.h>
#include <string.h>

#include "container/registry.h"
#include "view/json.h"
#include "view/metrics_internal.h"

/* Rows of one label, in which equal names are one: no series may come twice. */
struct row {
	char *name;
	uint64_t values[4];
};

struct rows {
	struct row *rows;
	size_t len;
};

static struct row *find_row(struct rows *table, const char *name)
{
	struct row *rows;

	for (size_t i = 0; i < table->len; i++) {
		if (!strcmp(table->rows[i].name, name))
			return &table->rows[i];
	}
	rows = reallocarray(table->rows, table->len + 1, sizeof(*rows));
	if (!rows)
		return NULL;
	table->rows = rows;
	rows[table->len] = (struct row){.name = strdup(name)};
	return rows[table->len].name ? &rows[table->len++] : NULL;
}

static void rows_done(struct rows *table)
{
	for (size_t i = 0; i < table->len; i++)
		free(table->rows[i].name);
	free(table->rows);
}

static void add_rows(struct metrics *m, const struct rows *table, const char *key, size_t column)
{
	for (size_t i = 0; i < table->len; i++) {
		auto_strbuf struct strbuf labels = STRBUF_INIT;

		metrics_label(&labels, key, table->rows[i].name);
		metrics_u64(m, &labels, table->rows[i].values[column]);
	}
}

static void add_build(struct metrics *m, const struct view_metrics_input *input)
{
	auto_strbuf struct strbuf labels = STRBUF_INIT;
	enum probe_tier tier = input->probe ? probe_tier(input->probe) : PROBE_TIER_AUTO;

	metrics_label(&labels, "version", input->version);
	metrics_label(&labels, "revision", input->revision);
	metrics_label(&labels, "libbpf", probe_libbpf_version());
	metrics_label(&labels, "tier", input->probe ? probe_tier_name(tier) : "none");
	metrics_family(m, "driftwatch_build", METRIC_INFO,
		       "Build and tier: vfs-fexit, vfs-kprobe, fs or syscall");
	metrics_u64(m, &labels, 1);
}

static void add_sights(struct metrics *m, const struct probe *probe)
{
	if (!probe)
		return;
	metrics_family(m, "driftwatch_tier_sees", METRIC_GAUGE,
		       "What the tier can see; a counter it cannot see is absent, never 0");
	for (int i = 0; i < PROBE_SEES_MAX; i++)
		metrics_u64_by(m, NULL, "what", probe_sight_name(i), probe_sees(probe, i));
	metrics_family(
		m, "driftwatch_self_test", METRIC_GAUGE,
		"Whether the hooks saw writes to an overlay of the agent's own: the one with 1");
	for (int i = PROBE_SELF_TEST_NOT_RUN; i <= PROBE_SELF_TEST_FAILED; i++)
		metrics_u64_by(m, NULL, "result", probe_self_test_name(i),
			       probe_self_test_result(probe, NULL) == (enum probe_self_test)i);
}

/* Records refused, summed over all slots: those of containers gone since count too. */
static void sum_lost(dw_container_t slot, const struct dw_counters *counters, void *arg)
{
	struct dw_counters *sum = arg;

	(void)slot;
	sum->files_unlisted += counters->files_unlisted;
	sum->paths_truncated += counters->paths_truncated;
}

static void add_lost(struct metrics *m, const struct probe *probe,
		     const struct probe_health *health)
{
	struct dw_counters sum = {0};

	probe_foreach_counters(probe, sum_lost, &sum);
	metrics_family(m, "driftwatch_ringbuf_events_lost", METRIC_COUNTER,
		       "Records that were refused or arrived incomplete");
	metrics_u64_by(m, NULL, "reason", "ringbuf_full", health->records_lost);
	metrics_u64_by(m, NULL, "reason", "map_full", sum.files_unlisted);
	metrics_u64_by(m, NULL, "reason", "path_too_long", sum.paths_truncated);
	metrics_u64_by(m, NULL, "reason", "malformed", health->records_malformed);
}

static void add_maps(struct metrics *m, const struct view_metrics_input *input,
		     const struct probe_health *health)
{
	metrics_family(m, "driftwatch_map_entries", METRIC_GAUGE, "Entries in use");
	metrics_u64_by(m, NULL, "map", "watched", health->watched_used);
	metrics_u64_by(m, NULL, "map", "files", health->files_used);
	metrics_u64_by(m, NULL, "map", "containers", health->containers_used);
	metrics_family(m, "driftwatch_map_capacity", METRIC_GAUGE, "Entries there is room for");
	metrics_u64_by(m, NULL, "map", "watched", health->watched_size);
	metrics_u64_by(m, NULL, "map", "files", health->files_size);
	metrics_u64_by(m, NULL, "map", "containers", health->containers_size);
	metrics_u64_by(m, NULL, "map", "writers", health->writers_size);
	metrics_family(m, "driftwatch_map_memory_bytes", METRIC_GAUGE, "Kernel memory of all maps");
	metrics_u64(m, NULL, health->map_bytes);
	metrics_family(m, "driftwatch_writers", METRIC_GAUGE, "Processes remembered as writers");
	metrics_u64(m, NULL, writers_count(ledger_writers(input->ledger)));
	metrics_family(m, "driftwatch_writers_dropped", METRIC_COUNTER,
		       "Writers that were not remembered, for want of room");
	metrics_u64(m, NULL, writers_dropped(ledger_writers(input->ledger)));
}

static void note_program(const struct probe_program *program, void *arg)
{
	struct row *row = find_row(arg, program->name);

	if (!row)
		return;
	row->values[0] += program->missed;
	row->values[1] += program->runs;
	row->values[2] += program->run_ns;
	row->values[3] = program->instructions;
}

/* Run counts are 0 unless the kernel was told to take them: then they are not shown. */
static void add_run_counts(struct metrics *m, const struct rows *programs)
{
	uint64_t runs = 0;

	for (size_t i = 0; i < programs->len; i++)
		runs += programs->rows[i].values[1];
	if (!runs)
		return;
	metrics_family(m, "driftwatch_program_runs", METRIC_COUNTER,
		       "Runs of each BPF program (kernel.bpf_stats_enabled)");
	add_rows(m, programs, "program", 1);
	metrics_family(m, "driftwatch_program_run_seconds", METRIC_COUNTER,
		       "Time spent in each BPF program (kernel.bpf_stats_enabled)");
	for (size_t i = 0; i < programs->len; i++) {
		auto_strbuf struct strbuf labels = STRBUF_INIT;

		metrics_label(&labels, "program", programs->rows[i].name);
		metrics_seconds(m, &labels, programs->rows[i].values[2]);
	}
}

static void add_kernel(struct metrics *m, const struct view_metrics_input *input)
{
	struct rows programs = {0};
	struct probe_health health = {0};

	if (!input->probe)
		return;
	if (!probe_read_health(input->probe, &health)) {
		metrics_family(m, "driftwatch_ringbuf_events_received", METRIC_COUNTER,
			       "Records that arrived from the kernel side");
		metrics_u64(m, NULL, health.records_received);
		add_lost(m, input->probe, &health);
		add_maps(m, input, &health);
	}
	probe_foreach_program(input->probe, note_program, &programs);
	metrics_family(m, "driftwatch_program_missed", METRIC_COUNTER,
		       "Runs of a BPF program that the kernel skipped");
	add_rows(m, &programs, "program", 0);
	metrics_family(m, "driftwatch_program_instructions", METRIC_GAUGE,
		       "Length of a BPF program as the kernel has loaded it");
	add_rows(m, &programs, "program", 3);
	add_run_counts(m, &programs);
	rows_done(&programs);
}

static void note_source(const struct registry_source *source, void *arg)
{
	struct row *row = find_row(arg, source->kind);

	if (row)
		row->values[0] += source->errors;
}

static void add_registry(struct metrics *m, const struct view_metrics_input *input)
{
	struct rows sources = {0};

	metrics_family(m, "driftwatch_unresolved_cgroups", METRIC_GAUGE,
		       "Cgroups with events that belong to no known container");
	metrics_u64(m, NULL, input->unresolved_cgroups);
	if (!input->registry)
		return;
	registry_foreach_source(input->registry, note_source, &sources);
	metrics_family(m, "driftwatch_metadata_errors", METRIC_COUNTER,
		       "State files of runtimes that could not be read or understood");
	add_rows(m, &sources, "source", 0);
	rows_done(&sources);
}

static void add_ledger(struct metrics *m, const struct scrape *scrape)
{
	const struct view_metrics_input *input = scrape->input;

	metrics_family(m, "driftwatch_ledger_verifications", METRIC_COUNTER,
		       "Times a live list was compared with a scan of its layer");
	metrics_u64(m, NULL, input->verifications);
	metrics_family(m, "driftwatch_ledger_mismatch", METRIC_COUNTER,
		       "Differences that those comparisons found");
	metrics_u64(m, NULL, input->mismatches);
	metrics_family(m, "driftwatch_ledger_entries", METRIC_GAUGE,
		       "Entries of layers that are listed, of all containers");
	metrics_u64(m, NULL, input->files);
	metrics_family(m, "driftwatch_ledger_capacity", METRIC_GAUGE,
		       "Entries there is room for (--max-files-total)");
	metrics_u64(m, NULL, input->max_files_total);
	metrics_family(m, "driftwatch_containers_refused", METRIC_COUNTER,
		       "Containers without counters, for want of a free slot");
	metrics_u64(m, NULL, input->containers_refused);
	metrics_family(m, "driftwatch_series_dropped", METRIC_GAUGE,
		       "Series left out: past --max-series, or of containers past "
		       "--max-containers");
	metrics_u64_by(m, NULL, "reason", "max_series", scrape->dropped_series);
	metrics_u64_by(m, NULL, "reason", "max_containers", scrape->slotless_series);
}

static void add_config(struct metrics *m, const struct view_metrics_input *input)
{
	metrics_family(m, "driftwatch_config_last_reload_successful", METRIC_GAUGE,
		       "0 while a configuration that was refused waits for a better one");
	metrics_u64(m, NULL, input->reload_successful);
	if (!input->reload_wall_ns)
		return;
	metrics_family(m, "driftwatch_config_last_reload_success_timestamp_seconds", METRIC_GAUGE,
		       "When the configuration was last taken over");
	metrics_seconds(m, NULL, input->reload_wall_ns);
}

void metrics_add_node(struct metrics *m, const struct scrape *scrape)
{
	add_build(m, scrape->input);
	add_sights(m, scrape->input->probe);
	add_kernel(m, scrape->input);
	add_registry(m, scrape->input);
	add_ledger(m, scrape);
	add_config(m, scrape->input);
}

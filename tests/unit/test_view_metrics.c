/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_view_metrics.c - one scrape of a written-down ledger, in both formats.
 *
 * promtool (Debian: prometheus) is the judge of the plain text format.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake_probe.h"
#include "fake_tree.h"
#include "base/clock.h"
#include "view/view.h"

#define ALL_SIGHTS ((1ull << PROBE_SEES_MAX) - 1)

struct world {
	struct ledger *ledger;
	struct probe probe;
	struct registry registry;
	uint64_t rescans[LOSS_MAX];
	struct view_metrics_input input;
	struct strbuf out;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->ledger = ledger_new();
	w->probe = (struct probe){
		.sees = ALL_SIGHTS,
		.health = {.records_received = 10,
			   .records_lost = 3,
			   .containers_size = FAKE_SLOTS},
		.programs = {{"on_write", 1, 0, 0, 120},
			     {"on_write", 2, 0, 0, 120},
			     {"on_exec", 0, 0, 0, 9}},
		.programs_len = 3,
	};
	w->registry = (struct registry){
		.sources = {{.kind = "docker", .errors = 1}, {.kind = "docker", .errors = 4}},
		.sources_len = 2,
	};
	w->input = (struct view_metrics_input){
		.ledger = w->ledger,
		.probe = &w->probe,
		.registry = &w->registry,
		.version = "0.1.0",
		.revision = "abc",
		.rescans = w->rescans,
		.reload_successful = true,
		.reload_wall_ns = 1763751970255393601ull,
	};
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	strbuf_done(&w->out);
	ledger_free(w->ledger);
	free(w);
	return 0;
}

static struct ledger_container *add(struct world *w, const char *id, const char *name)
{
	struct container *meta = container_new(id, "docker");
	struct ledger_container *c = NULL;

	assert_non_null(meta);
	meta->name = strdup(name);
	meta->state = CONTAINER_RUNNING;
	assert_int_equal(ledger_add(w->ledger, meta, &c), 0);
	container_free(meta);
	c->slot = 1;
	c->tree = calloc(1, sizeof(*c->tree));
	return c;
}

static const char *scrape(struct world *w, bool openmetrics)
{
	strbuf_reset(&w->out);
	assert_int_equal(view_metrics(&w->input, openmetrics, &w->out), 0);
	return strbuf_str(&w->out);
}

static bool has_line(const char *body, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = body; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, line, len) && at[len] == '\n')
			return true;
	}
	fprintf(stderr, "missing: %s\n", line);
	return false;
}

static size_t count(const char *body, const char *part)
{
	size_t n = 0;

	for (const char *at = strstr(body, part); at; at = strstr(at + 1, part))
		n++;
	return n;
}

/* What promtool says of @body: 0 clean, 1 unreadable, 3 bad practice. */
static int ask_promtool(const char *body)
{
	FILE *pipe = popen("promtool check metrics >&2", "w");
	int status;

	assert_non_null(pipe);
	fputs(body, pipe);
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No two lines may have the same name and labels. */
static void check_no_duplicates(const char *body)
{
	char *copy = strdup(body), *rest = copy, *line;
	char **series = calloc(100000, sizeof(*series));
	size_t n = 0;

	assert_non_null(series);
	while ((line = strsep(&rest, "\n"))) {
		char *space = strrchr(line, ' ');

		if (*line == '#' || !space)
			continue;
		*space = '\0';
		assert_true(n < 100000);
		series[n++] = line;
	}
	qsort(series, n, sizeof(*series), compare_lines);
	for (size_t i = 1; i < n; i++) {
		if (!strcmp(series[i - 1], series[i]))
			fail_msg("twice: %s", series[i]);
	}
	free(series);
	free(copy);
}

static void a_scrape_with_hostile_names_is_clean(void **state)
{
	struct world *w = *state;
	struct ledger_container *c = add(w, "0123456789abcdef", "a\"b\\c\nd\xff");
	const char *body;

	c->meta->image = strdup("} 1\n# EOF\n\xf0\x28\x8c\xbc");
	c->meta->pod = strdup("\"");
	c->meta->pod_namespace = strdup("\\");
	c->meta->pod_container = strdup("{}=,");
	c->meta->created_wall_ns = 1763751970255393601ull;
	c->last_drift_wall_ns = 1763751970000000001ull;
	body = scrape(w, false);
	assert_int_equal(ask_promtool(body), 0);
	assert_non_null(strstr(body, "image=\"} 1\\n# EOF\\n\xef\xbf\xbd"));
	assert_true(has_line(body,
			     "driftwatch_container_created_timestamp_seconds{container_id="
			     "\"0123456789ab\",namespace=\"\\\\\",pod=\"\\\"\",container=\"{}="
			     ",\"} 1763751970.255393601"));
	check_no_duplicates(body);
}

static void every_counter_that_is_seen_starts_at_0(void **state)
{
	struct world *w = *state;
	const char *body;
#define LABELS "container_id=\"0123456789ab\",namespace=\"\",pod=\"\",container=\"web\""

	add(w, "0123456789abcdef", "web");
	body = scrape(w, false);
	assert_true(has_line(body, "driftwatch_container_written_bytes_total{" LABELS
				   ",target=\"layer\"} 0"));
	assert_true(has_line(body, "driftwatch_container_write_calls_total{" LABELS
				   ",target=\"other\"} 0"));
	assert_true(has_line(body, "driftwatch_container_new_executable_runs_total{" LABELS "} 0"));
	assert_true(has_line(body,
			     "driftwatch_container_drift_files{" LABELS ",change=\"deleted\"} 0"));
	assert_true(has_line(body,
			     "driftwatch_container_file_events_total{" LABELS ",op=\"rename\"} 0"));
	assert_true(has_line(body, "driftwatch_container_events_lost_total{" LABELS
				   ",reason=\"ring_full\"} 0"));
	assert_true(has_line(body, "driftwatch_container_copied_up_bytes_total{" LABELS "} 0"));
	assert_true(has_line(body, "driftwatch_container_complete{" LABELS "} 1"));
	/* Never happened: no time, rather than 1970. */
	assert_null(strstr(body, "driftwatch_container_last_drift_timestamp_seconds"));
}

static void what_the_tier_cannot_see_is_absent(void **state)
{
	struct world *w = *state;
	struct ledger_container *c = add(w, "0123456789abcdef", "web");
	const char *body;

	w->probe.sees = 1ull << PROBE_SEES_VOLUME_WRITES;
	c->counters.write_bytes[DW_TARGET_TMPFS] = 77;
	body = scrape(w, false);
	assert_int_equal(count(body, "driftwatch_container_written_bytes_total{"), 1);
	assert_int_equal(count(body, "target=\"volume\""), 2);
	assert_null(strstr(body, "copied_up"));
	assert_null(strstr(body, "new_executable_runs"));
	/* Renames can be told from the layer, truncations cannot. */
	assert_non_null(strstr(body, "op=\"rename\""));
	assert_null(strstr(body, "op=\"truncate\""));
	assert_true(has_line(body, "driftwatch_tier_sees{what=\"tmpfs_writes\"} 0"));
	assert_true(has_line(body, "driftwatch_tier_sees{what=\"volume_writes\"} 1"));

	c->unseen = 1u << PROBE_SEES_VOLUME_WRITES;
	assert_null(strstr(scrape(w, false), "driftwatch_container_written_bytes_total{"));
}

static void hooked_and_derived_operations_are_one_count(void **state)
{
	struct world *w = *state;
	struct ledger_container *c = add(w, "0123456789abcdef", "web");

	c->counters.ops[DW_OP_UNLINK] = 5;
	c->derived_ops[DW_OP_UNLINK] = 2;
	assert_non_null(strstr(scrape(w, false), "op=\"unlink\"} 7\n"));
}

static void ids_that_share_twelve_digits_are_told_apart(void **state)
{
	struct world *w = *state;
	const char *body;

	add(w, "0123456789abcdef", "same");
	add(w, "0123456789abce00", "same");
	add(w, "0123456789ab", "same");
	add(w, "lxc-\xff", "same");
	add(w, "lxc-\xfe", "same");
	body = scrape(w, false);
	assert_int_equal(ask_promtool(body), 0);
	check_no_duplicates(body);
	assert_non_null(strstr(body, "container_id=\"0123456789abcd\""));
	assert_non_null(strstr(body, "container_id=\"0123456789abce\""));
	assert_non_null(strstr(body, "container_id=\"0123456789ab\""));
}

static void openmetrics_names_families_without_suffix_and_ends(void **state)
{
	struct world *w = *state;
	const char *body, *end;

	add(w, "0123456789abcdef", "web");
	body = scrape(w, true);
	assert_non_null(strstr(body, "# TYPE driftwatch_container_written_bytes counter\n"));
	assert_non_null(strstr(body, "driftwatch_container_written_bytes_total{"));
	assert_non_null(strstr(body, "# TYPE driftwatch_container info\n"));
	assert_non_null(strstr(body, "driftwatch_container_info{"));
	assert_non_null(strstr(body, "# TYPE process_cpu_seconds counter\n"));
	assert_null(strstr(body, "_created "));
	assert_null(strstr(body, "_created{"));
	end = strstr(body, "# EOF\n");
	assert_non_null(end);
	assert_string_equal(end, "# EOF\n");
	assert_null(strstr(scrape(w, false), "# EOF"));
}

static void a_family_is_in_one_piece(void **state)
{
	struct world *w = *state;
	char *copy, *rest, *line;

	add(w, "a123456789abcdef", "web");
	add(w, "b123456789abcdef", "db");
	copy = strdup(scrape(w, true));
	rest = copy;
	while ((line = strsep(&rest, "\n"))) {
		auto_strbuf struct strbuf header = STRBUF_INIT;

		if (strncmp(line, "# TYPE ", 7) != 0)
			continue;
		strbuf_addf(&header, "\n%s\n", line);
		assert_int_equal(count(strbuf_str(&w->out), strbuf_str(&header)), 1);
	}
	free(copy);
}

static void containers_past_the_cap_are_counted_not_shown(void **state)
{
	struct world *w = *state;
	const char *body;
	char dropped[96];
	size_t each;

	for (int i = 0; i < 20; i++) {
		char id[32];

		snprintf(id, sizeof(id), "%02d3456789abcdef", i);
		add(w, id, id);
	}
	w->input.max_series = 200;
	body = scrape(w, false);
	assert_int_equal(ask_promtool(body), 0);
	/* First seen, first served. */
	each = count(body, "container_id=\"003456789abc\"");
	assert_true(each > 40);
	assert_int_equal(count(body, "driftwatch_container_info{"), 200 / each);
	snprintf(dropped, sizeof(dropped), "driftwatch_series_dropped{reason=\"max_series\"} %zu",
		 (20 - 200 / each) * each);
	assert_true(has_line(body, dropped));
}

static void a_container_without_a_slot_has_no_counters(void **state)
{
	struct world *w = *state;
	struct ledger_container *c = add(w, "0123456789abcdef", "web");
	const char *body;

	c->slot = 0;
	body = scrape(w, false);
	assert_null(strstr(body, "driftwatch_container_written_bytes_total{"));
	assert_non_null(strstr(body, "driftwatch_container_drift_files{"));
	assert_null(strstr(body, "driftwatch_series_dropped{reason=\"max_containers\"} 0\n"));

	/* A removed one has given its slot back; what was counted stays. */
	c->removed_wall_ns = 1;
	body = scrape(w, false);
	assert_non_null(strstr(body, "driftwatch_container_written_bytes_total{"));
	assert_true(has_line(body, "driftwatch_series_dropped{reason=\"max_containers\"} 0"));
}

static void totals_that_are_not_all_there_yet_are_not_shown(void **state)
{
	struct world *w = *state;
	struct ledger_container *c = add(w, "abc", "web");

	c->counts_pending = true;
	assert_null(strstr(scrape(w, false), "target=\"layer\""));
	assert_non_null(strstr(scrape(w, false), "target=\"volume\""));
	c->counts_pending = false;
	assert_non_null(strstr(scrape(w, false), "target=\"layer\""));
}

static void losses_and_programs_of_the_kernel_side_are_shown(void **state)
{
	struct world *w = *state;
	const char *body;

	w->probe.slots[0].files_unlisted = 2;
	w->probe.slots[3].files_unlisted = 5; /* of a container that is gone */
	w->probe.slots[2].paths_truncated = 1;
	body = scrape(w, false);
	assert_true(has_line(body, "driftwatch_ringbuf_events_received_total 10"));
	assert_true(
		has_line(body, "driftwatch_ringbuf_events_lost_total{reason=\"ringbuf_full\"} 3"));
	assert_true(has_line(body, "driftwatch_ringbuf_events_lost_total{reason=\"map_full\"} 7"));
	assert_true(
		has_line(body, "driftwatch_ringbuf_events_lost_total{reason=\"path_too_long\"} 1"));
	assert_true(has_line(body, "driftwatch_program_missed_total{program=\"on_write\"} 3"));
	assert_true(has_line(body, "driftwatch_program_instructions{program=\"on_write\"} 120"));
	assert_null(strstr(body, "driftwatch_program_runs_total")); /* nobody counts runs */
	assert_true(has_line(body, "driftwatch_metadata_errors_total{source=\"docker\"} 5"));

	w->probe.programs[0].runs = 4;
	w->probe.programs[0].run_ns = 1500000000;
	assert_true(has_line(scrape(w, false),
			     "driftwatch_program_run_seconds_total{program=\"on_write\"} "
			     "1.500000000"));
}

static void rescans_of_forgotten_containers_are_not_lost(void **state)
{
	struct world *w = *state;
	struct ledger_container *c = add(w, "0123456789abcdef", "web");

	w->rescans[LOSS_RING_FULL] = 5;
	c->rescans[LOSS_RING_FULL] = 2;
	assert_true(has_line(scrape(w, false),
			     "driftwatch_ledger_rescans_total{container_id=\"\",namespace=\"\",pod="
			     "\"\",container=\"\",reason=\"ring_full\"} 3"));
}

static void without_a_kernel_side_only_layers_are_shown(void **state)
{
	struct world *w = *state;
	const char *body;

	add(w, "0123456789abcdef", "web");
	w->input.probe = NULL;
	w->input.registry = NULL;
	body = scrape(w, false);
	assert_int_equal(ask_promtool(body), 0);
	assert_non_null(strstr(body, "tier=\"none\""));
	assert_non_null(strstr(body, "driftwatch_container_drift_files{"));
	assert_null(strstr(body, "driftwatch_container_written_bytes_total"));
	assert_null(strstr(body, "driftwatch_container_file_events_total"));
}

static void a_silent_sandbox_has_no_series(void **state)
{
	struct world *w = *state;
	struct ledger_container *c = add(w, "0123456789abcdef", "pause");

	c->meta->is_sandbox = true;
	assert_null(strstr(scrape(w, false), "0123456789ab"));
	c->counters.write_calls[DW_TARGET_LAYER] = 1;
	assert_non_null(strstr(scrape(w, false), "0123456789ab"));
}

static void a_hundred_containers_take_a_few_milliseconds(void **state)
{
	struct world *w = *state;
	struct timespec start, end;
	uint64_t ns;

	for (int i = 0; i < 100; i++) {
		char id[65];

		snprintf(id, sizeof(id), "%03d3456789abcdef0123456789abcdef0123456789abcdef", i);
		add(w, id, id);
	}
	scrape(w, false);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	for (int i = 0; i < 10; i++)
		scrape(w, false);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	ns = (clock_of_timespec(&end) - clock_of_timespec(&start)) / 10;
	print_message("one scrape of 100 containers: %.1f ms, %zu bytes\n", (double)ns / 1e6,
		      w->out.len);
	/* This build is instrumented, several times slower than the real one (10 ms there). */
	assert_true(ns < 100 * NS_PER_MSEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_scrape_with_hostile_names_is_clean, setup,
						teardown),
		cmocka_unit_test_setup_teardown(every_counter_that_is_seen_starts_at_0, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_the_tier_cannot_see_is_absent, setup,
						teardown),
		cmocka_unit_test_setup_teardown(hooked_and_derived_operations_are_one_count, setup,
						teardown),
		cmocka_unit_test_setup_teardown(ids_that_share_twelve_digits_are_told_apart, setup,
						teardown),
		cmocka_unit_test_setup_teardown(openmetrics_names_families_without_suffix_and_ends,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_family_is_in_one_piece, setup, teardown),
		cmocka_unit_test_setup_teardown(containers_past_the_cap_are_counted_not_shown,
						setup, teardown),
		cmocka_unit_test_setup_teardown(totals_that_are_not_all_there_yet_are_not_shown,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_container_without_a_slot_has_no_counters, setup,
						teardown),
		cmocka_unit_test_setup_teardown(losses_and_programs_of_the_kernel_side_are_shown,
						setup, teardown),
		cmocka_unit_test_setup_teardown(rescans_of_forgotten_containers_are_not_lost, setup,
						teardown),
		cmocka_unit_test_setup_teardown(without_a_kernel_side_only_layers_are_shown, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_silent_sandbox_has_no_series, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hundred_containers_take_a_few_milliseconds, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

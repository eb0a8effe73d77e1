/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_renames.c - renames that the engine puts together from what the layer shows: who
 * it was, and one event each, however much there is to read.
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/strbuf.h"

#define SLICE_NS 1000 /* for reading: time enough for an entry or two */

#define RENAMER "renamer"

static void note_rename(const struct event *event, void *arg)
{
	struct strbuf *told = arg;

	if (event->type == EVENT_DRIFT && event->op == DW_OP_RENAME)
		strbuf_addf(told, "%s to %s by %s\n", event->old_path, event->path,
			    event->writer ? event->writer->comm : "nobody");
}

/* A file of the image and one that was added go into a directory that is new as well. */
static void move_as_another_process(const struct bench *b)
{
	pid_t child = fork();
	int status;

	if (!child) {
		prctl(PR_SET_NAME, RENAMER);
		_exit(mkdir(lab_path(b->lab, "fresh"), 0755) ||
		      rename(lab_path(b->lab, "lower"), lab_path(b->lab, "fresh/lower")) ||
		      rename(lab_path(b->lab, "added"), lab_path(b->lab, "fresh/added")));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* The container with file @name in it is read; what is renamed from then on goes to @told. */
static void begin_with(struct bench *b, const char *name, struct strbuf *told)
{
	bench_make_file(b, name);
	bench_begin_and_read(b);
	assert_true(engine_subscribe(b->engine, false, note_rename, told) >= 0);
}

/* --- who it was --- */

static void a_rename_whose_mark_was_refused_is_not_the_next_ones(void **state)
{
	auto_strbuf struct strbuf told = STRBUF_INIT;
	struct bench *b = *state;

	bench_make_wide(b, 0);
	begin_with(b, "added", &told);
	bench_fill_dirty_ring(b);
	move_as_another_process(b);
	bench_make_dir(b, "later"); /* the last mark of the directory above is ours */
	assert_true(engine_settle(b->engine, 10000));
	assert_non_null(strstr(strbuf_str(&told), "/lower to /fresh/lower by " RENAMER "\n"));
	assert_non_null(strstr(strbuf_str(&told), "/added to /fresh/added by " RENAMER "\n"));
}

/* --- in how many pieces the layer is read --- */

static void a_rename_is_one_event_however_little_is_read_at_a_time(void **state)
{
	auto_strbuf struct strbuf told = STRBUF_INIT;
	struct bench *b = *state;
	int rounds = 0;

	begin_with(b, "added", &told);
	move_as_another_process(b);
	engine_flush_now(b->engine, true);
	while (engine_work_on_trees(b->engine, SLICE_NS)) {
		engine_flush_events_once_read(b->engine);
		rounds++;
	}
	engine_flush_events_once_read(b->engine);
	assert_true(rounds > 0);
	assert_non_null(strstr(strbuf_str(&told), "/lower to /fresh/lower by " RENAMER "\n"));
}

/* What is read on and on does not keep back for ever what is known already. */
static void what_is_known_is_told_while_more_is_read(void **state)
{
	auto_strbuf struct strbuf told = STRBUF_INIT;
	struct bench *b = *state;
	char name[32];
	int number = 0;

	begin_with(b, "added", &told);
	assert_int_equal(rename(lab_path(b->lab, "added"), lab_path(b->lab, "moved")), 0);
	while (!strstr(strbuf_str(&told), "/added to /moved")) {
		snprintf(name, sizeof(name), "more%d", number++);
		bench_make_file(b, name);
		engine_flush_now(b->engine, true);
		if (!engine_work_on_trees(b->engine, SLICE_NS))
			continue; /* one that was not read in the midst of it */
		engine_flush_events_once_read(b->engine);
		assert_true(number < ENGINE_MAX_QUEUED / 2); /* more is no place for */
	}
}

static struct ledger_container *add_wide_layer(const struct bench *b, int number)
{
	char id[32], name[64];

	snprintf(id, sizeof(id), "other%d", number);
	bench_make_dir_beside(b, id);
	for (int i = 0; i < BENCH_DIRS; i++) {
		snprintf(name, sizeof(name), "%s/d%d", id, i);
		bench_make_dir_beside(b, name);
	}
	return bench_add_layer(b, id, id, 0);
}

/* Whether a rename was told before another layer was read to its end. */
static bool is_told_first(const struct bench *b, struct strbuf *told, int number)
{
	struct ledger_container *other = add_wide_layer(b, number);
	char from[32], to[32];

	snprintf(from, sizeof(from), "name%d", number);
	snprintf(to, sizeof(to), "name%d", number + 1);
	assert_int_equal(rename(lab_path(b->lab, from), lab_path(b->lab, to)), 0);
	engine_flush_now(b->engine, true);
	while (!strstr(strbuf_str(told), to) && !tree_is_complete(other->tree)) {
		engine_work_on_trees(b->engine, 2 * SLICE_NS);
		engine_flush_events_once_read(b->engine);
	}
	return !tree_is_complete(other->tree);
}

static void what_is_known_is_told_while_others_are_read(void **state)
{
	auto_strbuf struct strbuf told = STRBUF_INIT;
	struct bench *b = *state;
	int tries = 0;

	begin_with(b, "name0", &told);
	/* Of a loaded machine: a directory that took long to read is let alone for a while. */
	while (!is_told_first(b, &told, tries)) {
		assert_true(engine_settle(b->engine, 10000));
		assert_true(++tries < 10);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_rename_whose_mark_was_refused_is_not_the_next_ones),
		TEST(a_rename_is_one_event_however_little_is_read_at_a_time),
		TEST(what_is_known_is_told_while_more_is_read),
		TEST(what_is_known_is_told_while_others_are_read),
	};

	if (!lab_can(PROBE_TIER_FS, LAB_ROOT_FS))
		return 0;
	return cmocka_run_group_tests_name("renames", tests, NULL, NULL);
}

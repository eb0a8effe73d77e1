/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_answers.c - what the engine answers while things are under way: records that are
 * not read yet, looks that are put off, runs of files it does not know yet, inodes that a
 * batch did not watch.
 */
#include "bench.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define FILES	40
#define RECORDS 9000 /* more than two drains take, less than the ring holds */

/* --- what is watched --- */

static bool batches_fail;

static int setup(void **state)
{
	batches_fail = false;
	return bench_setup(state);
}

/* In place of libbpf's: only half of a batch is done. */
int bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
			 const struct bpf_map_batch_opts *opts)
{
	union bpf_attr attr = {.batch = {.keys = (__u64)(uintptr_t)keys,
					 .values = (__u64)(uintptr_t)values,
					 .count = batches_fail ? *count / 2 : *count,
					 .map_fd = (__u32)fd}};
	long err = syscall(__NR_bpf, BPF_MAP_UPDATE_BATCH, &attr, sizeof(attr));

	(void)opts;
	*count = attr.batch.count;
	return err || batches_fail ? -ENOMEM : 0;
}

static void what_a_batch_did_not_watch_is_watched_one_by_one(void **state)
{
	struct bench *b = *state;
	char name[32];

	bench_make_dir(b, "dir");
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "dir/f%d", i);
		bench_make_file(b, name);
	}
	batches_fail = true;
	bench_begin_and_read(b);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "dir/f%d", i);
		assert_int_equal(chmod(lab_path(b->lab, name), 0751), 0);
	}
	assert_true(engine_settle(b->engine, 2000));
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "dir/f%d", i);
		bench_expect_mode(b, name, 0751);
	}
	assert_int_equal(b->c->incomplete, 0);
}

/* --- more than is taken at a time --- */

/* Another container's, which nothing about this one waits for. */
static void make_records(const struct bench *b)
{
	auto_free char *file = bench_beside(b->lab, "noisy/file");

	for (int i = 0; i < RECORDS; i++) {
		int fd = open(file, O_CREAT | O_WRONLY | O_TRUNC, 0644);

		assert_true(fd >= 0);
		assert_int_equal(write(fd, "x", 1), 1);
		close(fd);
	}
}

static void an_answer_waits_for_all_that_was_there_at_the_question(void **state)
{
	struct bench *b = *state;
	struct probe_moment asked;

	bench_make_dir_beside(b, "noisy");
	bench_add_layer(b, "noisy", "noisy", 0);
	bench_begin_and_read(b);
	make_records(b);
	probe_note_moment(engine_probe(b->engine), &asked);
	assert_false(probe_has_told(engine_probe(b->engine), &asked));
	assert_true(engine_settle_container(b->engine, b->c, 10000));
	assert_true(probe_has_told(engine_probe(b->engine), &asked));
}

/* A mark from before the change is visible is looked at again, 100 ms later. */
static void who_waits_for_what_is_put_off_sleeps(void **state)
{
	struct bench *b = *state;
	uint64_t rounds;

	bench_make_file(b, "file");
	bench_begin_and_read(b);
	assert_int_equal(setxattr(lab_path(b->lab, "file"), "user.x", "y", 1, 0), 0);
	rounds = b->engine->work_round;
	assert_true(engine_settle(b->engine, 10000));
	assert_in_range(b->engine->work_round - rounds, 2, 100);
}

static uint64_t looks(const struct bench *b)
{
	struct tree_counts counts;

	tree_counts(b->c->tree, &counts);
	return counts.lstats;
}

static void expect_two_looks_until_settled(struct bench *b)
{
	uint64_t before = looks(b);

	assert_true(engine_settle(b->engine, 10000));
	assert_int_equal(looks(b) - before, 2);
}

/* Its record was made by what came before. */
static void what_begins_on_a_marked_file_is_looked_at_twice(void **state)
{
	struct bench *b = *state;

	bench_make_file(b, "file");
	bench_begin_and_read(b);
	assert_int_equal(chmod(lab_path(b->lab, "file"), 0600), 0);
	assert_int_equal(setxattr(lab_path(b->lab, "file"), "user.x", "y", 1, 0), 0);
	expect_two_looks_until_settled(b);
}

/* No record tells of the attribute. */
static void what_begins_on_a_file_not_seen_yet_is_looked_at_twice(void **state)
{
	struct bench *b = *state;

	bench_begin_and_read(b);
	bench_make_file(b, "file");
	assert_int_equal(setxattr(lab_path(b->lab, "file"), "user.x", "y", 1, 0), 0);
	expect_two_looks_until_settled(b);
}

/* --- numbers of inodes used again --- */

static void remove_and_wait_for_another_tick(struct bench *b, const char *name)
{
	struct timespec now;
	uint64_t until_ns;

	assert_int_equal(unlink(lab_path(b->lab, name)), 0);
	assert_true(engine_settle(b->engine, 2000));
	until_ns = clock_wall_ns() + 20 * NS_PER_MSEC;
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now); /* when an inode is born, by ext4 */
	while ((uint64_t)clock_of_timespec(&now) < until_ns);
}

/* The layer is read after the change, and what tells of the number's new life after that. */
static void find_before_its_record(struct bench *b, const char *name)
{
	do {
		tree_mark(b->c->tree, lab_ino(b->lab->upper), NULL, false);
		tree_work(b->c->tree, 0);
	} while (!bench_lists(b, name));
	engine_flush_events(b->engine);
}

static void what_is_found_under_a_number_used_again_is_told(void **state)
{
	struct bench *b = *state;
	struct tree_node_info info;
	uint64_t ino, since_ns;

	bench_begin_and_read(b);
	bench_make_file(b, "own");
	assert_true(engine_settle(b->engine, 2000));
	ino = lab_ino(lab_upper_path(b->lab, "own"));
	remove_and_wait_for_another_tick(b, "own");
	since_ns = clock_wall_ns();
	assert_int_equal(chmod(lab_path(b->lab, "lower"), 0600), 0);
	assert_int_equal(lab_ino(lab_upper_path(b->lab, "lower")), ino);
	find_before_its_record(b, "lower");
	assert_int_equal(b->c->derived_ops[DW_OP_CHMOD], 1);
	tree_node_info(tree_find_path(b->c->tree, "/lower", 6), &info);
	assert_true(info.first_wall_ns + NS_PER_SEC / 100 > since_ns);
}

static void a_removal_is_told_once_though_its_number_is_used_again(void **state)
{
	struct bench *b = *state;
	uint64_t ino;

	bench_begin_and_read(b);
	bench_make_file(b, "old");
	assert_true(engine_settle(b->engine, 2000));
	ino = lab_ino(lab_upper_path(b->lab, "old"));
	assert_int_equal(unlink(lab_path(b->lab, "old")), 0);
	bench_make_file(b, "new");
	assert_int_equal(lab_ino(lab_upper_path(b->lab, "new")), ino);
	assert_true(engine_settle(b->engine, 2000));
	assert_false(bench_lists(b, "old"));
	assert_int_equal(b->c->derived_ops[DW_OP_UNLINK], 0); /* its record has told it */
	assert_int_equal(b->c->derived_ops[DW_OP_CREATE], 0);
}

/* --- executions --- */

static void copy_program(const char *to)
{
	lab_run("cp /bin/true %s", to);
}

static void execute(const struct bench *b, const char *name)
{
	lab_run("%s", lab_path(b->lab, name));
}

static void count_runs(struct bench *b, uint64_t expected)
{
	assert_true(engine_settle(b->engine, 2000));
	engine_count_execs(b->engine, bench_track(b));
	assert_int_equal(b->c->new_executable_runs, expected);
}

static void runs_of_what_the_list_does_not_have_yet_are_counted(void **state)
{
	struct bench *b = *state;

	bench_begin_and_read(b);
	copy_program(lab_path(b->lab, "tool"));
	execute(b, "tool");
	execute(b, "tool");
	engine_flush_now(b->engine, true);
	engine_flush_events(b->engine);
	assert_false(bench_lists(b, "tool"));
	engine_count_execs(b->engine, bench_track(b)); /* a scrape, before the layer is looked at */
	count_runs(b, 2);
	execute(b, "tool");
	count_runs(b, 3);
}

static void runs_of_the_image_s_own_are_not_counted_once_it_has_changed(void **state)
{
	auto_free char *own = NULL;
	struct bench *b = *state;

	own = bench_beside(b->lab, "lower/own");
	copy_program(own);
	bench_begin_and_read(b);
	execute(b, "own");
	count_runs(b, 0);
	count_runs(b, 0); /* sees that nothing was told meanwhile of a change before those */
	assert_int_equal(chmod(lab_path(b->lab, "own"), 0711), 0);
	execute(b, "own");
	count_runs(b, 1);
}

static int setup_small(void **state)
{
	bench_open(state, LAB_EXT4, 0); /* where the next inode is the one that was freed last */
	bench_open_engine(*state);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_batch_did_not_watch_is_watched_one_by_one),
		TEST(an_answer_waits_for_all_that_was_there_at_the_question),
		TEST(who_waits_for_what_is_put_off_sleeps),
		TEST(what_begins_on_a_marked_file_is_looked_at_twice),
		TEST(what_begins_on_a_file_not_seen_yet_is_looked_at_twice),
		cmocka_unit_test_setup_teardown(what_is_found_under_a_number_used_again_is_told,
						setup_small, bench_teardown),
		cmocka_unit_test_setup_teardown(
			a_removal_is_told_once_though_its_number_is_used_again, setup_small,
			bench_teardown),
		TEST(runs_of_what_the_list_does_not_have_yet_are_counted),
		TEST(runs_of_the_image_s_own_are_not_counted_once_it_has_changed),
	};

	if (!lab_can(PROBE_TIER_FS, LAB_ROOT_FS))
		return 0;
	return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}

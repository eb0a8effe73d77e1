/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_engine.c - the engine on a kernel side of its own: changes during a first scan,
 * programs that are detached, runs that are skipped, marks whose records were refused,
 * slots and inode numbers that are used again.
 */
#include "bench.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "kernel/probe_internal.h"

#define FILES 40 /* in each of them */

/* --- runs that the kernel skipped, as it tells of them --- */

static int skipping_fd = -1; /* of the program that did not run */
static uint64_t skipped;

/* In place of libbpf's. */
int bpf_obj_get_info_by_fd(int fd, void *info, __u32 *len)
{
	bool is_program = *len == sizeof(struct bpf_prog_info);
	union bpf_attr attr = {
		.info = {.bpf_fd = (__u32)fd, .info_len = *len, .info = (__u64)(uintptr_t)info}};

	if (syscall(__NR_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) < 0)
		return -errno;
	*len = attr.info.info_len;
	if (is_program && fd == skipping_fd)
		((struct bpf_prog_info *)info)->recursion_misses += skipped;
	return 0;
}

static int setup(void **state)
{
	skipping_fd = -1;
	return bench_setup(state);
}

/* Pinned; on a small file system of its own, where numbers are used again at once. */
static int setup_for_one(void **state)
{
	struct bench *b;

	if (access("/sys/fs/bpf", W_OK))
		skip();
	bench_open(state, LAB_EXT4, 1);
	b = *state;
	snprintf(b->pin_dir, sizeof(b->pin_dir), "/sys/fs/bpf/dw-test-engine-%d", (int)getpid());
	assert_true(asprintf(&b->state_dir, "%s/state", b->lab->dir) > 0);
	bench_open_engine(b);
	return 0;
}

/* A directory the scan is through with, while it is not with others. -1: none yet. */
static int find_read(const struct bench *b)
{
	char name[32];

	for (int i = 0; i < BENCH_DIRS; i++) {
		snprintf(name, sizeof(name), "/d%d/f0", i);
		if (tree_find_path(b->c->tree, name, strlen(name)))
			return i;
	}
	return -1;
}

static void what_changes_during_the_first_scan_is_in_the_list(void **state)
{
	struct bench *b = *state;
	char late[32], gone[32];
	int i;

	bench_make_wide(b, FILES);
	bench_begin(b);
	do {
		engine_step(b->engine);
		i = find_read(b);
	} while (i < 0);
	assert_false(tree_is_complete(b->c->tree));
	snprintf(late, sizeof(late), "d%d/late", i);
	snprintf(gone, sizeof(gone), "d%d/f0", i);
	bench_make_file(b, late);
	assert_int_equal(unlink(lab_path(b->lab, gone)), 0);

	assert_true(engine_settle(b->engine, 20000));
	assert_true(ledger_container_is_complete(b->c));
	assert_true(bench_lists(b, late));
	assert_false(bench_lists(b, gone));
	assert_int_equal(tree_entries(b->c->tree), BENCH_DIRS * (FILES + 1));
}

static struct hook *hook_of(struct bench *b, const char *program)
{
	struct probe *p = engine_probe(b->engine);

	for (size_t i = 0; i < hook_def_count; i++)
		if (!strcmp(p->hooks[i].def->program, program))
			return &p->hooks[i];
	fail_msg("no hook %s", program);
	return NULL;
}

static void detach(struct bench *b, const char *program)
{
	assert_int_equal(close(bpf_link__fd(hook_of(b, program)->link)), 0);
}

static void pass_ten_seconds(struct track *t)
{
	t->last_rescan_ns -= 10 * NS_PER_SEC;
	t->rescan_due_ns = t->rescan_due_ns > 10 * NS_PER_SEC ? t->rescan_due_ns - 10 * NS_PER_SEC
							      : t->rescan_due_ns;
}

/* Marked; read once the last reading is ten seconds ago; whole again. @rescans as of then. */
static void expect_healed(struct bench *b, enum loss_reason reason, uint64_t count,
			  uint64_t rescans)
{
	struct track *t = bench_track(b);

	engine_check_probe(b->engine);
	assert_int_equal(b->c->lost[reason], count);
	assert_int_equal(b->c->incomplete, 1u << reason);
	pass_ten_seconds(t);
	engine_look_after(b->engine, t);
	assert_int_equal(b->c->rescans[reason], rescans);
	assert_true(engine_settle(b->engine, 10000));
	engine_look_after(b->engine, t);
	assert_int_equal(b->c->incomplete, 0);
	engine_check_probe(b->engine);
	assert_int_equal(b->c->lost[reason], count);
	assert_int_equal(b->c->rescans[reason], rescans);
}

static void what_a_detached_program_did_not_tell_is_read(void **state)
{
	struct bench *b = *state;

	bench_begin_and_read(b);
	detach(b, "on_mark_inode_dirty");
	detach(b, "on_ext4_mark_inode_dirty");
	bench_make_dir(b, "unheard");
	assert_true(engine_settle(b->engine, 2000));
	assert_false(bench_lists(b, "unheard"));
	expect_healed(b, LOSS_DETACHED, 2, 1);
	assert_true(bench_lists(b, "unheard"));
	bench_make_dir(b, "heard");
	assert_true(engine_settle(b->engine, 2000));
	assert_true(bench_lists(b, "heard"));
}

/* As if the run that would have marked the root had been skipped. */
static void make_unheard(struct bench *b, const char *name)
{
	struct probe *p = engine_probe(b->engine);
	struct dw_inode root = {.ino = lab_ino(b->lab->upper), .dev = lab_dev(b->lab->upper)};

	bpf_map_delete_elem(p->maps[MAP_WATCHED], &root);
	bench_make_dir(b, name);
}

static void what_a_skipped_run_did_not_tell_is_read(void **state)
{
	struct bench *b = *state;

	bench_begin_and_read(b);
	/* One that found no room, and one that the kernel did not begin. */
	make_unheard(b, "early");
	engine_probe(b->engine)->control->lost_runs += 3;
	assert_true(engine_settle(b->engine, 2000));
	assert_false(bench_lists(b, "early"));
	expect_healed(b, LOSS_PROGRAM_MISS, 3, 1);
	assert_true(bench_lists(b, "early"));

	make_unheard(b, "late");
	skipping_fd = hook_of(b, "on_mark_inode_dirty")->prog_fd;
	skipped = 2;
	assert_true(engine_settle(b->engine, 2000));
	assert_false(bench_lists(b, "late"));
	expect_healed(b, LOSS_PROGRAM_MISS, 5, 2);
	assert_true(bench_lists(b, "late"));
}

static void what_the_dirty_ring_refused_is_found_where_the_marks_are(void **state)
{
	struct bench *b = *state;
	struct tree_counts before, after;
	struct ledger_container *quiet;

	bench_make_dir_beside(b, "quiet");
	quiet = bench_add_layer(b, "quiet", "quiet", 0);
	bench_make_wide(b, 0);
	bench_begin_and_read(b);
	tree_counts(b->c->tree, &before);
	bench_fill_dirty_ring(b);
	assert_true(engine_settle(b->engine, 10000));
	tree_counts(b->c->tree, &after);
	assert_int_equal(after.added - before.added, BENCH_DIRTY);
	/* Each once, or twice where a record was there as well. */
	assert_in_range(after.dir_reads - before.dir_reads, BENCH_DIRTY, 2 * BENCH_DIRTY);
	assert_int_equal(after.rescans, before.rescans);

	engine_refresh_counters(b->engine, NULL);
	assert_int_equal(b->c->incomplete, 1u << LOSS_DIRTY_FULL);
	assert_int_equal(quiet->incomplete, 0);
	engine_look_after(b->engine, bench_track(b));
	assert_true(b->c->lost[LOSS_DIRTY_FULL] > 0);
	engine_look_after(b->engine, bench_track(b));
	assert_int_equal(b->c->incomplete, 0);
	assert_int_equal(b->c->rescans[LOSS_DIRTY_FULL], 0);
}

/* --- numbers that are used again --- */

static void append_to(const struct bench *b, const char *name, size_t len)
{
	int fd = open(lab_path(b->lab, name), O_CREAT | O_WRONLY | O_APPEND, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "12345678", len), len);
	close(fd);
}

static void expect_counts(struct bench *b, const char *path, uint64_t calls, uint64_t bytes)
{
	struct tree_node *node = tree_find_path(b->c->tree, path, strlen(path));
	struct tree_node_info info;

	engine_refresh_counters(b->engine, NULL);
	engine_fold_files(b->engine);
	assert_int_equal(b->c->counters.write_calls[DW_TARGET_LAYER], calls);
	assert_int_equal(b->c->counters.write_bytes[DW_TARGET_LAYER], bytes);
	assert_non_null(node);
	tree_node_info(node, &info);
	assert_int_equal(info.write_calls, calls);
	assert_int_equal(info.written_bytes, bytes);
}

static void pass_over(const struct probe_record *record, void *arg)
{
	(void)record;
	(void)arg;
}

/* As an agent does that leaves marks set of files that are written to all the time. */
static void take_records_and_no_marks(const struct bench *b)
{
	struct engine_options options = bench_options(b);
	struct probe *probe;

	assert_int_equal(probe_open(&options.probe, NULL, &probe), 0);
	assert_true(probe_drain(probe, 1000, pass_over, NULL) > 0);
	probe_close(probe, true);
}

/* The next container gets the slot of one that is forgotten, and its file the number. */
static void nothing_is_left_of_who_had_the_slot_before(void **state)
{
	struct bench *b = *state;
	uint64_t ino;

	bench_begin_and_read(b);
	append_to(b, "old", 5);
	assert_true(engine_settle(b->engine, 2000));
	expect_counts(b, "/old", 1, 5);
	ino = lab_ino(lab_upper_path(b->lab, "old"));
	assert_int_equal(unlink(lab_path(b->lab, "old")), 0);
	engine_forget(b->engine, bench_track(b));
	usleep(2 * ENGINE_REUSE_SLACK_NS / 1000); /* that much is the same moment */

	bench_make_file(b, "new");
	assert_int_equal(lab_ino(lab_upper_path(b->lab, "new")), ino);
	bench_add(b, "next");
	assert_int_not_equal(b->c->slot, 0);
	assert_true(engine_settle(b->engine, 10000));
	expect_counts(b, "/new", 0, 0);
	append_to(b, "new", 3);
	assert_true(engine_settle(b->engine, 2000));
	expect_counts(b, "/new", 1, 3);

	/* Nor with the next agent. */
	engine_close(b->engine, true);
	append_to(b, "new", 4);
	take_records_and_no_marks(b);
	bench_open_engine(b);
	bench_add(b, "next");
	assert_int_equal(engine_start(b->engine), 0);
	assert_true(engine_settle(b->engine, 10000));
	expect_counts(b, "/new", 2, 7);
	assert_int_equal(b->c->lost[LOSS_GAP], 0);

	/* It has taken the mark that was left: with that, nobody would be told of this. */
	assert_int_equal(chmod(lab_path(b->lab, "new"), 0751), 0);
	assert_true(engine_settle(b->engine, 2000));
	bench_expect_mode(b, "new", 0751);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_changes_during_the_first_scan_is_in_the_list),
		TEST(what_a_detached_program_did_not_tell_is_read),
		TEST(what_a_skipped_run_did_not_tell_is_read),
		TEST(what_the_dirty_ring_refused_is_found_where_the_marks_are),
		cmocka_unit_test_setup_teardown(nothing_is_left_of_who_had_the_slot_before,
						setup_for_one, bench_teardown),
	};

	if (!lab_can(PROBE_TIER_FS, LAB_ROOT_FS))
		return 0;
	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}

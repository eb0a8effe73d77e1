/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_audit.c - the self-audit finds what is wrong in a tree, and only that, while
 * layer and tree go on changing; what it found is right afterwards.
 */
#include "tree_world.h"

#include <time.h>

#include "ledger/audit.h"
#include "ledger/audit_internal.h"

#define CONFIRM_NS (40 * NS_PER_MSEC)

static void put_image(struct world *w)
{
	put_dir(world_path(w, "l0/img"));
	put_file(world_path(w, "l0/img/f"), "content");
	put_file(world_path(w, "l0/img/f2"), "content2");
	put_dir(world_path(w, "l0/img/d"));
	put_file(world_path(w, "l0/img/d/a"), "a");
	put_file(world_path(w, "l0/img/d/b"), "b");
}

/* A changed, a touched, an added and a deleted file, and an opaque directory. */
static void put_drift(struct world *w)
{
	put_dir(world_path(w, "upper/img"));
	put_file(world_path(w, "upper/img/f"), "changed!");
	put_file(world_path(w, "upper/img/new"), "new");
	put_whiteout(world_path(w, "upper/img/f2"));
	put_dir(world_path(w, "upper/img/d"));
	set_opaque(world_path(w, "upper/img/d"));
	put_file(world_path(w, "upper/img/d/a"), "a");
}

static int setup(void **state)
{
	struct tree_world *tw = calloc(1, sizeof(*tw));

	tree_world_make(tw, 1);
	put_image(&tw->w);
	put_drift(&tw->w);
	*state = tw;
	return 0;
}

static int teardown(void **state)
{
	struct tree_world *tw = *state;

	tree_world_remove(tw);
	free(tw);
	return 0;
}

static struct audit *begin(struct tree_world *tw)
{
	struct audit_options options = {
		.lowers = tw->w.lowers,
		.lowers_len = tw->w.lowers_len,
		.is_urgent = true,
		.confirm_ns = CONFIRM_NS,
	};
	struct audit *a = NULL;

	assert_int_equal(audit_begin(tw->tree, &options, &a), 0);
	return a;
}

/* Go on to the end; the tree works in between, as the engine lets it. */
static void finish(struct tree_world *tw, struct audit *a, struct audit_result *ret)
{
	int ms;

	while ((ms = audit_step(a, NS_PER_MSEC, true)) >= 0) {
		tree_work(tw->tree, 0);
		usleep((unsigned)ms * 1000);
	}
	audit_take_result(a, ret);
	audit_end(a);
	settle(tw);
}

static struct audit_result audited(struct tree_world *tw)
{
	struct audit_result result = {0};

	finish(tw, begin(tw), &result);
	assert_int_equal(result.error, 0);
	return result;
}

static struct tree_node *node_at(struct tree_world *tw, const char *path)
{
	struct tree_node *n = tree_find_path(tw->tree, path, strlen(path));

	assert_non_null(n);
	return n;
}

static void set_verdict(struct tree_world *tw, const char *path, enum tree_verdict verdict)
{
	struct tree_node *n = node_at(tw, path);
	struct tree_counted before = tree_count_out(tw->tree, n);

	n->verdict = verdict;
	tree_count_in(tw->tree, n, before);
}

static uint64_t unlisted_of(struct tree_world *tw)
{
	struct tree_counts counts;

	tree_counts(tw->tree, &counts);
	return counts.unlisted;
}

/* Exactly this one is found, and it is right afterwards. */
static void assert_found(struct tree_world *tw, const char *path, enum tree_verdict ledger,
			 enum tree_verdict layer)
{
	struct audit_result r = audited(tw);

	assert_int_equal(r.mismatches, 1);
	assert_int_equal(r.listed_len, 1);
	assert_string_equal(r.listed[0].path, path);
	assert_int_equal(r.listed[0].ledger, ledger);
	assert_int_equal(r.listed[0].layer, layer);
	assert_int_equal(r.unsettled, 0);
	audit_result_done(&r);
	assert_exact(tw);
	r = audited(tw);
	assert_int_equal(r.mismatches, 0);
	audit_result_done(&r);
}

/* The directory takes so many of its children for listed. */
static void set_lines(struct tree_world *tw, const char *path, uint32_t lines)
{
	struct tree_node *n = node_at(tw, path);
	struct tree_counted before = tree_count_out(tw->tree, n);

	n->dir->lines = lines;
	tree_count_in(tw->tree, n, before);
}

static void an_exact_ledger_is_found_equal(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r;

	start(tw);
	r = audited(tw);
	assert_int_equal(r.mismatches, 0);
	assert_int_equal(r.unsettled, 0);
	assert_int_equal(r.unlisted, 0);
	assert_int_equal(r.lines, 6); /* img, f, f2, new, d, d/b */
	assert_true(r.began_wall_ns && r.ended_wall_ns >= r.began_wall_ns);
}

static void an_empty_layer_is_found_equal(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r;

	tree_start(tw, 100);
	r = audited(tw); /* waits for the first scan */
	assert_int_equal(r.mismatches, 0);
}

static void a_wrong_verdict_is_found_and_healed(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	set_verdict(tw, "/img/f", TREE_NONE);
	assert_found(tw, "/img/f", TREE_NONE, TREE_MODIFIED);
}

static void a_line_of_too_much_is_found_and_healed(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	set_verdict(tw, "/img/d/a", TREE_MODIFIED);
	assert_found(tw, "/img/d/a", TREE_MODIFIED, TREE_NONE);
}

static void a_file_no_event_told_of_is_found(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	put_file(upper(tw, "img/d/unheard\n"), "");
	assert_found(tw, "/img/d/unheard\n", TREE_NONE, TREE_ADDED);
}

static void a_file_that_is_gone_is_found(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	assert_int_equal(remove(upper(tw, "img/new")), 0);
	assert_found(tw, "/img/new", TREE_ADDED, TREE_NONE);
}

static void a_name_hidden_by_an_opaque_directory_is_compared(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	put_file(upper(tw, "img/d/b"), "changed");
	assert_found(tw, "/img/d/b", TREE_DELETED, TREE_MODIFIED);
}

/* A directory listed for what lies beneath it has nothing on disk that says so. */
static void a_missing_line_of_a_directory_is_found(void **state)
{
	struct tree_world *tw = *state;

	put_dir(world_path(&tw->w, "l0/img/deep"));
	put_dir(world_path(&tw->w, "l0/img/deep/er"));
	put_dir(upper(tw, "img/deep"));
	put_dir(upper(tw, "img/deep/er"));
	put_file(upper(tw, "img/deep/er/new"), "");
	start(tw);
	set_lines(tw, "/img/deep/er", 0);
	assert_found(tw, "/img/deep/er", TREE_NONE, TREE_MODIFIED);
}

static void a_line_too_much_of_a_directory_is_found(void **state)
{
	struct tree_world *tw = *state;

	put_dir(world_path(&tw->w, "l0/img/quiet"));
	put_dir(upper(tw, "img/quiet"));
	start(tw);
	set_lines(tw, "/img/quiet", 2);
	assert_found(tw, "/img/quiet", TREE_MODIFIED, TREE_NONE);
}

/* One of the totals is @by too much: one mismatch, and afterwards none. */
static void assert_total_found(struct tree_world *tw, uint64_t *total, uint64_t by)
{
	struct audit_result r;

	*total += by;
	r = audited(tw);
	assert_int_equal(r.mismatches, 1);
	assert_int_equal(r.wrong_totals, 1);
	assert_int_equal(r.listed_len, 0);
	audit_result_done(&r);
	r = audited(tw);
	assert_int_equal(r.mismatches, 0);
	audit_result_done(&r);
}

static void a_wrong_total_is_a_mismatch(void **state)
{
	struct tree_world *tw = *state;
	struct tree_counts *totals;
	struct audit_result r;

	put_dir(world_path(&tw->w, "l0/img/quiet"));
	put_dir(upper(tw, "img/quiet")); /* touched */
	put_file(upper(tw, "img/same"), "more than one name");
	assert_int_equal(link(upper(tw, "img/same"), upper(tw, "img/again")), 0);
	start(tw);
	r = audited(tw);
	assert_int_equal(r.mismatches, 0);
	audit_result_done(&r);
	totals = &tw->tree->totals;
	assert_total_found(tw, &totals->added, 1);
	assert_total_found(tw, &totals->modified, (uint64_t)-1);
	assert_total_found(tw, &totals->deleted, 1);
	assert_total_found(tw, &totals->bytes, 4096);
	assert_total_found(tw, &totals->executables, 1);
	assert_total_found(tw, &totals->touched, (uint64_t)-1);
	assert_total_found(tw, &totals->tampered, 2);
	assert_total_found(tw, &totals->not_compared, 1);
	assert_total_found(tw, &totals->nodes, 1);
}

/* What is counted while the sum is made makes it no sum of one moment. */
static void totals_of_a_tree_at_work_are_left_alone(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result result;
	struct audit *a;
	char name[16];
	int i;

	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "dir%d", i);
		put_dir(upper(tw, name));
	}
	start(tw);
	a = begin(tw);
	while (!a->sum.nodes) /* no time for more than the root and some others */
		audit_step(a, a->state == AUDIT_SWEEPING ? 1000 : NS_PER_MSEC, true);
	assert_int_equal(a->state, AUDIT_SWEEPING);
	put_file(upper(tw, "late"), "late");
	notice(tw);
	settle(tw);
	finish(tw, a, &result);
	assert_int_equal(result.mismatches, 0);
	audit_result_done(&result);
}

/* The image copied into the container's directory: there, what is equal is no copy-up. */
static void start_whole(struct tree_world *tw)
{
	struct tree_options o = {
		.upper = tw->w.upper,
		.stack = world_stack(&tw->w),
		.watcher = {.watch = test_watch, .unwatch = test_unwatch, .arg = tw},
		.limits = {1000, 1 << 20},
		.on_change = test_on_change,
		.arg = tw,
		.events_complete = true,
	};

	layer_stack_set_whole(o.stack, true);
	assert_int_equal(tree_open(&o, &tw->tree), 0);
	settle(tw);
	notice(tw);
	settle(tw);
}

static void assert_whole_found(struct tree_world *tw, const char *path, enum tree_verdict ledger,
			       enum tree_verdict layer)
{
	struct audit_result r = audited(tw);

	assert_int_equal(r.mismatches, 1);
	assert_string_equal(r.listed[0].path, path);
	assert_int_equal(r.listed[0].ledger, ledger);
	assert_int_equal(r.listed[0].layer, layer);
	audit_result_done(&r);
	r = audited(tw);
	assert_int_equal(r.mismatches, 0);
	assert_int_equal(r.lines, 8);
}

static void a_copied_image_is_audited_too(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r;

	assert_int_equal(remove(upper(tw, "img/f2")), 0); /* whiteouts are overlayfs's */
	put_dir(world_path(&tw->w, "l0/img/d/sub"));
	put_dir(upper(tw, "img/d/sub"));
	put_file(upper(tw, "img/d/sub/n"), "");
	start_whole(tw);
	assert_lines(tw, "A /img/d/sub/n\nA /img/new\nC /img\nC /img/d\nC /img/d/sub\n"
			 "C /img/f\nD /img/d/b\nD /img/f2\n");
	set_verdict(tw, "/img/f", TREE_NONE);
	assert_whole_found(tw, "/img/f", TREE_NONE, TREE_MODIFIED);
	set_lines(tw, "/img/d/sub", 0);
	assert_whole_found(tw, "/img/d/sub", TREE_NONE, TREE_MODIFIED);
	put_file(upper(tw, "img/d/b"), "b");
	put_file(upper(tw, "img/f2"), "unheard");
	r = audited(tw);
	assert_int_equal(r.mismatches, 2);
	audit_result_done(&r);
}

/* What is remembered of the image is not trusted any more either. */
static void an_image_changed_beneath_the_container_is_found(void **state)
{
	struct tree_world *tw = *state;

	start(tw);
	assert_int_equal(chmod(world_path(&tw->w, "l0/img/d/a"), 0600), 0);
	assert_found(tw, "/img/d/a", TREE_NONE, TREE_MODIFIED);
}

static void a_lost_watch_is_renewed(void **state)
{
	struct tree_world *tw = *state;
	struct tree_node *n;

	start(tw);
	n = node_at(tw, "/img/f");
	test_unwatch(tw, 0, n->st.ino, index_find(tw->tree, n->st.ino)->slot);
	assert_int_equal(chmod(upper(tw, "img/f"), 0600), 0);
	put_file(upper(tw, "img/f"), "content"); /* but for the mode as in the image */
	assert_int_equal(chmod(upper(tw, "img/f"), 0644), 0);
	tw->wrong_unwatches = 0;
	assert_found(tw, "/img/f", TREE_MODIFIED, TREE_NONE);
	assert_true(is_watched(tw, n->st.ino));
	tw->wrong_unwatches = 0; /* the audit gave back the one that was lost */
}

/* The layer has changed, the event comes late: no mismatch, however often it looks. */
static void what_an_event_tells_later_is_no_mismatch(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r = {0};
	uint64_t until_ns;
	struct audit *a;

	start(tw);
	put_file(upper(tw, "img/d/late"), "");
	assert_int_equal(remove(upper(tw, "img/f2")), 0);
	a = begin(tw);
	while (!audit_is_looking(a))
		assert_true(audit_step(a, NS_PER_MSEC, true) >= 0);
	until_ns = clock_mono_ns() + CONFIRM_NS / 2;
	while (clock_mono_ns() < until_ns)
		usleep((unsigned)audit_step(a, NS_PER_MSEC, true) * 1000);
	notice(tw);
	finish(tw, a, &r);
	assert_int_equal(r.mismatches, 0);
	assert_int_equal(r.unsettled, 0);
	assert_exact(tw);
}

/* A loss that is not made up for yet explains what differs. */
static void nothing_is_a_mismatch_while_a_loss_is_open(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r = {0};
	uint64_t until_ns;
	struct audit *a;

	start(tw);
	put_file(upper(tw, "img/d/lost"), "");
	a = begin(tw);
	until_ns = clock_mono_ns() + 4 * CONFIRM_NS;
	while (clock_mono_ns() < until_ns)
		usleep((unsigned)audit_step(a, NS_PER_MSEC, false) * 1000);
	notice(tw); /* healed */
	finish(tw, a, &r);
	assert_int_equal(r.mismatches, 0);
}

/* A file that is written all the time, and nobody tells the tree. */
static void what_never_rests_is_counted_apart(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r = {0};
	struct audit_options options = {
		.lowers = tw->w.lowers,
		.lowers_len = tw->w.lowers_len,
		.confirm_ns = CONFIRM_NS,
		.give_up_ns = 5 * CONFIRM_NS,
	};
	struct audit *a = NULL;
	int ms;

	start(tw);
	assert_int_equal(remove(upper(tw, "img/f")), 0);
	assert_int_equal(audit_begin(tw->tree, &options, &a), 0);
	while ((ms = audit_step(a, NS_PER_MSEC, true)) >= 0) {
		put_file(upper(tw, "img/busy"), "x");
		assert_int_equal(chmod(upper(tw, "img"), ms % 2 ? 0755 : 0700), 0);
		usleep((unsigned)ms * 1000);
	}
	audit_take_result(a, &r);
	audit_end(a);
	assert_int_equal(r.mismatches, 0);
	assert_true(r.unsettled >= 1);
	catch_up(tw);
}

/* Where no events come, the tree is told to look before it is judged. */
static void a_tree_without_events_is_not_blamed_for_its_age(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r;
	struct tree_options o = {
		.upper = tw->w.upper,
		.stack = world_stack(&tw->w),
		.watcher = {.watch = test_watch, .unwatch = test_unwatch, .arg = tw},
		.limits = {1000, 1 << 20},
		.on_change = test_on_change,
		.arg = tw,
		.fs_type = "btrfs",
	};

	assert_int_equal(tree_open(&o, &tw->tree), 0);
	settle(tw);
	put_file(upper(tw, "img/d/since"), "");
	assert_int_equal(remove(upper(tw, "img/new")), 0);
	put_file(upper(tw, "img/d/b"), "again");
	r = audited(tw);
	assert_int_equal(r.mismatches, 0);
	assert_int_equal(r.unsettled, 0);
	assert_exact(tw);
}

static void files_past_the_bound_are_counted_apart(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r;
	char name[32];

	put_dir(upper(tw, "img/many"));
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "img/many/%d", i);
		put_file(upper(tw, name), "");
	}
	tree_start(tw, 20);
	settle(tw);
	r = audited(tw);
	assert_int_equal(r.mismatches, 0);
	assert_int_equal(r.unlisted, unlisted_of(tw));
	assert_true(r.unlisted > 0);
}

/* More lines than the thread may have ready: it waits, and it can be stopped waiting. */
static void a_long_list_comes_in_slices_and_can_be_left(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r = {0};
	struct audit *a;
	char name[256];
	int fd;

	put_dir(upper(tw, "many"));
	fd = open(upper(tw, "many"), O_PATH);
	for (int i = 0; i < 4000; i++) {
		snprintf(name, sizeof(name), "%0200d", i);
		assert_int_equal(mknodat(fd, name, S_IFREG | 0644, 0), 0);
	}
	close(fd);
	tree_start(tw, 100000);
	settle(tw);

	a = begin(tw);
	while (audit_lines(a) < 100)
		assert_true(audit_step(a, 20000, true) >= 0);
	assert_true(audit_lines(a) < 4000);
	audit_end(a);

	finish(tw, begin(tw), &r);
	assert_int_equal(r.lines, 4007);
	assert_int_equal(r.mismatches, 0);
}

static void a_removed_layer_ends_it(void **state)
{
	struct tree_world *tw = *state;
	struct audit_result r = {0};
	struct audit *a;

	start(tw);
	a = begin(tw);
	assert_true(audit_step(a, NS_PER_MSEC, true) >= 0);
	tree_freeze(tw->tree);
	while (audit_step(a, NS_PER_MSEC, true) >= 0)
		;
	audit_take_result(a, &r);
	audit_end(a);
	assert_int_equal(r.error, -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(an_exact_ledger_is_found_equal),
		T(an_empty_layer_is_found_equal),
		T(a_wrong_verdict_is_found_and_healed),
		T(a_line_of_too_much_is_found_and_healed),
		T(a_file_no_event_told_of_is_found),
		T(a_file_that_is_gone_is_found),
		T(a_name_hidden_by_an_opaque_directory_is_compared),
		T(an_image_changed_beneath_the_container_is_found),
		T(a_missing_line_of_a_directory_is_found),
		T(a_line_too_much_of_a_directory_is_found),
		T(a_wrong_total_is_a_mismatch),
		T(totals_of_a_tree_at_work_are_left_alone),
		T(a_copied_image_is_audited_too),
		T(a_lost_watch_is_renewed),
		T(what_an_event_tells_later_is_no_mismatch),
		T(nothing_is_a_mismatch_while_a_loss_is_open),
		T(what_never_rests_is_counted_apart),
		T(a_tree_without_events_is_not_blamed_for_its_age),
		T(files_past_the_bound_are_counted_apart),
		T(a_long_list_comes_in_slices_and_can_be_left),
		T(a_removed_layer_ends_it),
#undef T
	};

	skip_unless_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

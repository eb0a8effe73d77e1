/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_tree_removal.c - the runtime removes the layer while the tree watches: what the
 * container had changed stays known.
 */
#include "tree_world.h"

static int setup(void **state)
{
	struct tree_world *tw = calloc(1, sizeof(*tw));

	tree_world_make(tw, 1);
	put_dir(world_path(&tw->w, "l0/d"));
	put_file(world_path(&tw->w, "l0/d/f"), "content");
	put_dir(upper(tw, "d"));
	put_file(upper(tw, "d/f"), "changed content");
	put_dir(upper(tw, "new"));
	put_file(upper(tw, "new/x"), "x");
	start(tw);
	*state = tw;
	return 0;
}

static int teardown(void **state)
{
	tree_world_remove(*state);
	free(*state);
	return 0;
}

#define LINES "A /new\nA /new/x\nC /d\nC /d/f\n"

static void remove_step(struct tree_world *tw, const char *path)
{
	assert_int_equal(remove(upper(tw, path)), 0);
	notice(tw);
	tree_work(tw->tree, 0);
	assert_lines(tw, LINES);
}

static void work_until_gone(struct tree_world *tw)
{
	int i, ms;

	for (i = 0; i < 100 && !tree_is_gone(tw->tree); i++) {
		ms = tree_work(tw->tree, 0);
		assert_lines(tw, LINES);
		if (ms > 0)
			usleep((unsigned)ms * 1000);
	}
	assert_true(tree_is_gone(tw->tree));
}

static void a_removed_layer_leaves_the_lines_of_its_last_moment(void **state)
{
	struct tree_world *tw = *state;
	struct tree_counts counts;
	struct stat st;

	stat(tw->w.upper, &st);
	tree_set_mounted(tw->tree, false);
	remove_step(tw, "new/x");
	remove_step(tw, "new");
	remove_step(tw, "d/f");
	remove_step(tw, "d");
	assert_int_equal(rmdir(tw->w.upper), 0);
	tree_mark(tw->tree, st.st_ino, NULL, false);
	assert_false(tree_is_settled(tw->tree));
	work_until_gone(tw);

	assert_lines(tw, LINES);
	assert_int_equal(tw->watched_len, 0);
	assert_true(tree_is_settled(tw->tree));
	assert_true(tree_is_complete(tw->tree));
	assert_int_equal(tree_work(tw->tree, 0), -1);
	assert_int_equal(tw->changes_len, 0); /* nobody reports a removal of files */
	tree_counts(tw->tree, &counts);
	assert_int_equal(counts.added, 2);
	assert_int_equal(counts.modified, 2);

	/* Nothing reaches a frozen tree any more. */
	tree_mark(tw->tree, st.st_ino, NULL, false);
	tree_rescan(tw->tree);
	assert_int_equal(tree_work(tw->tree, 0), -1);
	assert_lines(tw, LINES);
}

static void a_layer_renamed_away_to_be_removed_is_held_as_long_as_it_takes(void **state)
{
	struct tree_world *tw = *state;
	struct stat st, new;
	char command[256];
	int ms;

	stat(upper(tw, "new"), &new);
	stat(tw->w.upper, &st);
	tree_set_mounted(tw->tree, false);
	assert_int_equal(rename(tw->w.upper, world_path(&tw->w, "removing")), 0);
	assert_int_equal(remove(world_path(&tw->w, "removing/new/x")), 0);
	tree_mark(tw->tree, new.st_ino, NULL, false);
	/* Longer than the quiet time passes in the middle. */
	usleep(600000);
	ms = tree_work(tw->tree, 0);
	assert_true(ms > 0);
	assert_lines(tw, LINES);
	snprintf(command, sizeof(command), "rm -rf %s/removing", tw->w.dir);
	assert_int_equal(system(command), 0);
	tree_mark(tw->tree, st.st_ino, NULL, false);
	work_until_gone(tw);
	assert_lines(tw, LINES);
}

static void a_removal_in_a_stopped_container_is_believed_when_it_is_quiet(void **state)
{
	struct tree_world *tw = *state;
	int ms;

	tree_set_mounted(tw->tree, false);
	assert_int_equal(remove(upper(tw, "new/x")), 0);
	notice(tw);
	ms = tree_work(tw->tree, 0);
	assert_true(ms > 0);
	assert_lines(tw, LINES);
	usleep(200000);
	assert_true(tree_work(tw->tree, 0) > 0);
	assert_lines(tw, LINES);
	settle(tw);
	assert_lines(tw, "A /new\nC /d\nC /d/f\n");
	assert_non_null(find_change(tw, "/new/x", TREE_CHANGE_VANISHED));
	assert_false(tree_is_gone(tw->tree));
}

static void each_event_prolongs_the_wait(void **state)
{
	struct tree_world *tw = *state;
	int i;

	tree_set_mounted(tw->tree, false);
	assert_int_equal(remove(upper(tw, "new/x")), 0);
	notice(tw);
	for (i = 0; i < 4; i++) {
		usleep(200000);
		tree_mark(tw->tree, tree_root_ino(tw->tree), NULL, false);
		assert_true(tree_work(tw->tree, 0) > 0);
		assert_lines(tw, LINES);
	}
}

static void mounting_again_ends_the_wait(void **state)
{
	struct tree_world *tw = *state;

	tree_set_mounted(tw->tree, false);
	assert_int_equal(remove(upper(tw, "new/x")), 0);
	notice(tw);
	tree_work(tw->tree, 0);
	assert_lines(tw, LINES);
	tree_set_mounted(tw->tree, true);
	settle(tw);
	assert_lines(tw, "A /new\nC /d\nC /d/f\n");
}

/* The tree as it is in an agent, which looks at the mounts when it gets round to it. */
static void start_beside_mounts(struct tree_world *tw, uint64_t *seen_ns)
{
	int ms;

	tree_stop(tw);
	tw->mounts_seen_ns = seen_ns;
	start(tw);
	forget_changes(tw);
	*seen_ns = 0;
	assert_int_equal(remove(upper(tw, "new/x")), 0);
	notice(tw);
	while ((ms = tree_work(tw->tree, 0)) > 0) /* the directory rests after its last read */
		usleep((unsigned)ms * 1000);
	assert_int_equal(ms, 0);
	assert_int_equal(tree_work(tw->tree, 0), 0);
	assert_lines(tw, LINES);
	assert_false(tree_is_settled(tw->tree));
}

static void names_read_after_an_unmount_that_is_not_known_yet_are_kept(void **state)
{
	struct tree_world *tw = *state;
	uint64_t seen_ns = UINT64_MAX;

	start_beside_mounts(tw, &seen_ns);
	tree_set_mounted(tw->tree, false);
	seen_ns = UINT64_MAX;
	assert_true(tree_work(tw->tree, 0) > 0);
	assert_lines(tw, LINES);
	assert_int_equal(tw->changes_len, 0);
}

static void names_are_gone_when_the_layer_is_mounted_still(void **state)
{
	struct tree_world *tw = *state;
	uint64_t seen_ns = UINT64_MAX;

	start_beside_mounts(tw, &seen_ns);
	seen_ns = UINT64_MAX;
	settle(tw);
	assert_lines(tw, "A /new\nC /d\nC /d/f\n");
}

/* It never was read to its end, and must not look so. */
static void a_layer_removed_during_the_first_scan_is_not_complete(void **state)
{
	struct tree_world *tw = *state;

	tree_stop(tw);
	tree_start(tw, 100);
	tree_work(tw->tree, 1);
	tree_freeze(tw->tree);
	assert_true(tree_is_gone(tw->tree));
	assert_false(tree_is_complete(tw->tree));
	assert_int_equal(tw->watched_len, 0);
	assert_int_equal(tree_work(tw->tree, 0), -1);
}

/* The last writes of a container that is removed at its end. */
static void what_is_added_or_changed_is_not_held_back(void **state)
{
	struct tree_world *tw = *state;

	tree_set_mounted(tw->tree, false);
	put_file(upper(tw, "new/last"), "words");
	put_file(upper(tw, "d/g"), "");
	assert_int_equal(remove(upper(tw, "new/x")), 0);
	notice(tw);
	tree_work(tw->tree, 0);
	usleep(20000); /* the rest of the directories after their first read */
	tree_work(tw->tree, 0);
	assert_lines(tw, "A /d/g\nA /new\nA /new/last\nA /new/x\nC /d\nC /d/f\n");
	settle(tw);
	assert_lines(tw, "A /d/g\nA /new\nA /new/last\nC /d\nC /d/f\n");
}

static void a_stopped_containers_first_scan_does_not_wait(void **state)
{
	struct tree_world *tw = *state;

	tree_stop(tw);
	tree_start(tw, 100);
	tree_set_mounted(tw->tree, false);
	assert_int_equal(tree_work(tw->tree, 0), -1);
	assert_lines(tw, LINES);
	assert_true(tree_is_complete(tw->tree));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_removed_layer_leaves_the_lines_of_its_last_moment),
		TEST(a_layer_renamed_away_to_be_removed_is_held_as_long_as_it_takes),
		TEST(a_removal_in_a_stopped_container_is_believed_when_it_is_quiet),
		TEST(each_event_prolongs_the_wait),
		TEST(names_read_after_an_unmount_that_is_not_known_yet_are_kept),
		TEST(names_are_gone_when_the_layer_is_mounted_still),
		TEST(mounting_again_ends_the_wait),
		TEST(a_layer_removed_during_the_first_scan_is_not_complete),
		TEST(what_is_added_or_changed_is_not_held_back),
		TEST(a_stopped_containers_first_scan_does_not_wait),
	};

	skip_unless_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

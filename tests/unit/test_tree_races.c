/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_tree_races.c - a layer that changes while the tree looks at it.
 *
 * The watcher's callback stands between "watched" and "read": what it changes is what a
 * container could change at the worst moment.
 */
#include "tree_world.h"

static int setup(void **state)
{
	struct tree_world *tw = calloc(1, sizeof(*tw));

	tree_world_make(tw, 1);
	put_dir(world_path(&tw->w, "l0/d"));
	put_file(world_path(&tw->w, "l0/d/f"), "content");
	put_file(world_path(&tw->w, "l0/f"), "content");
	*state = tw;
	return 0;
}

static int teardown(void **state)
{
	tree_world_remove(*state);
	free(*state);
	return 0;
}

/* --- between watching and reading */

static void change_the_file_once(struct tree_world *tw, uint64_t ino)
{
	struct stat st;

	if (stat(upper(tw, "f"), &st) || st.st_ino != ino)
		return;
	tw->on_watch = NULL;
	put_file(upper(tw, "f"), "changed since it was looked at");
}

static void a_change_between_watch_and_stat_is_seen(void **state)
{
	struct tree_world *tw = *state;

	put_file(upper(tw, "f"), "content");
	tw->on_watch = change_the_file_once;
	tree_start(tw, 100);
	settle(tw); /* no event is delivered */
	assert_null(tw->on_watch);
	assert_lines(tw, "C /f\n");
}

static void replace_the_file_once(struct tree_world *tw, uint64_t ino)
{
	struct stat st;

	if (stat(upper(tw, "f"), &st) || st.st_ino != ino)
		return;
	tw->on_watch = NULL;
	put_file(upper(tw, "other"), "quite another file");
	assert_int_equal(rename(upper(tw, "other"), upper(tw, "f")), 0);
}

static void a_name_that_changes_hands_while_watched_is_taken_anew(void **state)
{
	struct tree_world *tw = *state;
	struct stat st;

	put_file(upper(tw, "f"), "content");
	tw->on_watch = replace_the_file_once;
	tree_start(tw, 100);
	settle(tw);
	assert_lines(tw, "C /f\n");
	stat(upper(tw, "f"), &st);
	assert_non_null(tree_find_ino(tw->tree, st.st_ino));
	assert_true(is_watched(tw, st.st_ino));
	assert_int_equal(tw->watched_len, 2);
}

static void replace_the_file_always(struct tree_world *tw, uint64_t ino)
{
	struct stat st;

	if (stat(upper(tw, "f"), &st) || st.st_ino != ino)
		return;
	put_file(upper(tw, "../other"), "quite another file");
	assert_int_equal(rename(upper(tw, "../other"), upper(tw, "f")), 0);
}

static void a_name_that_always_changes_hands_is_given_up_for_a_while(void **state)
{
	struct tree_world *tw = *state;
	struct tree_counts counts;

	put_file(upper(tw, "f"), "content");
	tw->on_watch = replace_the_file_always;
	tree_start(tw, 100);
	assert_true(tree_work(tw->tree, 0) > 0);
	assert_false(tree_is_settled(tw->tree));
	tree_counts(tw->tree, &counts);
	assert_true(counts.lstats < 10);
	tw->on_watch = NULL;
	settle(tw);
	assert_lines(tw, "C /f\n");
}

static void grow_the_file_once(struct tree_world *tw, uint64_t ino)
{
	struct stat st;

	if (stat(upper(tw, "late"), &st) || st.st_ino != ino)
		return;
	tw->on_share = NULL;
	assert_int_equal(truncate(upper(tw, "late"), 77), 0);
}

/* No event is delivered of what happens to "late", but of its directory. */
static void find_late_growing(struct tree_world *tw)
{
	struct tree_node_info info;

	tw->on_share = grow_the_file_once;
	put_file(upper(tw, "late"), "x");
	tree_mark(tw->tree, tree_root_ino(tw->tree), NULL, false);
	settle(tw);
	assert_null(tw->on_share);
	tree_node_info(tree_find_path(tw->tree, "late", 4), &info);
	assert_int_equal(info.st.st_size, 77);
}

static void a_change_after_the_shared_mark_was_given_is_seen(void **state)
{
	struct tree_world *tw = *state;
	char name[32];
	int i;

	for (i = 0; i < 8192; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		put_file(upper(tw, name), "");
	}
	tree_start(tw, 100000);
	settle(tw);
	assert_int_equal(tw->shares_len, 0);
	find_late_growing(tw);
}

static void a_change_after_there_was_no_room_for_a_mark_is_seen(void **state)
{
	struct tree_world *tw = *state;

	tree_start(tw, 100000);
	settle(tw);
	tw->watched_max = tw->watched_len;
	find_late_growing(tw);
}

static void remove_the_directory_once(struct tree_world *tw, uint64_t ino)
{
	struct stat st;

	if (stat(upper(tw, "d"), &st) || st.st_ino != ino)
		return;
	tw->on_watch = NULL;
	assert_int_equal(remove(upper(tw, "d/x")), 0);
	assert_int_equal(remove(upper(tw, "d")), 0);
}

static void a_name_that_is_gone_when_watched_leaves_nothing_behind(void **state)
{
	struct tree_world *tw = *state;

	put_dir(upper(tw, "d"));
	put_file(upper(tw, "d/x"), "");
	tw->on_watch = remove_the_directory_once;
	tree_start(tw, 100);
	settle(tw);
	assert_lines(tw, "");
	assert_int_equal(tw->watched_len, 1);
}

/* --- trap 1: paths lie */

static void another_directory_in_the_place_is_not_read_for_it(void **state)
{
	struct tree_world *tw = *state;
	struct tree_counts counts;
	struct stat a, b;

	start(tw);
	put_dir(upper(tw, "a"));
	put_file(upper(tw, "a/in_a"), "");
	put_dir(upper(tw, "b"));
	put_file(upper(tw, "b/in_b"), "");
	catch_up(tw);
	stat(upper(tw, "a"), &a);
	stat(upper(tw, "b"), &b);

	usleep(20000); /* the rest after the last read is over */

	/* For a moment b stands where a was; only a's own event has arrived. */
	assert_int_equal(rename(upper(tw, "a"), upper(tw, "hidden")), 0);
	assert_int_equal(rename(upper(tw, "b"), upper(tw, "a")), 0);
	tree_mark(tw->tree, a.st_ino, NULL, false);
	tree_work(tw->tree, 1); /* one step: the directory itself */
	tree_counts(tw->tree, &counts);
	assert_true(counts.stales > 0);

	/* And back again. The parent sees the same names and inodes as before. */
	assert_int_equal(rename(upper(tw, "a"), upper(tw, "b")), 0);
	assert_int_equal(rename(upper(tw, "hidden"), upper(tw, "a")), 0);
	catch_up(tw);
	assert_lines(tw, "A /a\nA /a/in_a\nA /b\nA /b/in_b\n");
}

static void a_directory_found_elsewhere_is_read_when_its_parent_sees_it_again(void **state)
{
	struct tree_world *tw = *state;
	struct stat a;

	start(tw);
	put_dir(upper(tw, "a"));
	put_dir(upper(tw, "b"));
	catch_up(tw);
	stat(upper(tw, "a"), &a);
	usleep(20000);
	assert_int_equal(rename(upper(tw, "a"), upper(tw, "hidden")), 0);
	assert_int_equal(rename(upper(tw, "b"), upper(tw, "a")), 0);
	put_file(upper(tw, "hidden/late"), "");
	/* Its only event, taken while another directory stands in its place. */
	tree_mark(tw->tree, a.st_ino, NULL, false);
	tree_work(tw->tree, 1);
	assert_int_equal(rename(upper(tw, "a"), upper(tw, "b")), 0);
	assert_int_equal(rename(upper(tw, "hidden"), upper(tw, "a")), 0);
	tree_mark(tw->tree, tree_root_ino(tw->tree), NULL, false);
	settle(tw);
	assert_lines(tw, "A /a\nA /a/late\nA /b\n");
}

/* Trap 2: the same name and inode number may be another file by now. */
static void names_of_the_image_are_looked_at_at_each_read(void **state)
{
	struct tree_world *tw = *state;
	struct stat st;

	start(tw);
	put_dir(upper(tw, "d"));
	put_file(upper(tw, "d/f"), "content");
	catch_up(tw);
	put_file(upper(tw, "d/f"), "other content");
	stat(upper(tw, "d"), &st);
	tree_mark(tw->tree, st.st_ino, NULL, false);
	settle(tw);
	assert_lines(tw, "C /d\nC /d/f\n");
}

static void a_stale_node_comes_right_without_any_further_event(void **state)
{
	struct tree_world *tw = *state;
	struct stat st;

	start(tw);
	put_dir(upper(tw, "a"));
	put_dir(upper(tw, "a/b"));
	catch_up(tw);
	stat(upper(tw, "a/b"), &st);
	assert_int_equal(rename(upper(tw, "a"), upper(tw, "c")), 0);
	put_file(upper(tw, "c/b/x"), "");
	/* Only the innermost directory is marked: its parents' events are lost. */
	tree_mark(tw->tree, st.st_ino, NULL, false);
	settle(tw);
	assert_lines(tw, "A /c\nA /c/b\nA /c/b/x\n");
}

static void a_file_whose_inode_became_a_directory(void **state)
{
	struct tree_world *tw = *state;
	struct stat st;

	start(tw);
	put_file(upper(tw, "x"), "");
	catch_up(tw);
	stat(upper(tw, "x"), &st);
	remove(upper(tw, "x"));
	put_dir(upper(tw, "x"));
	put_file(upper(tw, "x/y"), "");
	/* Same name, and by chance maybe the same number: the type tells. */
	tree_mark(tw->tree, st.st_ino, NULL, false);
	catch_up(tw);
	assert_lines(tw, "A /x\nA /x/y\n");
}

/* --- the first scan is interrupted and goes on */

static void slices_of_any_length_lead_to_the_same_end(void **state)
{
	struct tree_world *tw = *state;
	char name[32];
	int i, ms, slices = 0;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), i % 10 ? "f%d" : "d%d", i);
		if (i % 10)
			put_file(upper(tw, name), "");
		else
			put_dir(upper(tw, name));
	}
	tree_start(tw, 1000);
	while ((ms = tree_work(tw->tree, 1)) >= 0) {
		slices++;
		if (ms)
			usleep((unsigned)ms * 1000);
	}
	assert_true(slices > 100);
	catch_up(tw);
}

static void a_change_in_the_middle_of_a_read_is_caught_by_its_event(void **state)
{
	struct tree_world *tw = *state;
	char name[32];
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		put_file(upper(tw, name), "");
	}
	tree_start(tw, 1000);
	notice(tw);
	for (i = 0; i < 50; i++)
		tree_work(tw->tree, 1);
	for (i = 0; i < 100; i += 2) {
		snprintf(name, sizeof(name), "f%d", i);
		remove(upper(tw, name));
		snprintf(name, sizeof(name), "g%d", i);
		put_file(upper(tw, name), "");
	}
	catch_up(tw);
}

static void assert_found_at(struct tree_world *tw, uint64_t ino, const char *path)
{
	struct tree_node *n = tree_find_path(tw->tree, path, strlen(path));

	assert_ptr_equal(tree_find_at(tw->tree, ino, path, strlen(path)), n);
}

static uint64_t ino_of(struct tree_world *tw, const char *name)
{
	struct stat st;

	assert_int_equal(stat(upper(tw, name), &st), 0);
	return st.st_ino;
}

/* Whichever inode is taken for what is there, a path leads to what has it, or to nothing. */
static void a_wrong_guess_at_the_inode_leads_to_the_same_file(void **state)
{
	static const char *const paths[] = {"/d/f", "/d/g", "/d",  "/f",    "/xf",
					    "/d/x", "/e",   "/ef", "/xd/f", "/d/d/f"};
	struct tree_world *tw = *state;
	uint64_t inos[3];

	put_dir(upper(tw, "d"));
	put_file(upper(tw, "d/f"), "x");
	put_file(upper(tw, "f"), "y");
	assert_int_equal(link(upper(tw, "d/f"), upper(tw, "d/g")), 0);
	start(tw);
	inos[0] = ino_of(tw, "d/f");
	inos[1] = ino_of(tw, "f");
	inos[2] = ino_of(tw, "d");
	for (size_t i = 0; i < 3; i++)
		for (size_t p = 0; p < sizeof(paths) / sizeof(*paths); p++)
			assert_found_at(tw, inos[i], paths[p]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_change_between_watch_and_stat_is_seen),
		TEST(a_wrong_guess_at_the_inode_leads_to_the_same_file),
		TEST(a_change_after_the_shared_mark_was_given_is_seen),
		TEST(a_change_after_there_was_no_room_for_a_mark_is_seen),
		TEST(a_name_that_changes_hands_while_watched_is_taken_anew),
		TEST(a_name_that_always_changes_hands_is_given_up_for_a_while),
		TEST(a_name_that_is_gone_when_watched_leaves_nothing_behind),
		TEST(another_directory_in_the_place_is_not_read_for_it),
		TEST(a_directory_found_elsewhere_is_read_when_its_parent_sees_it_again),
		TEST(names_of_the_image_are_looked_at_at_each_read),
		TEST(a_stale_node_comes_right_without_any_further_event),
		TEST(a_file_whose_inode_became_a_directory),
		TEST(slices_of_any_length_lead_to_the_same_end),
		TEST(a_change_in_the_middle_of_a_read_is_caught_by_its_event),
	};

	skip_unless_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

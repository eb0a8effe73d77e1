/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_tree_rest.c - files that are written to all the time: not looked at until somebody asks, and
 * then true.
 */
#include "tree_world.h"

#define ENOUGH 3 /* looks that find only growth, until a file is left alone */

static struct tree_counts counts_of(struct tree_world *tw)
{
	struct tree_counts c;

	tree_counts(tw->tree, &c);
	return c;
}

static void grow(struct tree_world *tw, const char *name)
{
	struct stat st;

	assert_int_equal(stat(upper(tw, name), &st), 0);
	assert_int_equal(truncate(upper(tw, name), st.st_size + 1), 0);
}

/* Returns how many marks that made. */
static size_t grow_and_look(struct tree_world *tw, const char *name)
{
	size_t marked;

	grow(tw, name);
	marked = notice(tw);
	settle(tw);
	return marked;
}

static void grow_until_left(struct tree_world *tw, const char *name)
{
	for (int i = 0; i < ENOUGH; i++)
		assert_int_equal(grow_and_look(tw, name), 1);
}

static off_t size_in_tree(struct tree_world *tw, const char *path)
{
	struct tree_node *n = tree_find_path(tw->tree, path, strlen(path));
	struct tree_node_info info;

	assert_non_null(n);
	tree_node_info(n, &info);
	return info.st.st_size;
}

static off_t size_on_disk(struct tree_world *tw, const char *name)
{
	struct stat st;

	assert_int_equal(stat(upper(tw, name), &st), 0);
	return st.st_size;
}

static size_t wake(struct tree_world *tw)
{
	size_t woken = tree_wake(tw->tree);

	settle(tw);
	return woken;
}

static void start_with_a_file(struct tree_world *tw)
{
	put_file(upper(tw, "f"), "x");
	start(tw);
}

static void a_file_written_to_all_the_time_is_looked_at_when_somebody_asks(void **state)
{
	struct tree_world *tw = *state;
	uint64_t lstats;

	start_with_a_file(tw);
	grow_until_left(tw, "f");
	lstats = counts_of(tw).lstats;
	grow_and_look(tw, "f"); /* is left marked: the last record of it */
	for (int i = 0; i < 20; i++)
		assert_int_equal(grow_and_look(tw, "f"), 0);
	assert_int_equal(counts_of(tw).lstats, lstats);
	assert_true(tree_is_complete(tw->tree));

	assert_int_equal(wake(tw), 1);
	assert_int_equal(counts_of(tw).lstats, lstats + 1);
	assert_int_equal(size_in_tree(tw, "/f"), size_on_disk(tw, "f"));
	assert_int_equal(counts_of(tw).bytes, size_on_disk(tw, "f"));
	assert_int_equal(wake(tw), 0);
}

static void after_an_answer_the_next_write_makes_a_mark_again(void **state)
{
	struct tree_world *tw = *state;

	start_with_a_file(tw);
	grow_until_left(tw, "f");
	for (int i = 0; i < 5; i++) {
		assert_int_equal(grow_and_look(tw, "f"), 1);
		assert_int_equal(grow_and_look(tw, "f"), 0);
		assert_int_equal(wake(tw), 1);
		assert_int_equal(size_in_tree(tw, "/f"), size_on_disk(tw, "f"));
	}
}

static void grow_once_more(struct tree_world *tw)
{
	tw->on_take = NULL;
	grow(tw, "f");
}

static void the_mark_is_taken_before_the_look(void **state)
{
	struct tree_world *tw = *state;

	start_with_a_file(tw);
	grow_until_left(tw, "f");
	grow_and_look(tw, "f");
	tw->on_take = grow_once_more; /* what is written then is seen, or makes a mark */
	assert_int_equal(wake(tw), 1);
	assert_null(tw->on_take);
	assert_int_equal(size_in_tree(tw, "/f"), size_on_disk(tw, "f"));
}

static void what_had_begun_when_the_mark_is_taken_is_looked_at_twice(void **state)
{
	struct tree_world *tw = *state;

	start_with_a_file(tw);
	grow_until_left(tw, "f");
	grow_and_look(tw, "f");
	tw->is_begun = true;
	assert_int_equal(tree_wake(tw->tree), 1);
	while (tree_work(tw->tree, 0) == 0)
		;
	assert_false(tree_is_settled(tw->tree));
	grow(tw, "f"); /* no event tells of it */
	settle(tw);
	assert_int_equal(size_in_tree(tw, "/f"), size_on_disk(tw, "f"));
}

static void another_mode_ends_the_rest(void **state)
{
	struct tree_world *tw = *state;

	start_with_a_file(tw);
	grow_until_left(tw, "f");
	grow_and_look(tw, "f");
	assert_int_equal(chmod(upper(tw, "f"), 0755), 0);
	notice(tw);
	forget_changes(tw);
	assert_int_equal(wake(tw), 1);
	assert_non_null(find_change(tw, "/f", TREE_CHANGE_MODE));
	assert_int_equal(counts_of(tw).executables, 1);
	assert_int_equal(grow_and_look(tw, "f"), 1);
	assert_int_equal(size_in_tree(tw, "/f"), size_on_disk(tw, "f")); /* at once */
}

static void a_file_that_came_to_rest_is_looked_at_at_once(void **state)
{
	const struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	struct tree_world *tw = *state;

	start_with_a_file(tw);
	for (int i = 0; i < ENOUGH + 2; i++) {
		grow(tw, "f");
		assert_int_equal(utimensat(AT_FDCWD, upper(tw, "f"), then, 0), 0);
		assert_int_equal(notice(tw), 1);
		settle(tw);
		assert_int_equal(size_in_tree(tw, "/f"), size_on_disk(tw, "f"));
	}
}

static void a_file_that_goes_while_it_is_left_leaves_nothing(void **state)
{
	struct tree_world *tw = *state;

	start_with_a_file(tw);
	grow_until_left(tw, "f");
	grow_and_look(tw, "f");
	assert_int_equal(remove(upper(tw, "f")), 0);
	catch_up(tw);
	assert_lines(tw, "");
	assert_int_equal(wake(tw), 0);
}

static void another_name_ends_the_rest(void **state)
{
	struct tree_world *tw = *state;

	start_with_a_file(tw);
	grow_until_left(tw, "f");
	grow_and_look(tw, "f");
	assert_int_equal(link(upper(tw, "f"), upper(tw, "g")), 0);
	catch_up(tw);
	assert_int_equal(size_in_tree(tw, "/f"), size_on_disk(tw, "f"));
	for (int i = 0; i < 3; i++) { /* at once, from now on, by both names */
		assert_int_equal(grow_and_look(tw, "g"), 2);
		assert_int_equal(size_in_tree(tw, "/g"), size_on_disk(tw, "g"));
	}
}

static void another_name_answers_when_the_first_goes(void **state)
{
	struct tree_world *tw = *state;

	start_with_a_file(tw);
	grow_until_left(tw, "f");
	grow_and_look(tw, "f");
	assert_int_equal(rename(upper(tw, "f"), upper(tw, "g")), 0);
	grow(tw, "g");
	catch_up(tw);
	assert_lines(tw, "A /g\n");
	assert_int_equal(size_in_tree(tw, "/g"), size_on_disk(tw, "g"));
	grow_and_look(tw, "g");
	wake(tw);
	assert_int_equal(size_in_tree(tw, "/g"), size_on_disk(tw, "g"));
}

static void a_file_of_the_image_becomes_a_line_first(void **state)
{
	struct tree_world *tw = *state;

	put_file(world_path(&tw->w, "l0/f"), "x");
	start_with_a_file(tw);
	grow_and_look(tw, "f");
	assert_lines(tw, "C /f\n");
	grow_until_left(tw, "f");
	grow_and_look(tw, "f");
	assert_int_equal(wake(tw), 1);
	assert_int_equal(size_in_tree(tw, "/f"), size_on_disk(tw, "f"));
}

static void many_are_woken_at_once(void **state)
{
	struct tree_world *tw = *state;
	char name[32];

	for (int d = 0; d < 40; d++) {
		snprintf(name, sizeof(name), "d%d", d);
		put_dir(upper(tw, name));
	}
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "d%d/f%d", i % 40, i);
		put_file(upper(tw, name), "x");
	}
	start(tw);
	for (int round = 0; round <= ENOUGH; round++) {
		for (int i = 0; i < 400; i++) {
			snprintf(name, sizeof(name), "d%d/f%d", i % 40, i);
			grow(tw, name);
		}
		notice(tw);
		settle(tw);
	}
	assert_int_equal(wake(tw), 400);
	assert_int_equal(size_in_tree(tw, "/d0/f0"), 1 + ENOUGH + 1);
	assert_int_equal(counts_of(tw).bytes, 400 * (1 + ENOUGH + 1));
}

static int setup(void **state)
{
	struct tree_world *tw = calloc(1, sizeof(*tw));

	tree_world_make(tw, 1);
	*state = tw;
	return 0;
}

static int teardown(void **state)
{
	tree_world_remove(*state);
	free(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_written_to_all_the_time_is_looked_at_when_somebody_asks),
		TEST(after_an_answer_the_next_write_makes_a_mark_again),
		TEST(the_mark_is_taken_before_the_look),
		TEST(what_had_begun_when_the_mark_is_taken_is_looked_at_twice),
		TEST(another_mode_ends_the_rest),
		TEST(a_file_that_came_to_rest_is_looked_at_at_once),
		TEST(a_file_that_goes_while_it_is_left_leaves_nothing),
		TEST(another_name_ends_the_rest),
		TEST(another_name_answers_when_the_first_goes),
		TEST(a_file_of_the_image_becomes_a_line_first),
		TEST(many_are_woken_at_once),
	};

	skip_unless_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

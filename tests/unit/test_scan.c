/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_scan.c - docker diff's answer from a layer on disk.
 *
 * The expected lines are docker's, from the table of operations.
 */
#include "layer_world.h"

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_make(w, 1);
	put_dir(world_path(w, "l0/img"));
	put_file(world_path(w, "l0/img/f"), "content");
	put_file(world_path(w, "l0/img/f2"), "content2");
	put_dir(world_path(w, "l0/img/d"));
	put_file(world_path(w, "l0/img/d/a"), "a");
	put_file(world_path(w, "l0/img/d/b"), "b");
	put_dir(world_path(w, "l0/img/d/sub"));
	put_file(world_path(w, "l0/img/d/sub/c"), "c");
	put_dir(world_path(w, "l0/img/ed"));
	put_dir(world_path(w, "upper/img"));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_remove(*state);
	free(*state);
	return 0;
}

static void copied_up_and_equal_is_no_line(void **state)
{
	struct world *w = *state;

	put_file(world_path(w, "upper/img/f"), "content");
	put_dir(world_path(w, "upper/img/ed"));
	assert_scan(w, "");
}

static void a_changed_file_implies_its_directories(void **state)
{
	struct world *w = *state;

	put_file(world_path(w, "upper/img/f"), "content and more");
	assert_scan(w, "C /img\nC /img/f\n");
}

static void an_added_tree_is_listed_whole(void **state)
{
	struct world *w = *state;

	put_dir(world_path(w, "upper/img/nd"));
	put_dir(world_path(w, "upper/img/nd/nd"));
	put_file(world_path(w, "upper/img/nd/nd/x"), "");
	assert_scan(w, "A /img/nd\nA /img/nd/nd\nA /img/nd/nd/x\nC /img\n");
}

static void the_root_is_never_listed(void **state)
{
	struct world *w = *state;

	put_file(world_path(w, "upper/new"), "");
	assert_int_equal(chmod(w->upper, 0700), 0);
	assert_scan(w, "A /new\n");
}

static void a_removed_directory_is_one_line(void **state)
{
	struct world *w = *state;

	put_whiteout(world_path(w, "upper/img/d"));
	assert_scan(w, "C /img\nD /img/d\n");
}

static void a_whiteout_of_nothing_is_no_line(void **state)
{
	struct world *w = *state;

	put_whiteout(world_path(w, "upper/img/nothing"));
	assert_scan(w, "");
}

static void removed_and_made_again(void **state)
{
	struct world *w = *state;

	put_dir(world_path(w, "upper/img/d"));
	set_opaque(world_path(w, "upper/img/d"));
	put_file(world_path(w, "upper/img/d/a"), "aa");
	put_file(world_path(w, "upper/img/d/z"), "z");
	assert_scan(w, "A /img/d/z\nC /img\nC /img/d\nC /img/d/a\nD /img/d/b\nD /img/d/sub\n");
}

/* overlayfs marks only the top of what it makes anew. */
static void opacity_reaches_down(void **state)
{
	struct world *w = *state;

	put_dir(world_path(w, "upper/img/d"));
	set_opaque(world_path(w, "upper/img/d"));
	put_dir(world_path(w, "upper/img/d/sub"));
	assert_scan(w, "C /img\nC /img/d\nC /img/d/sub\nD /img/d/a\nD /img/d/b\nD /img/d/sub/c\n");
}

static void a_file_and_a_directory_in_each_others_place(void **state)
{
	struct world *w = *state;

	put_dir(world_path(w, "upper/img/f"));
	put_file(world_path(w, "upper/img/f/x"), "");
	put_file(world_path(w, "upper/img/d"), "");
	assert_scan(w, "A /img/f/x\nC /img\nC /img/d\nC /img/f\n");
}

static void a_capability_is_a_change_and_another_xattr_is_none(void **state)
{
	static const char cap[20] = {1, 0, 0, 2, 0, 0x20};
	struct world *w = *state;

	put_file(world_path(w, "upper/img/f"), "content");
	assert_int_equal(setxattr(world_path(w, "upper/img/f"), "user.x", "1", 1, 0), 0);
	assert_scan(w, "");
	assert_int_equal(
		setxattr(world_path(w, "upper/img/f"), "security.capability", cap, sizeof(cap), 0),
		0);
	assert_scan(w, "C /img\nC /img/f\n");
}

static void a_containers_own_user_xattr_does_not_make_opaque(void **state)
{
	struct world *w = *state;

	assert_int_equal(setxattr(world_path(w, "upper/img"), "user.overlay.opaque", "y", 1, 0), 0);
	assert_scan(w, "");
	/* In the layer of a rootless runtime it does: nobody but overlayfs can set it there. */
	assert_int_equal(chown(w->dir, 1000, 1000), 0);
	assert_scan(w, "C /img\nD /img/d\nD /img/ed\nD /img/f\nD /img/f2\n");
}

static void names_are_bytes(void **state)
{
	struct world *w = *state;
	char name[256];

	put_file(world_path(w, "upper/new\nline\xff\x01"), "");
	memset(name, 'n', 255);
	name[255] = '\0';
	put_file(world_path(w, "upper/%s", name), "");
	memset(name, 'n', 255);
	{
		char expected[600];

		snprintf(expected, sizeof(expected), "A /new\nline\xff\x01\nA /%s\n", name);
		assert_scan(w, expected);
	}
}

static int count_line(char verdict, const char *path, size_t len, void *arg)
{
	size_t *longest = arg;

	(void)path;
	assert_int_equal(verdict, 'A');
	if (len > *longest)
		*longest = len;
	return 0;
}

static void paths_may_be_longer_than_path_max(void **state)
{
	struct layer_stack *stack;
	struct world *w = *state;
	size_t longest = 0;
	char name[101];
	int fd, below, i;

	memset(name, 'd', 100);
	name[100] = '\0';
	fd = open(w->upper, O_PATH);
	for (i = 0; i < 1000; i++) {
		assert_int_equal(mkdirat(fd, name, 0755), 0);
		below = openat(fd, name, O_PATH);
		close(fd);
		fd = below;
	}
	close(fd);
	stack = world_stack(w);
	assert_int_equal(layer_scan(NULL, w->upper, stack, count_line, &longest), 0);
	assert_int_equal(longest, 101000);
	layer_stack_close(stack);
}

static void a_symlink_out_of_the_layer_is_not_followed(void **state)
{
	struct world *w = *state;

	assert_int_equal(symlink("/etc", world_path(w, "upper/img/d")), 0);
	assert_int_equal(symlink("/etc/passwd", world_path(w, "upper/img/f")), 0);
	assert_scan(w, "C /img\nC /img/d\nC /img/f\n");
}

static int stop(char verdict, const char *path, size_t len, void *arg)
{
	(void)verdict;
	(void)path;
	(void)len;
	(void)arg;
	return 42;
}

static void the_caller_can_stop_it(void **state)
{
	struct world *w = *state;
	struct layer_stack *stack = world_stack(w);

	put_file(world_path(w, "upper/new"), "");
	assert_int_equal(layer_scan(NULL, w->upper, stack, stop, NULL), 42);
	assert_int_equal(layer_scan(NULL, "/nonexistent", stack, stop, NULL), -ENOENT);
	layer_stack_close(stack);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copied_up_and_equal_is_no_line),
		TEST(a_changed_file_implies_its_directories),
		TEST(an_added_tree_is_listed_whole),
		TEST(the_root_is_never_listed),
		TEST(a_removed_directory_is_one_line),
		TEST(a_whiteout_of_nothing_is_no_line),
		TEST(removed_and_made_again),
		TEST(opacity_reaches_down),
		TEST(a_file_and_a_directory_in_each_others_place),
		TEST(a_capability_is_a_change_and_another_xattr_is_none),
		TEST(a_containers_own_user_xattr_does_not_make_opaque),
		TEST(names_are_bytes),
		TEST(paths_may_be_longer_than_path_max),
		TEST(a_symlink_out_of_the_layer_is_not_followed),
		TEST(the_caller_can_stop_it),
	};

	skip_unless_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

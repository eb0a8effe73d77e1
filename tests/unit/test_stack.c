/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_stack.c - the merged lower layers as overlayfs would show them.
 */
#include "layer_world.h"

static struct layer_dir *open_dir(struct layer_stack *s, const char *name)
{
	return layer_dir_open(layer_stack_root(s), name);
}

static int layer_of(struct layer_dir *d, const char *name)
{
	struct layer_entry e;
	int err = layer_dir_lookup(d, name, &e);

	return err ? err : e.layer;
}

static int count_name(const char *name, void *arg)
{
	return line_add(' ', name, strlen(name), arg);
}

static void assert_names(struct layer_dir *d, const char *expected)
{
	struct line_set set = {0};
	char *text;

	assert_int_equal(layer_dir_foreach(d, count_name, &set), 0);
	text = line_text(&set);
	assert_string_equal(text, expected);
	free(text);
}

static void the_topmost_layer_answers(void **state)
{
	struct layer_stack *s;
	struct world w;

	(void)state;
	world_make(&w, 3);
	put_file(world_path(&w, "l2/a"), "2");
	put_file(world_path(&w, "l1/a"), "1");
	put_file(world_path(&w, "l2/b"), "2");
	s = world_stack(&w);
	assert_int_equal(layer_of(layer_stack_root(s), "a"), 1);
	assert_int_equal(layer_of(layer_stack_root(s), "b"), 2);
	assert_int_equal(layer_of(layer_stack_root(s), "c"), -ENOENT);
	assert_names(layer_stack_root(s), "  a\n  b\n");
	layer_stack_close(s);
	world_remove(&w);
}

static void a_whiteout_hides_what_is_below_it(void **state)
{
	struct layer_stack *s;
	struct layer_dir *d;
	struct world w;

	(void)state;
	world_make(&w, 3);
	put_dir(world_path(&w, "l2/d"));
	put_file(world_path(&w, "l2/d/a"), "2");
	put_file(world_path(&w, "l2/d/b"), "2");
	put_dir(world_path(&w, "l1/d"));
	put_whiteout(world_path(&w, "l1/d/a"));
	put_dir(world_path(&w, "l0/d"));
	put_file(world_path(&w, "l0/d/b"), "0");
	s = world_stack(&w);
	d = open_dir(s, "d");
	assert_non_null(d);
	assert_int_equal(layer_of(d, "a"), -ENOENT);
	assert_int_equal(layer_of(d, "b"), 0);
	assert_names(d, "  b\n");
	layer_dir_put(d);
	layer_stack_close(s);
	world_remove(&w);
}

static void an_opaque_directory_hides_what_is_below_it(void **state)
{
	struct layer_stack *s;
	struct layer_dir *d, *sub;
	struct world w;

	(void)state;
	world_make(&w, 2);
	put_dir(world_path(&w, "l1/d"));
	put_dir(world_path(&w, "l1/d/sub"));
	put_file(world_path(&w, "l1/d/sub/x"), "1");
	put_file(world_path(&w, "l1/d/a"), "1");
	put_dir(world_path(&w, "l0/d"));
	put_dir(world_path(&w, "l0/d/sub"));
	put_file(world_path(&w, "l0/d/sub/y"), "0");
	set_opaque(world_path(&w, "l0/d"));
	s = world_stack(&w);
	d = open_dir(s, "d");
	assert_int_equal(layer_of(d, "a"), -ENOENT);
	assert_names(d, "  sub\n");
	/* Also one that is not marked itself, beneath. */
	sub = layer_dir_open(d, "sub");
	assert_names(sub, "  y\n");
	layer_dir_put(sub);
	layer_dir_put(d);
	layer_stack_close(s);
	world_remove(&w);
}

static void a_file_ends_a_directory(void **state)
{
	struct layer_stack *s;
	struct layer_dir *d;
	struct world w;

	(void)state;
	world_make(&w, 3);
	put_dir(world_path(&w, "l2/d"));
	put_file(world_path(&w, "l2/d/old"), "2");
	put_file(world_path(&w, "l1/d"), "a file");
	put_dir(world_path(&w, "l0/d"));
	put_file(world_path(&w, "l0/d/new"), "0");
	put_file(world_path(&w, "l1/f"), "a file");
	s = world_stack(&w);
	d = open_dir(s, "d");
	assert_names(d, "  new\n");
	layer_dir_put(d);
	errno = 0;
	assert_null(open_dir(s, "f"));
	assert_int_equal(errno, ENOENT);
	assert_null(open_dir(s, "nothing"));
	assert_int_equal(errno, ENOENT);
	layer_stack_close(s);
	world_remove(&w);
}

static void whiteouts_by_attribute_need_the_mark_of_their_directory(void **state)
{
	struct layer_stack *s;
	struct layer_dir *d;
	struct world w;

	(void)state;
	world_make(&w, 2);
	put_dir(world_path(&w, "l1/d"));
	put_file(world_path(&w, "l1/d/a"), "1");
	put_dir(world_path(&w, "l0/d"));
	put_file(world_path(&w, "l0/d/a"), "");
	assert_int_equal(setxattr(world_path(&w, "l0/d/a"), "trusted.overlay.whiteout", "", 0, 0),
			 0);
	s = world_stack(&w);
	d = open_dir(s, "d");
	assert_int_equal(layer_of(d, "a"), 0);
	layer_dir_put(d);
	layer_stack_close(s);

	assert_int_equal(setxattr(world_path(&w, "l0/d"), "trusted.overlay.opaque", "x", 1, 0), 0);
	s = world_stack(&w);
	d = open_dir(s, "d");
	assert_int_equal(layer_of(d, "a"), -ENOENT);
	assert_names(d, "");
	layer_dir_put(d);
	layer_stack_close(s);
	world_remove(&w);
}

static void many_layers_are_asked_once_per_name_and_not_beneath_what_they_lack(void **state)
{
	struct layer_stack *s;
	struct layer_dir *d;
	uint64_t before;
	struct world w;
	char name[16];
	int i;

	(void)state;
	world_make(&w, 120);
	put_dir(world_path(&w, "l119/d"));
	put_file(world_path(&w, "l119/d/a"), "1");
	s = world_stack(&w);
	d = open_dir(s, "d");
	before = layer_stack_disk_lookups(s);
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "new%d", i);
		assert_int_equal(layer_of(d, name), -ENOENT);
		assert_int_equal(layer_of(d, name), -ENOENT);
	}
	assert_int_equal(layer_of(d, "a"), 119);
	assert_int_equal(layer_of(d, "a"), 119);
	assert_int_equal(layer_stack_disk_lookups(s) - before, 11);
	layer_dir_put(d);
	layer_stack_close(s);
	world_remove(&w);
}

static void what_is_forgotten_is_looked_up_again(void **state)
{
	struct layer_stack *s;
	struct world w;
	char name[16];
	int round, i;

	(void)state;
	world_make(&w, 1);
	for (i = 0; i < 9000; i += 3) {
		snprintf(name, sizeof(name), "l0/%d", i);
		put_file(world_path(&w, "%s", name), "");
	}
	s = world_stack(&w);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 9000; i++) {
			snprintf(name, sizeof(name), "%d", i);
			assert_int_equal(layer_of(layer_stack_root(s), name), i % 3 ? -ENOENT : 0);
		}
	}
	layer_stack_close(s);
	world_remove(&w);
}

static void put_files(struct world *w, const char *dir, int count)
{
	int i;

	for (i = 0; i < count; i++)
		put_file(world_path(w, "%s/of-image%d", dir, i), "");
}

static void assert_absent(struct layer_dir *d, int count)
{
	char name[16];
	int i;

	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "new%d", i);
		assert_int_equal(layer_of(d, name), -ENOENT);
	}
}

static void thousands_of_absent_names_are_told_from_one_listing(void **state)
{
	struct layer_dir *d, *other;
	struct layer_stack *s;
	uint64_t before;
	struct world w;

	(void)state;
	world_make(&w, 3);
	put_dir(world_path(&w, "l0/d"));
	put_dir(world_path(&w, "l1/d"));
	put_dir(world_path(&w, "l2/d"));
	put_dir(world_path(&w, "l2/other"));
	put_file(world_path(&w, "l0/d/a"), "");
	put_whiteout(world_path(&w, "l1/d/b"));
	put_file(world_path(&w, "l2/d/b"), "");
	put_file(world_path(&w, "l2/d/c"), "");
	put_file(world_path(&w, "l2/other/new7"), "");
	s = world_stack(&w);
	d = open_dir(s, "d");
	other = open_dir(s, "other");
	before = layer_stack_disk_lookups(s);
	assert_absent(d, 5000);
	assert_true(layer_stack_disk_lookups(s) - before < 3 * 100);
	assert_int_equal(layer_of(d, "a"), 0);
	assert_int_equal(layer_of(d, "b"), -ENOENT);
	assert_int_equal(layer_of(d, "c"), 2);
	assert_int_equal(layer_of(other, "new7"), 2);
	assert_int_equal(layer_of(d, "new7"), -ENOENT);
	layer_dir_put(other);
	layer_dir_put(d);
	layer_stack_close(s);
	world_remove(&w);
}

static void a_directory_too_large_to_be_listed_is_asked_name_by_name(void **state)
{
	struct layer_stack *s;
	struct world w;
	uint64_t before;
	int i;

	(void)state;
	world_make(&w, 2);
	put_files(&w, "l0", 300);
	put_files(&w, "l1", 900);
	s = world_stack(&w);
	before = layer_stack_disk_lookups(s);
	assert_absent(layer_stack_root(s), 130); /* not worth 1200 names yet */
	assert_int_equal(layer_stack_disk_lookups(s) - before, 2 * 130);
	assert_absent(layer_stack_root(s), 3000);
	assert_true(layer_stack_disk_lookups(s) - before < 2 * 300);
	for (i = 0; i < 900; i++) {
		char name[24];

		snprintf(name, sizeof(name), "of-image%d", i);
		assert_int_equal(layer_of(layer_stack_root(s), name), i < 300 ? 0 : 1);
	}
	layer_stack_close(s);
	world_remove(&w);
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void descriptors_are_bounded_and_given_back(void **state)
{
	unsigned before = open_fds();
	struct layer_stack *s;
	struct world w;
	int i;

	(void)state;
	world_make(&w, 120);
	s = world_stack(&w);
	for (i = 0; i < 5; i++)
		layer_of(layer_stack_root(s), "x");
	assert_true(open_fds() <= before + 24);
	layer_stack_idle(s);
	assert_int_equal(open_fds(), before);
	assert_int_equal(layer_of(layer_stack_root(s), "y"), -ENOENT);
	layer_stack_close(s);
	assert_int_equal(open_fds(), before);
	world_remove(&w);
}

static void a_missing_layer_is_an_error_and_not_an_absent_name(void **state)
{
	struct strbuf error = STRBUF_INIT;
	struct layer_stack *s = NULL;
	struct world w;

	(void)state;
	world_make(&w, 2);
	put_file(world_path(&w, "l1/a"), "1");
	s = world_stack(&w);
	assert_int_equal(rename(w.lowers[1], world_path(&w, "elsewhere")), 0);
	assert_int_equal(layer_of(layer_stack_root(s), "a"), -ESTALE);
	/* Another directory at the same path does not stand in. */
	put_dir(w.lowers[1]);
	assert_int_equal(layer_of(layer_stack_root(s), "a"), -ESTALE);
	layer_stack_close(s);

	assert_int_equal(rmdir(w.lowers[1]), 0);
	assert_int_equal(layer_stack_open(NULL, w.lowers, 2, &error, &s), -ENOENT);
	assert_non_null(strstr(strbuf_str(&error), w.lowers[1]));
	strbuf_done(&error);
	world_remove(&w);
}

static void directories_nest_deeper_than_a_path_is_long(void **state)
{
	const int depth = 600;
	struct layer_dir *d, *next;
	struct layer_stack *s;
	struct world w;
	int fd, i, below;

	(void)state;
	world_make(&w, 1);
	fd = open(w.lowers[0], O_PATH);
	for (i = 0; i < depth; i++) {
		assert_int_equal(mkdirat(fd, "a_directory", 0755), 0);
		below = openat(fd, "a_directory", O_PATH);
		close(fd);
		fd = below;
	}
	close(fd);
	s = world_stack(&w);
	d = layer_dir_get(layer_stack_root(s));
	for (i = 0; i < depth; i++) {
		if (i == depth / 2)
			layer_stack_idle(s); /* from the root again, in one go */
		next = layer_dir_open(d, "a_directory");
		assert_non_null(next);
		layer_dir_put(d);
		d = next;
	}
	layer_stack_idle(s);
	assert_int_equal(layer_of(d, "a_directory"), -ENOENT);
	layer_dir_put(d);
	layer_stack_close(s);
	world_remove(&w);
}

static void a_capability_of_the_image_is_read_once_when_there_is_none(void **state)
{
	static const char cap[20] = {1, 0, 0, 2, 0, 0x20};
	struct layer_stack *s;
	struct world w;
	char buf[64];

	(void)state;
	world_make(&w, 1);
	put_file(world_path(&w, "l0/a"), "x");
	put_file(world_path(&w, "l0/b"), "x");
	assert_int_equal(
		setxattr(world_path(&w, "l0/b"), "security.capability", cap, sizeof(cap), 0), 0);
	s = world_stack(&w);
	assert_int_equal(layer_dir_capability(layer_stack_root(s), "a", buf, sizeof(buf)), 0);
	assert_int_equal(layer_dir_capability(layer_stack_root(s), "b", buf, sizeof(buf)),
			 sizeof(cap));
	assert_int_equal(layer_dir_capability(layer_stack_root(s), "c", buf, sizeof(buf)), 0);
	layer_stack_close(s);
	world_remove(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_topmost_layer_answers),
		cmocka_unit_test(a_whiteout_hides_what_is_below_it),
		cmocka_unit_test(an_opaque_directory_hides_what_is_below_it),
		cmocka_unit_test(a_file_ends_a_directory),
		cmocka_unit_test(whiteouts_by_attribute_need_the_mark_of_their_directory),
		cmocka_unit_test(
			many_layers_are_asked_once_per_name_and_not_beneath_what_they_lack),
		cmocka_unit_test(what_is_forgotten_is_looked_up_again),
		cmocka_unit_test(thousands_of_absent_names_are_told_from_one_listing),
		cmocka_unit_test(a_directory_too_large_to_be_listed_is_asked_name_by_name),
		cmocka_unit_test(descriptors_are_bounded_and_given_back),
		cmocka_unit_test(a_missing_layer_is_an_error_and_not_an_absent_name),
		cmocka_unit_test(directories_nest_deeper_than_a_path_is_long),
		cmocka_unit_test(a_capability_of_the_image_is_read_once_when_there_is_none),
	};

	skip_unless_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_compare.c - docker's stat rule, and what it is blind to.
 */
#include "layer_world.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "layer/compare.h"

static struct stat regular(void)
{
	return (struct stat){
		.st_mode = S_IFREG | 0644,
		.st_size = 10,
		.st_mtim = {1700000000, 5},
		.st_ctim = {1, 1},
		.st_ino = 1,
	};
}

static void inode_and_ctime_do_not_matter(void **state)
{
	struct stat a = regular(), b = regular();

	(void)state;
	b.st_ino = 2;
	b.st_ctim.tv_sec = 99;
	b.st_nlink = 3;
	b.st_atim.tv_sec = 7;
	assert_false(layer_stat_differs(&a, &b));
}

static void mode_owner_device_size_and_mtime_matter(void **state)
{
	struct stat a = regular(), b;

	(void)state;
	b = regular();
	b.st_mode |= 0111;
	assert_true(layer_stat_differs(&a, &b));
	b = regular();
	b.st_uid = 1;
	assert_true(layer_stat_differs(&a, &b));
	b = regular();
	b.st_gid = 1;
	assert_true(layer_stat_differs(&a, &b));
	b = regular();
	b.st_rdev = makedev(1, 3);
	assert_true(layer_stat_differs(&a, &b));
	b = regular();
	b.st_size = 11;
	assert_true(layer_stat_differs(&a, &b));
	b = regular();
	b.st_mtim.tv_sec++;
	assert_true(layer_stat_differs(&a, &b));
	b = regular();
	b.st_mtim.tv_nsec++;
	assert_true(layer_stat_differs(&a, &b));
}

static void nanoseconds_missing_on_either_side_are_equal(void **state)
{
	struct stat a = regular(), b = regular();

	(void)state;
	b.st_mtim.tv_nsec = 0;
	assert_false(layer_stat_differs(&a, &b));
	assert_false(layer_stat_differs(&b, &a));
	b.st_mtim.tv_sec++;
	assert_true(layer_stat_differs(&a, &b));
}

static void size_and_mtime_of_directories_do_not_matter(void **state)
{
	struct stat a = regular(), b = regular();

	(void)state;
	a.st_mode = b.st_mode = S_IFDIR | 0755;
	b.st_size = 4096;
	b.st_mtim.tv_sec++;
	assert_false(layer_stat_differs(&a, &b));
	b.st_mode = S_IFDIR | 0700;
	assert_true(layer_stat_differs(&a, &b));
}

/* moby's test for a directory is a test of one bit that these have too. */
static void sockets_and_block_devices_count_as_directories(void **state)
{
	struct stat a = regular(), b = regular();

	(void)state;
	a.st_mode = b.st_mode = S_IFSOCK | 0755;
	b.st_mtim.tv_sec++;
	assert_false(layer_stat_differs(&a, &b));
	a.st_mode = b.st_mode = S_IFBLK | 0600;
	assert_false(layer_stat_differs(&a, &b));
	a.st_mode = b.st_mode = S_IFCHR | 0600;
	assert_true(layer_stat_differs(&a, &b));
}

static void only_device_zero_is_a_whiteout(void **state)
{
	struct stat st = {.st_mode = S_IFCHR | 0600};

	(void)state;
	assert_true(layer_is_whiteout(&st));
	st.st_rdev = makedev(1, 3);
	assert_false(layer_is_whiteout(&st));
	st = (struct stat){.st_mode = S_IFREG};
	assert_false(layer_is_whiteout(&st));
}

static unsigned marks_of(const char *path, bool user_xattr)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	unsigned marks = layer_dir_marks(fd, user_xattr);

	close(fd);
	return marks;
}

static void opaque_is_the_value_y_of_the_right_attribute(void **state)
{
	struct world w;
	char *d;

	(void)state;
	world_make(&w, 0);
	d = world_path(&w, "upper/d");
	put_dir(d);
	assert_int_equal(marks_of(d, false), 0);
	/* What a container may set itself on a layer of a root runtime. */
	assert_int_equal(setxattr(d, "user.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(marks_of(d, false), 0);
	assert_int_equal(marks_of(d, true), LAYER_OPAQUE);
	assert_int_equal(setxattr(d, "trusted.overlay.opaque", "x", 1, 0), 0);
	assert_int_equal(marks_of(d, false), LAYER_XWHITEOUTS);
	assert_int_equal(setxattr(d, "trusted.overlay.opaque", "yes", 3, 0), 0);
	assert_int_equal(marks_of(d, false), 0);
	set_opaque(d);
	assert_int_equal(marks_of(d, false), LAYER_OPAQUE);
	world_remove(&w);
}

static int deep(struct world *w, uint64_t max)
{
	int a = open(world_path(w, "upper/a"), O_PATH | O_NOFOLLOW);
	int b = open(world_path(w, "l0/a"), O_PATH | O_NOFOLLOW);
	int ret = layer_compare_deep(a, b, max);

	close(a);
	close(b);
	return ret;
}

static void contents_decide_beyond_stat(void **state)
{
	struct world w;

	(void)state;
	world_make(&w, 1);
	put_file(world_path(&w, "upper/a"), "hello");
	put_file(world_path(&w, "l0/a"), "hello");
	assert_int_equal(deep(&w, 1000), LAYER_SAME);
	assert_int_equal(deep(&w, 4), LAYER_NOT_COMPARED);
	put_file(world_path(&w, "upper/a"), "hullo");
	assert_int_equal(deep(&w, 1000), LAYER_CONTENT);
	world_remove(&w);
}

static void other_xattrs_are_metadata_but_overlay_ones_are_not(void **state)
{
	struct world w;

	(void)state;
	world_make(&w, 1);
	put_file(world_path(&w, "upper/a"), "hello");
	put_file(world_path(&w, "l0/a"), "hello");
	assert_int_equal(setxattr(world_path(&w, "upper/a"), "trusted.overlay.origin", "", 0, 0),
			 0);
	assert_int_equal(deep(&w, 1000), LAYER_SAME);
	assert_int_equal(setxattr(world_path(&w, "upper/a"), "user.x", "1", 1, 0), 0);
	assert_int_equal(deep(&w, 1000), LAYER_METADATA);
	assert_int_equal(setxattr(world_path(&w, "l0/a"), "user.x", "1", 1, 0), 0);
	assert_int_equal(deep(&w, 1000), LAYER_SAME);
	assert_int_equal(setxattr(world_path(&w, "l0/a"), "user.y", "1", 1, 0), 0);
	assert_int_equal(deep(&w, 1000), LAYER_METADATA);
	world_remove(&w);
}

static void a_difference_past_the_first_chunk_is_found_in_steps(void **state)
{
	char big[100000];
	struct world w;
	uint64_t offset;
	bool end = false;
	int a, b, differs = 0;

	(void)state;
	world_make(&w, 1);
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	put_file(world_path(&w, "l0/a"), big);
	big[70000] = 'y';
	put_file(world_path(&w, "upper/a"), big);
	a = open(world_path(&w, "upper/a"), O_RDONLY);
	b = open(world_path(&w, "l0/a"), O_RDONLY);
	for (offset = 0; !differs && !end; offset += 30000)
		differs = layer_compare_bytes(a, b, offset, 30000, &end);
	assert_int_equal(differs, 1);
	assert_int_equal(offset, 90000);
	close(a);
	close(b);
	world_remove(&w);
}

static void a_capability_is_read_without_following_links(void **state)
{
	/* revision 2, effective, CAP_NET_RAW permitted */
	static const char cap[20] = {1, 0, 0, 2, 0, 0x20};
	struct world w;
	char buf[64];
	int fd;

	(void)state;
	world_make(&w, 0);
	put_file(world_path(&w, "upper/a"), "x");
	assert_int_equal(symlink("a", world_path(&w, "upper/l")), 0);
	assert_int_equal(
		setxattr(world_path(&w, "upper/a"), "security.capability", cap, sizeof(cap), 0), 0);
	fd = open(w.upper, O_PATH);
	assert_int_equal(layer_read_capability(fd, "a", buf, sizeof(buf)), sizeof(cap));
	assert_memory_equal(buf, cap, sizeof(cap));
	assert_int_equal(layer_read_capability(fd, "l", buf, sizeof(buf)), 0);
	assert_int_equal(layer_read_capability(fd, "gone", buf, sizeof(buf)), -ENOENT);
	close(fd);
	world_remove(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inode_and_ctime_do_not_matter),
		cmocka_unit_test(mode_owner_device_size_and_mtime_matter),
		cmocka_unit_test(nanoseconds_missing_on_either_side_are_equal),
		cmocka_unit_test(size_and_mtime_of_directories_do_not_matter),
		cmocka_unit_test(sockets_and_block_devices_count_as_directories),
		cmocka_unit_test(only_device_zero_is_a_whiteout),
		cmocka_unit_test(opaque_is_the_value_y_of_the_right_attribute),
		cmocka_unit_test(contents_decide_beyond_stat),
		cmocka_unit_test(other_xattrs_are_metadata_but_overlay_ones_are_not),
		cmocka_unit_test(a_difference_past_the_first_chunk_is_found_in_steps),
		cmocka_unit_test(a_capability_is_read_without_following_links),
	};

	skip_unless_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

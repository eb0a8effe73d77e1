/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_sandbox_remove.c - removal of trees made to be hard to remove.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "container/sandbox_remove.h"

struct scratch {
	char path[64];
	int fd;
};

static int make_scratch(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	snprintf(s->path, sizeof(s->path), "/tmp/test_sandbox_remove.XXXXXX");
	if (!mkdtemp(s->path))
		return -1;
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY);
	*state = s;
	return s->fd < 0;
}

static int remove_scratch(void **state)
{
	struct scratch *s = *state;
	int err = rmdir(s->path);

	close(s->fd);
	free(s);
	return err;
}

static int make_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -errno : 0;
}

static int enter(int dirfd, const char *name)
{
	assert_int_equal(mkdirat(dirfd, name, 0700), 0);
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY);
}

static void nothing_there_is_no_error(void **state)
{
	struct scratch *s = *state;

	assert_int_equal(sandbox_remove_tree(s->fd, "none"), 0);
}

static void a_file_or_link_goes_itself(void **state)
{
	struct scratch *s = *state;

	assert_int_equal(make_file(s->fd, "keep"), 0);
	assert_int_equal(symlinkat("keep", s->fd, "link"), 0);
	assert_int_equal(sandbox_remove_tree(s->fd, "link"), 0);
	assert_int_equal(faccessat(s->fd, "keep", F_OK, 0), 0);
	assert_int_equal(sandbox_remove_tree(s->fd, "keep"), 0);
}

static void links_are_not_followed_out_of_the_tree(void **state)
{
	struct scratch *s = *state;
	int outside = enter(s->fd, "outside"), tree = enter(s->fd, "tree");

	assert_int_equal(make_file(outside, "precious"), 0);
	assert_int_equal(symlinkat("../outside", tree, "dir"), 0);
	assert_int_equal(symlinkat("../outside/precious", tree, "file"), 0);
	assert_int_equal(linkat(outside, "precious", tree, "hard", 0), 0);
	assert_int_equal(sandbox_remove_tree(s->fd, "tree"), 0);
	assert_int_equal(faccessat(outside, "precious", F_OK, 0), 0);
	assert_int_equal(faccessat(s->fd, "tree", F_OK, 0), -1);
	close(tree);
	close(outside);
	assert_int_equal(sandbox_remove_tree(s->fd, "outside"), 0);
}

static void every_kind_of_name_and_of_file_goes(void **state)
{
	static const char *const names[] = {
		"\n", "\xff\xfe", "-rf",   "*",
		" ",  "...",	  ".wh.x", ".driftwatch-0000000000000000-0"};
	struct scratch *s = *state;
	int tree = enter(s->fd, "tree");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		close(enter(tree, names[i]));
	assert_int_equal(mkfifoat(tree, "fifo", 0600), 0);
	if (geteuid() == 0)
		assert_int_equal(mknodat(tree, "whiteout", S_IFCHR, 0), 0);
	assert_int_equal(mkdirat(tree, "locked", 0), 0);
	close(tree);
	assert_int_equal(sandbox_remove_tree(s->fd, "tree"), 0);
}

/* Deeper than PATH_MAX and than descriptors may be open. */
static void depth_needs_neither_paths_nor_descriptors(void **state)
{
	struct rlimit limit = {.rlim_cur = 128, .rlim_max = 128}, old;
	struct scratch *s = *state;
	int at = enter(s->fd, "tree");

	for (int i = 0; i < 5000; i++) {
		int next;

		if (i % 100 == 0)
			assert_int_equal(make_file(at, "file"), 0);
		next = enter(at, "d");
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	close(at);
	getrlimit(RLIMIT_NOFILE, &old);
	limit.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(sandbox_remove_tree(s->fd, "tree"), 0);
	setrlimit(RLIMIT_NOFILE, &old);
}

static void wide_directories_go_whole(void **state)
{
	struct scratch *s = *state;
	int tree = enter(s->fd, "tree");
	char name[32];

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "a-rather-long-name-%d", i);
		assert_int_equal(make_file(tree, name), 0);
	}
	close(tree);
	assert_int_equal(sandbox_remove_tree(s->fd, "tree"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_there_is_no_error, make_scratch,
						remove_scratch),
		cmocka_unit_test_setup_teardown(a_file_or_link_goes_itself, make_scratch,
						remove_scratch),
		cmocka_unit_test_setup_teardown(links_are_not_followed_out_of_the_tree,
						make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(every_kind_of_name_and_of_file_goes, make_scratch,
						remove_scratch),
		cmocka_unit_test_setup_teardown(depth_needs_neither_paths_nor_descriptors,
						make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(wide_directories_go_whole, make_scratch,
						remove_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_file.c - bounded reads and atomic replacement, in a directory of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"

struct directory {
	char path[32];
	int fd;
};

static int make_directory(void **state)
{
	struct directory *dir = calloc(1, sizeof(*dir));

	assert_non_null(dir);
	*dir = (struct directory){.path = "/tmp/test_file.XXXXXX"};
	assert_non_null(mkdtemp(dir->path));
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir->fd >= 0);
	*state = dir;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

static int remove_directory(void **state)
{
	struct directory *dir = *state;

	close(dir->fd);
	nftw(dir->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(dir);
	return 0;
}

static void write_file(struct directory *dir, const char *name, const char *text)
{
	auto_close int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void check_content(struct directory *dir, const char *name, const char *text)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	assert_int_equal(file_read(dir->fd, name, 1 << 20, &out), 0);
	assert_string_equal(strbuf_str(&out), text);
}

static void a_file_is_read_after_what_the_buffer_holds(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct directory *dir = *state;

	write_file(dir, "f", "content");
	strbuf_adds(&out, "head:");
	assert_int_equal(file_read(dir->fd, "f", 7, &out), 0);
	assert_string_equal(strbuf_str(&out), "head:content");
}

static void a_file_past_the_bound_is_refused(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct directory *dir = *state;

	write_file(dir, "f", "content");
	assert_int_equal(file_read(dir->fd, "f", 6, &out), -EFBIG);
}

static void a_file_that_never_ends_is_refused(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(file_read(AT_FDCWD, "/dev/zero", 1 << 20, &out), -EFBIG);
}

static void proc_files_of_size_zero_are_read(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(file_read(AT_FDCWD, "/proc/self/stat", 1 << 16, &out), 0);
	assert_true(out.len > 10);
}

/* A container could leave one where a file is expected; opening it must not wait. */
static void a_fifo_does_not_block_the_reader(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct directory *dir = *state;

	assert_int_equal(mkfifoat(dir->fd, "fifo", 0600), 0);
	assert_int_equal(file_read(dir->fd, "fifo", 100, &out), 0);
	assert_int_equal(out.len, 0);
}

static void the_errno_of_a_failed_read_is_returned(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct directory *dir = *state;

	assert_int_equal(file_read(dir->fd, "absent", 100, &out), -ENOENT);
	assert_int_equal(file_read(dir->fd, ".", 100, &out), -EISDIR);
}

static void a_replaced_file_is_new_whole_and_private(void **state)
{
	struct directory *dir = *state;
	struct stat before, after;

	write_file(dir, "state", "old content");
	assert_int_equal(fstatat(dir->fd, "state", &before, 0), 0);
	assert_int_equal(file_replace(dir->fd, "state", "new", 3), 0);
	check_content(dir, "state", "new");

	assert_int_equal(fstatat(dir->fd, "state", &after, 0), 0);
	assert_int_not_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mode & 07777, 0600);
	assert_int_equal(faccessat(dir->fd, "state.new", F_OK, 0), -1);
}

static void a_link_planted_beside_it_is_not_followed(void **state)
{
	struct directory *dir = *state;

	write_file(dir, "victim", "precious");
	assert_int_equal(symlinkat("victim", dir->fd, "state.new"), 0);
	assert_int_equal(file_replace(dir->fd, "state", "new", 3), 0);
	check_content(dir, "victim", "precious");
	check_content(dir, "state", "new");
}

static void a_failed_replace_leaves_the_old_and_no_litter(void **state)
{
	struct directory *dir = *state;

	assert_int_equal(mkdirat(dir->fd, "state", 0755), 0);
	write_file(dir, "state/old", "old");
	assert_true(file_replace(dir->fd, "state", "new", 3) < 0);
	check_content(dir, "state/old", "old");
	assert_int_equal(faccessat(dir->fd, "state.new", F_OK, 0), -1);
	assert_int_equal(file_replace(dir->fd, "absent/state", "new", 3), -ENOENT);
}

static void missing_directories_are_made_and_present_ones_kept(void **state)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct directory *dir = *state;
	struct stat st;

	strbuf_addf(&path, "%s/a/b//c/", dir->path);
	assert_int_equal(file_make_dirs(strbuf_str(&path), 0700), 0);
	assert_int_equal(file_make_dirs(strbuf_str(&path), 0700), 0);
	assert_int_equal(fstatat(dir->fd, "a/b/c", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void a_file_in_the_way_of_a_directory_is_reported(void **state)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct directory *dir = *state;

	write_file(dir, "f", "");
	strbuf_addf(&path, "%s/f", dir->path);
	assert_int_equal(file_make_dirs(strbuf_str(&path), 0700), -ENOTDIR);
	strbuf_adds(&path, "/g");
	assert_int_equal(file_make_dirs(strbuf_str(&path), 0700), -ENOTDIR);
	assert_int_equal(file_make_dirs("", 0700), -ENOENT);
}

static void check_join(const char *root, const char *path, const char *expected)
{
	auto_free char *joined = file_join(root, path);

	assert_non_null(joined);
	assert_string_equal(joined, expected);
}

static void a_root_is_put_before_a_path(void **state)
{
	(void)state;
	check_join(NULL, "/proc/1", "/proc/1");
	check_join("", "/proc/1", "/proc/1");
	check_join("/", "/proc/1", "/proc/1");
	check_join("/host", "/proc/1", "/host/proc/1");
	check_join("/host/", "/proc/1", "/host/proc/1");
	check_join("/host", "proc/1", "/host/proc/1");
	check_join("/host", "/", "/host/");
}

static void device_numbers_take_the_form_of_the_kernel(void **state)
{
	(void)state;
	assert_int_equal(file_kernel_dev(makedev(8, 1)), 8 << 20 | 1);
	assert_int_equal(file_kernel_dev(makedev(0, 300)), 300);
	assert_int_equal(file_kernel_dev(makedev(259, 0xfffff)), 259u << 20 | 0xfffff);
}

#define in_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_directory(a_file_is_read_after_what_the_buffer_holds),
		in_directory(a_file_past_the_bound_is_refused),
		cmocka_unit_test(a_file_that_never_ends_is_refused),
		cmocka_unit_test(proc_files_of_size_zero_are_read),
		in_directory(a_fifo_does_not_block_the_reader),
		in_directory(the_errno_of_a_failed_read_is_returned),
		in_directory(a_replaced_file_is_new_whole_and_private),
		in_directory(a_link_planted_beside_it_is_not_followed),
		in_directory(a_failed_replace_leaves_the_old_and_no_litter),
		in_directory(missing_directories_are_made_and_present_ones_kept),
		in_directory(a_file_in_the_way_of_a_directory_is_reported),
		cmocka_unit_test(a_root_is_put_before_a_path),
		cmocka_unit_test(device_numbers_take_the_form_of_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

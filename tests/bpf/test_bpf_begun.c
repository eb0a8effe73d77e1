/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_begun.c - changes whose event comes before them: who looks meanwhile looks again.
 *
 * ext4 tells of a change of extended attributes or flags before it waits for its journal. Of the
 * marks here all is as it is at that moment, only the change has been made since.
 */
#include "lab.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static int open_lab(void **state)
{
	*state = lab_open(LAB_EXT4, 200, PROBE_TIER_FS);
	return 0;
}

static int close_lab(void **state)
{
	lab_close(*state);
	return 0;
}

struct file {
	uint32_t dev;
	uint64_t ino;
	long slot;
};

static struct file file_at(const char *path)
{
	return (struct file){.dev = lab_dev(path), .ino = lab_ino(path), .slot = -1};
}

static struct file make_file(const struct lab *lab, const char *name)
{
	int fd = open(lab_path(lab, name), O_CREAT | O_WRONLY, 0755);

	assert_true(fd >= 0);
	close(fd);
	return file_at(lab_upper_path(lab, name));
}

/* Returns whether something had begun. */
static bool watch(const struct lab *lab, struct file *f)
{
	f->slot = probe_watch(lab->probe, f->dev, f->ino, LAB_CONTAINER);
	assert_true(f->slot >= 0);
	return probe_take_begun(lab->probe, f->dev, f->ino, f->slot);
}

static void set_attribute(const char *path)
{
	assert_int_equal(setxattr(path, "user.test", "1", 1, 0), 0);
}

static void set_flags(const char *path, int flags)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &flags), 0);
	close(fd);
}

struct told {
	uint32_t slot, records, begun;
};

static void note_record(const struct probe_record *r, void *arg)
{
	struct told *told = arg;

	if (r->type != DW_RECORD_DIRTY || r->dirty->slot != told->slot)
		return;
	told->records++;
	told->begun += !!(r->dirty->flags & DW_RECORD_PRE_EFFECT);
}

static struct told drain(const struct lab *lab, const struct file *f)
{
	struct told told = {.slot = (uint32_t)f->slot};

	while (probe_drain(lab->probe, 64, note_record, &told) > 0)
		;
	return told;
}

/* Whether something had begun; the writer, as ever. */
static bool take(const struct lab *lab, const struct file *f)
{
	bool has_begun;

	assert_true(probe_take_dirty(lab->probe, f->slot, &has_begun) > 1);
	return has_begun;
}

static void what_begins_on_a_marked_file_is_in_its_mark(void **state)
{
	struct lab *lab = *state;
	struct file f = make_file(lab, "f");
	struct told told;

	watch(lab, &f);
	assert_int_equal(chmod(lab_path(lab, "f"), 0700), 0);
	set_attribute(lab_path(lab, "f"));
	told = drain(lab, &f);
	assert_int_equal(told.records, 1); /* the mark's: of the other there is no record */
	assert_int_equal(told.begun, 0);
	assert_true(take(lab, &f));

	assert_int_equal(chmod(lab_path(lab, "f"), 0755), 0);
	assert_false(take(lab, &f));
}

static void so_is_what_begins_of_its_flags(void **state)
{
	struct lab *lab = *state;
	struct file f = make_file(lab, "f"), unseen = make_file(lab, "unseen");

	watch(lab, &f);
	assert_int_equal(chmod(lab_path(lab, "f"), 0700), 0);
	set_flags(lab_upper_path(lab, "f"), FS_NODUMP_FL | FS_EXTENT_FL);
	assert_true(take(lab, &f));
	set_flags(lab_upper_path(lab, "unseen"), FS_NODUMP_FL | FS_EXTENT_FL);
	assert_true(watch(lab, &unseen));
}

static void what_is_told_of_when_it_is_done_begins_nothing(void **state)
{
	struct lab *lab = *state;
	struct file f = make_file(lab, "f"), unseen = make_file(lab, "unseen");
	const char *const paths[] = {lab_path(lab, "f"), lab_path(lab, "unseen")};

	watch(lab, &f);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(chmod(paths[i], 0700), 0);
		assert_int_equal(chown(paths[i], 1, 1), 0);
		assert_int_equal(truncate(paths[i], 10000), 0);
		assert_int_equal(truncate(paths[i], 10), 0);
	}
	assert_false(take(lab, &f));
	assert_false(watch(lab, &unseen));
}

static void what_begins_on_a_clean_file_is_in_its_record(void **state)
{
	struct lab *lab = *state;
	struct file f = make_file(lab, "f");
	struct told told;

	watch(lab, &f);
	drain(lab, &f);
	for (int i = 0; i < 3; i++)
		set_attribute(lab_path(lab, "f"));
	assert_int_equal(chmod(lab_path(lab, "f"), 0700), 0);
	told = drain(lab, &f);
	assert_int_equal(told.records, 1);
	assert_int_equal(told.begun, 1);
	take(lab, &f);
}

static void what_began_before_the_file_was_watched_is_known_once(void **state)
{
	struct lab *lab = *state;
	struct file f = make_file(lab, "f"), other = make_file(lab, "other");

	set_attribute(lab_path(lab, "f"));
	assert_false(watch(lab, &other));
	assert_true(watch(lab, &f));
	assert_false(probe_take_begun(lab->probe, f.dev, f.ino, f.slot));
}

static void what_was_marked_since_it_was_watched_has_begun_too(void **state)
{
	struct lab *lab = *state;
	struct file f = make_file(lab, "f");

	watch(lab, &f);
	set_attribute(lab_path(lab, "f"));
	assert_true(probe_take_begun(lab->probe, f.dev, f.ino, f.slot));
	assert_int_equal(chmod(lab_path(lab, "f"), 0700), 0);
	assert_false(probe_take_begun(lab->probe, f.dev, f.ino, f.slot));
}

/* An overlay gives attributes to all that it copies up, in its work directory. */
static void a_copy_up_begins_nothing(void **state)
{
	struct lab *lab = *state;
	struct file f;

	assert_int_equal(chmod(lab_path(lab, "lower"), 0600), 0);
	assert_true(getxattr(lab_upper_path(lab, "lower"), "trusted.overlay.origin", NULL, 0) > 0);
	f = file_at(lab_upper_path(lab, "lower"));
	assert_false(watch(lab, &f));
}

static void a_copy_up_for_an_attribute_has_begun(void **state)
{
	struct lab *lab = *state;
	struct file f;

	set_attribute(lab_path(lab, "lower"));
	f = file_at(lab_upper_path(lab, "lower"));
	assert_true(watch(lab, &f));
}

static void what_begins_in_no_layer_is_not_noted(void **state)
{
	struct lab *lab = *state;
	char path[128];
	struct file f;

	snprintf(path, sizeof(path), "%s/fs/beside", lab->dir);
	lab_run("touch %s", path);
	set_attribute(path);
	f = file_at(path);
	assert_false(watch(lab, &f));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_begins_on_a_marked_file_is_in_its_mark),
		TEST(so_is_what_begins_of_its_flags),
		TEST(what_is_told_of_when_it_is_done_begins_nothing),
		TEST(what_begins_on_a_clean_file_is_in_its_record),
		TEST(what_began_before_the_file_was_watched_is_known_once),
		TEST(what_was_marked_since_it_was_watched_has_begun_too),
		TEST(a_copy_up_begins_nothing),
		TEST(a_copy_up_for_an_attribute_has_begun),
		TEST(what_begins_in_no_layer_is_not_noted),
	};

	if (!lab_can(PROBE_TIER_FS, LAB_EXT4))
		return 0;
	return cmocka_run_group_tests_name("begun", tests, NULL, NULL);
}

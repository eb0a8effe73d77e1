/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_pins.c - pinned programs count on while no agent runs, and are taken over.
 */
#include "kernel/probe_internal.h"
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char pin_dir[64]; /* of this process: others may run the same test */

static int reopen(struct lab *lab, enum probe_tier tier)
{
	struct probe_options options = {.tier = tier, .pin_dir = pin_dir};

	return probe_open(&options, NULL, &lab->probe);
}

static void write_some(const struct lab *lab, int n)
{
	int fd = open(lab_path(lab, "pinned"), O_CREAT | O_WRONLY | O_APPEND, 0644);

	assert_true(fd >= 0);
	while (n-- > 0)
		assert_int_equal(write(fd, "abc", 3), 3);
	close(fd);
}

static void register_again(struct lab *lab)
{
	assert_int_equal(probe_set_overlay(lab->probe, lab->overlay_dev, LAB_CONTAINER), 0);
	assert_int_equal(probe_set_root(lab->probe,
					&(struct dw_inode){.ino = lab_ino(lab->upper),
							   .dev = lab_dev(lab->upper)},
					0, LAB_CONTAINER, DW_ROOT_UPPER),
			 0);
}

static int open_pinned(void **state)
{
	struct lab *lab;

	if (access("/sys/fs/bpf", W_OK))
		skip();
	probe_unpin(pin_dir);
	lab = lab_open(LAB_ROOT_FS, 0, PROBE_TIER_FS);
	probe_close(lab->probe, false);
	lab->probe = NULL;
	assert_int_equal(reopen(lab, PROBE_TIER_FS), 0);
	assert_false(probe_was_adopted(lab->probe));
	register_again(lab);
	lab_mark(lab);
	*state = lab;
	return 0;
}

/* Where the link of the main write program is to be pinned. */
static const char *place_of_link(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/abi-%d/link_on_ext4_da_write_end", pin_dir,
		 DW_ABI_VERSION);
	return path;
}

static int close_pinned(void **state)
{
	struct lab *lab = *state;

	lab_close(lab);
	rmdir(place_of_link());
	probe_unpin(pin_dir);
	return 0;
}

static void counting_goes_on_without_an_agent(void **state)
{
	struct lab *lab = *state;

	write_some(lab, 10);
	lab->probe = probe_close(lab->probe, true);
	write_some(lab, 20);
	assert_int_equal(reopen(lab, PROBE_TIER_AUTO), 0);
	assert_true(probe_was_adopted(lab->probe));
	assert_int_equal(probe_tier(lab->probe), PROBE_TIER_FS);
	write_some(lab, 5);
	lab_expect(lab, 35, 105);
}

static void who_listened_to_the_last_agent_does_not_listen_to_this(void **state)
{
	struct lab *lab = *state;

	probe_set_heard(lab->probe, true);
	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(reopen(lab, PROBE_TIER_AUTO), 0);
	assert_true(probe_was_adopted(lab->probe));
	assert_false(lab->probe->control->is_heard);
}

static void dirty_marks_survive_the_agent(void **state)
{
	struct lab *lab = *state;
	uint32_t dev = lab_dev(lab->upper);
	uint64_t ino = lab_ino(lab->upper), mark;
	long slot = probe_watch(lab->probe, dev, ino, LAB_CONTAINER);

	assert_true(slot >= 0);
	probe_take_dirty(lab->probe, slot, NULL);
	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(mkdir(lab_path(lab, "made_in_between"), 0755), 0);
	assert_int_equal(reopen(lab, PROBE_TIER_AUTO), 0);
	assert_int_equal(probe_watch(lab->probe, dev, ino, LAB_CONTAINER), slot);
	mark = probe_take_dirty(lab->probe, slot, NULL);
	assert_true(mark > 1);
}

static void what_nobody_watches_again_is_dropped(void **state)
{
	struct lab *lab = *state;
	struct probe_health h;
	uint32_t dev = lab_dev(lab->upper);

	assert_true(probe_watch(lab->probe, dev, 1000001, LAB_CONTAINER) >= 0);
	assert_true(probe_watch(lab->probe, dev, 1000002, LAB_CONTAINER) >= 0);
	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(reopen(lab, PROBE_TIER_AUTO), 0);
	assert_true(probe_watch(lab->probe, dev, 1000002, LAB_CONTAINER) >= 0);
	probe_forget_stale(lab->probe);
	assert_int_equal(probe_read_health(lab->probe, &h), 0);
	assert_int_equal(h.watched_used, 1);
}

static uint64_t watched_used(struct lab *lab)
{
	struct probe_health h;

	assert_int_equal(probe_read_health(lab->probe, &h), 0);
	return h.watched_used;
}

static void what_is_watched_ahead_is_watched_when_asked_for(void **state)
{
	struct lab *lab = *state;
	uint32_t dev = lab_dev(lab->upper);
	uint64_t ino = lab_ino(lab->upper);
	const uint64_t inos[] = {1000001, 1000002, ino, 1000003, 1000001};
	const uint64_t others[] = {1000011, 1000012, 1000013, 1000014};
	long slot;

	probe_watch_ahead(lab->probe, dev, inos, 5, LAB_CONTAINER);
	assert_int_equal(watched_used(lab), 4);
	slot = probe_watch(lab->probe, dev, ino, LAB_CONTAINER);
	assert_true(slot >= 0);
	assert_int_equal(mkdir(lab_path(lab, "marks"), 0755), 0);
	assert_true(probe_take_dirty(lab->probe, slot, NULL) > 1);
	assert_true(probe_watch(lab->probe, dev, 1000002, LAB_CONTAINER) >= 0);
	assert_int_equal(watched_used(lab), 4);
	probe_watch_ahead(lab->probe, dev, others, 4, LAB_CONTAINER);
	assert_int_equal(watched_used(lab), 2 + 4); /* two of the first were not asked for */
	probe_watch_ahead(lab->probe, dev, NULL, 0, LAB_CONTAINER);
	assert_int_equal(watched_used(lab), 2);
	probe_unwatch(lab->probe, dev, ino, slot);
	assert_int_equal(watched_used(lab), 1);
	assert_int_equal(mkdir(lab_path(lab, "marks_nothing"), 0755), 0);
	assert_int_equal(probe_take_dirty(lab->probe, slot, NULL), 0);
}

static void what_nobody_sets_again_is_dropped(void **state)
{
	struct lab *lab = *state;
	struct probe_health h;

	assert_int_equal(probe_set_overlay(lab->probe, 999999, LAB_CONTAINER), 0);
	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(reopen(lab, PROBE_TIER_AUTO), 0);
	register_again(lab);
	assert_int_equal(probe_read_health(lab->probe, &h), 0);
	assert_int_equal(h.containers_used, 2);
	probe_forget_stale(lab->probe);
	assert_int_equal(probe_read_health(lab->probe, &h), 0);
	assert_int_equal(h.containers_used, 1);
	write_some(lab, 1);
	lab_expect(lab, 1, 3);
}

static void a_second_agent_is_refused(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = {.pin_dir = pin_dir};
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct probe *second = NULL;

	assert_int_equal(probe_open(&options, &error, &second), -EBUSY);
	assert_non_null(strstr(strbuf_str(&error), pin_dir));
	assert_int_equal(probe_unpin(pin_dir), -EBUSY);
	write_some(lab, 1);
	lab_expect(lab, 1, 3);
}

static void pins_of_another_version_are_refused(void **state)
{
	struct lab *lab = *state;
	char other[80];

	snprintf(other, sizeof(other), "%s/abi-999", pin_dir);
	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(reopen(lab, PROBE_TIER_AUTO), -EEXIST);
	assert_true(probe_unpin(pin_dir) > 0);
	assert_int_equal(access(pin_dir, F_OK), -1);
}

static void other_sizes_start_afresh(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = {.pin_dir = pin_dir, .max_files = 1000};

	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(probe_open(&options, NULL, &lab->probe), 0);
	assert_false(probe_was_adopted(lab->probe));
}

/* --- a module that is loaded later: here its programs are left out until then --- */

#define XFS_PROGRAMS "on_xfs_iunlock,on_xfs_create,on_xfs_symlink,on_xfs_remove,on_xfs_rename"

static int open_without_xfs(void **state)
{
	struct lab *lab;

	if (access("/sys/fs/bpf", W_OK) || !lab_can(PROBE_TIER_FS, LAB_XFS))
		skip();
	probe_unpin(pin_dir);
	lab = lab_open(LAB_XFS, 300, PROBE_TIER_FS);
	probe_close(lab->probe, false);
	lab->probe = NULL;
	assert_int_equal(setenv("DRIFTWATCH_SKIP_HOOKS", XFS_PROGRAMS, 1), 0);
	assert_int_equal(reopen(lab, PROBE_TIER_FS), 0);
	assert_int_equal(unsetenv("DRIFTWATCH_SKIP_HOOKS"), 0);
	assert_false(probe_sees(lab->probe, PROBE_SEES_DIRTY_XFS));
	*state = lab;
	return 0;
}

/* What is written afterwards counts, and marks the directory of the layer. */
static long watch_xfs(struct lab *lab)
{
	long slot;

	assert_int_equal(probe_want(lab->probe, PROBE_SEES_DIRTY_XFS), 0);
	assert_true(probe_sees(lab->probe, PROBE_SEES_DIRTY_XFS));
	lab_register(lab);
	slot = probe_watch(lab->probe, lab_dev(lab->upper), lab_ino(lab->upper), LAB_CONTAINER);
	assert_true(slot >= 0);
	probe_take_dirty(lab->probe, slot, NULL);
	return slot;
}

static void note_writers(const struct probe_record *r, void *arg)
{
	uint64_t *writers = arg;

	if (r->type == DW_RECORD_OP && r->op->op < DW_OP_MAX)
		writers[r->op->op] = r->op->writer;
}

static void what_a_module_brings_later_is_attached(void **state)
{
	struct lab *lab = *state;
	uint64_t writers[DW_OP_MAX] = {0};
	long slot = watch_xfs(lab);

	write_some(lab, 1);
	/* The write is seen by the first programs, the creation by the later ones. */
	while (probe_drain(lab->probe, 64, note_writers, writers) > 0)
		;
	assert_true(writers[DW_OP_WRITE] > 1);
	assert_int_equal(writers[DW_OP_CREATE], writers[DW_OP_WRITE]);
	assert_int_equal(probe_take_dirty(lab->probe, slot, NULL), writers[DW_OP_WRITE]);

	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(mkdir(lab_path(lab, "made_in_between"), 0755), 0);
	assert_int_equal(reopen(lab, PROBE_TIER_AUTO), 0);
	assert_true(probe_was_adopted(lab->probe));
	assert_int_equal(probe_want(lab->probe, PROBE_SEES_DIRTY_XFS), 0);
	assert_int_equal(
		probe_watch(lab->probe, lab_dev(lab->upper), lab_ino(lab->upper), LAB_CONTAINER),
		slot);
	assert_true(probe_take_dirty(lab->probe, slot, NULL) > 1);
}

static void who_adopts_pins_attaches_it_too(void **state)
{
	struct lab *lab = *state;
	long slot;

	/* The first cannot, and says so. */
	assert_int_equal(setenv("DRIFTWATCH_SKIP_HOOKS", "on_xfs_iunlock", 1), 0);
	assert_int_equal(probe_want(lab->probe, PROBE_SEES_DIRTY_XFS), -EOPNOTSUPP);
	assert_int_equal(unsetenv("DRIFTWATCH_SKIP_HOOKS"), 0);
	assert_false(probe_sees(lab->probe, PROBE_SEES_DIRTY_XFS));
	assert_int_equal(probe_want(lab->probe, PROBE_SEES_DIRTY_XFS), -EOPNOTSUPP);

	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(reopen(lab, PROBE_TIER_AUTO), 0);
	assert_true(probe_was_adopted(lab->probe));
	assert_false(probe_sees(lab->probe, PROBE_SEES_DIRTY_XFS));
	slot = watch_xfs(lab);
	assert_int_equal(mkdir(lab_path(lab, "made"), 0755), 0);
	assert_true(probe_take_dirty(lab->probe, slot, NULL) > 1);
	assert_int_equal(lab_counted(lab).ops[DW_OP_MKDIR], 1);

	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(reopen(lab, PROBE_TIER_AUTO), 0);
	assert_true(probe_was_adopted(lab->probe));
	assert_true(probe_sees(lab->probe, PROBE_SEES_DIRTY_XFS));
}

/* --- what cannot be pinned --- */

static uint64_t set_of(const struct lab *lab)
{
	uint64_t set, drains;

	probe_counts_epoch(lab->probe, &set, &drains);
	return set;
}

/* Something is in the way of one link: the others alone are not taken over. */
static void a_link_that_cannot_be_pinned_makes_the_next_agent_begin_again(void **state)
{
	struct lab *lab = *state;
	uint64_t set;

	lab->probe = probe_close(lab->probe, false);
	lab_run("mkdir -p %s", place_of_link());
	assert_int_equal(reopen(lab, PROBE_TIER_FS), 0);
	register_again(lab);
	set = set_of(lab);
	lab_mark(lab);
	write_some(lab, 4);
	lab_expect(lab, 4, 12);
	lab->probe = probe_close(lab->probe, true);
	write_some(lab, 2);

	assert_int_equal(reopen(lab, PROBE_TIER_FS), 0);
	assert_false(probe_was_adopted(lab->probe));
	assert_int_not_equal(set_of(lab), set);
	register_again(lab);
	lab_mark(lab);
	write_some(lab, 3);
	lab_expect(lab, 3, 9);
}

static void where_nothing_can_be_pinned_it_counts_without_pins(void **state)
{
	struct lab *lab = *state;
	char path[128];
	struct probe_options options = {.tier = PROBE_TIER_FS, .pin_dir = path};
	auto_strbuf struct strbuf error = STRBUF_INIT;
	int err;

	lab->probe = probe_close(lab->probe, false);
	snprintf(path, sizeof(path), "%s/read_only/pins", lab->dir);
	lab_run("mkdir %s/read_only && mount -t bpf -o ro bpf %s/read_only", lab->dir, lab->dir);
	err = probe_open(&options, &error, &lab->probe);
	lab_run("umount %s/read_only", lab->dir);
	assert_int_equal(err, 0);
	assert_false(probe_was_adopted(lab->probe));
	register_again(lab);
	lab_mark(lab);
	write_some(lab, 3);
	lab_expect(lab, 3, 9);
}

#define TEST_LATER(f) cmocka_unit_test_setup_teardown(f, open_without_xfs, close_pinned)
#define TEST(f)	      cmocka_unit_test_setup_teardown(f, open_pinned, close_pinned)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counting_goes_on_without_an_agent),
		TEST(who_listened_to_the_last_agent_does_not_listen_to_this),
		TEST(dirty_marks_survive_the_agent),
		TEST(what_nobody_watches_again_is_dropped),
		TEST(what_is_watched_ahead_is_watched_when_asked_for),
		TEST(what_nobody_sets_again_is_dropped),
		TEST(a_second_agent_is_refused),
		TEST(pins_of_another_version_are_refused),
		TEST(other_sizes_start_afresh),
		TEST_LATER(what_a_module_brings_later_is_attached),
		TEST_LATER(who_adopts_pins_attaches_it_too),
		TEST(a_link_that_cannot_be_pinned_makes_the_next_agent_begin_again),
		TEST(where_nothing_can_be_pinned_it_counts_without_pins),
	};

	if (!lab_can(PROBE_TIER_FS, LAB_ROOT_FS))
		return 0;
	snprintf(pin_dir, sizeof(pin_dir), "/sys/fs/bpf/driftwatch-test-%d", (int)getpid());
	return cmocka_run_group_tests_name("pins", tests, NULL, NULL);
}

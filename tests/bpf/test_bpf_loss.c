/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_loss.c - tables of the programs filled on purpose: what does not fit is
 * counted, for whom it did not fit, and what has to be exact stays so.
 */
#include "lab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "driftwatch_maps.h"
#include "kernel/probe_internal.h"

#define FILES 2000 /* more than the smallest rings have room for */

static char pin_dir[64];

static const struct probe_options small = {.tier = PROBE_TIER_FS,
					   .max_files = 64,
					   .max_watched = 4096,
					   .ring_bytes = 4096,
					   .dirty_ring_bytes = 4096};

static struct lab *open_with(enum lab_fs fs, const struct probe_options *options)
{
	struct lab *lab = lab_open(fs, 64, PROBE_TIER_FS);

	lab_reopen(lab, options);
	lab_ignore_others(lab);
	return lab;
}

static int open_small(void **state)
{
	*state = open_with(LAB_ROOT_FS, &small);
	return 0;
}

/* Where nobody else's inodes are, which may have the same hash. */
static int open_small_alone(void **state)
{
	*state = open_with(LAB_EXT4, &small);
	return 0;
}

static int open_pinned(void **state)
{
	struct probe_options options = {.tier = PROBE_TIER_FS, .pin_dir = pin_dir};

	if (access("/sys/fs/bpf", W_OK))
		skip();
	*state = open_with(LAB_ROOT_FS, &options);
	return 0;
}

static int close_lab(void **state)
{
	lab_close(*state);
	probe_unpin(pin_dir);
	return 0;
}

static void write_number(const struct lab *lab, int number)
{
	char name[24];
	int fd;

	snprintf(name, sizeof(name), "file%d", number);
	fd = open(lab_path(lab, name), O_CREAT | O_WRONLY, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "four", 4), 4);
	close(fd);
}

static void write_files(const struct lab *lab)
{
	int i;

	for (i = 0; i < FILES; i++)
		write_number(lab, i);
}

static void ignore_record(const struct probe_record *record, void *arg)
{
	(void)record;
	(*(int *)arg)++;
}

static void a_full_ring_loses_records_and_no_counts(void **state)
{
	struct lab *lab = *state;
	struct dw_counters c;
	int received = 0;

	write_files(lab);
	lab_expect(lab, FILES, 4 * FILES);
	c = lab_counted(lab);
	assert_true(c.records_lost > 0);
	while (probe_drain(lab->probe, 4096, ignore_record, &received) > 0)
		;
	assert_true(received > 0);
	/* There is room again. */
	lab_mark(lab);
	received = 0;
	assert_int_equal(mkdir(lab_path(lab, "later"), 0755), 0);
	assert_int_equal(lab_counted(lab).records_lost, 0);
	assert_true(probe_drain(lab->probe, 4096, ignore_record, &received) > 0);
}

static void sum_files(const struct probe_file_key *key, const struct probe_file_counts *stats,
		      void *arg)
{
	(void)key;
	if (stats->container == LAB_CONTAINER)
		*(uint64_t *)arg += stats->calls;
}

static void a_full_table_of_files_counts_what_it_does_not_list(void **state)
{
	struct lab *lab = *state;
	uint64_t listed = 0;

	write_files(lab);
	lab_expect(lab, FILES, 4 * FILES);
	assert_int_equal(probe_drain_files(lab->probe, sum_files, &listed), 0);
	assert_int_equal(probe_drain_files(lab->probe, sum_files, &listed), 0);
	assert_true(lab_counted(lab).files_unlisted > 0);
	assert_int_equal(listed + lab_counted(lab).files_unlisted, FILES);
}

struct moved {
	uint64_t ours, others; /* calls, files */
	uint64_t most_left;    /* cells in use after some were made free */
};

static void sum_moved(const struct probe_file_key *key, const struct probe_file_counts *stats,
		      void *arg)
{
	struct moved *m = arg;

	(void)key;
	if (stats->container == LAB_CONTAINER)
		m->ours += stats->calls;
	else
		m->others++;
}

static void write_and_make_room(struct lab *lab, struct moved *ret)
{
	uint64_t left;
	int i;

	*ret = (struct moved){0};
	for (i = 0; i < FILES; i++) {
		write_number(lab, i);
		if (probe_files_used(lab->probe) < probe_files_size(lab->probe) / 4)
			continue;
		assert_int_equal(probe_prune_files(lab->probe, sum_moved, ret), 0);
		left = probe_files_used(lab->probe);
		ret->most_left = left > ret->most_left ? left : ret->most_left;
	}
	lab_expect(lab, FILES, 4 * FILES);
	assert_true(ret->ours > 0);
	assert_int_equal(probe_drain_files(lab->probe, sum_moved, ret), 0);
	assert_int_equal(probe_drain_files(lab->probe, sum_moved, ret), 0);
}

static void cells_are_made_free_before_files_go_unlisted(void **state)
{
	struct lab *lab = *state;
	struct moved moved;
	int tries = 0;

	/* Again, when a container of somebody else has begun meanwhile and took what was free. */
	do {
		lab_reopen(lab, &small);
		lab_ignore_others(lab);
		write_and_make_room(lab, &moved);
	} while (moved.others && lab_counted(lab).files_unlisted && ++tries < 10);
	assert_int_equal(lab_counted(lab).files_unlisted, 0);
	assert_int_equal(moved.ours, FILES);
	assert_true(moved.most_left <= probe_files_size(lab->probe) / 2 + moved.others);
	if (!moved.others)
		assert_int_equal(probe_files_used(lab->probe), 0);
}

#define BUCKETS 40
#define ALIKE	(DW_BUCKET_CELLS + 2) /* more than their bucket has room for */

/* Inodes follow each other from bucket to bucket: those so far apart have the same one. */
static void write_alike(const struct lab *lab, bool are_new)
{
	uint64_t first = 0, ino;
	char name[24];
	int i, fd, found = 0;

	for (i = 0; found < ALIKE; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		fd = open(lab_path(lab, name), O_WRONLY | (are_new ? O_CREAT | O_EXCL : 0), 0644);
		assert_true(fd >= 0);
		ino = lab_ino(lab_upper_path(lab, name));
		first = first ? first : ino;
		if ((ino - first) % BUCKETS == 0) {
			assert_int_equal(write(fd, "four", 4), 4);
			found++;
		}
		close(fd);
	}
}

static void a_file_whose_bucket_is_full_is_counted_in_another(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = small;
	uint64_t calls = 0;

	options.max_files = BUCKETS * DW_BUCKET_CELLS;
	lab_reopen(lab, &options);
	lab_ignore_others(lab);
	write_alike(lab, true);
	assert_int_equal(lab_counted(lab).files_unlisted, 0);
	assert_int_equal(probe_files_used(lab->probe), ALIKE);
	/* And is found there, after the files were looked at as if for the first time. */
	lab_register(lab);
	write_alike(lab, false);
	lab_expect(lab, 2 * ALIKE, 4 * 2 * ALIKE);
	assert_int_equal(probe_files_used(lab->probe), ALIKE);
	assert_int_equal(probe_drain_files(lab->probe, sum_files, &calls), 0);
	assert_int_equal(calls, 2 * ALIKE);
}

struct swept {
	uint64_t inos[128];
	int len;
};

static void on_swept(uint32_t dev, uint64_t ino, long slot, void *arg)
{
	struct swept *s = arg;

	(void)dev;
	(void)slot;
	if (s->len < 128)
		s->inos[s->len++] = ino;
}

/* 100 directories dirtied into a ring with room for half of them: the marks know all. */
static void a_full_dirty_ring_is_swept_from_the_marks(void **state)
{
	struct lab *lab = *state;
	uint32_t dev = lab_dev(lab->upper);
	struct swept swept = {.len = 0};
	char name[24];
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "dir%d", i);
		assert_int_equal(mkdir(lab_path(lab, name), 0755), 0);
		assert_true(probe_watch(lab->probe, dev, lab_ino(lab_upper_path(lab, name)),
					LAB_CONTAINER) >= 0);
	}
	lab_mark(lab);
	assert_false(probe_dirty_overflowed(lab->probe));
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "dir%d/in", i);
		assert_int_equal(mkdir(lab_path(lab, name), 0755), 0);
	}
	assert_true(lab_counted(lab).dirty_overflow > 0);
	assert_true(probe_dirty_overflowed(lab->probe));
	assert_int_equal(probe_sweep_dirty(lab->probe, on_swept, &swept), 100);
	assert_int_equal(swept.len, 100);
	assert_false(probe_dirty_overflowed(lab->probe));
}

static bool take_mark_of(const struct lab *lab, const char *name)
{
	uint64_t hash = dw_inode_hash(probe_hash_key(lab->probe), lab_dev(lab->upper),
				      lab_ino(lab_upper_path(lab, name)));
	uint32_t marks[64], from = 0;
	size_t len, i;
	bool found = false;

	do {
		len = probe_take_shared(lab->probe, &from, marks, 64);
		for (i = 0; i < len; i++)
			found |= marks[i] == hash >> DW_SHARED_SHIFT;
	} while (len > 64 - 8);
	return found;
}

static int new_file(const struct lab *lab, const char *name)
{
	int fd = open(lab_path(lab, name), O_CREAT | O_WRONLY, 0644);

	assert_true(fd >= 0);
	return fd;
}

/* No slot and no record, but a mark that stays until it is taken. */
static void who_has_no_slot_has_a_shared_mark(void **state)
{
	struct lab *lab = *state;
	int fd = new_file(lab, "shared"), other = new_file(lab, "other"), received = 0;

	probe_watch_shared(lab->probe, lab_dev(lab->upper), lab_ino(lab_upper_path(lab, "shared")));
	while (probe_drain(lab->probe, 4096, ignore_record, &received) > 0)
		;
	assert_false(take_mark_of(lab, "shared"));
	assert_int_equal(write(fd, "four", 4), 4);
	assert_int_equal(write(other, "four", 4), 4);
	assert_true(take_mark_of(lab, "shared"));
	assert_false(take_mark_of(lab, "shared"));
	assert_false(take_mark_of(lab, "other"));
	assert_int_equal(ftruncate(fd, 1), 0);
	assert_true(take_mark_of(lab, "shared"));
	assert_int_equal(chmod(lab_path(lab, "shared"), 0755), 0);
	assert_true(take_mark_of(lab, "shared"));
	assert_int_equal(truncate(lab_upper_path(lab, "shared"), 7), 0);
	assert_true(take_mark_of(lab, "shared"));
	assert_int_equal(lab_counted(lab).dirty_overflow, 0);
	close(fd);
	close(other);
}

/* A thousand of them: more than are taken at once. */
static void all_shared_marks_are_taken(void **state)
{
	struct lab *lab = *state;
	uint32_t marks[16], from = 0;
	size_t len, all = 0;
	uint64_t ino;
	char name[24];
	int i;

	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		close(new_file(lab, name));
		ino = lab_ino(lab_upper_path(lab, name));
		probe_watch_shared(lab->probe, lab_dev(lab->upper), ino);
		assert_int_equal(chmod(lab_path(lab, name), 0600), 0);
	}
	do {
		len = probe_take_shared(lab->probe, &from, marks, 16);
		assert_true(len <= 16);
		all += len;
	} while (len > 16 - 8);
	assert_true(all > 990 && all <= 1000); /* some share one */
}

static void a_full_index_says_so_and_has_room_when_one_leaves(void **state)
{
	struct lab *lab = *state;
	uint32_t dev = lab_dev(lab->upper);
	long slot = -1;
	uint64_t ino;

	for (ino = 1000000; ino < 1000000 + 4096; ino++) {
		slot = probe_watch(lab->probe, dev, ino, LAB_CONTAINER);
		assert_true(slot >= 0);
	}
	assert_int_equal(probe_watch(lab->probe, dev, 5, LAB_CONTAINER), -ENOSPC);
	probe_unwatch(lab->probe, dev, ino - 1, slot);
	assert_true(probe_watch(lab->probe, dev, 5, LAB_CONTAINER) >= 0);
}

/* Slots are taken into use some thousands at a time: those of before keep their owners. */
static void an_index_that_grows_forgets_nobody(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = {.tier = PROBE_TIER_FS, .max_watched = 32768};
	const uint64_t first = 1000000, count = 20000;
	uint32_t dev = lab_dev(lab->upper);
	uint64_t ino;
	long slot;

	probe_close(lab->probe, false);
	assert_int_equal(probe_open(&options, NULL, &lab->probe), 0);
	for (ino = first; ino < first + count; ino++)
		assert_int_equal(probe_watch(lab->probe, dev, ino, LAB_CONTAINER), ino - first);
	for (ino = first; ino < first + count; ino += 2)
		probe_unwatch(lab->probe, dev, ino, (long)(ino - first));
	for (ino = first + 1; ino < first + count; ino += 2)
		assert_int_equal(probe_watch(lab->probe, dev, ino, LAB_CONTAINER), ino - first);

	lab_register(lab);
	slot = probe_watch(lab->probe, dev, lab_ino(lab->upper), LAB_CONTAINER);
	assert_true(slot > 16384); /* its mark is in the third part that was mapped */
	probe_take_dirty(lab->probe, slot, NULL);
	assert_int_equal(mkdir(lab_path(lab, "in"), 0755), 0);
	assert_true(probe_take_dirty(lab->probe, slot, NULL));
}

/* Volumes on more file systems than the programs can tell apart, and then a layer. */
static void many_file_systems_hide_no_layer(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = {.tier = PROBE_TIER_FS};
	uint32_t dev;
	int fd;

	probe_close(lab->probe, false);
	assert_int_equal(probe_open(&options, NULL, &lab->probe), 0);
	for (dev = 1; dev <= DW_MAX_DEVS + 4; dev++)
		assert_int_equal(probe_set_root(lab->probe,
						&(struct dw_inode){.ino = 2, .dev = 4000 + dev}, 0,
						0, DW_ROOT_VOLUME),
				 0);
	lab_register(lab);
	lab_mark(lab);
	fd = open(lab_path(lab, "file"), O_CREAT | O_WRONLY, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	close(fd);
	lab_expect(lab, 1, 3);
	assert_true(probe_watch(lab->probe, lab_dev(lab->upper), lab_ino(lab->upper),
				LAB_CONTAINER) >= 0);
}

static struct hook *hook_named(struct probe *p, const char *program)
{
	size_t i;

	for (i = 0; i < hook_def_count; i++)
		if (!strcmp(p->hooks[i].def->program, program))
			return &p->hooks[i];
	fail_msg("no hook %s", program);
	return NULL;
}

static void a_detached_program_is_noticed_and_attached_again(void **state)
{
	struct lab *lab = *state;
	struct hook *h = hook_named(lab->probe, "on_ext4_da_write_end");
	struct probe_health health;
	int fd = open(lab_path(lab, "file"), O_CREAT | O_WRONLY | O_APPEND, 0644);

	assert_non_null(h->link);
	probe_check_hooks(lab->probe);
	probe_read_pulse(lab->probe, &health);
	assert_int_equal(health.detached, 0);
	close(bpf_link__fd(h->link));
	assert_int_equal(write(fd, "unseen", 6), 6);
	lab_expect(lab, 0, 0);

	probe_check_hooks(lab->probe);
	probe_read_pulse(lab->probe, &health);
	assert_int_equal(health.detached, 1);
	assert_int_equal(write(fd, "seen", 4), 4);
	lab_expect(lab, 1, 4);
	close(fd);
}

static void remove_a_link(void)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/abi-%d/link_on_mark_inode_dirty", pin_dir, DW_ABI_VERSION);
	assert_int_equal(unlink(strbuf_str(&path)), 0);
}

static void pins_without_all_their_programs_are_not_adopted(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = {.tier = PROBE_TIER_FS, .pin_dir = pin_dir};
	uint64_t set, again, drains;

	probe_counts_epoch(lab->probe, &set, &drains);
	lab->probe = probe_close(lab->probe, true);
	remove_a_link();
	assert_int_equal(probe_open(&options, NULL, &lab->probe), 0);
	assert_false(probe_was_adopted(lab->probe));
	probe_counts_epoch(lab->probe, &again, &drains);
	assert_int_not_equal(set, again);
	assert_true(probe_sees(lab->probe, PROBE_SEES_DIRTY_EXT4));
}

static void what_was_added_for_a_container_survives_the_agent(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = {.tier = PROBE_TIER_FS, .pin_dir = pin_dir};
	uint64_t set, again, drains;

	assert_int_equal(probe_add_counts(lab->probe, LAB_CONTAINER, DW_TARGET_LAYER, 3, 300), 0);
	lab_expect(lab, 3, 300);
	probe_counts_epoch(lab->probe, &set, &drains);
	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(probe_open(&options, NULL, &lab->probe), 0);
	assert_true(probe_was_adopted(lab->probe));
	lab_expect(lab, 3, 300);
	probe_counts_epoch(lab->probe, &again, &drains);
	assert_int_equal(set, again);
}

static uint64_t missed_and_not_told(struct probe *p)
{
	struct probe_health health;

	probe_read_pulse(p, &health);
	return probe_take_misses(p, health.runs_missed);
}

static void runs_that_were_missed_are_told_by_one_agent(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = {.tier = PROBE_TIER_FS, .pin_dir = pin_dir};

	assert_int_equal(missed_and_not_told(lab->probe), 0);
	lab->probe->control->lost_runs += 2;
	assert_int_equal(missed_and_not_told(lab->probe), 2);
	lab->probe = probe_close(lab->probe, true);
	assert_int_equal(probe_open(&options, NULL, &lab->probe), 0);
	assert_true(probe_was_adopted(lab->probe));
	assert_int_equal(missed_and_not_told(lab->probe), 0);
	lab->probe->control->lost_runs++; /* or in the gap */
	assert_int_equal(missed_and_not_told(lab->probe), 1);
}

#define SMALL(f)  cmocka_unit_test_setup_teardown(f, open_small, close_lab)
#define ALONE(f)  cmocka_unit_test_setup_teardown(f, open_small_alone, close_lab)
#define PINNED(f) cmocka_unit_test_setup_teardown(f, open_pinned, close_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SMALL(a_full_ring_loses_records_and_no_counts),
		SMALL(a_full_table_of_files_counts_what_it_does_not_list),
		SMALL(cells_are_made_free_before_files_go_unlisted),
		ALONE(a_file_whose_bucket_is_full_is_counted_in_another),
		SMALL(a_full_dirty_ring_is_swept_from_the_marks),
		ALONE(who_has_no_slot_has_a_shared_mark),
		ALONE(all_shared_marks_are_taken),
		SMALL(a_full_index_says_so_and_has_room_when_one_leaves),
		SMALL(an_index_that_grows_forgets_nobody),
		SMALL(many_file_systems_hide_no_layer),
		SMALL(a_detached_program_is_noticed_and_attached_again),
		PINNED(pins_without_all_their_programs_are_not_adopted),
		PINNED(what_was_added_for_a_container_survives_the_agent),
		PINNED(runs_that_were_missed_are_told_by_one_agent),
	};

	if (!lab_can(PROBE_TIER_FS, LAB_ROOT_FS))
		return 0;
	snprintf(pin_dir, sizeof(pin_dir), "/sys/fs/bpf/driftwatch-loss-%d", (int)getpid());
	return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}

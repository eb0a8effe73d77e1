/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_records.c - what is told of a change: path, writer, and that it was told.
 */
#include "driftwatch_maps.h"
#include "kernel/probe_internal.h"
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static enum lab_fs fs_under_test;

/* The first record of @op for the lab's container that a drain hands out. */
struct wanted {
	uint16_t op;
	const char *path; /* NULL: any */
	int found;
	struct dw_op_record record;
	char at[DW_PATH_MAX];
};

static void look(const struct probe_record *record, void *arg)
{
	struct wanted *w = arg;

	if (record->type != DW_RECORD_OP || record->op->op != w->op ||
	    record->op->container != LAB_CONTAINER)
		return;
	if (w->path && strcmp(record->path, w->path))
		return;
	if (!w->found++) {
		memcpy(&w->record, record->op, sizeof(w->record));
		memcpy(w->at, record->path, record->path_len + 1);
	}
}

static void drain(struct lab *lab, struct wanted *w)
{
	while (probe_drain(lab->probe, 64, look, w) > 0)
		;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void the_first_write_is_told_with_its_path(void **state)
{
	struct wanted w = {.op = DW_OP_WRITE, .path = "/dir/first"};
	struct lab *lab = *state;
	struct stat st;

	assert_int_equal(mkdir(lab_path(lab, "dir"), 0755), 0);
	write_file(lab_path(lab, "dir/first"), "one");
	write_file(lab_path(lab, "dir/first"), "two");
	drain(lab, &w);
	assert_int_equal(w.found, 1);
	assert_int_equal(lstat(lab_upper_path(lab, "dir/first"), &st), 0);
	assert_int_equal(w.record.ino, st.st_ino);
	assert_int_equal(w.record.dev, lab_dev(lab->upper));
	assert_int_equal(w.record.mode, st.st_mode);
	assert_int_equal(w.record.bytes, 3);
	assert_int_equal(w.record.tgid, getpid());
	assert_int_equal(w.record.total_bytes, 0);
}

static void who_listens_is_told_the_totals(void **state)
{
	struct wanted w = {.op = DW_OP_WRITE, .path = "/second"};
	struct lab *lab = *state;

	write_file(lab_path(lab, "first"), "one");
	probe_set_heard(lab->probe, true);
	write_file(lab_path(lab, "second"), "seven\n");
	probe_set_heard(lab->probe, false);
	drain(lab, &w);
	assert_int_equal(w.found, 1);
	if (w.record.flags & DW_RECORD_PARTIAL_TOTALS) { /* the first may be another CPU's */
		assert_in_range(w.record.total_bytes, 6, 9);
		return;
	}
	assert_int_equal(w.record.total_bytes, 9);
	assert_int_equal(w.record.total_calls, 2);
}

static void ignore_file(const struct probe_file_key *key, const struct probe_file_counts *stats,
			void *arg)
{
	(void)key;
	(void)stats;
	(void)arg;
}

static void a_drained_file_is_told_again(void **state)
{
	struct wanted w = {.op = DW_OP_WRITE, .path = "/again"};
	struct lab *lab = *state;

	write_file(lab_path(lab, "again"), "one");
	drain(lab, &w);
	assert_int_equal(probe_drain_files(lab->probe, ignore_file, NULL), 0);
	write_file(lab_path(lab, "again"), "two");
	drain(lab, &w);
	assert_int_equal(w.found, 2);
}

static bool take_any(const struct probe_file_key *key, const struct probe_file_counts *counts,
		     void *arg)
{
	(void)key;
	*(uint64_t *)arg += counts->calls;
	return true;
}

/* What is in a slot cannot be taken: files that share one go on in their cells. */
static void a_file_whose_counts_are_taken_stays_known(void **state)
{
	struct wanted w = {.op = DW_OP_WRITE, .path = "/known"};
	struct lab *lab = *state;
	uint64_t taken = 0;
	char name[16];
	int i;

	write_file(lab_path(lab, "known"), "one");
	for (i = 0; i < 2 * DW_SLOTS_CACHED; i++) {
		snprintf(name, sizeof(name), "other%d", i);
		write_file(lab_path(lab, name), "x");
	}
	assert_int_equal(probe_take_files(lab->probe, take_any, &taken), 0);
	assert_true(taken > 0);
	write_file(lab_path(lab, "known"), "two");
	drain(lab, &w);
	assert_int_equal(w.found, 1);
}

/* Its slot being another file's by then. */
static void a_file_that_is_judged_again_keeps_its_cell(void **state)
{
	struct lab *lab = *state;
	char name[32];

	for (int round = 0; round < 2; round++) {
		lab->probe->control->epoch++; /* who is who has changed */
		for (int i = 0; i < 2 * DW_SLOTS_CACHED; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			write_file(lab_path(lab, name), "one");
		}
		assert_int_equal(probe_files_used(lab->probe), 2 * DW_SLOTS_CACHED);
	}
}

static void the_writer_is_named(void **state)
{
	struct wanted w = {.op = DW_OP_WRITE, .path = "/written"};
	struct lab *lab = *state;
	struct dw_writer writer;
	char self[DW_EXE_MAX] = "";

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	write_file(lab_path(lab, "written"), "x");
	drain(lab, &w);
	assert_int_equal(w.found, 1);
	assert_int_equal(probe_read_writer(lab->probe, w.record.writer, &writer), 0);
	assert_int_equal(writer.tgid, getpid());
	assert_int_equal(writer.ppid, getppid());
	assert_int_equal(writer.uid, 0);
	assert_string_equal(writer.exe, self);
	assert_false(writer.flags & DW_RECORD_RUNTIME);
}

static void an_exec_makes_another_writer(void **state)
{
	struct wanted a = {.op = DW_OP_WRITE, .path = "/by_self"};
	struct wanted b = {.op = DW_OP_WRITE, .path = "/by_shell"};
	struct lab *lab = *state;
	struct dw_writer writer;
	char command[256];
	pid_t pid = fork();

	if (!pid) {
		write_file(lab_path(lab, "by_self"), "x");
		snprintf(command, sizeof(command), "echo x > %s", lab_path(lab, "by_shell"));
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	while (probe_drain(lab->probe, 1, look, a.found ? &b : &a) > 0)
		;
	assert_int_equal(a.found, 1);
	assert_int_equal(b.found, 1);
	assert_int_equal(a.record.tgid, b.record.tgid);
	assert_true(a.record.writer != b.record.writer);
	assert_int_equal(probe_read_writer(lab->probe, b.record.writer, &writer), 0);
	assert_string_equal(writer.comm, "sh");
}

static void a_path_too_long_loses_its_beginning(void **state)
{
	struct wanted w = {.op = DW_OP_WRITE};
	struct lab *lab = *state;
	char name[201];
	int dir = open(lab->merged, O_RDONLY | O_DIRECTORY), next, fd, i;

	memset(name, 'n', 200);
	name[200] = '\0';
	for (i = 0; i < 8; i++) {
		assert_int_equal(mkdirat(dir, name, 0755), 0);
		next = openat(dir, name, O_RDONLY | O_DIRECTORY);
		close(dir);
		dir = next;
	}
	fd = openat(dir, "tail", O_CREAT | O_WRONLY, 0644);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	close(dir);
	drain(lab, &w);
	assert_int_equal(w.found, 1);
	assert_true(w.record.flags & DW_RECORD_PATH_TRUNCATED);
	assert_string_equal(w.at + strlen(w.at) - 6, "n/tail");
	assert_true(lab_counted(lab).paths_truncated >= 1);
}

static void a_creation_is_told_and_counted(void **state)
{
	struct wanted file = {.op = DW_OP_CREATE}, dir = {.op = DW_OP_MKDIR};
	struct lab *lab = *state;

	write_file(lab_path(lab, "created"), "x");
	drain(lab, &file);
	assert_int_equal(file.found, 1);
	assert_int_equal(file.record.parent_ino, lab_ino(lab->upper));
	if (fs_under_test == LAB_XFS)
		assert_string_equal(file.at, "/created");
	else
		assert_int_equal(file.record.ino, lab_ino(lab_upper_path(lab, "created")));
	assert_int_equal(mkdir(lab_path(lab, "made"), 0755), 0);
	drain(lab, &dir);
	assert_int_equal(dir.found, 1);
	assert_int_equal(lab_counted(lab).ops[DW_OP_CREATE], 1);
	assert_int_equal(lab_counted(lab).ops[DW_OP_MKDIR], 1);
}

static void a_removal_is_told_and_counted(void **state)
{
	struct wanted w = {.op = DW_OP_UNLINK, .path = "/removed"};
	struct lab *lab = *state;

	write_file(lab_path(lab, "removed"), "x");
	assert_int_equal(unlink(lab_path(lab, "removed")), 0);
	drain(lab, &w);
	assert_int_equal(w.found, 1);
	assert_int_equal(lab_counted(lab).ops[DW_OP_UNLINK], 1);
}

static void a_truncation_is_told_and_counted(void **state)
{
	struct wanted w = {.op = DW_OP_TRUNCATE, .path = "/truncated"};
	struct lab *lab = *state;

	if (fs_under_test == LAB_XFS)
		skip(); /* no event of its own */
	write_file(lab_path(lab, "truncated"), "text");
	assert_int_equal(truncate(lab_path(lab, "truncated"), 1), 0);
	unlink(lab_path(lab, "truncated"));
	drain(lab, &w);
	assert_int_equal(w.found, 1);
	assert_int_equal(lab_counted(lab).ops[DW_OP_TRUNCATE], 1);
}

static void an_execution_is_told_once_and_counted_always(void **state)
{
	struct wanted w = {.op = DW_OP_EXEC, .path = "/program"};
	struct lab *lab = *state;
	uint64_t n;

	lab_run("cp /bin/true %s/program", lab->merged);
	lab_run("%s/program && %s/program && %s/program", lab->merged, lab->merged, lab->merged);
	drain(lab, &w);
	assert_int_equal(w.found, 1);
	assert_int_equal(probe_read_execs(lab->probe, lab->overlay_dev,
					  lab_ino(lab_path(lab, "program")), &n),
			 0);
	assert_int_equal(n, 3);
}

/* --- watched inodes --- */

static int dirty_records;

static void count_dirty(const struct probe_record *record, void *arg)
{
	const uint32_t *slot = arg;

	if (record->type != DW_RECORD_DIRTY || record->dirty->slot != *slot)
		return;
	assert_int_equal(record->dirty->container, LAB_CONTAINER);
	dirty_records++;
}

/* Do @change and expect one record and a mark. */
#define expect_dirty(lab, slot, change) expect_dirty_at(lab, slot, change, #change)

static void expect_dirty_at(struct lab *lab, long slot, int change, const char *what)
{
	uint32_t wanted = (uint32_t)slot;

	assert_int_equal(change, 0);
	dirty_records = 0;
	while (probe_drain(lab->probe, 64, count_dirty, &wanted) > 0)
		;
	if (!dirty_records || probe_take_dirty(lab->probe, slot, NULL) <= 1)
		fail_msg("no dirty mark after %s", what);
	assert_int_equal(dirty_records, 1);
}

static void every_change_of_a_watched_file_marks_it(void **state)
{
	struct lab *lab = *state;
	int fd = open(lab_path(lab, "lower"), O_WRONLY); /* copied up */
	struct timespec times[2] = {{1, 0}, {2, 0}};
	uint32_t dev = lab_dev(lab_upper_path(lab, "lower"));
	uint64_t ino = lab_ino(lab_upper_path(lab, "lower"));
	long slot = probe_watch(lab->probe, dev, ino, LAB_CONTAINER);

	assert_true(fd >= 0);
	assert_true(slot >= 0);
	expect_dirty(lab, slot, fchmod(fd, 0600));
	expect_dirty(lab, slot, fchown(fd, 1, 1));
	expect_dirty(lab, slot, futimens(fd, times));
	expect_dirty(lab, slot, write(fd, "x", 1) != 1);
	expect_dirty(lab, slot, ftruncate(fd, 100));
	expect_dirty(lab, slot, ftruncate(fd, 100000));
	expect_dirty(lab, slot, fsetxattr(fd, "user.test", "1", 1, 0));
	expect_dirty(lab, slot, fsetxattr(fd, "user.test", "2", 1, 0));
	expect_dirty(lab, slot, fremovexattr(fd, "user.test"));
	probe_unwatch(lab->probe, dev, ino, slot);
	close(fd);
}

static void every_change_of_a_watched_directory_marks_it(void **state)
{
	struct lab *lab = *state;
	long slot =
		probe_watch(lab->probe, lab_dev(lab->upper), lab_ino(lab->upper), LAB_CONTAINER);

	assert_true(slot >= 0);
	probe_take_dirty(lab->probe, slot, NULL);
	expect_dirty(lab, slot, mkdir(lab_path(lab, "w"), 0755));
	expect_dirty(lab, slot, symlink("x", lab_path(lab, "s")));
	expect_dirty(lab, slot, mknod(lab_path(lab, "p"), S_IFIFO | 0600, 0));
	expect_dirty(lab, slot, rename(lab_path(lab, "p"), lab_path(lab, "p2")));
	expect_dirty(lab, slot, rename(lab_path(lab, "p2"), lab_path(lab, "w/p3")));
	expect_dirty(lab, slot, rename(lab_path(lab, "w/p3"), lab_path(lab, "p")));
	expect_dirty(lab, slot, unlink(lab_path(lab, "s")));
	expect_dirty(lab, slot, rmdir(lab_path(lab, "w")));
	expect_dirty(lab, slot, unlink(lab_path(lab, "lower"))); /* a whiteout */
	expect_dirty(lab, slot, chmod(lab_path(lab, "."), 0700));
	probe_unwatch(lab->probe, lab_dev(lab->upper), lab_ino(lab->upper), slot);
}

static void a_foreign_inode_marks_nothing(void **state)
{
	struct lab *lab = *state;
	long slot =
		probe_watch(lab->probe, lab_dev(lab->upper), lab_ino(lab->upper), LAB_CONTAINER);

	assert_true(slot >= 0);
	probe_take_dirty(lab->probe, slot, NULL);
	lab_run("touch %s/fs/beside && rm %s/fs/beside", lab->dir, lab->dir);
	assert_int_equal(probe_take_dirty(lab->probe, slot, NULL), 0);
}

static void sum_swept(uint32_t dev, uint64_t ino, long slot, void *arg)
{
	(void)dev;
	(void)ino;
	(void)slot;
	++*(int *)arg;
}

static void what_the_full_ring_refused_is_swept(void **state)
{
	struct probe_options options = {.tier = PROBE_TIER_FS, .dirty_ring_bytes = 4096};
	struct lab *lab = *state;
	char name[16];
	int i, swept = 0;

	lab->probe = probe_close(lab->probe, false);
	assert_int_equal(probe_open(&options, NULL, &lab->probe), 0);
	if (fs_under_test == LAB_XFS)
		assert_int_equal(probe_want(lab->probe, PROBE_SEES_DIRTY_XFS), 0);
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		assert_int_equal(mkdir(lab_upper_path(lab, name), 0755), 0);
		assert_true(probe_watch(lab->probe, lab_dev(lab_upper_path(lab, name)),
					lab_ino(lab_upper_path(lab, name)), LAB_CONTAINER) >= 0);
	}
	assert_int_equal(probe_sweep_dirty(lab->probe, sum_swept, &swept), 0);
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		assert_int_equal(chmod(lab_upper_path(lab, name), 0700), 0);
	}
	assert_int_equal(probe_sweep_dirty(lab->probe, sum_swept, &swept), 200);
	assert_int_equal(swept, 200);
	assert_int_equal(probe_sweep_dirty(lab->probe, sum_swept, &swept), 0);
}

static int open_lab(void **state)
{
	*state = lab_open(fs_under_test, 400, PROBE_TIER_FS);
	return 0;
}

static int close_lab(void **state)
{
	lab_close(*state);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_write_is_told_with_its_path),
		TEST(who_listens_is_told_the_totals),
		TEST(a_drained_file_is_told_again),
		TEST(a_file_whose_counts_are_taken_stays_known),
		TEST(a_file_that_is_judged_again_keeps_its_cell),
		TEST(the_writer_is_named),
		TEST(an_exec_makes_another_writer),
		TEST(a_path_too_long_loses_its_beginning),
		TEST(a_creation_is_told_and_counted),
		TEST(a_removal_is_told_and_counted),
		TEST(a_truncation_is_told_and_counted),
		TEST(an_execution_is_told_once_and_counted_always),
		TEST(every_change_of_a_watched_file_marks_it),
		TEST(every_change_of_a_watched_directory_marks_it),
		TEST(a_foreign_inode_marks_nothing),
		TEST(what_the_full_ring_refused_is_swept),
	};
	int failed = 0;

	fs_under_test = LAB_EXT4;
	if (lab_can(PROBE_TIER_FS, LAB_EXT4))
		failed += cmocka_run_group_tests_name("ext4", tests, NULL, NULL);
	fs_under_test = LAB_XFS;
	if (lab_can(PROBE_TIER_FS, LAB_XFS))
		failed += cmocka_run_group_tests_name("xfs", tests, NULL, NULL);
	return failed;
}

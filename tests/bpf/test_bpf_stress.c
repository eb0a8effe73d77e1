/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_stress.c - counts are exact when everything happens at once.
 *
 * Tasks on every CPU, several to each, write as fast as they can, are preempted and
 * interrupted (also in the middle of a call), and share files; the files are more than
 * the slots of a CPU; counts are moved out meanwhile, or the tables are too small. What the calls
 * returned is the truth, for the container and for each file.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define FILES	      1500 /* six times the slots of a CPU */
#define TASKS_PER_CPU 4
#define STORM_NS      (NS_PER_SEC * 7 / 10)
#define DIRECT_BYTES  4096

static enum probe_tier tier_under_test;

struct tally {
	uint64_t calls;
	uint64_t bytes;
};

/* In memory that the tasks share with the test: each adds to the files it wrote to. */
struct shared {
	struct tally files[FILES];
	uint64_t failed;
};

static struct shared *shared;
static int fds[FILES];
static uint64_t inodes[FILES];

static void add(unsigned file, ssize_t ret)
{
	if (ret <= 0) {
		__atomic_fetch_add(&shared->failed, 1, __ATOMIC_RELAXED);
		return;
	}
	__atomic_fetch_add(&shared->files[file].calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&shared->files[file].bytes, (uint64_t)ret, __ATOMIC_RELAXED);
}

/* --- one task --- */

static uint64_t dice;

static unsigned roll(unsigned sides)
{
	dice = dice * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(dice >> 33) % sides;
}

/* Interrupts whatever the task does, and writes itself. */
static void on_alarm(int signo)
{
	unsigned file = (unsigned)signo % FILES;

	add(file, pwrite(fds[file], "interrupt", 9, 0));
}

static void write_once(char *buf, int direct_fd)
{
	unsigned file = roll(3) ? roll(8) : roll(FILES); /* some are hot */
	struct iovec iov[2] = {{buf, 1 + roll(100)}, {buf, 1 + roll(9000)}};

	switch (roll(8)) {
	case 0:
		add(file, pwritev(fds[file], iov, 2, roll(5000)));
		break;
	case 1:
		add(file, pwrite(fds[file], buf, 1 + roll(120000), 0));
		break;
	case 2: /* may complete in an interrupt */
		if (direct_fd >= 0)
			add(0, pwrite(direct_fd, buf, DIRECT_BYTES, 0));
		break;
	default:
		add(file, pwrite(fds[file], buf, 1 + roll(64), roll(8192)));
	}
}

static void task(unsigned number, int cpu, int direct_fd)
{
	const struct itimerval often = {{0, 1300}, {0, 1000}};
	uint64_t end = clock_mono_ns() + STORM_NS;
	char *buf = aligned_alloc(4096, 128 << 10);
	cpu_set_t set;

	if (!buf)
		_exit(1);
	memset(buf, 's', 128 << 10);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	dice = number + 1;
	if (number % 2) {
		signal(SIGALRM, on_alarm);
		setitimer(ITIMER_REAL, &often, NULL);
	}
	while (clock_mono_ns() < end)
		write_once(buf, direct_fd);
	_exit(0);
}

/* --- all of them --- */

static void sum_file(const struct probe_file_key *key, const struct probe_file_counts *stats,
		     void *arg)
{
	struct tally *sums = arg;
	unsigned i;

	if (stats->container != LAB_CONTAINER)
		return;
	for (i = 0; i < FILES; i++)
		if (inodes[i] == key->ino)
			break;
	assert_in_range(i, 0, FILES - 1);
	sums[i].calls += stats->calls;
	sums[i].bytes += stats->bytes;
}

/* Some are refused, and stay for the next time. */
static bool take_file(const struct probe_file_key *key, const struct probe_file_counts *counts,
		      void *arg)
{
	static unsigned asked;

	if (asked++ % 3 == 0)
		return false;
	sum_file(key, counts, arg);
	return true;
}

/* Every way out of the kernel, in turns. */
static void move_out(struct lab *lab, struct tally *moved)
{
	static unsigned turn;

	switch (turn++ % 3) {
	case 0:
		assert_int_equal(probe_take_files(lab->probe, take_file, moved), 0);
		break;
	case 1:
		assert_int_equal(probe_prune_files(lab->probe, sum_file, moved), 0);
		break;
	default:
		assert_int_equal(probe_drain_files(lab->probe, sum_file, moved), 0);
	}
}

static void start_tasks(unsigned count, unsigned cpus, int direct_fd)
{
	unsigned i;
	pid_t pid;

	for (i = 0; i < count; i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			task(i, (int)(i % cpus), direct_fd);
	}
}

/* Until all tasks have ended; @moved takes what is moved out meanwhile. */
static void wait_for_tasks(struct lab *lab, unsigned count, struct tally *moved)
{
	int status;

	while (count) {
		pid_t pid = waitpid(-1, &status, moved ? WNOHANG : 0);

		assert_true(pid >= 0);
		if (pid) {
			assert_int_equal(status, 0);
			count--;
			continue;
		}
		move_out(lab, moved);
	}
}

static struct tally total(const struct tally *tallies)
{
	struct tally sum = {0};
	unsigned i;

	for (i = 0; i < FILES; i++) {
		sum.calls += tallies[i].calls;
		sum.bytes += tallies[i].bytes;
	}
	return sum;
}

static void make_files(struct lab *lab)
{
	char name[16];
	unsigned i;

	for (i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		fds[i] = open(lab_path(lab, name), O_CREAT | O_RDWR, 0644);
		assert_true(fds[i] >= 0);
		inodes[i] = lab_ino(lab_upper_path(lab, name));
	}
}

static void storm(struct lab *lab, struct tally *moved)
{
	unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	int direct_fd = open(lab_path(lab, "s0"), O_WRONLY | O_DIRECT);
	struct probe_health h;
	struct tally all;

	start_tasks(cpus * TASKS_PER_CPU, cpus, direct_fd);
	wait_for_tasks(lab, cpus * TASKS_PER_CPU, moved);
	close(direct_fd);
	all = total(shared->files);
	assert_true(all.calls > FILES);
	assert_int_equal(shared->failed, 0);
	assert_int_equal(probe_read_health(lab->probe, &h), 0);
	assert_int_equal(h.runs_missed, 0);
	lab_expect(lab, all.calls, all.bytes);
}

static void expect_each_file(struct lab *lab, struct tally *sums)
{
	unsigned i;

	/* Twice: each empties one half of the slots. */
	assert_int_equal(probe_drain_files(lab->probe, sum_file, sums), 0);
	assert_int_equal(probe_drain_files(lab->probe, sum_file, sums), 0);
	for (i = 0; i < FILES; i++) {
		assert_int_equal(sums[i].calls, shared->files[i].calls);
		assert_int_equal(sums[i].bytes, shared->files[i].bytes);
	}
	assert_int_equal(lab_counted(lab).files_unlisted, 0);
}

static void more_files_than_slots_add_up_one_by_one(void **state)
{
	struct tally sums[FILES] = {0};

	storm(*state, NULL);
	expect_each_file(*state, sums);
}

static void what_is_moved_out_meanwhile_is_counted_once(void **state)
{
	struct tally sums[FILES] = {0};

	storm(*state, sums);
	expect_each_file(*state, sums);
}

static void full_tables_keep_the_totals(void **state)
{
	struct probe_options options = {
		.tier = tier_under_test, .max_files = 64, .ring_bytes = 4096};
	struct tally sums[FILES] = {0}, listed;
	struct dw_counters c;

	lab_reopen(*state, &options);
	storm(*state, NULL);
	assert_int_equal(probe_drain_files(((struct lab *)*state)->probe, sum_file, sums), 0);
	assert_int_equal(probe_drain_files(((struct lab *)*state)->probe, sum_file, sums), 0);
	listed = total(sums);
	c = lab_counted(*state);
	assert_true(c.files_unlisted > 0);
	assert_int_equal(listed.calls + c.files_unlisted, total(shared->files).calls);
}

static int open_lab(void **state)
{
	struct lab *lab = lab_open(LAB_ROOT_FS, 0, tier_under_test);

	*state = lab;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -1;
	make_files(lab);
	lab_mark(lab);
	return 0;
}

static int close_lab(void **state)
{
	unsigned i;

	for (i = 0; i < FILES; i++)
		close(fds[i]);
	munmap(shared, sizeof(*shared));
	lab_close(*state);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(more_files_than_slots_add_up_one_by_one),
		TEST(what_is_moved_out_meanwhile_is_counted_once),
		TEST(full_tables_keep_the_totals),
	};
	int failed = 0;

	for (tier_under_test = PROBE_TIER_VFS_FEXIT; tier_under_test < PROBE_TIER_MAX;
	     tier_under_test++)
		if (lab_can(tier_under_test, LAB_ROOT_FS))
			failed += cmocka_run_group_tests_name(probe_tier_name(tier_under_test),
							      tests, NULL, NULL);
	return failed;
}

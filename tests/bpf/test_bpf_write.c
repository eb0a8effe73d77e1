/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_write.c - what is counted is what the system calls returned.
 *
 * The workloads add up their own return values; the expectation is never taken
 * from the probe. The group runs once per tier this kernel allows.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static enum probe_tier tier_under_test;
static enum lab_fs fs_under_test;

/* What a workload's calls returned. */
struct tally {
	uint64_t calls;
	uint64_t bytes;
};

static void tally(struct tally *t, ssize_t ret)
{
	if (ret <= 0)
		return;
	t->calls++;
	t->bytes += (uint64_t)ret;
}

static int create(const struct lab *lab, const char *name, int flags)
{
	int fd = open(lab_path(lab, name), O_CREAT | O_TRUNC | flags, 0644);

	if (fd < 0 && errno == EINVAL && flags & O_DIRECT)
		skip(); /* a tmpfs of an older kernel */
	assert_true(fd >= 0);
	return fd;
}

static void done(struct lab *lab, int fd, const struct tally *t)
{
	close(fd);
	lab_expect(lab, t->calls, t->bytes);
}

static void *anonymous(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void small_writes_are_counted_one_by_one(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "small", O_WRONLY), i;

	for (i = 0; i < 1000; i++)
		tally(&t, write(fd, "x", 1));
	done(lab, fd, &t);
}

static void a_call_across_pages_is_one_call(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "pages", O_WRONLY), i;
	char *buf = calloc(1, 100000);

	for (i = 0; i < 50; i++)
		tally(&t, write(fd, buf, 1 + (size_t)i * 1999));
	for (i = 0; i < 50; i++)
		tally(&t, pwrite(fd, buf, 8192, i * 8192));
	free(buf);
	done(lab, fd, &t);
}

static void a_page_at_a_time_is_a_call_each(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "aligned", O_WRONLY), i;
	char *buf = calloc(1, 4096);

	for (i = 0; i < 200; i++)
		tally(&t, write(fd, buf, 4096));
	free(buf);
	done(lab, fd, &t);
}

static void vectors_are_one_call(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "vectors", O_WRONLY), i;
	char a[3000] = "a", b[7000] = "b";
	struct iovec iov[3] = {{a, sizeof(a)}, {b, sizeof(b)}, {a, 1}};

	for (i = 0; i < 20; i++) {
		tally(&t, writev(fd, iov, 3));
		tally(&t, pwritev(fd, iov, 2, i * 100));
		tally(&t, pwritev2(fd, iov, 3, -1, RWF_APPEND));
	}
	done(lab, fd, &t);
}

static void a_source_that_must_be_faulted_in_is_not_counted_twice(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "unfaulted", O_WRONLY), i;

	for (i = 0; i < 20; i++) {
		char *buf = anonymous(100000);

		tally(&t, write(fd, buf + 123, 99000));
		munmap(buf, 100000);
	}
	done(lab, fd, &t);
}

static void a_source_on_disk_is_not_counted_twice(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	size_t size = 1000000;
	int fd, src;
	char *map;

	src = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	assert_true(src >= 0);
	assert_int_equal(ftruncate(src, (off_t)size), 0);
	assert_int_equal(pwrite(src, "data", 4, 500000), 4);
	fsync(src);
	posix_fadvise(src, 0, 0, POSIX_FADV_DONTNEED);
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, src, 0);
	assert_true(map != MAP_FAILED);
	lab_mark(lab);
	fd = create(lab, "mapped", O_WRONLY);
	tally(&t, write(fd, map + 1, size - 1));
	munmap(map, size);
	close(src);
	done(lab, fd, &t);
}

static void a_fault_half_way_counts_what_was_written(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "half", O_WRONLY), i;
	char *buf = anonymous(20 * 4096);

	memset(buf, 'h', 16 * 4096);
	assert_int_equal(mprotect(buf + 16 * 4096, 4 * 4096, PROT_NONE), 0);
	for (i = 0; i < 16; i++)
		tally(&t, write(fd, buf + i * 4000, 20 * 4096 - (size_t)i * 4000));
	tally(&t, pwrite(fd, buf + 15 * 4096 + 100, 8000, 5000)); /* over what is there */
	assert_true(t.bytes < 16 * 80000);
	munmap(buf, 20 * 4096);
	done(lab, fd, &t);
}

static void failed_calls_are_not_counted(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "failed", O_RDWR), ro;
	char *buf = anonymous(4096);

	mprotect(buf, 4096, PROT_NONE);
	assert_int_equal(write(fd, buf, 100), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(write(fd, "", 0), 0);
	ro = open(lab_path(lab, "failed"), O_RDONLY);
	assert_int_equal(write(ro, "x", 1), -1);
	close(ro);
	munmap(buf, 4096);
	done(lab, fd, &t);
}

static void a_size_limit_shortens_what_is_counted(void **state)
{
	struct lab *lab = *state;
	int fd = create(lab, "limited", O_WRONLY), pipes[2];
	struct tally t = {0};
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		char *buf = calloc(1, 65536);

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, 100000});
		tally(&t, write(fd, buf, 65536));
		tally(&t, write(fd, buf, 65536));
		tally(&t, write(fd, buf, 65536));
		_exit(write(pipes[1], &t, sizeof(t)) != sizeof(t));
	}
	assert_int_equal(read(pipes[0], &t, sizeof(t)), sizeof(t));
	waitpid(pid, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(t.bytes, 100000);
	done(lab, fd, &t);
}

static void direct_writes_are_counted(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "direct", O_WRONLY | O_DIRECT), i;
	void *buf = NULL;

	assert_int_equal(posix_memalign(&buf, 4096, 65536), 0);
	memset(buf, 'd', 65536);
	for (i = 1; i <= 16; i++)
		tally(&t, write(fd, buf, (size_t)i * 4096));
	for (i = 0; i < 4; i++)
		tally(&t, pwrite(fd, buf, 4096, i * 4096));
	free(buf);
	assert_int_equal(t.calls, 20);
	done(lab, fd, &t);
}

static void direct_reads_are_not_counted(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "direct_read", O_RDWR | O_DIRECT);
	void *buf = NULL;

	assert_int_equal(posix_memalign(&buf, 4096, 4096), 0);
	memset(buf, 'd', 4096);
	tally(&t, write(fd, buf, 4096));
	assert_int_equal(pread(fd, buf, 4096, 0), 4096);
	assert_int_equal(pread(fd, buf, 4096, 0), 4096);
	free(buf);
	done(lab, fd, &t);
}

static void copying_calls_are_counted(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int src = open(lab_path(lab, "lower"), O_RDONLY), fd, pipes[2], i;

	fd = create(lab, "copied", O_WRONLY);
	tally(&t, sendfile(fd, src, NULL, 300001));
	tally(&t, sendfile(fd, src, NULL, 17));
	for (i = 0; i < 3; i++)
		tally(&t, copy_file_range(src, NULL, fd, NULL, 100003, 0));
	assert_int_equal(t.calls, 5);
	assert_int_equal(pipe(pipes), 0);
	for (i = 0; i < 5; i++) {
		assert_int_equal(write(pipes[1], "twelve bytes", 12), 12);
		tally(&t, splice(pipes[0], NULL, fd, NULL, 12, 0));
	}
	close(pipes[0]);
	close(pipes[1]);
	close(src);
	done(lab, fd, &t);
}

/* Where the file system can: xfs. Elsewhere they are copied. */
static void what_is_shared_instead_of_copied_is_counted(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int src = open(lab_path(lab, "lower"), O_RDONLY), fd = create(lab, "shared", O_RDWR);
	loff_t from = 0, to = 0;

	if (fs_under_test == LAB_XFS)
		assert_true(probe_sees(lab->probe, PROBE_SEES_REFLINK));
	tally(&t, copy_file_range(src, &from, fd, &to, 1 << 19, 0));
	tally(&t, copy_file_range(src, &from, fd, &to, 1 << 16, 0));
	from = to = 0;
	tally(&t, copy_file_range(src, &from, fd, &to, 1 << 20, 0));
	assert_int_equal(t.bytes, (1 << 19) + (1 << 16) + (1 << 20));
	if (fs_under_test == LAB_XFS)
		assert_int_equal(ioctl(fd, FICLONE, src), 0); /* not a write */
	close(src);
	done(lab, fd, &t);
}

static void a_copied_up_file_is_charged_with_the_append_only(void **state)
{
	struct lab *lab = *state;
	int fd = open(lab_path(lab, "lower"), O_WRONLY | O_APPEND);
	struct tally t = {0};

	assert_true(fd >= 0);
	tally(&t, write(fd, "x", 1));
	/* xfs shares the blocks of the two layers and copies nothing */
	if (tier_under_test == PROBE_TIER_FS && fs_under_test != LAB_XFS)
		assert_int_equal(lab_counted(lab).copied_up_bytes, 1 << 20);
	done(lab, fd, &t);
}

static void files_without_a_name_are_counted(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int fd = create(lab, "gone", O_WRONLY), tmp;

	assert_int_equal(unlink(lab_path(lab, "gone")), 0);
	tally(&t, write(fd, "unlinked", 8));
	tmp = open(lab->merged, O_TMPFILE | O_WRONLY, 0600);
	if (tmp >= 0) {
		tally(&t, write(tmp, "temporary", 9));
		close(tmp);
	}
	done(lab, fd, &t);
}

static void deep_directories_are_no_hiding_place(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0};
	int dir = open(lab->merged, O_RDONLY | O_DIRECTORY), next, fd, i;

	for (i = 0; i < 300; i++) {
		assert_int_equal(mkdirat(dir, "d", 0755), 0);
		next = openat(dir, "d", O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		close(dir);
		dir = next;
	}
	fd = openat(dir, "file", O_CREAT | O_WRONLY, 0644);
	close(dir);
	tally(&t, write(fd, "deep", 4));
	done(lab, fd, &t);
}

/* --- many writers --- */

#define WRITERS 8
#define WRITES	500

struct job {
	int fd;
	int cpu; /* -1: any */
	struct tally t;
};

static void *write_a_lot(void *arg)
{
	struct job *job = arg;
	cpu_set_t cpus;
	char buf[6000];
	int i;

	memset(buf, 'w', sizeof(buf));
	for (i = 0; i < WRITES; i++) {
		CPU_ZERO(&cpus);
		CPU_SET(job->cpu >= 0 ? job->cpu : i % 2, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
		tally(&job->t, write(job->fd, buf, 1 + (size_t)(i * 37) % sizeof(buf)));
	}
	return NULL;
}

static void run_writers(struct lab *lab, const int *fds, int cpu)
{
	struct job jobs[WRITERS];
	pthread_t threads[WRITERS];
	struct tally t = {0};
	int i;

	for (i = 0; i < WRITERS; i++) {
		jobs[i] = (struct job){.fd = fds[i], .cpu = cpu};
		assert_int_equal(pthread_create(&threads[i], NULL, write_a_lot, &jobs[i]), 0);
	}
	for (i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		t.calls += jobs[i].t.calls;
		t.bytes += jobs[i].t.bytes;
	}
	assert_int_equal(t.calls, WRITERS * WRITES);
	lab_expect(lab, t.calls, t.bytes);
}

static void several_writers_of_one_file_are_all_counted(void **state)
{
	struct lab *lab = *state;
	int fd = create(lab, "shared", O_WRONLY), fds[WRITERS], i;

	for (i = 0; i < WRITERS; i++)
		fds[i] = fd;
	run_writers(lab, fds, -1);
	close(fd);
}

static void tasks_that_share_a_cpu_are_all_counted(void **state)
{
	struct lab *lab = *state;
	int fds[WRITERS], i;
	char name[16];

	for (i = 0; i < WRITERS; i++) {
		snprintf(name, sizeof(name), "crowd%d", i);
		fds[i] = create(lab, name, O_WRONLY | O_APPEND);
	}
	run_writers(lab, fds, 0);
	for (i = 0; i < WRITERS; i++)
		close(fds[i]);
}

/* --- the same numbers per file --- */

static void sum_files(const struct probe_file_key *key, const struct probe_file_counts *stats,
		      void *arg)
{
	struct tally *t = arg;

	(void)key;
	if (stats->container != LAB_CONTAINER)
		return; /* somebody else's, on a busy machine */
	t->calls += stats->calls;
	t->bytes += stats->bytes;
}

static void files_add_up_to_the_total(void **state)
{
	struct lab *lab = *state;
	struct tally t = {0}, files = {0}, rest = {0};
	char name[24];
	int i, j, fd;

	/* Twice: what left a slot during the first is in the other table. */
	assert_int_equal(probe_drain_files(lab->probe, sum_files, &rest), 0);
	assert_int_equal(probe_drain_files(lab->probe, sum_files, &rest), 0);
	for (i = 0; i < 600; i++) { /* more than there are slots */
		snprintf(name, sizeof(name), "many%d", i);
		fd = create(lab, name, O_WRONLY);
		for (j = 0; j <= i % 3; j++)
			tally(&t, write(fd, name, strlen(name)));
		close(fd);
	}
	lab_expect(lab, t.calls, t.bytes);
	assert_int_equal(probe_drain_files(lab->probe, sum_files, &files), 0);
	assert_int_equal(probe_drain_files(lab->probe, sum_files, &files), 0);
	assert_int_equal(files.calls, t.calls);
	assert_int_equal(files.bytes, t.bytes);
}

/* What was counted for one file; others may still be on their way out of the slots. */
struct file_tally {
	uint64_t ino;
	struct tally t;
};

static void sum_file(const struct probe_file_key *key, const struct probe_file_counts *stats,
		     void *arg)
{
	struct file_tally *f = arg;

	if (key->ino == f->ino)
		sum_files(key, stats, &f->t);
}

/*
 * Everything out of the kernel, once the writers are done. Twice: whoever else writes on
 * this machine may push a file out of its slot while the first goes on, and then it is in
 * the other table.
 */
static void drain_all(const struct lab *lab, struct file_tally *file)
{
	assert_int_equal(probe_drain_files(lab->probe, sum_file, file), 0);
	assert_int_equal(probe_drain_files(lab->probe, sum_file, file), 0);
}

static void a_drain_under_fire_loses_nothing(void **state)
{
	struct lab *lab = *state;
	struct file_tally file = {0};
	struct job job = {.fd = create(lab, "fire", O_WRONLY), .cpu = -1};
	pthread_t thread;
	int i;

	file.ino = lab_ino(lab_upper_path(lab, "fire"));
	assert_int_equal(pthread_create(&thread, NULL, write_a_lot, &job), 0);
	for (i = 0; i < 5; i++)
		assert_int_equal(probe_drain_files(lab->probe, sum_file, &file), 0);
	pthread_join(thread, NULL);
	drain_all(lab, &file);
	lab_expect(lab, job.t.calls, job.t.bytes);
	assert_int_equal(lab_counted(lab).files_unlisted, 0);
	assert_int_equal(file.t.bytes, job.t.bytes);
	assert_int_equal(file.t.calls, job.t.calls);
	close(job.fd);
}

#define CROWD 600 /* more files than there are slots: each write evicts somebody */

static void *write_to_a_crowd(void *arg)
{
	int *fds = arg, i;

	for (i = 0; !__atomic_load_n(&fds[CROWD], __ATOMIC_RELAXED); i = (i + 1) % CROWD)
		if (write(fds[i], "x", 1) != 1)
			break;
	return NULL;
}

/* The file is at rest, and pushed out of its slot by others at any moment of the drain. */
static void a_file_evicted_during_the_drain_is_not_lost(void **state)
{
	struct lab *lab = *state;
	struct file_tally file;
	int fds[CROWD + 1] = {0}, fd = create(lab, "rest", O_WRONLY | O_APPEND), i;
	pthread_t thread;
	char name[24];

	for (i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "evict%d", i);
		fds[i] = create(lab, name, O_WRONLY | O_APPEND);
	}
	file.ino = lab_ino(lab_upper_path(lab, "rest"));
	assert_int_equal(pthread_create(&thread, NULL, write_to_a_crowd, fds), 0);
	for (i = 0; i < 40; i++) {
		file.t = (struct tally){0};
		assert_int_equal(write(fd, "rest", 4), 4);
		drain_all(lab, &file);
		assert_int_equal(file.t.calls, 1);
		assert_int_equal(file.t.bytes, 4);
	}
	__atomic_store_n(&fds[CROWD], 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	for (i = 0; i < CROWD; i++)
		close(fds[i]);
	close(fd);
}

/* --- a file system that fills up --- */

static void a_full_disk_shortens_what_is_counted(void **state)
{
	struct lab *lab = lab_open(LAB_EXT4, 24, PROBE_TIER_FS);
	struct tally t = {0};
	char *buf = calloc(1, 1 << 20);
	int fd = create(lab, "big", O_WRONLY), failures = 0;
	ssize_t ret;

	(void)state;
	while (failures < 3) {
		ret = write(fd, buf, 1000003);
		tally(&t, ret);
		failures += ret < 0;
		assert_true(t.bytes < 64 << 20);
	}
	assert_int_equal(errno, ENOSPC);
	free(buf);
	done(lab, fd, &t);
	lab_close(lab);
}

static int open_lab(void **state)
{
	*state = lab_open(fs_under_test, 400, tier_under_test);
	return 0;
}

static int close_lab(void **state)
{
	struct probe_health h;
	struct lab *lab = *state;

	if (!lab)
		return 0;
	if (probe_read_health(lab->probe, &h) || h.runs_missed || h.records_malformed)
		return -1;
	lab_close(lab);
	return 0;
}

static int mark(void **state)
{
	lab_mark(*state);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup(f, mark)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(small_writes_are_counted_one_by_one),
		TEST(a_call_across_pages_is_one_call),
		TEST(a_page_at_a_time_is_a_call_each),
		TEST(vectors_are_one_call),
		TEST(a_source_that_must_be_faulted_in_is_not_counted_twice),
		TEST(a_source_on_disk_is_not_counted_twice),
		TEST(a_fault_half_way_counts_what_was_written),
		TEST(failed_calls_are_not_counted),
		TEST(a_size_limit_shortens_what_is_counted),
		TEST(direct_writes_are_counted),
		TEST(direct_reads_are_not_counted),
		TEST(copying_calls_are_counted),
		TEST(what_is_shared_instead_of_copied_is_counted),
		TEST(a_copied_up_file_is_charged_with_the_append_only),
		TEST(files_without_a_name_are_counted),
		TEST(deep_directories_are_no_hiding_place),
		TEST(several_writers_of_one_file_are_all_counted),
		TEST(tasks_that_share_a_cpu_are_all_counted),
		TEST(files_add_up_to_the_total),
		TEST(a_drain_under_fire_loses_nothing),
		TEST(a_file_evicted_during_the_drain_is_not_lost),
	};
	const struct CMUnitTest full[] = {
		cmocka_unit_test(a_full_disk_shortens_what_is_counted),
	};
	static const struct {
		enum probe_tier tier;
		enum lab_fs fs;
		const char *name;
	} runs[] = {
		{PROBE_TIER_VFS_FEXIT, LAB_ROOT_FS, "tier vfs-fexit"},
		{PROBE_TIER_VFS_KPROBE, LAB_ROOT_FS, "tier vfs-kprobe"},
		{PROBE_TIER_FS, LAB_ROOT_FS, "tier fs"},
		{PROBE_TIER_FS, LAB_EXT4, "tier fs, ext4 with a journal"},
		{PROBE_TIER_FS, LAB_XFS, "tier fs, xfs"},
		{PROBE_TIER_SYSCALL, LAB_ROOT_FS, "tier syscall"},
	};
	int failed = 0;
	size_t i;

	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		tier_under_test = runs[i].tier;
		fs_under_test = runs[i].fs;
		if (lab_can(tier_under_test, fs_under_test))
			failed += cmocka_run_group_tests_name(runs[i].name, tests, open_lab,
							      close_lab);
	}
	if (lab_can(PROBE_TIER_FS, LAB_EXT4))
		failed += cmocka_run_group_tests_name("full disk", full, NULL, NULL);
	return failed;
}

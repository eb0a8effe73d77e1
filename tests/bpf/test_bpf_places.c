/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_places.c - whose a write is: by where it lands, whoever makes it.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

/* Of this process: others may run the same test. */
static char cgroup_name[32], nested_name[48];
static cpu_set_t all_cpus;

static enum probe_tier tier_under_test;

static void write_to(const char *path, size_t len)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	char *buf = calloc(1, len);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, buf, len), len);
	free(buf);
	close(fd);
}

/* Where cgroup v2 is mounted; skips the test when it is not. */
static const char *cgroup_root(void)
{
	if (!access("/sys/fs/cgroup/unified/cgroup.procs", W_OK))
		return "/sys/fs/cgroup/unified";
	if (!access("/sys/fs/cgroup/cgroup.procs", W_OK))
		return "/sys/fs/cgroup";
	skip();
	return NULL;
}

/* Run @fn in a child that sits in @cgroup (below the root), then wait for it. */
static void in_cgroup(const char *cgroup, void (*fn)(struct lab *), struct lab *lab)
{
	char path[256];
	pid_t pid;
	int status;

	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", cgroup_root(), cgroup);
	pid = fork();
	if (!pid) {
		int fd = open(path, O_WRONLY);

		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(1);
		close(fd);
		fn(lab);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void make_cgroups(const struct lab *lab)
{
	char path[256];

	(void)lab;
	snprintf(path, sizeof(path), "%s/%s", cgroup_root(), cgroup_name);
	mkdir(path, 0755);
	assert_int_equal(probe_set_cgroup(lab->probe, lab_ino(path), LAB_CONTAINER), 0);
	snprintf(path, sizeof(path), "%s/%s", cgroup_root(), nested_name);
	mkdir(path, 0755);
}

static void remove_cgroups(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", cgroup_root(), nested_name);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/%s", cgroup_root(), cgroup_name);
	rmdir(path);
}

static void expect_target(const struct lab *lab, enum dw_target target, uint64_t calls,
			  uint64_t bytes)
{
	struct dw_counters c = lab_counted(lab);

	assert_int_equal(c.write_bytes[target], bytes);
	assert_int_equal(c.write_calls[target], calls);
}

static void the_host_writing_into_the_layer_counts(void **state)
{
	struct lab *lab = *state;

	write_to(lab_upper_path(lab, "by_hand"), 11);
	lab_expect(lab, 1, 11);
}

static void the_host_writing_elsewhere_does_not(void **state)
{
	struct lab *lab = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/elsewhere", lab->dir);
	write_to(path, 12);
	lab_expect(lab, 0, 0);
	expect_target(lab, DW_TARGET_OTHER, 0, 0);
}

static void write_on_the_host(struct lab *lab)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/outside", lab->dir);
	write_to(path, 13);
}

static void a_container_writing_on_the_host_is_told_apart(void **state)
{
	struct lab *lab = *state;

	make_cgroups(lab);
	in_cgroup(cgroup_name, write_on_the_host, lab);
	expect_target(lab, DW_TARGET_OTHER, 1, 13);
	lab_expect(lab, 0, 0);
}

static void a_nested_cgroup_belongs_to_the_container(void **state)
{
	struct lab *lab = *state;

	make_cgroups(lab);
	in_cgroup(nested_name, write_on_the_host, lab);
	expect_target(lab, DW_TARGET_OTHER, 1, 13);
}

static void write_in_volume(struct lab *lab)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/volume/file", lab->dir);
	write_to(path, 14);
}

static void a_volume_belongs_to_whom_writes(void **state)
{
	struct lab *lab = *state;
	char path[128];

	make_cgroups(lab);
	snprintf(path, sizeof(path), "%s/volume", lab->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(
		probe_set_root(lab->probe,
			       &(struct dw_inode){.ino = lab_ino(path), .dev = lab_dev(path)}, 0, 0,
			       DW_ROOT_VOLUME),
		0);
	write_in_volume(lab); /* the host's */
	expect_target(lab, DW_TARGET_VOLUME, 0, 0);
	in_cgroup(cgroup_name, write_in_volume, lab);
	expect_target(lab, DW_TARGET_VOLUME, 1, 14);
}

static void write_single_file(struct lab *lab)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/hosts", lab->dir);
	write_to(path, 15);
}

static void a_single_file_can_be_a_volume(void **state)
{
	struct lab *lab = *state;
	char path[128];

	make_cgroups(lab);
	snprintf(path, sizeof(path), "%s/hosts", lab->dir);
	write_to(path, 1);
	assert_int_equal(
		probe_set_root(lab->probe,
			       &(struct dw_inode){.ino = lab_ino(path), .dev = lab_dev(path)}, 0, 0,
			       DW_ROOT_VOLUME),
		0);
	in_cgroup(cgroup_name, write_single_file, lab);
	expect_target(lab, DW_TARGET_VOLUME, 1, 15);
}

static void write_in_shm(struct lab *lab)
{
	(void)lab;
	write_to("/dev/shm/driftwatch-test", 16);
	unlink("/dev/shm/driftwatch-test");
}

static void a_tmpfs_is_told_apart(void **state)
{
	struct lab *lab = *state;

	if (!probe_sees(lab->probe, PROBE_SEES_TMPFS_WRITES))
		skip();
	make_cgroups(lab);
	in_cgroup(cgroup_name, write_in_shm, lab);
	expect_target(lab, DW_TARGET_TMPFS, 1, 16);
}

static void a_file_follows_where_it_is_moved(void **state)
{
	struct lab *lab = *state;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/moving", lab->dir);
	fd = open(path, O_CREAT | O_WRONLY, 0644);
	assert_int_equal(write(fd, "x", 1), 1);
	lab_expect(lab, 0, 0);
	assert_int_equal(rename(path, lab_upper_path(lab, "moving")), 0);
	usleep(1300000); /* a verdict is kept for a second; there is no event to wait for */
	assert_int_equal(write(fd, "xy", 2), 2);
	close(fd);
	lab_expect(lab, 1, 2);
}

/* Write a new file @name of @len bytes in @dir, which is in the layer by now, or is not. */
static void write_in_dir(struct lab *lab, const char *dir, const char *name, size_t len,
			 bool is_in_layer)
{
	char path[160];

	lab_mark(lab);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	write_to(path, len);
	lab_expect(lab, is_in_layer, is_in_layer ? len : 0);
}

/* At once: its new files are new ones, and where the directory is says whose they are. */
static void a_directory_follows_where_it_is_moved(void **state)
{
	struct lab *lab = *state;
	char in[128], out[128], next[128];
	int round;

	snprintf(in, sizeof(in), "%s", lab_upper_path(lab, "dir"));
	snprintf(out, sizeof(out), "%s/dir", lab->dir);
	snprintf(next, sizeof(next), "%s/next", lab->dir);
	for (round = 0; round < 3; round++) {
		assert_int_equal(mkdir(in, 0755), 0);
		write_in_dir(lab, in, "one", 11, true);
		assert_int_equal(rename(in, out), 0);
		write_in_dir(lab, out, "two", 22, false);
		assert_int_equal(rename(out, in), 0);
		write_in_dir(lab, in, "three", 33, true);
		/* Another directory, that may get what the kernel had for the first. */
		lab_run("rm -r %s", in);
		assert_int_equal(mkdir(next, 0755), 0);
		write_in_dir(lab, next, "four", 44, false);
		lab_run("rm -r %s", next);
	}
}

/* Its parent is the same as before, and yet it is elsewhere. */
static void a_directory_follows_the_one_above_it(void **state)
{
	struct lab *lab = *state;
	char top[128], in[136], moved[128], out[136];

	snprintf(top, sizeof(top), "%s", lab_upper_path(lab, "top"));
	snprintf(in, sizeof(in), "%s/a/b/dir", top);
	snprintf(moved, sizeof(moved), "%s/top", lab->dir);
	snprintf(out, sizeof(out), "%s/a/b/dir", moved);
	lab_run("mkdir -p %s", in);
	write_in_dir(lab, in, "one", 11, true);
	assert_int_equal(rename(top, moved), 0);
	write_in_dir(lab, out, "two", 22, false);
}

/* --- containers that nobody has told of yet --- */

static void write_as_stranger(struct lab *lab)
{
	if (chroot(lab->merged) || chdir("/"))
		_exit(2);
	write_to("/stranger", 100);
	write_to("/stranger", 100);
}

struct found {
	struct probe *probe;
	uint32_t overlay_dev;
	uint64_t calls, bytes;
	int sights;
};

static void sum_provisional(const struct probe_file_key *key, const struct probe_file_counts *stats,
			    void *arg)
{
	struct found *f = arg;

	(void)key;
	if (stats->container || stats->overlay_dev != f->overlay_dev)
		return;
	f->calls += stats->calls;
	f->bytes += stats->bytes;
}

static void count_sights(const struct probe_record *record, void *arg)
{
	struct found *f = arg;

	if (record->type == DW_RECORD_SIGHT && record->sight->overlay_dev == f->overlay_dev)
		f->sights++;
}

static void an_unknown_container_is_sighted_and_adopted(void **state)
{
	struct lab *lab = *state;
	struct found f = {.probe = lab->probe, .overlay_dev = lab->overlay_dev};
	struct pollfd urgent = {.fd = probe_urgent_fd(lab->probe), .events = POLLIN};
	pid_t pid;
	int status;

	probe_drain(lab->probe, INT_MAX, count_sights, &f);
	probe_take_urge(lab->probe);
	probe_clear_overlay(lab->probe, lab->overlay_dev, LAB_CONTAINER);
	probe_clear_root(lab->probe,
			 &(struct dw_inode){.ino = lab_ino(lab->upper), .dev = lab_dev(lab->upper)},
			 LAB_CONTAINER);
	pid = fork();
	if (!pid) {
		write_as_stranger(lab);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(poll(&urgent, 1, 0), 1);
	while (probe_drain(lab->probe, 100, count_sights, &f) > 0)
		;
	assert_int_equal(f.sights, 1);

	assert_int_equal(probe_set_root(lab->probe,
					&(struct dw_inode){.ino = lab_ino(lab->upper),
							   .dev = lab_dev(lab->upper)},
					0, LAB_CONTAINER, DW_ROOT_UPPER),
			 0);
	assert_int_equal(probe_set_overlay(lab->probe, lab->overlay_dev, LAB_CONTAINER), 0);
	if (tier_under_test != PROBE_TIER_FS) {
		assert_int_equal(probe_adopt_provisional(lab->probe, LAB_CONTAINER), 0);
	} else {
		probe_drain_files(lab->probe, sum_provisional, &f);
		probe_add_counts(lab->probe, LAB_CONTAINER, DW_TARGET_LAYER, f.calls, f.bytes);
	}
	lab_expect(lab, 2, 200);
}

static void a_reused_number_of_a_super_block_misleads_nobody(void **state)
{
	struct lab *lab = *state;

	/* what another container left behind */
	assert_int_equal(probe_set_overlay(lab->probe, lab->overlay_dev, LAB_CONTAINER + 1), 0);
	write_to(lab_path(lab, "mine"), 17);
	lab_expect(lab, 1, 17);
}

static uint32_t generation_of(const char *path)
{
	int fd = open(path, O_PATH);
	uint64_t generation = file_generation(fd);

	close(fd);
	return (uint32_t)generation;
}

/* A removed container's file, whose number one of the layer has by now. */
static void a_reused_number_of_a_root_misleads_nobody(void **state)
{
	struct lab *lab = *state;
	struct dw_inode file, upper = {.ino = lab_ino(lab->upper), .dev = lab_dev(lab->upper)};
	uint32_t generation;
	char path[160];

	write_to(lab_path(lab, "reused"), 1);
	snprintf(path, sizeof(path), "%s/reused", lab->upper);
	file = (struct dw_inode){.ino = lab_ino(path), .dev = lab_dev(path)};
	generation = generation_of(path);
	if (!generation)
		skip();
	assert_int_equal(probe_set_root(lab->probe, &file, generation ^ 1, 0, DW_ROOT_VOLUME), 0);
	write_to(lab_path(lab, "reused"), 17);
	lab_expect(lab, 2, 18);

	/* That container is told to be gone when another has the number of its upper root. */
	assert_int_equal(probe_clear_root(lab->probe, &upper, LAB_CONTAINER + 1), 0);
	assert_int_equal(probe_clear_overlay(lab->probe, lab->overlay_dev, LAB_CONTAINER + 1), 0);
	write_to(lab_path(lab, "reused"), 5);
	lab_expect(lab, 3, 23);

	/* The same of a directory, which is met on the way up. */
	assert_int_equal(mkdir(lab_path(lab, "dir"), 0755), 0);
	snprintf(path, sizeof(path), "%s/dir", lab->upper);
	assert_int_equal(
		probe_set_root(lab->probe,
			       &(struct dw_inode){.ino = lab_ino(path), .dev = lab_dev(path)},
			       generation_of(path) ^ 1, 0, DW_ROOT_VOLUME),
		0);
	write_to(lab_path(lab, "dir/in"), 11);
	lab_expect(lab, 4, 34);

	if (tier_under_test != PROBE_TIER_FS)
		return; /* they judge by the overlay */
	assert_int_equal(probe_set_root(lab->probe, &file, generation, 0, DW_ROOT_VOLUME), 0);
	write_to(lab_path(lab, "reused"), 7);
	lab_expect(lab, 4, 34);
}

struct counted {
	uint64_t ino;
	uint32_t gen;
	uint64_t bytes, last_writer;
};

static void sum_counted(const struct probe_file_key *key, const struct probe_file_counts *stats,
			void *arg)
{
	struct counted *c = arg;

	if (key->ino != c->ino || key->gen != c->gen)
		return;
	c->bytes += stats->bytes;
	c->last_writer = stats->last_writer;
}

static void expect_bytes_of(const struct lab *lab, const char *path, uint64_t bytes)
{
	struct counted c = {.ino = lab_ino(path), .gen = generation_of(path)};

	assert_int_equal(probe_foreach_file(lab->probe, sum_counted, &c), 0);
	assert_int_equal(c.bytes, bytes);
}

/* As slot.bpf.h has it. */
static unsigned slot_of(uint64_t ino)
{
	return ino * 0x9E3779B97F4A7C15ull >> 56;
}

/* Two files of one slot: more than there are slots have to have such. */
static void make_two_of_one_slot(const struct lab *lab, char *one, char *other, size_t size)
{
	int i, of_slot[256];
	unsigned slot;

	memset(of_slot, -1, sizeof(of_slot));
	for (i = 0; i <= 256; i++) {
		snprintf(other, size, "file%d", i);
		assert_int_equal(mknod(lab_path(lab, other), S_IFREG | 0644, 0), 0);
		slot = slot_of(lab_ino(lab_path(lab, other)));
		if (of_slot[slot] >= 0)
			break;
		of_slot[slot] = i;
	}
	snprintf(one, size, "file%d", of_slot[slot]);
}

/* From now on @dir is the upper directory of another container. */
static void give_to_next(const struct lab *lab, const char *dir)
{
	struct dw_inode upper = {.ino = lab_ino(dir), .dev = lab_dev(dir)};

	assert_int_equal(probe_set_root(lab->probe, &upper, generation_of(dir), LAB_CONTAINER + 1,
					DW_ROOT_UPPER),
			 0);
}

static void expect_of_next(const struct lab *lab, uint64_t calls, uint64_t bytes)
{
	struct dw_counters c;

	assert_int_equal(probe_read_counters(lab->probe, LAB_CONTAINER + 1, &c), 0);
	assert_int_equal(c.write_calls[DW_TARGET_LAYER], calls);
	assert_int_equal(c.write_bytes[DW_TARGET_LAYER], bytes);
}

/* The slot is the other's, and so the cell says whose the one is: until that changes. */
static void a_file_without_a_slot_is_judged_anew_when_its_layer_has_another_owner(void **state)
{
	const struct lab *lab = *state;
	char one[16], other[16];
	int i;

	make_two_of_one_slot(lab, one, other, sizeof(one));
	lab_mark(*state);
	for (i = 0; i < 2; i++) {
		write_to(lab_path(lab, one), 7);
		write_to(lab_path(lab, other), 11);
	}
	lab_expect(lab, 4, 36);
	give_to_next(lab, lab->upper);
	write_to(lab_path(lab, one), 13);
	lab_expect(lab, 4, 36);
	expect_of_next(lab, 1, 13);
}

/* What was found of the directory, for one of its files, is not said of the next one. */
static void a_directory_is_judged_anew_when_it_becomes_a_layer(void **state)
{
	const struct lab *lab = *state;
	char dir[96], path[112];

	if (tier_under_test != PROBE_TIER_FS)
		return; /* they judge by the overlay */
	snprintf(dir, sizeof(dir), "%s/next", lab->dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/early", dir);
	write_to(path, 7);
	give_to_next(lab, dir);
	snprintf(path, sizeof(path), "%s/late", dir);
	write_to(path, 13);
	expect_of_next(lab, 1, 13);
}

static uint32_t last_writer_of(const struct lab *lab, const char *path)
{
	struct counted c = {.ino = lab_ino(path), .gen = generation_of(path)};
	struct dw_writer writer;

	assert_int_equal(probe_foreach_file(lab->probe, sum_counted, &c), 0);
	assert_int_equal(probe_read_writer(lab->probe, c.last_writer, &writer), 0);
	return writer.tgid;
}

/* Who writes to one is remembered by CPU: another who writes on that CPU is another. */
static void a_file_without_a_slot_has_its_own_writer(void **state)
{
	const struct lab *lab = *state;
	char one[16], other[16];
	int i, status;
	pid_t child;

	make_two_of_one_slot(lab, one, other, sizeof(one));
	lab_mark(*state);
	for (i = 0; i < 4; i++) {
		write_to(lab_path(lab, other), 7);
		write_to(lab_path(lab, one), 7);
	}
	assert_int_equal(last_writer_of(lab, lab_upper_path(lab, one)), getpid());
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		write_to(lab_path(lab, one), 11); /* once: a second time makes the slot its own */
		_exit(0);
	}
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(last_writer_of(lab, lab_upper_path(lab, one)), child);
	assert_int_equal(last_writer_of(lab, lab_upper_path(lab, other)), getpid());
	lab_expect(lab, 9, 67);
}

/* A file of the layer is removed, and another one gets its number before a verdict is over. */
static void a_reused_number_of_a_file_misleads_nobody(void **state)
{
	struct lab *lab = *state;
	char outside[128];
	uint64_t ino;

	snprintf(outside, sizeof(outside), "%s/fs/outside", lab->dir);
	write_to(lab_path(lab, "file"), 7);
	ino = lab_ino(lab_upper_path(lab, "file"));
	assert_int_equal(unlink(lab_path(lab, "file")), 0);
	write_to(outside, 11);
	assert_int_equal(lab_ino(outside), ino);
	lab_expect(lab, 1, 7);

	assert_int_equal(unlink(outside), 0);
	write_to(lab_path(lab, "file"), 13);
	assert_int_equal(lab_ino(lab_upper_path(lab, "file")), ino);
	lab_expect(lab, 2, 20);
	expect_bytes_of(lab, lab_upper_path(lab, "file"), 13);
	assert_int_equal(unlink(lab_path(lab, "file")), 0);
	write_to(lab_path(lab, "file"), 17);
	assert_int_equal(lab_ino(lab_upper_path(lab, "file")), ino);
	expect_bytes_of(lab, lab_upper_path(lab, "file"), 17);
	lab_expect(lab, 3, 37);
}

/* A copy of a file system: the same numbers and generations, another device. */
static void the_same_file_of_a_copied_file_system_is_another_one(void **state)
{
	struct lab *lab = *state;
	char twin[160];

	write_to(lab_path(lab, "file"), 7);
	lab_run("sync -f %s && cp --sparse=always %s/image %s/copy && mkdir %s/twin && "
		"mount -o loop %s/copy %s/twin",
		lab->upper, lab->dir, lab->dir, lab->dir, lab->dir, lab->dir);
	snprintf(twin, sizeof(twin), "%s/twin/upper/file", lab->dir);
	assert_int_equal(lab_ino(twin), lab_ino(lab_upper_path(lab, "file")));
	assert_int_equal(generation_of(twin), generation_of(lab_upper_path(lab, "file")));
	/* Its file system is one that the programs look at. */
	assert_int_equal(probe_set_root(lab->probe,
					&(struct dw_inode){.ino = 9, .dev = lab_dev(twin)}, 0, 0,
					DW_ROOT_VOLUME),
			 0);
	lab_mark(lab);
	write_to(lab_path(lab, "file"), 5);
	write_to(twin, 11);
	lab_run("umount -l %s/twin", lab->dir);
	lab_expect(lab, 1, 5);
}

/* --- bounds --- */

static void a_full_table_of_files_keeps_the_totals(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = {.tier = tier_under_test, .max_files = 16};
	struct dw_counters c;
	char name[16];
	int i;

	lab_reopen(lab, &options);
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		write_to(lab_path(lab, name), 7);
	}
	lab_expect(lab, 200, 1400);
	write_to(lab_path(lab, "last"), 7);
	c = lab_counted(lab);
	assert_in_range(c.files_unlisted, 1, 200);
}

static void a_full_ring_is_counted(void **state)
{
	struct lab *lab = *state;
	struct probe_options options = {.tier = tier_under_test, .ring_bytes = 4096};
	struct probe_health h;
	struct dw_counters c;
	char name[16];
	int i;

	lab_reopen(lab, &options);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		write_to(lab_path(lab, name), 7);
	}
	lab_expect(lab, 100, 700);
	c = lab_counted(lab);
	assert_true(c.records > 0);
	assert_true(c.records_lost > 0);
	assert_true(c.records + c.records_lost >= 100);
	assert_int_equal(probe_read_health(lab->probe, &h), 0);
	assert_true(h.records_lost >= c.records_lost);
}

struct seen_counters {
	uint32_t next; /* they come in order, each once */
	struct dw_counters of[3];
};

static void see_counters(dw_container_t c, const struct dw_counters *counters, void *arg)
{
	struct seen_counters *seen = arg;

	assert_int_equal(c, seen->next++);
	if (c == LAB_CONTAINER)
		seen->of[0] = *counters;
	if (c == 300)
		seen->of[1] = *counters;
	if (c == 299)
		seen->of[2] = *counters;
}

/* More than one call of the kernel hands out; what user space added is part of it. */
static void totals_of_all_are_those_of_each(void **state)
{
	struct lab *lab = *state;
	struct seen_counters seen = {0};
	struct dw_counters one;

	assert_int_equal(probe_set_overlay(lab->probe, 0xfffff, 300), 0);
	assert_int_equal(probe_add_counts(lab->probe, 300, DW_TARGET_LAYER, 3, 33), 0);
	write_to(lab_path(lab, "all"), 19);
	lab_expect(lab, 1, 19);
	assert_int_equal(probe_foreach_counters(lab->probe, see_counters, &seen), 0);
	assert_int_equal(seen.next, 301);
	assert_int_equal(probe_read_counters(lab->probe, LAB_CONTAINER, &one), 0);
	assert_memory_equal(&seen.of[0], &one, sizeof(one));
	assert_int_equal(seen.of[1].write_bytes[DW_TARGET_LAYER], 33);
	assert_int_equal(seen.of[2].write_bytes[DW_TARGET_LAYER], 0);
}

static int open_lab(void **state)
{
	*state = lab_open(LAB_ROOT_FS, 0, tier_under_test);
	return 0;
}

/* What is remembered of files and directories is each CPU's own. */
static int stay_on_one_cpu(void)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	return sched_setaffinity(0, sizeof(cpu), &cpu);
}

static int open_lab_of_one_cpu(void **state)
{
	open_lab(state);
	return stay_on_one_cpu();
}

/* Where a number is used again at once, too. */
static int open_small_lab(void **state)
{
	*state = lab_open(LAB_EXT4, 16, tier_under_test);
	return stay_on_one_cpu();
}

static int close_lab(void **state)
{
	lab_close(*state);
	remove_cgroups();
	return sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
}

#define TEST(f)		cmocka_unit_test_setup_teardown(f, open_lab, close_lab)
#define ONE_CPU_TEST(f) cmocka_unit_test_setup_teardown(f, open_lab_of_one_cpu, close_lab)
#define SMALL_TEST(f)	cmocka_unit_test_setup_teardown(f, open_small_lab, close_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_host_writing_into_the_layer_counts),
		TEST(the_host_writing_elsewhere_does_not),
		TEST(a_container_writing_on_the_host_is_told_apart),
		TEST(a_nested_cgroup_belongs_to_the_container),
		TEST(a_volume_belongs_to_whom_writes),
		TEST(a_single_file_can_be_a_volume),
		TEST(a_tmpfs_is_told_apart),
		TEST(a_file_follows_where_it_is_moved),
		ONE_CPU_TEST(a_directory_follows_where_it_is_moved),
		ONE_CPU_TEST(a_directory_follows_the_one_above_it),
		TEST(an_unknown_container_is_sighted_and_adopted),
		TEST(a_reused_number_of_a_super_block_misleads_nobody),
		TEST(a_reused_number_of_a_root_misleads_nobody),
		SMALL_TEST(a_reused_number_of_a_file_misleads_nobody),
		SMALL_TEST(the_same_file_of_a_copied_file_system_is_another_one),
		ONE_CPU_TEST(a_file_without_a_slot_is_judged_anew_when_its_layer_has_another_owner),
		ONE_CPU_TEST(a_file_without_a_slot_has_its_own_writer),
		ONE_CPU_TEST(a_directory_is_judged_anew_when_it_becomes_a_layer),
		TEST(a_full_table_of_files_keeps_the_totals),
		TEST(a_full_ring_is_counted),
		TEST(totals_of_all_are_those_of_each),
	};
	int failed = 0;

	if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus))
		return 1;
	snprintf(cgroup_name, sizeof(cgroup_name), "driftwatch-test-%d", (int)getpid());
	snprintf(nested_name, sizeof(nested_name), "%s/nested", cgroup_name);
	for (tier_under_test = PROBE_TIER_VFS_FEXIT; tier_under_test < PROBE_TIER_MAX;
	     tier_under_test++)
		if (lab_can(tier_under_test, LAB_ROOT_FS))
			failed += cmocka_run_group_tests_name(probe_tier_name(tier_under_test),
							      tests, NULL, NULL);
	return failed;
}

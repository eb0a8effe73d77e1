/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The self-test passes where the hooks run, names one that is attached and does not,
 * and leaves nothing behind, in the kernel's maps as on disk.
 */
#include "lab.h"

#include <bpf/libbpf.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/probe_internal.h"

static enum probe_tier tier;

static int open_lab(void **state)
{
	*state = lab_open(LAB_EXT4, 64, tier);
	return 0;
}

static int close_lab(void **state)
{
	lab_close(*state);
	return 0;
}

static unsigned entries(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

struct tally {
	uint32_t dev;
	unsigned files;
};

static void count_file(const struct probe_file_key *key, const struct probe_file_counts *stats,
		       void *arg)
{
	struct tally *tally = arg;

	(void)stats;
	tally->files += key->dev == tally->dev;
}

/* On the file system that @dir lies on: containers of others may write meanwhile. */
static unsigned files_counted(const struct lab *lab, const char *dir)
{
	struct tally tally = {.dev = lab_dev(dir)};

	assert_int_equal(probe_foreach_file(lab->probe, count_file, &tally), 0);
	return tally.files;
}

static char *scratch_of(const struct lab *lab)
{
	static char dir[80];

	snprintf(dir, sizeof(dir), "%s/fs/scratch", lab->dir);
	lab_run("mkdir -p %s", dir);
	return dir;
}

static void it_passes_and_leaves_nothing(void **state)
{
	struct lab *lab = *state;
	char *dir = scratch_of(lab);
	unsigned files = files_counted(lab, dir), sees = lab->probe->sees;
	uint32_t devs = lab->probe->control->dev_count;
	struct probe_health before, after;
	const char *text;

	lab_mark(lab);
	assert_int_equal(probe_read_health(lab->probe, &before), 0);
	probe_self_test(lab->probe, dir);
	assert_int_equal(probe_self_test_result(lab->probe, &text), PROBE_SELF_TEST_PASSED);
	assert_string_equal(text, "");
	assert_int_equal(lab->probe->sees, sees);
	assert_int_equal(entries(dir), 0);
	assert_int_equal(files_counted(lab, dir), files);
	assert_int_equal(lab->probe->control->dev_count, devs);
	assert_int_equal(probe_read_health(lab->probe, &after), 0);
	assert_int_equal(after.containers_used, before.containers_used);
	lab_expect(lab, 0, 0);
}

/* Its link is gone, and it does not know. */
static void blind(struct probe *p, const char *name)
{
	for (size_t i = 0; i < hook_def_count; i++) {
		struct hook *h = &p->hooks[i];

		if (!h->public.attached || strcmp(h->def->name, name) != 0)
			continue;
		bpf_link__destroy(h->link);
		h->link = NULL;
		return;
	}
	fail_msg("%s is not attached", name);
}

static void a_hook_that_does_not_run_is_named(void **state)
{
	static const char *const hooks[] = {
		[PROBE_TIER_VFS_FEXIT] = "fexit/vfs_write",
		[PROBE_TIER_VFS_KPROBE] = "kretprobe/vfs_write",
		[PROBE_TIER_FS] = "tp_btf/ext4_da_write_end",
		[PROBE_TIER_SYSCALL] = "tp_btf/sys_exit",
	};
	struct lab *lab = *state;
	char *dir = scratch_of(lab);
	const char *text;

	assert_true(probe_sees(lab->probe, PROBE_SEES_LAYER_WRITES));
	blind(lab->probe, hooks[tier]);
	probe_self_test(lab->probe, dir);
	assert_int_equal(probe_self_test_result(lab->probe, &text), PROBE_SELF_TEST_FAILED);
	assert_non_null(strstr(text, hooks[tier]));
	assert_false(probe_sees(lab->probe, PROBE_SEES_LAYER_WRITES));
	assert_int_equal(entries(dir), 0);
}

static void without_a_directory_it_says_why_it_was_not_run(void **state)
{
	struct lab *lab = *state;
	const char *text;

	probe_self_test(lab->probe, "/nonexistent");
	assert_int_equal(probe_self_test_result(lab->probe, &text), PROBE_SELF_TEST_NOT_RUN);
	assert_non_null(strstr(text, "/nonexistent"));
	assert_true(probe_sees(lab->probe, PROBE_SEES_LAYER_WRITES));
}

int main(void)
{
	static const enum probe_tier tiers[] = {PROBE_TIER_VFS_FEXIT, PROBE_TIER_VFS_KPROBE,
						PROBE_TIER_FS, PROBE_TIER_SYSCALL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_passes_and_leaves_nothing, open_lab, close_lab),
		cmocka_unit_test_setup_teardown(a_hook_that_does_not_run_is_named, open_lab,
						close_lab),
		cmocka_unit_test_setup_teardown(without_a_directory_it_says_why_it_was_not_run,
						open_lab, close_lab),
	};
	int failed = 0;

	for (size_t i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
		tier = tiers[i];
		if (lab_can(tier, LAB_EXT4))
			failed += cmocka_run_group_tests_name(probe_tier_name(tier), tests, NULL,
							      NULL);
	}
	return failed != 0;
}

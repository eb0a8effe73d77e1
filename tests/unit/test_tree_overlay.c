/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_tree_overlay.c - random changes through a real overlay mount.
 *
 * The truth is what docker does: the container's view against the image's view. Scan
 * and tree look at the layers only, and must answer the same after every few changes.
 */
#include "naive_diff.h"
#include "overlay_ops.h"
#include "tree_world.h"

#include <sched.h>
#include <sys/mount.h>

/* Short relative names: the options of a mount must fit into a page. */
static void lower_option(size_t first, size_t len, char *ret, size_t size)
{
	size_t at = 0, i;

	*ret = '\0';
	for (i = first; i < len; i++)
		at += (size_t)snprintf(ret + at, size - at, "%sl%zu", i == first ? "" : ":", i);
}

static int mount_overlay(const char *lowers, const char *upper, const char *at)
{
	char options[4096];

	if (upper)
		snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=work", lowers,
			 upper);
	else
		snprintf(options, sizeof(options), "lowerdir=%s", lowers);
	return mount("overlay", at, "overlay", upper ? 0 : MS_RDONLY, options);
}

static void empty_work(struct world *w)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s/work && mkdir %s/work", w->dir, w->dir);
	assert_int_equal(system(command), 0);
}

/* Build the layers bottom up, as a build does: each by changes on top of those below. */
static void build_image(struct world *w, uint64_t *seed, unsigned ops)
{
	char lowers[2048], upper_name[32];
	size_t i;
	unsigned n;

	for (i = w->lowers_len; i-- > 0;) {
		if (i == w->lowers_len - 1) {
			for (n = 0; n < 60; n++)
				random_op(seed, w->lowers[i]);
			continue;
		}
		lower_option(i + 1, w->lowers_len, lowers, sizeof(lowers));
		snprintf(upper_name, sizeof(upper_name), "l%zu", i);
		empty_work(w);
		assert_int_equal(mount_overlay(lowers, upper_name, "merged"), 0);
		for (n = 0; n < ops; n++)
			random_op(seed, "merged");
		assert_int_equal(umount("merged"), 0);
	}
}

static void enter_world(struct tree_world *tw, size_t layers, uint64_t *seed, unsigned ops)
{
	char lowers[2048];

	tree_world_make(tw, layers);
	assert_int_equal(chdir(tw->w.dir), 0);
	assert_int_equal(mkdir("merged", 0755), 0);
	assert_int_equal(mkdir("image", 0755), 0);
	build_image(&tw->w, seed, ops);

	lower_option(0, layers, lowers, sizeof(lowers));
	empty_work(&tw->w);
	assert_int_equal(mkdir("void", 0755), 0);
	if (layers == 1)
		snprintf(lowers + strlen(lowers), 16, ":void"); /* one alone is not accepted */
	assert_int_equal(mount_overlay(lowers, NULL, "image"), 0);
	lower_option(0, layers, lowers, sizeof(lowers));
	assert_int_equal(mount_overlay(lowers, "upper", "merged"), 0);
}

static void leave_world(struct tree_world *tw)
{
	assert_int_equal(umount("merged"), 0);
	assert_int_equal(umount("image"), 0);
	assert_int_equal(chdir("/"), 0);
	tree_world_remove(tw);
}

static void check(struct tree_world *tw, const char *what)
{
	char *truth = naive_diff("image", "merged");
	char *scan = world_scan(&tw->w);
	char *tree = tree_text(tw, false);

	if (strcmp(scan, truth) != 0)
		fail_msg("%s\nscan:\n%s\ntruth:\n%s", what, scan, truth);
	if (strcmp(tree, truth) != 0)
		fail_msg("%s\ntree:\n%s\ntruth:\n%s", what, tree, truth);
	free(truth);
	free(scan);
	free(tree);
}

static void check_counts(struct tree_world *tw)
{
	struct tree_counts c, lines = {0};
	char *text = tree_text(tw, false), *at;

	for (at = text; *at; at = strchr(at, '\n') + 1) {
		lines.added += *at == 'A';
		lines.modified += *at == 'C';
		lines.deleted += *at == 'D';
	}
	tree_counts(tw->tree, &c);
	assert_int_equal(c.added, lines.added);
	assert_int_equal(c.modified, lines.modified);
	assert_int_equal(c.deleted, lines.deleted);
	free(text);
}

/* The totals are those of the tree in the midst of its work as well. */
static void step_by_step(struct tree_world *tw)
{
	int ms = 0;

	while (!ms) {
		ms = tree_work(tw->tree, 1);
		assert_totals(tw->tree, false);
	}
}

static void run(size_t layers, unsigned layer_ops, uint64_t seed, unsigned rounds)
{
	struct tree_world tw;
	char what[64];
	unsigned i, n;

	snprintf(what, sizeof(what), "%zu layers, seed %ju", layers, (uintmax_t)seed);
	enter_world(&tw, layers, &seed, layer_ops);
	start(&tw);
	for (i = 0; i < rounds; i++) {
		for (n = 1 + draw(&seed, 12); n; n--)
			random_op(&seed, "merged");
		notice(&tw);
		step_by_step(&tw);
		settle(&tw);
		check(&tw, what);
	}
	check_counts(&tw);

	/* And from scratch, as after a restart. */
	tree_stop(&tw);
	tree_start(&tw, 100000);
	settle(&tw);
	check(&tw, what);
	leave_world(&tw);
}

static unsigned rounds_wanted(unsigned usual)
{
	const char *text = getenv("DRIFTWATCH_TEST_ROUNDS");

	return text ? (unsigned)strtoul(text, NULL, 10) : usual;
}

static void one_layer(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 4; seed++)
		run(1, 0, seed, rounds_wanted(40));
}

static void three_layers(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 11; seed <= 16; seed++)
		run(3, 40, seed, rounds_wanted(40));
}

static void a_hundred_and_twenty_layers(void **state)
{
	(void)state;
	run(120, 6, 21, rounds_wanted(40));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_layer),
		cmocka_unit_test(three_layers),
		cmocka_unit_test(a_hundred_and_twenty_layers),
	};

	skip_unless_root();
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_message("SKIP: no mount namespace: %s\n", strerror(errno));
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

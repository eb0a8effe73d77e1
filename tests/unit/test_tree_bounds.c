/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_tree_bounds.c - what a container can make grow, and what the tree does about it.
 *
 * Work is counted, not timed.
 */
#include "tree_world.h"

#include <sys/resource.h>

#include "base/clock.h"

static int setup(void **state)
{
	struct tree_world *tw = calloc(1, sizeof(*tw));

	tree_world_make(tw, 1);
	put_dir(world_path(&tw->w, "l0/d"));
	put_file(world_path(&tw->w, "l0/d/f"), "content");
	*state = tw;
	return 0;
}

static int teardown(void **state)
{
	tree_world_remove(*state);
	free(*state);
	return 0;
}

static struct tree_counts counts_of(struct tree_world *tw)
{
	struct tree_counts c;

	tree_counts(tw->tree, &c);
	return c;
}

static void put_files(const char *dir, const char *prefix, int n)
{
	int fd = open(dir, O_PATH), i, file;
	char name[64];

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s%d", prefix, i);
		file = openat(fd, name, O_WRONLY | O_CREAT, 0644);
		assert_true(file >= 0);
		close(file);
	}
	close(fd);
}

/* notice() looks at everything; this marks one inode. */
static void mark(struct tree_world *tw, const char *path)
{
	struct stat st;

	assert_int_equal(lstat(upper(tw, path), &st), 0);
	tree_mark(tw->tree, st.st_ino, NULL, false);
}

/* --- work per change */

static void a_changed_file_costs_one_stat(void **state)
{
	struct tree_world *tw = *state;
	uint64_t before;

	start(tw);
	put_file(upper(tw, "log"), "x");
	catch_up(tw);
	before = counts_of(tw).lstats;
	put_file(upper(tw, "log"), "xy");
	notice(tw);
	settle(tw);
	assert_int_equal(counts_of(tw).lstats - before, 1);
}

static void a_new_file_costs_one_stat_and_its_neighbours_none(void **state)
{
	struct tree_world *tw = *state;
	struct tree_counts before, after;

	start(tw);
	put_dir(upper(tw, "a"));
	put_files(upper(tw, "a"), "n", 500);
	catch_up(tw);
	usleep(600000); /* the first read's rest is over */
	before = counts_of(tw);
	put_file(upper(tw, "a/new"), "x");
	notice(tw);
	settle(tw);
	after = counts_of(tw);
	assert_int_equal(after.dir_reads - before.dir_reads, 1);
	assert_int_equal(after.lstats - before.lstats, 2); /* and one of the directory */
}

static void nothing_changed_costs_nothing(void **state)
{
	struct tree_world *tw = *state;
	struct tree_counts before, after;

	start(tw);
	put_dir(upper(tw, "a"));
	put_files(upper(tw, "a"), "n", 50);
	catch_up(tw);
	before = counts_of(tw);
	assert_int_equal(tree_work(tw->tree, 0), -1);
	free(tree_text(tw, true));
	after = counts_of(tw);
	assert_int_equal(before.lstats, after.lstats);
	assert_int_equal(before.dir_reads, after.dir_reads);
}

/* Trap 6: each event would read all of it, again and again. */
static void a_busy_directory_is_not_read_for_each_event(void **state)
{
	struct tree_world *tw = *state;
	uint64_t reads, begun, spent = 0, at, events = 0;
	struct stat st;

	start(tw);
	put_dir(upper(tw, "busy"));
	put_files(upper(tw, "busy"), "n", 20000);
	mark(tw, "");
	settle(tw);
	stat(upper(tw, "busy"), &st);
	reads = counts_of(tw).dir_reads;
	for (begun = clock_mono_ns(); clock_mono_ns() - begun < 1000000000ull; events++) {
		put_files(upper(tw, "busy"), "m", 1);
		remove(upper(tw, "busy/m0"));
		tree_mark(tw->tree, st.st_ino, NULL, false);
		at = clock_mono_ns();
		tree_work(tw->tree, 5000000);
		spent += clock_mono_ns() - at;
	}
	reads = counts_of(tw).dir_reads - reads;
	print_message("%ju events, %ju reads, %ju ms in the tree\n", (uintmax_t)events,
		      (uintmax_t)reads, (uintmax_t)(spent / 1000000));
	assert_true(events > 500);
	assert_true(reads >= 1);
	assert_true(reads * 10 < events);
	/* The last event is never forgotten. */
	put_files(upper(tw, "busy"), "last", 1);
	mark(tw, "busy");
	settle(tw);
	assert_non_null(tree_find_path(tw->tree, "/busy/last0", 11));
}

/* --- size and depth */

static void a_hundred_thousand_names_in_one_directory(void **state)
{
	const int n = 100000;
	struct tree_world *tw = *state;
	struct tree_counts c;
	uint64_t before;
	char path[64];
	int i;

	/* Names of two files: to make so many inodes would take longest of all. */
	put_dir(upper(tw, "many"));
	put_files(upper(tw, "many"), "a", 2);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "many/n%d", i);
		assert_int_equal(link(upper(tw, i % 2 ? "many/a0" : "many/a1"), upper(tw, path)),
				 0);
	}
	tree_start(tw, 200000);
	settle(tw);
	c = counts_of(tw);
	assert_int_equal(c.added, n + 3);
	assert_int_equal(c.dir_reads, 2);
	assert_int_equal(c.lstats, n + 3); /* one each, watched or not */
	for (i = 0; i < n; i += 999) {
		snprintf(path, sizeof(path), "/many/n%d", i);
		assert_non_null(tree_find_path(tw->tree, path, strlen(path)));
	}
	before = counts_of(tw).lstats;
	remove(upper(tw, "many/n500"));
	mark(tw, "many");
	settle(tw);
	assert_int_equal(counts_of(tw).added, n + 2);
	assert_true(counts_of(tw).lstats - before < 10);
}

static void only_so_many_added_files_are_watched(void **state)
{
	struct tree_world *tw = *state;

	put_dir(upper(tw, "many"));
	put_files(upper(tw, "many"), "n", 9000);
	tree_start(tw, 200000);
	settle(tw);
	assert_int_equal(counts_of(tw).added, 9001);
	/* 8192 of them, the directory and the root. */
	assert_int_equal(tw->watched_len, 8192 + 2);
	remove(upper(tw, "many/n8999"));
	mark(tw, "many");
	settle(tw);
	assert_int_equal(counts_of(tw).added, 9000);
}

static int check_size(const struct tree_line *line, void *arg)
{
	struct tree_world *tw = arg;
	struct tree_node_info info;
	struct stat st;

	tree_node_info(line->node, &info);
	assert_int_equal(lstat(upper(tw, line->path), &st), 0);
	assert_int_equal(info.st.st_mode, st.st_mode);
	if (S_ISREG(st.st_mode))
		assert_int_equal(info.st.st_size, st.st_size);
	return 0;
}

/* What is shown of each listed file is what it has, and so is their sum. */
static void assert_sizes(struct tree_world *tw)
{
	uint64_t bytes = 0;
	size_t i;

	assert_int_equal(tree_foreach(tw->tree, true, check_size, tw), 0);
	notice(tw);
	for (i = 0; i < tw->before_len; i++)
		bytes += S_ISREG(tw->before[i].st_mode) ? (uint64_t)tw->before[i].st_size : 0;
	assert_int_equal(counts_of(tw).bytes, bytes);
}

/* In a directory of @n files every @step-th one grows, shrinks or gets another mode. */
static unsigned change_some(struct tree_world *tw, const char *dir, unsigned n, unsigned step)
{
	unsigned i, changed = 0;
	char name[64];

	for (i = 0; i < n; i += step) {
		snprintf(name, sizeof(name), "%s/n%u", dir, i);
		if (changed++ % 2)
			assert_int_equal(truncate(upper(tw, name), i), 0);
		else
			assert_int_equal(chmod(upper(tw, name), 0755), 0);
	}
	return changed;
}

/* Files n0 to n@n of "many" get one more byte each, a moment or a day ago. */
static void grow_all(struct tree_world *tw, unsigned n, unsigned size, bool long_ago)
{
	const struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	char name[64];
	unsigned i;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "many/n%u", i);
		assert_int_equal(truncate(upper(tw, name), size), 0);
		if (long_ago)
			assert_int_equal(utimensat(AT_FDCWD, upper(tw, name), then, 0), 0);
	}
	notice(tw);
	settle(tw);
	assert_sizes(tw);
}

static void many_files_that_are_written_to_all_the_time_give_up_their_marks(void **state)
{
	struct tree_world *tw = *state;
	const unsigned n = 7000;
	size_t left;

	put_dir(upper(tw, "many"));
	put_files(upper(tw, "many"), "n", n);
	start(tw);
	grow_all(tw, n, 99, false); /* once is no sign that it goes on */
	assert_int_equal(tw->watched_len, n + 2);
	grow_all(tw, n, 100, false);
	left = tw->watched_len;
	assert_true(left < n + 2);
	assert_true(left > 2 + 2000); /* a few are no burden */
	grow_all(tw, n, 101, false);
	assert_true(tw->watched_len < n + 2);
	assert_int_equal(chmod(upper(tw, "many/n6999"), 0755), 0);
	notice(tw);
	settle(tw);
	assert_int_equal(counts_of(tw).executables, 1);
	left = tw->watched_len;
	grow_all(tw, n, 102, true); /* at rest: a mark of their own again */
	assert_true(tw->watched_len > left);
	grow_all(tw, n, 103, false);
	grow_all(tw, n, 104, false);
	assert_int_equal(tw->wrong_unwatches, 0);
}

static void sizes_of_files_without_a_mark_of_their_own_are_true(void **state)
{
	struct tree_world *tw = *state;
	uint64_t before;
	unsigned changed;

	put_dir(upper(tw, "many"));
	put_files(upper(tw, "many"), "n", 11000);
	start(tw);
	assert_int_equal(tw->watched_len, 8192 + 2);
	assert_int_equal(tw->wrong_unwatches, 0);
	before = counts_of(tw).lstats;
	changed = change_some(tw, "many", 11000, 10);
	notice(tw);
	assert_false(tree_is_settled(tw->tree));
	settle(tw);
	assert_sizes(tw);
	assert_int_equal(counts_of(tw).executables, changed / 2);
	/* Files that share a mark with one that changed are looked at too: few. */
	assert_true(counts_of(tw).lstats - before < changed + changed / 4);
}

static void names_nest_thousands_deep(void **state)
{
	const int depth = 2000;
	struct tree_world *tw = *state;
	int fd, below, i;
	struct stat st;
	struct rlimit few = {64, 64}, usual;

	fd = open(tw->w.upper, O_PATH);
	for (i = 0; i < depth; i++) {
		assert_int_equal(mkdirat(fd, "dir", 0755), 0);
		below = openat(fd, "dir", O_PATH);
		close(fd);
		fd = below;
	}
	getrlimit(RLIMIT_NOFILE, &usual);
	few.rlim_max = usual.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	tree_start(tw, 100000);
	settle(tw);
	assert_int_equal(counts_of(tw).added, depth);
	assert_int_equal(counts_of(tw).dir_reads, depth + 1);

	/* A change at the bottom. */
	assert_int_equal(mkdirat(fd, "last", 0755), 0);
	fstat(fd, &st);
	close(fd);
	tree_mark(tw->tree, st.st_ino, NULL, false);
	settle(tw);
	assert_int_equal(counts_of(tw).added, depth + 1);
	assert_exact(tw);

	/* All of it moves. */
	forget_changes(tw);
	assert_int_equal(rename(upper(tw, "dir"), upper(tw, "b")), 0);
	mark(tw, "");
	settle(tw);
	assert_exact(tw);
	assert_int_equal(tw->changes_len, depth + 1);
	assert_true(tw->changes[depth].bits & TREE_CHANGE_RENAMED);
	setrlimit(RLIMIT_NOFILE, &usual);
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* More than can be verified within a second: said to be incomplete, then each looked at once. */
static void a_great_many_changes_are_marked_until_they_are_verified(void **state)
{
	const int n = 12000;
	struct tree_world *tw = *state;
	struct tree_counts before, after;
	char path[64];
	int i;

	put_dir(upper(tw, "many"));
	put_files(upper(tw, "many"), "n", n);
	tree_start(tw, 200000);
	settle(tw);
	before = counts_of(tw);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "many/n%d", i);
		assert_int_equal(chmod(upper(tw, path), 0755), 0);
		mark(tw, path);
	}
	assert_int_equal(tree_work(tw->tree, 1), 0);
	assert_true(counts_of(tw).executables < (uint64_t)n);
	/* The tree has no more time to work, as on a machine that is too slow for it. */
	for (i = 0; i < 5000 && tree_is_complete(tw->tree); i++)
		usleep(1000);
	assert_false(tree_is_complete(tw->tree));
	settle(tw);
	assert_true(tree_is_complete(tw->tree));
	after = counts_of(tw);
	assert_int_equal(after.executables, n);
	assert_int_equal(after.lstats - before.lstats, n);
	assert_int_equal(after.dir_reads, before.dir_reads);
	assert_int_equal(after.rescans, before.rescans);
}

static void an_idle_tree_holds_one_descriptor(void **state)
{
	struct tree_world *tw = *state;
	unsigned before = open_fds();

	put_dir(upper(tw, "d"));
	put_file(upper(tw, "d/f"), "content");
	tree_start(tw, 100);
	settle(tw);
	assert_int_equal(open_fds(), before + 1);
	tree_stop(tw);
	assert_int_equal(open_fds(), before);
	tree_start(tw, 100);
}

static void many_names_of_one_inode(void **state)
{
	const int n = 3000;
	struct tree_world *tw = *state;
	struct tree_counts before, after;
	char name[64];
	int i;

	start(tw);
	put_file(upper(tw, "one"), "12345");
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(link(upper(tw, "one"), upper(tw, name)), 0);
	}
	catch_up(tw);
	before = counts_of(tw);
	assert_int_equal(before.bytes, 5);
	assert_int_equal(before.added, n + 1);
	put_file(upper(tw, "one"), "123456");
	catch_up(tw);
	after = counts_of(tw);
	assert_int_equal(after.bytes, 6);
	/* Its state is that of all its names. */
	assert_int_equal(after.lstats - before.lstats, 1);
}

/* --- limits */

static void what_cannot_be_listed_is_counted(void **state)
{
	struct tree_world *tw = *state;
	struct tree_counts c;
	char name[64];
	int i;

	put_dir(upper(tw, "d"));
	put_file(upper(tw, "d/f"), "changed content");
	put_files(tw->w.upper, "n", 100);
	tree_start(tw, 50);
	settle(tw);
	c = counts_of(tw);
	assert_int_equal(c.added, 100);
	assert_int_equal(c.modified, 2);
	assert_true(c.unlisted > 40);
	assert_false(tree_is_complete(tw->tree));

	/* Files come and go: the count stays that of the disk. */
	notice(tw);
	settle(tw);
	for (i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		remove(upper(tw, name));
	}
	notice(tw);
	settle(tw);
	assert_int_equal(counts_of(tw).added, 70);

	/* There is room again: everything gets its line. */
	for (i = 30; i < 90; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		remove(upper(tw, name));
	}
	catch_up(tw);
	assert_int_equal(counts_of(tw).unlisted, 0);
	assert_true(tree_is_complete(tw->tree));
}

/* Two trees that share one limit: what one of them gives up the other one gets. */
static void trees_share_a_total(void **state)
{
	struct tree_world *tw = *state, other;
	struct tree_total total = {.max = 60};
	uint64_t unlisted;

	tree_world_make(&other, 1);
	put_files(tw->w.upper, "n", 50);
	put_files(other.w.upper, "m", 50);
	tree_start_sharing(tw, 0, &total);
	settle(tw);
	assert_int_equal(counts_of(tw).unlisted, 0);
	tree_start_sharing(&other, 0, &total);
	settle(&other);
	unlisted = counts_of(&other).unlisted;
	assert_int_equal(unlisted, 42); /* two roots have their place as well */
	assert_int_equal(counts_of(&other).added, 50);
	assert_false(tree_is_complete(other.tree));
	assert_int_equal(total.used, total.max);

	tree_stop(tw);
	assert_int_equal(total.used, total.max - 51);
	tree_rescan(other.tree);
	settle(&other);
	assert_int_equal(counts_of(&other).unlisted, 0);
	assert_int_equal(counts_of(&other).added, 50);
	assert_true(tree_is_complete(other.tree));
	tree_world_remove(&other);
	assert_int_equal(total.used, 0);
}

/* A whiteout that hides nothing is no change, listed or not. */
static void a_whiteout_of_nothing_counts_nowhere(void **state)
{
	struct tree_world *tw = *state;

	put_files(tw->w.upper, "n", 20);
	assert_int_equal(mknod(upper(tw, "z"), S_IFCHR, 0), 0);
	tree_start(tw, 1);
	settle(tw);
	assert_int_equal(counts_of(tw).added, 20);
	assert_int_equal(counts_of(tw).unlisted, 20);
}

static void names_of_the_image_are_followed_past_the_limit(void **state)
{
	struct tree_world *tw = *state;

	put_files(tw->w.upper, "n", 30);
	tree_start(tw, 20);
	settle(tw);
	notice(tw);
	settle(tw);
	put_dir(upper(tw, "d"));
	put_whiteout(upper(tw, "d/f"));
	notice(tw);
	settle(tw);
	assert_non_null(tree_find_path(tw->tree, "/d/f", 4));
	assert_int_equal(counts_of(tw).deleted, 1);
	assert_int_equal(counts_of(tw).added, 30);
}

static void no_room_to_watch_makes_the_tree_as_of_its_last_scan(void **state)
{
	struct tree_world *tw = *state;
	uint64_t scanned;

	tw->watched_max = 2;
	put_dir(upper(tw, "d"));
	put_dir(upper(tw, "d/e"));
	put_file(upper(tw, "d/e/x"), "");
	tree_start(tw, 100);
	settle(tw);
	scanned = tree_as_of_wall_ns(tw->tree);
	usleep(1000);
	assert_int_equal(tree_as_of_wall_ns(tw->tree), scanned);

	/* A change in an unwatched directory: only a scan can find it. */
	put_file(upper(tw, "d/e/y"), "");
	notice(tw);
	settle(tw);
	assert_null(tree_find_path(tw->tree, "/d/e/y", 6));
	forget_changes(tw);
	tree_rescan(tw->tree);
	assert_false(tree_is_complete(tw->tree));
	settle(tw);
	assert_non_null(tree_find_path(tw->tree, "/d/e/y", 6));
	assert_non_null(find_change(tw, "/d/e/y", TREE_CHANGE_APPEARED | TREE_CHANGE_RESCAN));
	assert_true(tree_as_of_wall_ns(tw->tree) > scanned);
	assert_int_equal(counts_of(tw).rescans, 1);
	/* It will do so by itself from time to time. */
	assert_true(tree_work(tw->tree, 0) > 1000);

	/* There is room again: the next scan takes it, and events are enough from then on. */
	tw->watched_max = 0;
	tree_rescan(tw->tree);
	settle(tw);
	scanned = tree_as_of_wall_ns(tw->tree);
	usleep(1000);
	assert_true(tree_as_of_wall_ns(tw->tree) > scanned);
	notice(tw);
	put_file(upper(tw, "d/e/z"), "");
	catch_up(tw);
	assert_int_equal(tree_work(tw->tree, 0), -1);
}

static void no_room_to_watch_an_added_file_loses_nothing(void **state)
{
	struct tree_world *tw = *state;
	uint64_t at;

	tw->watched_max = 2;
	put_dir(upper(tw, "new"));
	put_files(upper(tw, "new"), "n", 5);
	tree_start(tw, 100);
	settle(tw);
	at = tree_as_of_wall_ns(tw->tree);
	usleep(1000);
	assert_true(tree_as_of_wall_ns(tw->tree) > at);
	notice(tw);
	remove(upper(tw, "new/n3"));
	catch_up(tw);
}

static void a_large_file_is_compared_in_slices_or_not_at_all(void **state)
{
	struct tree_world *tw = *state;
	static char big[900001];
	struct tree_node_info info;
	int slices = 0;

	memset(big, 'x', sizeof(big) - 1);
	put_file(world_path(&tw->w, "l0/big"), big);
	big[800000] = 'y';
	put_file(upper(tw, "big"), big);
	tree_start(tw, 100);
	while (tree_work(tw->tree, 1) >= 0)
		slices++;
	tree_node_info(tree_find_path(tw->tree, "/big", 4), &info);
	assert_int_equal(info.depth, TREE_TAMPERED);
	assert_true(slices >= 4);

	truncate(world_path(&tw->w, "l0/big"), 2 << 20);
	truncate(upper(tw, "big"), 2 << 20);
	put_file(world_path(&tw->w, "l0/d/dummy"), "");
	tree_stop(tw);
	{
		const struct timespec times[2] = {{1700000000, 0}, {1700000000, 0}};

		utimensat(AT_FDCWD, upper(tw, "big"), times, 0);
		utimensat(AT_FDCWD, world_path(&tw->w, "l0/big"), times, 0);
	}
	tree_start(tw, 100);
	settle(tw);
	tree_node_info(tree_find_path(tw->tree, "/big", 4), &info);
	assert_int_equal(info.depth, TREE_NOT_COMPARED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_changed_file_costs_one_stat),
		TEST(a_new_file_costs_one_stat_and_its_neighbours_none),
		TEST(nothing_changed_costs_nothing),
		TEST(a_busy_directory_is_not_read_for_each_event),
		TEST(a_hundred_thousand_names_in_one_directory),
		TEST(only_so_many_added_files_are_watched),
		TEST(many_files_that_are_written_to_all_the_time_give_up_their_marks),
		TEST(sizes_of_files_without_a_mark_of_their_own_are_true),
		TEST(names_nest_thousands_deep),
		TEST(a_great_many_changes_are_marked_until_they_are_verified),
		TEST(an_idle_tree_holds_one_descriptor),
		TEST(many_names_of_one_inode),
		TEST(what_cannot_be_listed_is_counted),
		TEST(trees_share_a_total),
		TEST(a_whiteout_of_nothing_counts_nowhere),
		TEST(names_of_the_image_are_followed_past_the_limit),
		TEST(no_room_to_watch_makes_the_tree_as_of_its_last_scan),
		TEST(no_room_to_watch_an_added_file_loses_nothing),
		TEST(a_large_file_is_compared_in_slices_or_not_at_all),
	};

	skip_unless_root();
	if (getenv("DRIFTWATCH_TEST_ONLY"))
		cmocka_set_test_filter(getenv("DRIFTWATCH_TEST_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}

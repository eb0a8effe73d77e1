/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_world.h - a tree over a world, with a watcher that the test plays itself.
 *
 * The watcher knows which inodes are watched. world_notice() looks which inodes of the
 * upper layer changed or went since the last time and marks those that are watched, with
 * a mark of their own or a shared one: what the kernel side would do.
 */
#ifndef TREE_WORLD_H
#define TREE_WORLD_H

#include "layer_world.h"

#include <search.h>

#include "driftwatch_abi.h"
#include "ledger/tree.h"
#include "tree_walk.h"

#define TEST_HASH_KEY 0x5eed

struct change_seen {
	unsigned bits;
	enum tree_verdict before, after;
	char *path, *old_path;
	uint64_t writer;
};

struct watched {
	uint64_t ino;
	long slot;
	bool is_left; /* its mark was left set: nobody is told of more */
};

struct tree_world {
	struct world w;
	struct tree *tree;

	void *watched; /* tsearch tree of struct watched */
	size_t watched_len, watched_max;
	long next_slot;
	unsigned wrong_unwatches;
	void (*on_watch)(struct tree_world *tw, uint64_t ino);
	bool shared[DW_SHARED_MARKS]; /* some inode has this mark */
	size_t shares_len;
	void (*on_share)(struct tree_world *tw, uint64_t ino);
	void (*on_take)(struct tree_world *tw);
	bool is_begun; /* what .watch and .take say */

	struct change_seen *changes;
	size_t changes_len, changes_size;

	struct stat *before; /* of world_notice() */
	size_t before_len;
	struct tree_cause cause;
	const uint64_t *mounts_seen_ns; /* see struct tree_options */
	uint64_t image_wall_ns;		/* of a plain directory, see struct tree_options */
};

static inline int watched_order(const void *a, const void *b)
{
	uint64_t x = ((const struct watched *)a)->ino, y = ((const struct watched *)b)->ino;

	return (x > y) - (x < y);
}

static inline bool is_watched(struct tree_world *tw, uint64_t ino)
{
	struct watched key = {.ino = ino};

	return tfind(&key, &tw->watched, watched_order);
}

static inline long test_watch(void *arg, uint32_t dev, uint64_t ino, bool *ret_begun)
{
	struct tree_world *tw = arg;
	struct watched *new;

	(void)dev;
	assert_false(is_watched(tw, ino));
	if (tw->watched_max && tw->watched_len >= tw->watched_max)
		return -ENOSPC;
	new = calloc(1, sizeof(*new));
	new->ino = ino;
	new->slot = tw->next_slot++;
	tsearch(new, &tw->watched, watched_order);
	tw->watched_len++;
	*ret_begun = tw->is_begun;
	if (tw->on_watch)
		tw->on_watch(tw, ino);
	return new->slot;
}

static inline void test_unwatch(void *arg, uint32_t dev, uint64_t ino, long slot)
{
	struct tree_world *tw = arg;
	struct watched key = {.ino = ino}, **found, *old;

	(void)dev;
	found = tfind(&key, &tw->watched, watched_order);
	if (!found || (*found)->slot != slot) {
		tw->wrong_unwatches++;
		return;
	}
	old = *found;
	tdelete(&key, &tw->watched, watched_order);
	free(old);
	tw->watched_len--;
}

static inline void clear_left(const void *node, VISIT visit, void *slot)
{
	struct watched *w = *(struct watched *const *)node;

	if ((visit == preorder || visit == leaf) && w->slot == *(long *)slot)
		w->is_left = false;
}

static inline bool test_take(void *arg, long slot)
{
	struct tree_world *tw = arg;

	twalk_r(tw->watched, clear_left, &slot);
	if (tw->on_take)
		tw->on_take(tw);
	return tw->is_begun;
}

static inline uint32_t shared_mark(const struct tree_world *tw, uint64_t ino)
{
	return (uint32_t)(dw_inode_hash(TEST_HASH_KEY, tree_dev(tw->tree), ino) >> DW_SHARED_SHIFT);
}

static inline void test_watch_shared(void *arg, uint32_t dev, uint64_t ino)
{
	struct tree_world *tw = arg;

	tw->shared[dw_inode_hash(TEST_HASH_KEY, dev, ino) >> DW_SHARED_SHIFT] = true;
	tw->shares_len++;
	if (tw->on_share)
		tw->on_share(tw, ino);
}

static inline void test_on_change(const struct tree_change *change, void *arg)
{
	struct tree_world *tw = arg;
	struct strbuf path = STRBUF_INIT;
	struct tree_node_info info;
	struct change_seen *seen;

	tree_node_info(change->node, &info);
	tree_node_path(change->node, &path);
	if (tw->changes_len == tw->changes_size) {
		tw->changes_size = tw->changes_size ? tw->changes_size * 2 : 64;
		tw->changes = reallocarray(tw->changes, tw->changes_size, sizeof(*tw->changes));
		assert_non_null(tw->changes);
	}
	seen = &tw->changes[tw->changes_len++];
	*seen = (struct change_seen){
		.bits = change->bits,
		.before = change->before,
		.after = info.verdict,
		.path = strbuf_take(&path),
		.old_path = change->old_path ? strdup(change->old_path) : NULL,
		.writer = change->cause.writer,
	};
}

static inline void forget_changes(struct tree_world *tw)
{
	while (tw->changes_len) {
		tw->changes_len--;
		free(tw->changes[tw->changes_len].path);
		free(tw->changes[tw->changes_len].old_path);
	}
}

/* The last change reported for @path that has all of @bits. NULL: none. */
static inline const struct change_seen *find_change(struct tree_world *tw, const char *path,
						    unsigned bits)
{
	size_t i;

	for (i = tw->changes_len; i-- > 0;) {
		if (!strcmp(tw->changes[i].path, path) && (tw->changes[i].bits & bits) == bits)
			return &tw->changes[i];
	}
	return NULL;
}

/*
 * Work until nothing is left but a rescan in some seconds, waiting for what is delayed.
 * Then the totals kept on the way must be those of a walk.
 */
static inline void settle(struct tree_world *tw)
{
	int ms;

	while ((ms = tree_work(tw->tree, 0)) >= 0) {
		if (tree_is_settled(tw->tree) && ms > 1000)
			break;
		usleep((unsigned)ms * 1000 + 100);
	}
	assert_true(tree_is_settled(tw->tree));
	assert_totals(tw->tree, true);
}

static inline void tree_start_sharing(struct tree_world *tw, uint64_t max_files,
				      struct tree_total *total)
{
	struct tree_options o = {
		.upper = tw->w.upper,
		.stack = world_stack(&tw->w),
		.watcher = {.watch = test_watch,
			    .unwatch = test_unwatch,
			    .watch_shared = test_watch_shared,
			    .take = test_take,
			    .arg = tw,
			    .hash_key = TEST_HASH_KEY},
		.limits = {max_files, 1 << 20, total},
		.on_change = test_on_change,
		.arg = tw,
		.events_complete = true,
		.fs_type = "ext4",
		.mounts_seen_ns = tw->mounts_seen_ns,
		.image_wall_ns = tw->image_wall_ns,
	};

	assert_int_equal(tree_open(&o, &tw->tree), 0);
}

static inline void tree_start(struct tree_world *tw, uint64_t max_files)
{
	tree_start_sharing(tw, max_files, NULL);
}

/* Layers only: fill them, then tree_start(). */
static inline void tree_world_make(struct tree_world *tw, size_t lowers_len)
{
	memset(tw, 0, sizeof(*tw));
	world_make(&tw->w, lowers_len);
}

static inline void tree_stop(struct tree_world *tw)
{
	tw->tree = tree_free(tw->tree);
	assert_int_equal(tw->watched_len, 0);
	assert_int_equal(tw->wrong_unwatches, 0);
	forget_changes(tw);
	free(tw->changes);
	tw->changes = NULL;
	tw->changes_size = 0;
}

static inline void tree_world_remove(struct tree_world *tw)
{
	tree_stop(tw);
	free(tw->before);
	world_remove(&tw->w);
}

static inline int tree_line_add(const struct tree_line *line, void *arg)
{
	return line_add(tree_verdict_letter(line->verdict), line->path, line->path_len, arg);
}

static inline char *tree_text(struct tree_world *tw, bool all)
{
	struct line_set set = {0};

	assert_int_equal(tree_foreach(tw->tree, all, tree_line_add, &set), 0);
	return line_text(&set);
}

static inline void assert_lines(struct tree_world *tw, const char *expected)
{
	char *text = tree_text(tw, false);

	assert_string_equal(text, expected);
	free(text);
}

/* The tree's lines are those of a scan by other code, now. */
static inline void assert_exact(struct tree_world *tw)
{
	char *lines = tree_text(tw, false), *disk = world_scan(&tw->w);

	assert_string_equal(lines, disk);
	free(lines);
	free(disk);
}

/* --- what changed on disk */

static struct stat *notice_now;
static size_t notice_len, notice_size;

static inline int notice_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)type;
	(void)ftw;
	if (notice_len == notice_size) {
		notice_size = notice_size ? notice_size * 2 : 256;
		notice_now = reallocarray(notice_now, notice_size, sizeof(*notice_now));
	}
	notice_now[notice_len++] = *st;
	return 0;
}

static inline int stat_order(const void *a, const void *b)
{
	ino_t x = ((const struct stat *)a)->st_ino, y = ((const struct stat *)b)->st_ino;

	return (x > y) - (x < y);
}

static inline bool differs(const struct stat *a, const struct stat *b)
{
	return a->st_ctim.tv_sec != b->st_ctim.tv_sec || a->st_ctim.tv_nsec != b->st_ctim.tv_nsec ||
	       a->st_mtim.tv_nsec != b->st_mtim.tv_nsec || a->st_nlink != b->st_nlink ||
	       a->st_size != b->st_size;
}

static inline bool mark_watched(struct tree_world *tw, uint64_t ino)
{
	struct watched key = {.ino = ino}, **w = tfind(&key, &tw->watched, watched_order);

	if (w && (*w)->is_left)
		return false;
	if (w && tree_leave_marked(tw->tree, ino, &tw->cause))
		(*w)->is_left = true;
	else if (w)
		tree_mark(tw->tree, ino, &tw->cause, false);
	else if (tw->shared[shared_mark(tw, ino)])
		tree_mark_shared(tw->tree, shared_mark(tw, ino));
	else
		return false;
	return true;
}

/* Mark what is watched and has changed since the last call. Returns how many. */
static inline size_t notice(struct tree_world *tw)
{
	size_t i, marked = 0;
	struct stat *old;

	notice_now = NULL;
	notice_len = notice_size = 0;
	nftw(tw->w.upper, notice_one, 16, FTW_PHYS);
	if (notice_len)
		qsort(notice_now, notice_len, sizeof(*notice_now), stat_order);
	for (i = 0; i < notice_len; i++) {
		old = tw->before ? bsearch(&notice_now[i], tw->before, tw->before_len, sizeof(*old),
					   stat_order)
				 : NULL;
		if (!old || differs(old, &notice_now[i]))
			marked += mark_watched(tw, notice_now[i].st_ino);
	}
	for (i = 0; i < tw->before_len; i++) {
		old = &tw->before[i];
		if (!bsearch(old, notice_now, notice_len, sizeof(*old), stat_order))
			marked += mark_watched(tw, old->st_ino);
	}
	free(tw->before);
	tw->before = notice_now;
	tw->before_len = notice_len;
	return marked;
}

/* Notice, settle, and check the tree against the disk. */
static inline void catch_up(struct tree_world *tw)
{
	notice(tw);
	settle(tw);
	assert_exact(tw);
}

static inline void start(struct tree_world *tw)
{
	tree_start(tw, 100000);
	settle(tw);
	notice(tw);
	settle(tw);
	forget_changes(tw);
}

static inline char *upper(struct tree_world *tw, const char *path)
{
	return world_path(&tw->w, "upper/%s", path);
}

#endif /* TREE_WORLD_H */

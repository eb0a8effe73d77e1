/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree.c - the life of a tree, the marks that come in, and what state it is in.
 */
#include "ledger/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "layer/beneath.h"
#include "layer/compare.h"
#include "ledger/tree_internal.h"

static const struct tree_cause nobody;

static int open_root(struct tree *t)
{
	struct stat st;

	t->rootfd = beneath_open_dir(AT_FDCWD, t->upper);
	if (t->rootfd < 0)
		return t->rootfd;
	if (fstat(t->rootfd, &st) < 0)
		return -errno;
	t->dev = file_kernel_dev(st.st_dev);
	t->user_xattr = layer_uses_user_xattr(t->rootfd);

	t->root = node_new(t, NULL, "");
	if (!t->root || node_make_dir(t->root))
		return -ENOMEM;
	t->root->dir->tree = t;
	t->root->flags |= NODE_COUNTED;
	t->root->dir->lower = layer_dir_get(layer_stack_root(t->stack));
	t->root->st = (struct tree_stat){.ino = st.st_ino, .mode = (uint16_t)st.st_mode};
	return index_add(t, t->root);
}

static int init(struct tree *t, const struct tree_options *o)
{
	int err;

	t->upper = file_join(o->host_root, o->upper);
	if (!t->upper)
		return -ENOMEM;
	/* Without randomness the tables are still right, only steerable. */
	if (getrandom(t->key, sizeof(t->key), GRND_NONBLOCK) < 0)
		t->key[0] = clock_mono_ns();
	t->hash_key = t->watcher.watch_shared ? t->watcher.hash_key : t->key[0];
	err = open_root(t);
	if (err < 0)
		return err;
	queue_add(t, t->root, WORK_READ | WORK_INITIAL, &nobody, 0);
	return t->root->work ? 0 : -ENOMEM;
}

int tree_open(const struct tree_options *options, struct tree **ret)
{
	struct tree *t = calloc(1, sizeof(*t));
	int err;

	if (!t) {
		layer_stack_close(options->stack);
		return -ENOMEM;
	}
	t->stack = options->stack;
	t->watcher = options->watcher;
	t->limits = options->limits;
	t->on_change = options->on_change;
	t->arg = options->arg;
	t->mounts_seen_ns = options->mounts_seen_ns;
	t->events_complete = options->events_complete;
	t->image_ns = options->image_wall_ns;
	t->is_whole = layer_stack_is_whole(t->stack);
	t->rootfd = -1;
	t->reader.fd = -1;
	t->is_mounted = true;

	err = init(t, options);
	if (err) {
		tree_free(t);
		return err;
	}
	*ret = t;
	return 0;
}

static void drop_queue(struct tree *t)
{
	tree_read_abort(t);
	while (t->ready.first)
		queue_remove(t, t->ready.first);
	while (t->heap_len)
		queue_remove(t, t->heap[t->heap_len]);
	while (t->resting.first)
		queue_remove(t, t->resting.first);
}

struct tree *tree_free(struct tree *t)
{
	struct tree_node *n, *next;

	if (!t)
		return NULL;
	t->on_change = NULL;
	drop_queue(t);
	tree_limbo_step(t, UINT64_MAX);
	for (n = t->root; n; n = next) {
		next = node_any_child(n);
		if (next)
			continue;
		next = n->parent;
		node_free(t, n);
	}
	tree_close_fds(t);
	if (t->rootfd >= 0)
		close(t->rootfd);
	layer_stack_close(t->stack);
	index_free(t);
	free(t->heap);
	free(t->compares);
	free(t->upper);
	free(t);
	return NULL;
}

uint32_t tree_dev(const struct tree *t)
{
	return t->dev;
}

uint64_t tree_root_ino(const struct tree *t)
{
	return t->root->st.ino;
}

bool tree_root_is_gone(const struct tree *t)
{
	struct stat st;

	return fstat(t->rootfd, &st) == 0 && st.st_nlink == 0;
}

bool tree_root_is_in_place(const struct tree *t)
{
	struct stat st;

	return stat(t->upper, &st) == 0 && file_kernel_dev(st.st_dev) == t->dev &&
	       st.st_ino == t->root->st.ino;
}

void tree_freeze(struct tree *t)
{
	if (t->is_gone)
		return;
	t->is_gone = true;
	t->wants_rescan = false;
	drop_queue(t);
	compare_drop(t);
	index_unwatch_all(t);
	tree_close_fds(t);
	close(t->rootfd);
	t->rootfd = -1;
	layer_stack_idle(t->stack);
}

static bool mark_node(struct tree *t, struct tree_node *n, const struct tree_cause *cause,
		      bool is_begun)
{
	if (!node_is_live(n))
		return false;
	queue_add(t, n, work_of_look(n), cause, node_is_dir(n) ? n->dir->may_read_ns : 0);
	if (is_begun)
		queue_begun(t, n);
	return true;
}

void tree_mark(struct tree *t, uint64_t ino, const struct tree_cause *cause, bool is_begun)
{
	bool is_shared, has_added = false;
	struct tree_node *first, *n;

	if (t->is_gone)
		return;
	first = index_find(t, ino);
	for (n = first; n; n = index_next(n)) {
		/* Of the names that are just added one answers for all. */
		is_shared = n->verdict == TREE_ADDED && !node_is_dir(n);
		if (!(is_shared && has_added) && mark_node(t, n, cause ? cause : &nobody, is_begun))
			has_added = has_added || is_shared;
	}
	if (first && !t->is_mounted)
		t->quiet_ns = clock_mono_ns() + TREE_QUIET_NS;
}

void tree_rescan(struct tree *t)
{
	if (t->is_gone)
		return;
	t->wants_rescan = false;
	t->relist_ns = 0;
	t->rescans++;
	t->rescan_begun_ns = clock_mono_ns();
	t->watch_failed = false;
	queue_add(t, t->root, WORK_READ | WORK_RESCAN, &nobody, 0);
}

void tree_set_mounted(struct tree *t, bool mounted)
{
	if (t->is_mounted && !mounted)
		t->quiet_ns = clock_mono_ns() + TREE_QUIET_NS;
	t->is_mounted = mounted;
}

bool tree_is_settled(const struct tree *t)
{
	return t->is_gone || (!t->ready.first && !t->heap_len && !t->reader.node &&
			      !t->limbo.first && !t->stale && !t->wants_rescan);
}

bool tree_has_unwatched(const struct tree *t)
{
	return t->has_unwatched && t->events_complete && !t->is_gone;
}

bool tree_has_unread(const struct tree *t)
{
	return t->failed_left && !t->is_gone;
}

bool tree_is_scanning(const struct tree *t)
{
	return t->wants_rescan || t->rescan_left || t->initial_left;
}

uint64_t tree_entries(const struct tree *t)
{
	return t->nodes - 1 + t->unlisted; /* without the root */
}

bool tree_is_gone(const struct tree *t)
{
	return t->is_gone;
}

/* Is there work that has been waiting for longer than fresh events would? */
static bool is_lagging(const struct tree *t)
{
	const struct tree_work *w = t->ready.first;
	uint64_t now_ns = clock_mono_ns(), since_ns = now_ns;

	if (t->wants_rescan || t->rescan_left)
		return true;
	if (t->reader.node)
		since_ns = t->reader.begun_ns;
	if (w && w->queued_ns < since_ns)
		since_ns = w->queued_ns;
	return now_ns - since_ns > TREE_FRESH_NS;
}

bool tree_is_complete(const struct tree *t)
{
	return t->is_scanned && !t->unlisted && (t->is_gone || !is_lagging(t));
}

uint64_t tree_as_of_wall_ns(const struct tree *t)
{
	if (!t->is_scanned || t->is_gone || !t->events_complete || t->has_unwatched)
		return t->scanned_wall_ns;
	return clock_wall_ns();
}

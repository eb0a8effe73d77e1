/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_depth.c - touched or tampered: contents of files that are equal by stat.
 *
 * A queue of inodes (a node may be gone when its turn comes) and one comparison at a
 * time, a quarter of a megabyte a step. A change while it runs raises an event, which
 * queues the file again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/compare.h"
#include "ledger/tree_internal.h"

#define COMPARE_STEP (256 * 1024)

bool tree_is_comparing(const struct tree *t)
{
	return t->compare.node || t->compares_len;
}

static void compare_end(struct tree *t)
{
	if (t->compare.node) {
		close(t->compare.upper_fd);
		close(t->compare.lower_fd);
	}
	t->compare = (struct tree_compare){0};
}

void compare_forget(struct tree *t, struct tree_node *n)
{
	if (t->compare.node == n)
		compare_end(t);
}

void compare_drop(struct tree *t)
{
	compare_end(t);
	t->compares_len = 0;
}

static bool push(struct tree *t, uint64_t ino)
{
	size_t size = t->compares_size ? t->compares_size * 2 : 16, i;
	uint64_t *bigger;

	if (t->compares_len == t->compares_size) {
		bigger = calloc(size, sizeof(*bigger));
		if (!bigger)
			return false;
		for (i = 0; i < t->compares_len; i++)
			bigger[i] = t->compares[(t->compares_at + i) & (t->compares_size - 1)];
		free(t->compares);
		t->compares = bigger;
		t->compares_size = size;
		t->compares_at = 0;
	}
	t->compares[(t->compares_at + t->compares_len++) & (t->compares_size - 1)] = ino;
	return true;
}

/* Then no more is compared than what does not depend on the size: attributes, flags. */
static bool is_too_large(const struct tree *t, const struct tree_node *n)
{
	return n->st.size > t->limits.max_compare_bytes;
}

void compare_add(struct tree *t, struct tree_node *n)
{
	compare_forget(t, n);
	n->flags &= (uint16_t)~NODE_WRITTEN;
	n->depth = is_too_large(t, n) ? TREE_NOT_COMPARED : TREE_DEPTH_UNKNOWN;
	if (!(n->flags & NODE_COMPARING) && push(t, n->st.ino))
		n->flags |= NODE_COMPARING;
}

/* The next node whose turn it is; NULL when this one is gone or has changed its verdict. */
static struct tree_node *pop(struct tree *t)
{
	uint64_t ino = t->compares[t->compares_at];
	struct tree_node *n;

	t->compares_at = (t->compares_at + 1) & (t->compares_size - 1);
	t->compares_len--;
	for (n = index_find(t, ino); n; n = index_next(n)) {
		if (!(n->flags & NODE_COMPARING))
			continue;
		n->flags &= (uint16_t)~NODE_COMPARING;
		if (n->verdict == TREE_NONE && (n->flags & NODE_HAS_LOWER) && node_is_live(n))
			return n;
	}
	return NULL;
}

static int open_upper(struct tree *t, struct tree_node *n)
{
	auto_close int path_fd = -1;
	struct stat st;
	int dirfd;

	dirfd = tree_dir_fd(t, n->parent);
	if (dirfd < 0)
		return dirfd;
	path_fd = openat(dirfd, n->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (path_fd < 0 || fstat(path_fd, &st) < 0)
		return -errno;
	if (st.st_ino != n->st.ino || !S_ISREG(st.st_mode))
		return -ESTALE;
	return layer_reopen(path_fd);
}

static int open_lower(struct tree_node *n)
{
	auto_close int path_fd = layer_dir_open_entry(n->parent->dir->lower, n->name);

	return path_fd < 0 ? path_fd : layer_reopen(path_fd);
}

static void begin(struct tree *t, struct tree_node *n)
{
	auto_close int upper = open_upper(t, n);
	auto_close int lower = -1;

	if (upper < 0)
		return;
	lower = open_lower(n);
	if (lower < 0)
		return;
	t->compare = (struct tree_compare){
		.node = n,
		.upper_fd = take_fd(&upper),
		.lower_fd = take_fd(&lower),
	};
}

/* Returns 1: it differs, 0: it does not, -EAGAIN: there is more to compare, or -errno. */
static int compare_on(struct tree *t)
{
	struct tree_compare *c = &t->compare;
	bool end = is_too_large(t, c->node);
	int differs = 0;

	if (!end)
		differs = layer_compare_bytes(c->upper_fd, c->lower_fd, c->offset, COMPARE_STEP,
					      &end);
	c->offset += COMPARE_STEP;
	if (differs)
		return differs;
	return end ? layer_metadata_differs(c->upper_fd, c->lower_fd) : -EAGAIN;
}

static void step(struct tree *t)
{
	struct tree_compare *c = &t->compare;
	enum tree_depth equal = is_too_large(t, c->node) ? TREE_NOT_COMPARED : TREE_TOUCHED;
	struct tree_counted before;
	int differs = compare_on(t);

	if (differs == -EAGAIN)
		return;
	before = tree_count_out(t, c->node);
	if (differs >= 0)
		c->node->depth = differs ? TREE_TAMPERED : equal;
	tree_count_in(t, c->node, before);
	compare_end(t);
}

void compare_step(struct tree *t, uint64_t until_ns)
{
	struct tree_node *n;

	while (tree_is_comparing(t)) {
		if (t->compare.node) {
			step(t);
		} else {
			n = pop(t);
			if (n)
				begin(t, n);
		}
		if (clock_mono_ns() >= until_ns)
			return;
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_reread.c - looking at a path again although no event said so.
 */
#include <string.h>

#include "ledger/tree_internal.h"

static const struct tree_cause nobody;

/* The deepest directory on the way to @path that the tree has, the root at least. */
static struct tree_node *nearest_dir(struct tree *t, const char *path, size_t len)
{
	struct tree_node *n = NULL;

	while (len && !(n && n->dir)) {
		while (len && path[len - 1] != '/')
			len--;
		len -= len > 0;
		n = tree_find_path(t, path, len);
	}
	return n && n->dir ? n : t->root;
}

void tree_reread(struct tree *t, const char *path, size_t len)
{
	struct tree_node *n;

	if (t->is_gone)
		return;
	n = tree_find_path(t, path, len);
	if (n)
		queue_add(t, n, work_of_look(n), &nobody, 0);
	n = nearest_dir(t, path, len);
	queue_add(t, n, WORK_READ, &nobody, n->dir->may_read_ns);
}

void tree_distrust(struct tree *t, const char *path, size_t len)
{
	struct tree_node *n = t->is_gone ? NULL : tree_find_path(t, path, len);

	layer_stack_forget(t->stack);
	if (n)
		index_rewatch(t, n);
	index_rewatch(t, nearest_dir(t, path, len));
	tree_reread(t, path, len);
}

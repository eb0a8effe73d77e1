/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fake_tree.h - a tree whose lines a test writes down, for tests of what reads trees.
 *
 * Link-time stand-ins for ledger/tree.h: a test that includes this gets none of the
 * real tree.
 */
#ifndef FAKE_TREE_H
#define FAKE_TREE_H

#include <stdlib.h>
#include <string.h>

#include "ledger/tree.h"

struct tree_node {
	struct tree_node_info info;
};

struct fake_line {
	const char *path;
	enum tree_verdict verdict; /* of the line */
	bool without_node;
	struct tree_node node;
};

struct tree {
	struct fake_line *lines; /* borrowed */
	size_t len;
	struct tree_counts counts;
	uint64_t as_of_wall_ns;
	bool unsettled, incomplete;
};

struct tree *tree_free(struct tree *t)
{
	free(t);
	return NULL;
}

bool tree_is_settled(const struct tree *t)
{
	return !t->unsettled;
}

bool tree_is_complete(const struct tree *t)
{
	return !t->incomplete && !t->counts.unlisted;
}

uint64_t tree_as_of_wall_ns(const struct tree *t)
{
	return t->as_of_wall_ns;
}

void tree_counts(struct tree *t, struct tree_counts *ret)
{
	*ret = t->counts;
}

void tree_node_info(const struct tree_node *n, struct tree_node_info *ret)
{
	*ret = n->info;
}

char tree_verdict_letter(enum tree_verdict v)
{
	return " ACD"[v];
}

int tree_foreach(const struct tree *t, bool all, tree_line_fn fn, void *arg)
{
	for (size_t i = 0; i < t->len; i++) {
		const struct fake_line *fake = &t->lines[i];
		const struct tree_line line = {
			.verdict = fake->verdict,
			.path = fake->path,
			.path_len = strlen(fake->path),
			.node = fake->without_node ? NULL : &fake->node,
		};
		int stop;

		if (fake->verdict == TREE_NONE && !all)
			continue;
		stop = fn(&line, arg);
		if (stop)
			return stop;
	}
	return 0;
}

#endif /* FAKE_TREE_H */

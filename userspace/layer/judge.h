/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * judge.h - what docker's rule says about one entry of an upper directory.
 *
 * Shared by those who read the layer without the ledger's tree: scan.h and look.h.
 */
#ifndef LAYER_JUDGE_H
#define LAYER_JUDGE_H

#include "layer/stack.h"

/* The directory of the upper layer that has the entry. */
struct layer_upper_dir {
	int fd;
	unsigned marks; /* enum layer_dir_marks */
	bool user_xattr;
	bool is_whole;		 /* the upper holds the image too: nothing in it is a mark */
	struct layer_dir *lower; /* what it is merged with; NULL: nothing */
};

/*
 * 'A', 'C', 'D', ' ' (no line of its own) or -errno. @lower is what the image has at
 * the name, NULL for nothing.
 */
int layer_judge(const struct layer_upper_dir *dir, const char *name, const struct stat *st,
		const struct layer_entry *lower);

#endif /* LAYER_JUDGE_H */

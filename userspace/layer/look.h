/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * look.h - what the layer has at one path, without agent, BPF or the ledger's tree.
 */
#ifndef LAYER_LOOK_H
#define LAYER_LOOK_H

#include "layer/stack.h"

struct layer_look {
	char verdict; /* 'A', 'C', 'D' or ' ': no line of its own */
	/*
	 * By what a later look can tell that nothing happened in between: inode and ctime
	 * of the entry, or of the directory that lacks it.
	 */
	uint64_t ino;
	struct timespec ctime;
};

/* An upper layer held open for looks. */
struct layer_looker {
	int rootfd; /* -1: not open */
	bool user_xattr;
	struct layer_stack *stack; /* borrowed */
};

/* @upper is an absolute path. 0 or -errno. Close with layer_looker_done(). */
int layer_looker_open(const char *upper, struct layer_stack *stack, struct layer_looker *ret);
void layer_looker_done(struct layer_looker *l);

/* @path is absolute inside the container. 0 or -errno. */
int layer_look(const struct layer_looker *l, const char *path, struct layer_look *ret);

#endif /* LAYER_LOOK_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scan.h - docker diff's answer computed straight from the layer, without agent or BPF.
 *
 * Independent of the ledger's tree on purpose: `diff --scan` and the self-audit use
 * it to check the tree.
 */
#ifndef LAYER_SCAN_H
#define LAYER_SCAN_H

#include "layer/stack.h"

/* @verdict is 'A', 'C' or 'D'; @path absolute inside the container, raw, NUL-terminated. */
typedef int (*layer_scan_fn)(char verdict, const char *path, size_t len, void *arg);

/*
 * Walk @upper (absolute host path) against @stack. Lines come in no particular
 * order, each path once. 0, @fn's non-zero return, -errno; -EOPNOTSUPP: a whole upper
 * directory without an image to compare with.
 */
int layer_scan(const char *host_root, const char *upper, struct layer_stack *stack,
	       layer_scan_fn fn, void *arg);

/*
 * The same, with LAYER_SCAN_IMPLIED for the C of directories that are listed only for what
 * lies beneath them, and a call with ' ' for each directory found without a line of its
 * own: a walk that finds nothing for long can be stopped too.
 */
#define LAYER_SCAN_IMPLIED 'c'
int layer_scan_telling(const char *host_root, const char *upper, struct layer_stack *stack,
		       layer_scan_fn fn, void *arg);

#endif /* LAYER_SCAN_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * judge.c - docker's rule for one entry, see judge.h.
 */
#include "layer/judge.h"

#include <string.h>

#include "layer/compare.h"

#define CAPABILITY_BYTES 64

static int capability_differs(const struct layer_upper_dir *dir, const char *name)
{
	char a[CAPABILITY_BYTES], b[CAPABILITY_BYTES];
	int n, m;

	n = layer_read_capability(dir->fd, name, a, sizeof(a));
	m = n < 0 ? 0 : layer_dir_capability(dir->lower, name, b, sizeof(b));
	if (n < 0 || m < 0)
		return n < 0 ? n : m;
	return n != m || memcmp(a, b, (size_t)n) != 0;
}

int layer_judge(const struct layer_upper_dir *dir, const char *name, const struct stat *st,
		const struct layer_entry *lower)
{
	int differs;

	if ((!dir->is_whole && layer_is_whiteout(st)) ||
	    ((dir->marks & LAYER_XWHITEOUTS) &&
	     layer_is_xwhiteout(dir->fd, name, st, dir->user_xattr)))
		return lower ? 'D' : ' ';
	if (!lower)
		return 'A';
	if (layer_stat_differs(st, &lower->st))
		return 'C';
	differs = capability_differs(dir, name);
	if (differs < 0)
		return differs;
	return differs ? 'C' : ' ';
}

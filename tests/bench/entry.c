// SPDX-License-Identifier: GPL-2.0-only
/*
 * entry.c - what a listed file costs in memory: entry UPPER reads a layer as the agent does,
 * with nothing beneath it, and says what was allocated for it as malloc counts that.
 */
#include <ftw.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ledger/tree.h"

static unsigned long names, name_bytes;

static int add_name(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	names += ftw->level > 0;
	name_bytes += ftw->level > 0 ? strlen(path + ftw->base) : 0;
	return 0;
}

static long watch(void *arg, uint32_t dev, uint64_t ino, bool *ret_begun)
{
	long *next = arg;

	(void)dev;
	(void)ino;
	(void)ret_begun;
	return (*next)++;
}

static void unwatch(void *arg, uint32_t dev, uint64_t ino, long slot)
{
	(void)arg;
	(void)dev;
	(void)ino;
	(void)slot;
}

static void watch_shared(void *arg, uint32_t dev, uint64_t ino)
{
	(void)arg;
	(void)dev;
	(void)ino;
}

/* With what malloc needs itself: whole chunks, and what was mapped apart. */
static unsigned long allocated(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

int main(int argc, char **argv)
{
	struct tree_options options = {.events_complete = true};
	unsigned long before, after;
	struct tree *tree = NULL;
	long next = 0;

	if (argc != 2 || nftw(argv[1], add_name, 16, FTW_PHYS)) {
		fprintf(stderr, "usage: entry UPPER\n");
		return 2;
	}
	before = allocated();
	if (layer_stack_open("", NULL, 0, NULL, &options.stack))
		return 1;
	options.upper = argv[1];
	options.watcher = (struct tree_watcher){
		.watch = watch, .unwatch = unwatch, .watch_shared = watch_shared, .arg = &next};
	if (tree_open(&options, &tree))
		return 1;
	while (!tree_is_settled(tree))
		tree_work(tree, 0);
	after = allocated();
	printf("{\"entries\":%lu,\"listed\":%llu,\"bytes\":%lu,\"name_bytes\":%lu,"
	       "\"bytes_beyond_name\":%.1f}\n",
	       names, (unsigned long long)tree_entries(tree), after - before, name_bytes,
	       (double)(after - before - name_bytes) / (double)(names ? names : 1));
	tree_free(tree);
	return 0;
}

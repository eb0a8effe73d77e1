/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stack.h - the lower layers of a container, looked up as overlayfs would.
 *
 * Lower layers never change while a container uses them, so answers are
 * remembered: also that a directory is absent from a layer, so that 120 layers
 * do not multiply a look-up. The cache is bounded; eviction costs time only.
 * Whiteouts and opaque directories within the lowers are honoured.
 */
#ifndef LAYER_STACK_H
#define LAYER_STACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/strbuf.h"

struct layer_stack;

/*
 * Open the lower directories (absolute host paths, topmost first; @host_root in
 * front). They are remembered by path and inode and opened when needed: with many layers
 * and containers, holding them open would cost a descriptor each. Returns 0 or -errno of
 * the first that fails, with a sentence in @error (may be NULL).
 */
int layer_stack_open(const char *host_root, char *const *lowers, size_t lowers_len,
		     struct strbuf *error, struct layer_stack **ret);
struct layer_stack *layer_stack_close(struct layer_stack *s);

/*
 * A whole upper directory holds the files of the image too (graph drivers vfs and btrfs
 * copy them): each of its directories hides the lower one, nothing in it is a whiteout.
 */
void layer_stack_set_whole(struct layer_stack *s, bool is_whole);
bool layer_stack_is_whole(const struct layer_stack *s);

/*
 * A directory of the merged lower layers, held in the cache. References are
 * counted: pair every get with a put.
 */
struct layer_dir;

/* The root of the stack, without a reference of the caller's. Never NULL. */
struct layer_dir *layer_stack_root(struct layer_stack *s);
bool layer_dir_has_layers(const struct layer_dir *d); /* false: the root of no lowers at all */

/* The merged lower directory @name in @parent; NULL with errno ENOENT (absent, or not
 * a directory), or another errno. */
struct layer_dir *layer_dir_open(struct layer_dir *parent, const char *name);
struct layer_dir *layer_dir_get(struct layer_dir *d); /* one more reference */
void layer_dir_put(struct layer_dir *d);

/* What an image has at a name. */
struct layer_entry {
	struct stat st;
	int layer;	     /* index of the lower it comes from, 0 = topmost */
	bool has_capability; /* security.capability is read on demand, see layer_same() */
};

/* The entry @name of @dir as the lowers show it. 0, -ENOENT, or -errno. */
int layer_dir_lookup(struct layer_dir *dir, const char *name, struct layer_entry *ret);

/* Call @fn for each name that the merged lowers show in @dir. Stops at non-zero. */
int layer_dir_foreach(struct layer_dir *dir, int (*fn)(const char *name, void *arg), void *arg);

/*
 * security.capability of the image's entry @name: its length (0: none, also for a name
 * that is absent) with at most @size bytes in @buf, or -errno. "None" is remembered.
 */
int layer_dir_capability(struct layer_dir *dir, const char *name, void *buf, size_t size);

/* O_PATH|O_NOFOLLOW fd of the entry in its lower layer, or -errno. The caller closes it. */
int layer_dir_open_entry(struct layer_dir *dir, const char *name);

/*
 * Close the directories kept open for the next look-up (at most a few dozen), and forget
 * the names listed for that. To be called when nothing is to be looked up for a while;
 * later look-ups open them again.
 */
void layer_stack_idle(struct layer_stack *s);

/*
 * Forget all answers: somebody changed a lower layer after all. Which layers contribute
 * to a directory that is referenced stays as it was found.
 */
void layer_stack_forget(struct layer_stack *s);

/* Numbers for tests and metrics: look-ups that reached the disk since open. */
uint64_t layer_stack_disk_lookups(const struct layer_stack *s);

#endif /* LAYER_STACK_H */

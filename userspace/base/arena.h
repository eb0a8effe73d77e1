/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * arena.h - text that is thrown away all at once.
 *
 * For what lives as long as a batch: taking costs an addition, giving back nothing.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

struct arena_block;

/* Zeroed: empty. */
struct arena {
	struct arena_block *blocks; /* the one that is being filled first */
	size_t used;		    /* of it */
};

/* @len bytes at @text and a NUL, valid until the reset. NULL: no memory. */
char *arena_copy(struct arena *a, const char *text, size_t len);
/* All that was handed out is void. One block stays for the next batch. */
void arena_reset(struct arena *a);
void arena_done(struct arena *a);

#endif /* ARENA_H */

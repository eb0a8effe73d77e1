/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bolt.h - reading a bbolt database while its owner writes it.
 *
 * Pages are read with pread and believed in nothing: every offset and length is
 * checked, depth and number of pages are bounded. A writer reuses pages of older
 * transactions, so what was read counts only while bolt_is_current() says so.
 */
#ifndef BOLT_H
#define BOLT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

struct bolt;

/* @fd is borrowed. 0, -EBADMSG (not a bolt file), -ENOMEM or -errno of reading. */
int bolt_open(int fd, struct bolt **ret);
struct bolt *bolt_close(struct bolt *b); /* takes NULL, returns NULL */

/* True when no transaction was committed since bolt_open(). */
bool bolt_is_current(struct bolt *b);

/* A bucket; the one that is all zero is the root. */
struct bolt_bucket {
	uint64_t root; /* page; 0: inline_page holds it, or the database's own root */
	uint8_t *inline_page;
	size_t inline_len;
};
void bolt_bucket_done(struct bolt_bucket *bucket);

/* The bucket @key in @parent: 0, -ENOENT, -EBADMSG (corrupt), -E2BIG (absurd), -ENOMEM. */
int bolt_open_bucket(struct bolt *b, const struct bolt_bucket *parent, const char *key,
		     struct bolt_bucket *ret);

/* Append the value of @key. The same errors. */
int bolt_get(struct bolt *b, const struct bolt_bucket *bucket, const char *key, struct strbuf *out);

typedef int (*bolt_key_fn)(const char *key, bool is_bucket, void *arg);

/*
 * Call @fn for each key, in order; keys with a NUL in them are passed over. Stops at
 * the first non-zero return and returns it.
 */
int bolt_foreach_key(struct bolt *b, const struct bolt_bucket *bucket, bolt_key_fn fn, void *arg);

#endif /* BOLT_H */

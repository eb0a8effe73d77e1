/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * strbuf.h - a growing byte string, always NUL-terminated, may hold NULs.
 *
 *	auto_strbuf struct strbuf out = STRBUF_INIT;
 *
 * A failed allocation sets .failed and turns every later append into a no-op,
 * so callers build freely and check once with strbuf_failed().
 */
#ifndef STRBUF_H
#define STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct strbuf {
	char *data; /* NULL until the first append */
	size_t len; /* bytes, the terminating NUL not included */
	size_t size;
	bool failed; /* an append ran out of memory */
};

#define STRBUF_INIT \
	{           \
		0   \
	}
#define auto_strbuf auto_release(strbuf_done)

/* Frees the bytes and leaves an empty buffer that can be used again. */
void strbuf_done(struct strbuf *sb);

/* Forgets the content, keeps the memory. */
void strbuf_reset(struct strbuf *sb);

void strbuf_add(struct strbuf *sb, const void *bytes, size_t len);
void strbuf_adds(struct strbuf *sb, const char *s);
void strbuf_addc(struct strbuf *sb, char c);
__attribute__((format(printf, 2, 3))) void strbuf_addf(struct strbuf *sb, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) void strbuf_vaddf(struct strbuf *sb, const char *fmt,
							va_list ap);

/* Cut back to @len bytes, which must not be more than sb->len. */
void strbuf_truncate(struct strbuf *sb, size_t len);

static inline bool strbuf_failed(const struct strbuf *sb)
{
	return sb->failed;
}

/* The content as a C string; "" for an empty buffer. Valid until the next change. */
const char *strbuf_str(const struct strbuf *sb);

/* Hand the bytes to the caller, who frees them; the buffer is empty then. NULL when failed. */
char *strbuf_take(struct strbuf *sb);

#endif /* STRBUF_H */

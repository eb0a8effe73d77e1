/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * escape.h - names that a container chose, made safe for where they are shown.
 *
 * Input is bytes with a length: any byte but NUL and '/' can stand in a name.
 */
#ifndef ESCAPE_H
#define ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

/* Strict UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_is_valid(const char *bytes, size_t len);

/* Append as UTF-8, each invalid byte replaced by U+FFFD. */
void utf8_add_replaced(struct strbuf *out, const char *bytes, size_t len);

/*
 * For terminals: printable UTF-8 as it is, everything else (controls, C1,
 * bidirectional and other format characters, invalid bytes, the backslash
 * itself) as \n, \t, \\ or \xHH, so that the text is unambiguous and inert.
 */
void escape_terminal(struct strbuf *out, const char *bytes, size_t len);

/* For a Prometheus label value, without the quotes: \\ \" \n, invalid UTF-8 as U+FFFD. */
void escape_label(struct strbuf *out, const char *bytes, size_t len);

/* For HTML text and attributes. */
void escape_html(struct strbuf *out, const char *bytes, size_t len);

/* For one CSV field (RFC 4180): quoted only where it must be. */
void escape_csv(struct strbuf *out, const char *bytes, size_t len);

/* RFC 4648 base64 with padding. */
void base64_add(struct strbuf *out, const void *bytes, size_t len);

/* Returns 0, or -EINVAL when @text is not base64 with padding. */
int base64_decode(const char *text, size_t len, struct strbuf *out);

#endif /* ESCAPE_H */

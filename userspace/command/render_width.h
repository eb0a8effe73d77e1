/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_width.h - how much room a text takes on a terminal.
 *
 * For text that is already inert (escape_terminal): no controls in it.
 */
#ifndef RENDER_WIDTH_H
#define RENDER_WIDTH_H

#include <stddef.h>

#include "base/strbuf.h"

/* Terminal cells that @len bytes of UTF-8 take; bytes that are not UTF-8 count 1 each. */
size_t text_width(const char *utf8, size_t len);

/*
 * Append @len bytes of UTF-8, cut to @width cells with a "…" where something was cut.
 * Returns the cells used.
 */
size_t text_add_cut(struct strbuf *out, const char *utf8, size_t len, size_t width);

/* Columns of the terminal behind @fd, or $COLUMNS when it is set; 0 when @fd is none. */
size_t terminal_width(int fd);

#endif /* RENDER_WIDTH_H */

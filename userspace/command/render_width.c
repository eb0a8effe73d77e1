/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_width.c - widths by the C library's table, whatever locale we run in.
 */
#include "command/render_width.h"

#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define ELLIPSIS "\xe2\x80\xa6"

/* Bytes of the next character and its cells; a byte that starts none is 1 and 1. */
static size_t next_character(const char *s, size_t len, size_t *ret_cells)
{
	mbstate_t state = {0};
	wchar_t c;
	size_t n = mbrtowc(&c, s, len, &state);
	int cells;

	*ret_cells = 1;
	if (n == 0 || n > len)
		return 1;
	cells = wcwidth(c);
	*ret_cells = cells < 0 ? 1 : (size_t)cells;
	return n;
}

/*
 * Where the cut comes so that what stays takes at most @width cells: a byte offset;
 * @len when all of it fits.
 */
static size_t fit(const char *s, size_t len, size_t width, size_t *ret_cells)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
	size_t at = 0, used = 0, cells = 0;

	while (at < len) {
		size_t n = next_character(s + at, len - at, &cells);

		if (used + cells > width)
			break;
		used += cells;
		at += n;
	}
	if (utf8) {
		uselocale(before);
		freelocale(utf8);
	}
	*ret_cells = used;
	return at;
}

/* Printable ASCII is one cell a byte: no need for a locale. */
static bool is_ascii(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)s[i] >= 0x80)
			return false;
	}
	return true;
}

size_t text_width(const char *utf8, size_t len)
{
	size_t cells;

	if (is_ascii(utf8, len))
		return len;
	fit(utf8, len, SIZE_MAX, &cells);
	return cells;
}

size_t text_add_cut(struct strbuf *out, const char *utf8, size_t len, size_t width)
{
	size_t cells = text_width(utf8, len);

	if (cells <= width) {
		strbuf_add(out, utf8, len);
		return cells;
	}
	if (width == 0)
		return 0;
	strbuf_add(out, utf8, fit(utf8, len, width - 1, &cells));
	strbuf_adds(out, ELLIPSIS);
	return cells + 1;
}

size_t terminal_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (!isatty(fd))
		return 0;
	if (columns && *columns) {
		char *end;
		unsigned long n = strtoul(columns, &end, 10);

		if (!*end && n > 0 && n < USHRT_MAX)
			return n;
	}
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

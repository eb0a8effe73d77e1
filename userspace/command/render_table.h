/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_table.h - rows of JSON objects as an aligned text table or as CSV.
 *
 * A command describes its columns once; the table decides widths, escapes what
 * containers chose (escape_terminal in text, RFC 4180 in CSV) and fits a
 * terminal's width. In CSV a cell is exact: raw bytes, plain numbers, RFC 3339.
 */
#ifndef RENDER_TABLE_H
#define RENDER_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/strbuf.h"

/* The first two are drawn as text. */
enum table_format { TABLE_TEXT, TABLE_WIDE, TABLE_CSV };

enum table_formats {
	IN_TEXT = 1u << TABLE_TEXT,
	IN_WIDE = 1u << TABLE_WIDE,
	IN_CSV = 1u << TABLE_CSV
};
#define IN_ALL (IN_TEXT | IN_WIDE | IN_CSV)

/* How a table is drawn; all of it decided by the caller. */
struct table_style {
	enum table_format format;
	bool no_headers;
	bool no_trunc; /* ids in full, no column narrowed or left out */
	bool color;
	bool to_terminal; /* CSV is made inert for a terminal, too */
	size_t width;	  /* columns of the terminal, for TABLE_TEXT to fit in; 0: any */
	uint64_t now_ns;  /* for ages */
};

struct table_column {
	const char *title; /* over the column in text; in CSV the key */
	const char *key;   /* path of the value in the row */
	/* Appends the raw bytes of the cell; nothing at all when it is not known. */
	void (*add)(struct strbuf *out, const json_t *row, const struct table_column *column,
		    const struct table_style *style);
	const char *(*color)(const json_t *row); /* SGR parameters ("31"), or NULL: none */
	unsigned formats;			 /* enum table_formats */
	bool right;
	bool shrinks;  /* may be narrowed to fit the terminal */
	unsigned drop; /* left out of text on a terminal that is too narrow, 1 first; 0: never */
};

/*
 * Print @rows (an array) by @columns (ended by a NULL title). 0, -ENOMEM, or -EIO
 * when @out fails.
 */
int table_print(const struct table_column *columns, const json_t *rows,
		const struct table_style *style, FILE *out);

/* --- cells for the usual kinds of value --- */
void cell_bytes(struct strbuf *out, const json_t *row, const struct table_column *column,
		const struct table_style *style); /* a name: may be any bytes */
void cell_number(struct strbuf *out, const json_t *row, const struct table_column *column,
		 const struct table_style *style);
void cell_size(struct strbuf *out, const json_t *row, const struct table_column *column,
	       const struct table_style *style);
void cell_time(struct strbuf *out, const json_t *row, const struct table_column *column,
	       const struct table_style *style); /* an age in text */
void cell_bool(struct strbuf *out, const json_t *row, const struct table_column *column,
	       const struct table_style *style); /* "yes", "no" */

#endif /* RENDER_TABLE_H */

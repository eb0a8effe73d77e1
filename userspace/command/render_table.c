/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_table.c - text tables: all cells first, then widths, then lines. CSV needs
 * no widths and goes out row by row.
 */
#include "command/render_table.h"

#include <errno.h>
#include <string.h>

#include "base/escape.h"
#include "command/render_value.h"
#include "command/render_width.h"

#define MAX_COLUMNS 32
#define GAP	    2  /* blanks between columns */
#define SHRUNK	    12 /* cells that a narrowed column keeps */
#define RUNS_OVER   24 /* cells the last column is given; what is longer wraps, whole */

/* The columns that stand in this format, and how wide each is. */
struct layout {
	const struct table_column *columns[MAX_COLUMNS];
	size_t widths[MAX_COLUMNS];
	bool is_dropped[MAX_COLUMNS];
	size_t count;
};

/* Cells in one buffer, row by row: ends[row * count + column]. */
struct cells {
	struct strbuf text;
	size_t *ends;
	size_t count;
};

static void add_cell(struct strbuf *out, const json_t *row, const struct table_column *column,
		     const struct table_style *style)
{
	auto_strbuf struct strbuf raw = STRBUF_INIT, field = STRBUF_INIT;

	column->add(&raw, row, column, style);
	out->failed |= strbuf_failed(&raw);
	if (style->format != TABLE_CSV) {
		if (raw.len)
			escape_terminal(out, raw.data, raw.len);
		else
			strbuf_addc(out, '-');
		return;
	}
	if (style->to_terminal && raw.len) {
		escape_terminal(&field, raw.data, raw.len);
		escape_csv(out, field.data, field.len);
	} else if (raw.len) {
		escape_csv(out, raw.data, raw.len);
	}
}

static void choose_columns(const struct table_column *columns, enum table_format format,
			   struct layout *ret)
{
	*ret = (struct layout){.count = 0};
	for (; columns->title; columns++) {
		if (columns->formats & 1u << format && ret->count < MAX_COLUMNS)
			ret->columns[ret->count++] = columns;
	}
}

/* --- CSV */

static int print_csv(const struct layout *layout, const json_t *rows,
		     const struct table_style *style, FILE *out)
{
	auto_strbuf struct strbuf line = STRBUF_INIT;
	size_t i;
	json_t *row;

	for (size_t k = 0; k < layout->count && !style->no_headers; k++)
		fprintf(out, "%s%s", k ? "," : "", layout->columns[k]->key);
	if (!style->no_headers)
		fputs("\n", out);

	json_array_foreach (rows, i, row) {
		strbuf_reset(&line);
		for (size_t k = 0; k < layout->count; k++) {
			if (k)
				strbuf_addc(&line, ',');
			add_cell(&line, row, layout->columns[k], style);
		}
		if (strbuf_failed(&line))
			return -ENOMEM;
		strbuf_adds(&line, "\n");
		fwrite(strbuf_str(&line), 1, line.len, out);
	}
	return ferror(out) ? -EIO : 0;
}

/* --- text */

static int collect_cells(struct layout *layout, const json_t *rows, const struct table_style *style,
			 struct cells *ret)
{
	size_t start = 0, i;
	json_t *row;

	ret->ends = calloc(json_array_size(rows) * layout->count + 1, sizeof(*ret->ends));
	if (!ret->ends)
		return -ENOMEM;
	json_array_foreach (rows, i, row) {
		for (size_t k = 0; k < layout->count; k++) {
			size_t width;

			add_cell(&ret->text, row, layout->columns[k], style);
			width = text_width(strbuf_str(&ret->text) + start, ret->text.len - start);
			if (width > layout->widths[k])
				layout->widths[k] = width;
			start = ret->text.len;
			ret->ends[ret->count++] = start;
		}
	}
	return strbuf_failed(&ret->text) ? -ENOMEM : 0;
}

static size_t shrunk_width(const struct layout *layout, size_t k)
{
	bool shrinks = layout->columns[k]->shrinks && layout->widths[k] > SHRUNK;

	return shrinks ? SHRUNK : layout->widths[k];
}

/* Cells of a line, as the columns are (@shrunk false) or can be made. */
static size_t total_width(const struct layout *layout, bool shrunk)
{
	size_t total = 0;

	for (size_t k = 0; k < layout->count; k++) {
		size_t cells = shrunk ? shrunk_width(layout, k) : layout->widths[k];

		if (layout->is_dropped[k])
			continue;
		if (k + 1 == layout->count && cells > RUNS_OVER)
			cells = RUNS_OVER;
		total += cells + GAP;
	}
	return total - GAP;
}

/* Leave out what can be done without, least needed first, until the rest can fit. */
static void drop_columns(struct layout *layout, size_t width)
{
	for (unsigned rank = 1; rank <= MAX_COLUMNS; rank++) {
		for (size_t k = 0; k < layout->count; k++) {
			if (total_width(layout, true) <= width)
				return;
			if (layout->columns[k]->drop == rank)
				layout->is_dropped[k] = true;
		}
	}
}

/* Take from the widest column that may shrink, until the table fits or none may. */
static void fit_to_width(struct layout *layout, size_t width)
{
	drop_columns(layout, width);
	while (total_width(layout, false) > width) {
		size_t widest = layout->count;

		for (size_t k = 0; k < layout->count; k++) {
			if (layout->is_dropped[k] || shrunk_width(layout, k) == layout->widths[k])
				continue;
			if (widest == layout->count || layout->widths[k] > layout->widths[widest])
				widest = k;
		}
		if (widest == layout->count)
			return;
		layout->widths[widest]--;
	}
}

static bool is_last_shown(const struct layout *layout, size_t k)
{
	while (++k < layout->count) {
		if (!layout->is_dropped[k])
			return false;
	}
	return true;
}

static void print_cell(const struct layout *layout, size_t k, const char *text, size_t len,
		       const char *color, struct strbuf *line)
{
	const struct table_column *column = layout->columns[k];
	auto_strbuf struct strbuf cut = STRBUF_INIT;
	size_t cells, blanks;

	if (layout->is_dropped[k])
		return;
	cells = text_add_cut(&cut, text, len, layout->widths[k]);
	blanks = layout->widths[k] - cells;
	if (column->right)
		strbuf_addf(line, "%*s", (int)blanks, "");
	if (color)
		strbuf_addf(line, "\x1b[%sm", color);
	strbuf_add(line, strbuf_str(&cut), cut.len);
	if (color)
		strbuf_adds(line, "\x1b[0m");
	if (!is_last_shown(layout, k))
		strbuf_addf(line, "%*s", (int)((column->right ? 0 : blanks) + GAP), "");
}

static int end_line(struct strbuf *line, FILE *out)
{
	int err = strbuf_failed(line) ? -ENOMEM : 0;

	strbuf_addc(line, '\n');
	fwrite(strbuf_str(line), 1, line->len, out);
	strbuf_reset(line);
	return err;
}

static int print_header(const struct layout *layout, const struct table_style *style, FILE *out)
{
	auto_strbuf struct strbuf line = STRBUF_INIT;

	if (style->no_headers)
		return 0;
	for (size_t k = 0; k < layout->count; k++) {
		const char *title = layout->columns[k]->title;

		print_cell(layout, k, title, strlen(title), NULL, &line);
	}
	return end_line(&line, out);
}

static int print_rows(const struct layout *layout, const json_t *rows, const struct cells *cells,
		      const struct table_style *style, FILE *out)
{
	auto_strbuf struct strbuf line = STRBUF_INIT;
	size_t start = 0, cell = 0, i;
	json_t *row;
	int err;

	json_array_foreach (rows, i, row) {
		for (size_t k = 0; k < layout->count; k++, cell++) {
			const struct table_column *column = layout->columns[k];
			const char *color =
				style->color && column->color ? column->color(row) : NULL;

			print_cell(layout, k, strbuf_str(&cells->text) + start,
				   cells->ends[cell] - start, color, &line);
			start = cells->ends[cell];
		}
		err = end_line(&line, out);
		if (err)
			return err;
	}
	return ferror(out) ? -EIO : 0;
}

static int print_text(struct layout *layout, const json_t *rows, const struct table_style *style,
		      FILE *out)
{
	struct cells cells = {.text = STRBUF_INIT};
	int err;

	for (size_t k = 0; k < layout->count && !style->no_headers; k++)
		layout->widths[k] = strlen(layout->columns[k]->title);
	err = collect_cells(layout, rows, style, &cells);
	if (!err && style->format == TABLE_TEXT && style->width && !style->no_trunc)
		fit_to_width(layout, style->width);
	if (!err)
		err = print_header(layout, style, out);
	if (!err)
		err = print_rows(layout, rows, &cells, style, out);
	strbuf_done(&cells.text);
	free(cells.ends);
	return err;
}

int table_print(const struct table_column *columns, const json_t *rows,
		const struct table_style *style, FILE *out)
{
	struct layout layout;

	choose_columns(columns, style->format, &layout);
	if (style->format == TABLE_CSV)
		return print_csv(&layout, rows, style, out);
	return print_text(&layout, rows, style, out);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_cell.c - table cells for the usual kinds of value.
 */
#include "command/render_table.h"
#include "command/render_value.h"

void cell_bytes(struct strbuf *out, const json_t *row, const struct table_column *column,
		const struct table_style *style)
{
	(void)style;
	value_bytes(row, column->key, out);
}

void cell_number(struct strbuf *out, const json_t *row, const struct table_column *column,
		 const struct table_style *style)
{
	uint64_t n;

	(void)style;
	if (value_number(row, column->key, &n))
		strbuf_addf(out, "%llu", (unsigned long long)n);
}

void cell_size(struct strbuf *out, const json_t *row, const struct table_column *column,
	       const struct table_style *style)
{
	uint64_t n;

	if (style->format == TABLE_CSV)
		cell_number(out, row, column, style);
	else if (value_number(row, column->key, &n))
		render_size(out, n);
}

void cell_time(struct strbuf *out, const json_t *row, const struct table_column *column,
	       const struct table_style *style)
{
	uint64_t wall_ns = value_wall_ns(row, column->key);

	if (!wall_ns)
		return;
	if (style->format == TABLE_CSV)
		strbuf_adds(out, value_string(row, column->key));
	else
		render_age(out, wall_ns, style->now_ns);
}

void cell_bool(struct strbuf *out, const json_t *row, const struct table_column *column,
	       const struct table_style *style)
{
	(void)style;
	if (value_is_true(row, column->key))
		strbuf_adds(out, "yes");
	else if (value_is_false(row, column->key))
		strbuf_adds(out, "no");
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_file.c - the columns of files.
 */
#include "command/render_file.h"

#include <string.h>

#include "command/render_value.h"

bool file_is_executable(const json_t *file)
{
	return value_string(file, "change") && value_is_true(file, "executable");
}

void render_owner(struct strbuf *out, const json_t *object)
{
	uint64_t uid, gid;

	if (!value_number(object, "uid", &uid))
		return;
	strbuf_addf(out, "%llu", (unsigned long long)uid);
	if (value_number(object, "gid", &gid))
		strbuf_addf(out, ":%llu", (unsigned long long)gid);
}

void render_writer(struct strbuf *out, const json_t *writer)
{
	uint64_t pid;

	if (!value_bytes(writer, "comm", out))
		value_bytes(writer, "name", out);
	if (value_number(writer, "pid", &pid))
		strbuf_addf(out, "[%llu]", (unsigned long long)pid);
}

/* --- cells */

static char change_letter(const json_t *row)
{
	const char *change = value_string(row, "change");

	if (!change)
		return 0;
	if (!strcmp(change, "added"))
		return 'A';
	if (!strcmp(change, "modified"))
		return 'C';
	return !strcmp(change, "deleted") ? 'D' : 0;
}

/* "A x": added, and executable; "touched" and the like where the list has no letter. */
static void add_change(struct strbuf *out, const json_t *row, const struct table_column *column,
		       const struct table_style *style)
{
	char letter = change_letter(row);

	if (style->format == TABLE_CSV) {
		cell_bytes(out, row, column, style);
		return;
	}
	if (letter)
		strbuf_addc(out, letter);
	else
		value_bytes(row, "depth", out);
	if (file_is_executable(row))
		strbuf_adds(out, " x");
}

static const char *color_change(const json_t *row)
{
	switch (change_letter(row)) {
	case 'A':
		return file_is_executable(row) ? "1;32" : "32";
	case 'C':
		return "33";
	case 'D':
		return "31";
	default:
		return "2";
	}
}

static void add_owner(struct strbuf *out, const json_t *row, const struct table_column *column,
		      const struct table_style *style)
{
	(void)column;
	(void)style;
	render_owner(out, row);
}

static void add_writer(struct strbuf *out, const json_t *row, const struct table_column *column,
		       const struct table_style *style)
{
	(void)style;
	render_writer(out, value_at(row, column->key));
}

/* --- columns */

const struct table_column file_columns[] = {
	{"CHG", "change", add_change, color_change, IN_ALL, false, false, 0},
	{"", "depth", cell_bytes, NULL, IN_CSV, false, false, 0},
	{"", "type", cell_bytes, NULL, IN_CSV, false, false, 0},
	{"CLASS", "class", cell_bytes, NULL, IN_ALL, false, false, 2},
	{"MODE", "mode", cell_bytes, NULL, IN_ALL, false, false, 0},
	{"OWNER", "owner", add_owner, NULL, IN_TEXT, false, false, 4},
	{"UID", "uid", cell_number, NULL, IN_CSV, false, false, 0},
	{"GID", "gid", cell_number, NULL, IN_CSV, false, false, 0},
	{"SIZE", "size", cell_size, NULL, IN_ALL, true, false, 0},
	{"WRITTEN", "written_bytes", cell_size, NULL, IN_ALL, true, false, 0},
	{"WRITES", "write_calls", cell_number, NULL, IN_ALL, true, false, 3},
	{"FIRST", "first_change", cell_time, NULL, IN_ALL, true, false, 1},
	{"LAST", "last_change", cell_time, NULL, IN_ALL, true, false, 0},
	{"BY", "last_writer", add_writer, NULL, IN_TEXT, false, true, 0},
	{"", "first_writer.pid", cell_number, NULL, IN_CSV, false, false, 0},
	{"", "first_writer.comm", cell_bytes, NULL, IN_CSV, false, false, 0},
	{"", "first_writer.executable", cell_bytes, NULL, IN_CSV, false, false, 0},
	{"", "last_writer.pid", cell_number, NULL, IN_CSV, false, false, 0},
	{"", "last_writer.comm", cell_bytes, NULL, IN_CSV, false, false, 0},
	{"", "last_writer.executable", cell_bytes, NULL, IN_CSV, false, false, 0},
	{"PATH", "path", cell_bytes, NULL, IN_ALL, false, false, 0},
	{NULL, NULL, NULL, NULL, 0, false, false, 0},
};

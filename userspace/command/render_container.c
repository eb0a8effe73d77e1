/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_container.c - the columns of ps.
 */
#include "command/render_container.h"

#include <string.h>

#include "command/render_value.h"

void render_container_name(struct strbuf *out, const json_t *container, const json_t *k8s)
{
	const char *name = value_string(container, "name");
	const char *id = value_string(container, "id");

	if (value_string(k8s, "pod")) {
		if (value_bytes(k8s, "namespace", out))
			strbuf_addc(out, '/');
		value_bytes(k8s, "pod", out);
		if (value_string(k8s, "container"))
			strbuf_addc(out, '/');
		value_bytes(k8s, "container", out);
		return;
	}
	if (name && *name)
		value_bytes(container, "name", out);
	else if (id)
		strbuf_add(out, id, strnlen(id, SHORT_ID));
}

static void add_id(struct strbuf *out, const json_t *row, const struct table_column *column,
		   const struct table_style *style)
{
	const char *id = value_string(row, column->key);

	if (!id)
		return;
	if (style->no_trunc || style->format == TABLE_CSV)
		strbuf_adds(out, id);
	else
		strbuf_add(out, id, strnlen(id, SHORT_ID));
}

/* Twelve digits say which image; "sha256:" says nothing. */
static void add_image_id(struct strbuf *out, const json_t *row, const struct table_column *column,
			 const struct table_style *style)
{
	const char *id = value_string(row, column->key);
	const char *digits = id ? strchr(id, ':') : NULL;

	if (digits && !style->no_trunc && style->format != TABLE_CSV)
		strbuf_add(out, digits + 1, strnlen(digits + 1, SHORT_ID));
	else if (id)
		strbuf_adds(out, id);
}

static void add_name(struct strbuf *out, const json_t *row, const struct table_column *column,
		     const struct table_style *style)
{
	(void)column;
	(void)style;
	render_container_name(out, row, value_at(row, "k8s"));
}

/* What is missing from the list, by one blank each. */
static void add_reasons(struct strbuf *out, const json_t *row, const struct table_column *column,
			const struct table_style *style)
{
	const json_t *reasons = value_at(row, "incomplete_reasons");
	size_t i, count = 0;
	json_t *reason;

	(void)column;
	(void)style;
	json_array_foreach (reasons, i, reason) {
		if (!json_is_string(reason))
			continue;
		strbuf_adds(out, count++ ? " " : "");
		strbuf_adds(out, json_string_value(reason));
	}
}

/* "yes", or what is missing. */
static void add_complete(struct strbuf *out, const json_t *row, const struct table_column *column,
			 const struct table_style *style)
{
	cell_bool(out, row, column, style);
	if (style->format == TABLE_CSV || !value_is_false(row, column->key))
		return;
	if (json_array_size(value_at(row, "incomplete_reasons"))) {
		strbuf_adds(out, ": ");
		add_reasons(out, row, column, style);
	}
}

static const char *color_complete(const json_t *row)
{
	return value_is_false(row, "complete") ? "33" : NULL;
}

static const char *color_state(const json_t *row)
{
	const char *state = value_string(row, "state");

	return state && strcmp(state, "running") != 0 ? "2" : NULL;
}

#define WIDE (IN_WIDE | IN_CSV)

const struct table_column container_columns[] = {
	{"CONTAINER", "id", add_id, NULL, IN_ALL, false, false, 0},
	{"NAME", "name", add_name, NULL, IN_ALL, false, true, 0},
	{"RUNTIME", "runtime", cell_bytes, NULL, IN_ALL, false, false, 1},
	{"IMAGE", "image", cell_bytes, NULL, IN_ALL, false, true, 2},
	{"IMAGE ID", "image_id", add_image_id, NULL, WIDE, false, true, 0},
	{"STATE", "state", cell_bytes, color_state, IN_ALL, false, false, 0},
	{"AGE", "created", cell_time, NULL, IN_ALL, true, false, 0},
	{"STARTED", "started", cell_time, NULL, WIDE, true, false, 0},
	{"RESTARTS", "restart_count", cell_number, NULL, WIDE, true, false, 0},
	{"A", "drift.added", cell_number, NULL, IN_ALL, true, false, 0},
	{"C", "drift.modified", cell_number, NULL, IN_ALL, true, false, 0},
	{"D", "drift.deleted", cell_number, NULL, IN_ALL, true, false, 0},
	{"EXES", "drift.executables", cell_number, NULL, WIDE, true, false, 0},
	{"EXEC", "new_executable_runs", cell_number, NULL, WIDE, true, false, 0},
	{"BYTES", "drift.bytes", cell_size, NULL, IN_ALL, true, false, 0},
	{"WRITES", "writes.calls.layer", cell_number, NULL, IN_ALL, true, false, 4},
	{"WRITTEN", "writes.bytes.layer", cell_size, NULL, WIDE, true, false, 0},
	{"VOLUMES", "writes.bytes.volume", cell_size, NULL, WIDE, true, false, 0},
	{"TMPFS", "writes.bytes.tmpfs", cell_size, NULL, WIDE, true, false, 0},
	{"OTHER", "writes.bytes.other", cell_size, NULL, WIDE, true, false, 0},
	{"LAST DRIFT", "last_drift", cell_time, NULL, IN_ALL, true, false, 3},
	{"COMPLETE", "complete", add_complete, color_complete, IN_ALL, false, false, 0},
	{"REASONS", "incomplete_reasons", add_reasons, NULL, IN_CSV, false, false, 0},
	{"LIMITS", "limits", cell_bytes, NULL, WIDE, false, false, 0},
	{NULL, NULL, NULL, NULL, 0, false, false, 0},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_event.c - the lines of tail and of run.
 */
#include "command/render_event.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/escape.h"
#include "command/render_container.h"
#include "command/render_file.h"
#include "command/render_value.h"
#include "command/render_width.h"

#define MAX_NAME_WIDTH 32
#define OP_WIDTH       9

#define RED    "31"
#define GREEN  "32"
#define YELLOW "33"
#define FAINT  "2"
#define ALARM  "1;31"

static void add_colored(struct strbuf *out, const struct event_style *style, const char *color,
			const char *text)
{
	if (style->color && color)
		strbuf_addf(out, "\x1b[%sm%s\x1b[0m", color, text);
	else
		strbuf_adds(out, text);
}

static void add_escaped(struct strbuf *out, const json_t *object, const char *key)
{
	auto_strbuf struct strbuf raw = STRBUF_INIT;

	value_bytes(object, key, &raw);
	escape_terminal(out, strbuf_str(&raw), raw.len);
}

/* --- the parts, from left to right */

static void add_time(struct strbuf *out, const json_t *event)
{
	uint64_t wall_ns = value_wall_ns(event, "time");
	time_t seconds = (time_t)(wall_ns / NS_PER_SEC);
	struct tm tm;

	if (!wall_ns || !localtime_r(&seconds, &tm)) {
		strbuf_adds(out, "--:--:--.---");
		return;
	}
	strbuf_addf(out, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec,
		    (unsigned)(wall_ns % NS_PER_SEC / NS_PER_MSEC));
}

static void add_container(struct strbuf *out, const json_t *event, struct event_style *style)
{
	auto_strbuf struct strbuf raw = STRBUF_INIT, name = STRBUF_INIT;
	size_t width;

	render_container_name(&raw, value_at(event, "container"), value_at(event, "k8s"));
	if (raw.len)
		escape_terminal(&name, raw.data, raw.len);
	else
		strbuf_addc(&name, '-');
	strbuf_adds(out, "  ");
	strbuf_add(out, strbuf_str(&name), name.len);
	if (!style->align)
		return;
	width = text_width(strbuf_str(&name), name.len);
	if (width > style->name_width && width <= MAX_NAME_WIDTH)
		style->name_width = width;
	if (width < style->name_width)
		strbuf_addf(out, "%*s", (int)(style->name_width - width), "");
}

static void add_change(struct strbuf *out, const json_t *event, const struct event_style *style)
{
	const char *change = value_string(event, "file.change");

	strbuf_adds(out, "  ");
	if (!change)
		strbuf_adds(out, " - ");
	else if (!strcmp(change, "added"))
		add_colored(out, style, GREEN, "ADD");
	else if (!strcmp(change, "modified"))
		add_colored(out, style, YELLOW, "MOD");
	else if (!strcmp(change, "deleted"))
		add_colored(out, style, RED, "DEL");
	else
		strbuf_adds(out, " ? ");
}

static void add_op(struct strbuf *out, const json_t *event, const struct event_style *style)
{
	auto_strbuf struct strbuf op = STRBUF_INIT;

	if (value_is_true(event, "derived"))
		strbuf_addc(&op, '~');
	add_escaped(&op, event, "op");
	strbuf_addf(out, "  %-*s", style->align ? OP_WIDTH : 0, strbuf_str(&op));
}

static void add_path(struct strbuf *out, const json_t *event, const struct event_style *style)
{
	const char *target = value_string(event, "file.target");

	strbuf_adds(out, "  ");
	if (target && strcmp(target, "layer") != 0) {
		auto_strbuf struct strbuf mark = STRBUF_INIT;

		strbuf_addc(&mark, '[');
		add_escaped(&mark, event, "file.target");
		strbuf_addc(&mark, ']');
		add_colored(out, style, !strcmp(target, "other") ? ALARM : FAINT,
			    strbuf_str(&mark));
		strbuf_addc(out, ' ');
	}
	if (value_string(event, "file.old_path")) {
		add_escaped(out, event, "file.old_path");
		strbuf_adds(out, " -> ");
	}
	if (value_is_true(event, "truncated"))
		strbuf_adds(out, "(cut) ");
	if (value_string(event, "file.path"))
		add_escaped(out, event, "file.path");
	else
		strbuf_adds(out, "(name not known)");
}

/* "0755 0:0 4.0Ki"; in --raw "48Ki in 12 writes". */
static void add_facts(struct strbuf *out, const json_t *event)
{
	const json_t *file = value_at(event, "file");
	uint64_t size, count, bytes;

	if (value_string(file, "mode")) {
		strbuf_adds(out, "  ");
		add_escaped(out, file, "mode");
		strbuf_addc(out, ' ');
		render_owner(out, file);
		if (value_number(file, "size", &size)) {
			strbuf_addc(out, ' ');
			render_size(out, size);
		}
	}
	if (value_number(event, "count", &count) && value_number(event, "bytes", &bytes)) {
		strbuf_adds(out, "  +");
		render_size(out, bytes);
		strbuf_addf(out, " x%llu", (unsigned long long)count);
	}
}

static void add_process(struct strbuf *out, const json_t *event)
{
	const json_t *process = value_at(event, "process");
	auto_strbuf struct strbuf raw = STRBUF_INIT;
	uint64_t uid;

	render_writer(&raw, process);
	if (!raw.len)
		return;
	strbuf_adds(out, "  by ");
	escape_terminal(out, raw.data, raw.len);
	if (value_number(process, "uid", &uid))
		strbuf_addf(out, " (uid %llu)", (unsigned long long)uid);
	if (value_is_true(process, "runtime"))
		strbuf_adds(out, " (runtime)");
}

static void add_reasons(struct strbuf *out, const json_t *event, const struct event_style *style)
{
	const json_t *reasons = value_at(event, "reasons");
	size_t i;
	json_t *reason;

	json_array_foreach (reasons, i, reason) {
		auto_strbuf struct strbuf text = STRBUF_INIT;

		if (!json_is_string(reason))
			continue;
		escape_terminal(&text, json_string_value(reason), json_string_length(reason));
		strbuf_adds(out, i ? " " : "  ");
		add_colored(out, style, ALARM, strbuf_str(&text));
	}
}

/* --- lines */

static void add_lost(struct strbuf *out, const json_t *event, const struct event_style *style)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	uint64_t count = 0;

	value_number(event, "count", &count);
	strbuf_addf(&text, "-- lost %llu event%s (", (unsigned long long)count,
		    count == 1 ? "" : "s");
	if (value_string(event, "reason"))
		add_escaped(&text, event, "reason");
	else
		strbuf_adds(&text, "reason not known");
	strbuf_adds(&text, ") --");
	strbuf_adds(out, "  ");
	add_colored(out, style, ALARM, strbuf_str(&text));
}

/* "started", "stopped", "removed" of type "container_start" and so on; NULL for others. */
static const char *life_of(const char *type)
{
	if (!strcmp(type, "container_start"))
		return "started";
	if (!strcmp(type, "container_stop"))
		return "stopped";
	return !strcmp(type, "container_remove") ? "removed" : NULL;
}

static void add_life(struct strbuf *out, const json_t *event, const struct event_style *style,
		     const char *what)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, "-- container %s", what);
	if (!strcmp(what, "started") && value_string(event, "container.image.name")) {
		strbuf_adds(&text, ", image ");
		add_escaped(&text, event, "container.image.name");
	}
	strbuf_adds(&text, " --");
	strbuf_adds(out, "  ");
	add_colored(out, style, FAINT, strbuf_str(&text));
}

void render_event(struct strbuf *out, const json_t *event, struct event_style *style)
{
	const char *type = value_string(event, "type");

	if (!type)
		return;
	add_time(out, event);
	add_container(out, event, style);
	if (!strcmp(type, "lost")) {
		add_lost(out, event, style);
	} else if (life_of(type)) {
		add_life(out, event, style, life_of(type));
	} else {
		add_change(out, event, style);
		add_op(out, event, style);
		add_path(out, event, style);
		add_facts(out, event);
		add_process(out, event);
		add_reasons(out, event, style);
	}
}

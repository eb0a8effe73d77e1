/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metrics_text.c - Prometheus text 0.0.4 and OpenMetrics 1.0.0.
 *
 * A scrape has thousands of lines and runs between two batches of events, so the
 * common line is put together without printf.
 */
#include "view/metrics_text.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"

void metrics_family(struct metrics *m, const char *name, enum metric_type type, const char *help)
{
	m->name = name;
	m->help = help;
	m->type = type;
	m->has_header = false;
}

static const char *suffix_of(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return "_total";
	case METRIC_INFO:
		return "_info";
	default:
		return "";
	}
}

static void add_header(struct metrics *m)
{
	const char *suffix = m->openmetrics ? "" : suffix_of(m->type);
	const char *type = "gauge";

	if (m->type == METRIC_COUNTER)
		type = "counter";
	else if (m->type == METRIC_INFO && m->openmetrics)
		type = "info";
	strbuf_addf(m->out, "# HELP %s%s %s.\n", m->name, suffix, m->help);
	strbuf_addf(m->out, "# TYPE %s%s %s\n", m->name, suffix, type);
	m->has_header = true;
}

/* Everything of a line up to the value. */
static void start_line(struct metrics *m, const struct strbuf *labels, const char *key,
		       const char *value_name)
{
	bool has_labels = labels && labels->len;

	if (!m->has_header)
		add_header(m);
	strbuf_adds(m->out, m->name);
	strbuf_adds(m->out, suffix_of(m->type));
	if (has_labels || key) {
		strbuf_addc(m->out, '{');
		if (has_labels)
			strbuf_add(m->out, labels->data, labels->len);
		if (has_labels && key)
			strbuf_addc(m->out, ',');
		if (key) {
			strbuf_adds(m->out, key);
			strbuf_adds(m->out, "=\"");
			strbuf_adds(m->out, value_name);
			strbuf_addc(m->out, '"');
		}
		strbuf_addc(m->out, '}');
	}
	strbuf_addc(m->out, ' ');
}

static void add_u64(struct strbuf *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	strbuf_add(out, digits + at, sizeof(digits) - at);
}

void metrics_u64_by(struct metrics *m, const struct strbuf *labels, const char *key,
		    const char *value_name, uint64_t value)
{
	m->series++;
	if (!m->out)
		return;
	start_line(m, labels, key, value_name);
	add_u64(m->out, value);
	strbuf_addc(m->out, '\n');
}

void metrics_u64(struct metrics *m, const struct strbuf *labels, uint64_t value)
{
	metrics_u64_by(m, labels, NULL, NULL, value);
}

void metrics_seconds(struct metrics *m, const struct strbuf *labels, uint64_t ns)
{
	m->series++;
	if (!m->out)
		return;
	start_line(m, labels, NULL, NULL);
	strbuf_addf(m->out, "%" PRIu64 ".%09" PRIu64 "\n", (uint64_t)(ns / NS_PER_SEC),
		    (uint64_t)(ns % NS_PER_SEC));
}

void metrics_label(struct strbuf *labels, const char *key, const char *value)
{
	if (labels->len)
		strbuf_addc(labels, ',');
	strbuf_adds(labels, key);
	strbuf_adds(labels, "=\"");
	if (value)
		escape_label(labels, value, strlen(value));
	strbuf_addc(labels, '"');
}

void metrics_end(struct metrics *m)
{
	if (m->openmetrics)
		strbuf_adds(m->out, "# EOF\n");
}

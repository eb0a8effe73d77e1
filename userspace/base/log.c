/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * log.c - one message, one line, one write to stderr.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/strbuf.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static enum log_level current_level = LOG_LEVEL_INFO;
static enum log_format current_format = LOG_FORMAT_PLAIN;

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *const format_names[] = {"plain", "text", "json", "journal"};

void log_set_level(enum log_level level)
{
	current_level = level;
}

enum log_level log_get_level(void)
{
	return current_level;
}

void log_set_format(enum log_format format)
{
	current_format = format;
}

static int index_of(const char *text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(text, names[i]))
			return (int)i;
	}
	return -EINVAL;
}

int log_level_parse(const char *text, enum log_level *ret)
{
	int i = index_of(text, level_names, ARRAY_SIZE(level_names));

	if (i < 0)
		return i;
	*ret = (enum log_level)i;
	return 0;
}

int log_format_parse(const char *text, enum log_format *ret)
{
	int i = index_of(text, format_names, ARRAY_SIZE(format_names));

	if (i < 0)
		return i;
	*ret = (enum log_format)i;
	return 0;
}

enum log_format log_format_of_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino)
		return LOG_FORMAT_JOURNAL;
	return LOG_FORMAT_TEXT;
}

/* A JSON string's inside; the text is valid UTF-8 without control bytes already. */
static void add_json_text(struct strbuf *line, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_addc(line, '\\');
		strbuf_addc(line, *text);
	}
}

static void add_line(struct strbuf *line, enum log_level level, const char *text)
{
	static const int priorities[] = {3, 4, 6, 7}; /* syslog(3) */
	char time[RFC3339_LEN];

	switch (current_format) {
	case LOG_FORMAT_PLAIN:
		strbuf_addf(line, "driftwatch: %s%s\n",
			    level == LOG_LEVEL_WARNING ? "warning: " : "", text);
		break;
	case LOG_FORMAT_TEXT:
		clock_format_rfc3339(clock_wall_ns(), time);
		strbuf_addf(line, "%s %s %s\n", time, level_names[level], text);
		break;
	case LOG_FORMAT_JSON:
		clock_format_rfc3339(clock_wall_ns(), time);
		strbuf_addf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"", time,
			    level_names[level]);
		add_json_text(line, text);
		strbuf_adds(line, "\"}\n");
		break;
	case LOG_FORMAT_JOURNAL:
		strbuf_addf(line, "<%d>%s\n", priorities[level], text);
		break;
	}
}

/*
 * Like escape_terminal(), but a backslash stays one: what is logged is mostly
 * our own sentences, and names in them were often escaped by the caller.
 */
static void add_message(struct strbuf *out, const char *bytes, size_t len)
{
	size_t start = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i < len && bytes[i] != '\\')
			continue;
		escape_terminal(out, bytes + start, i - start);
		if (i < len)
			strbuf_addc(out, '\\');
		start = i + 1;
	}
}

void log_at(enum log_level level, const char *fmt, ...)
{
	auto_strbuf struct strbuf message = STRBUF_INIT;
	auto_strbuf struct strbuf text = STRBUF_INIT;
	auto_strbuf struct strbuf line = STRBUF_INIT;
	int saved_errno = errno;
	va_list ap;

	if (level > current_level)
		return;
	va_start(ap, fmt);
	strbuf_vaddf(&message, fmt, ap);
	va_end(ap);

	add_message(&text, strbuf_str(&message), message.len);
	add_line(&line, level, strbuf_str(&text));
	/* One write, so that lines of several processes do not mix. */
	if (line.len && write(STDERR_FILENO, line.data, line.len) < 0) {
		/* nowhere left to say it */
	}
	errno = saved_errno;
}

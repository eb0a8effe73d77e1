/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * log.h - messages for the person who runs the program, on stderr.
 *
 * A command prints "driftwatch: text"; the agent prints time and level, or
 * <N> priorities when stderr is the journal. Every line is one message: control
 * bytes in it are escaped, so a container's names cannot forge another line.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_PLAIN, LOG_FORMAT_TEXT, LOG_FORMAT_JSON, LOG_FORMAT_JOURNAL };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_format(enum log_format format);

/* Parse "error", "warning", "info", "debug". Returns 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret);

/* Parse "plain", "text", "json", "journal". Returns 0 or -EINVAL. */
int log_format_parse(const char *text, enum log_format *ret);

/* LOG_FORMAT_JOURNAL when $JOURNAL_STREAM names stderr, LOG_FORMAT_TEXT otherwise. */
enum log_format log_format_of_stderr(void);

__attribute__((format(printf, 2, 3))) void log_at(enum log_level level, const char *fmt, ...);

#define log_error(...)	 log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif /* LOG_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock.c - clocks, and the text forms of instants and durations.
 */
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SEC_PER_DAY 86400

static uint64_t now(clockid_t id)
{
	struct timespec ts = {0};

	clock_gettime(id, &ts);
	return clock_of_timespec(&ts);
}

uint64_t clock_boot_ns(void)
{
	return now(CLOCK_BOOTTIME);
}

uint64_t clock_wall_ns(void)
{
	return now(CLOCK_REALTIME);
}

uint64_t clock_mono_ns(void)
{
	return now(CLOCK_MONOTONIC);
}

uint64_t clock_wall_of_boot(uint64_t boot_ns)
{
	return boot_ns ? boot_ns + (clock_wall_ns() - clock_boot_ns()) : 0;
}

void clock_format_rfc3339(uint64_t wall_ns, char ret[RFC3339_LEN])
{
	time_t seconds = wall_ns / NS_PER_SEC;
	struct tm tm;

	ret[0] = '\0';
	if (!wall_ns || !gmtime_r(&seconds, &tm))
		return;
	/* A uint64_t of nanoseconds ends in 2554: four digits of year are enough. */
	snprintf(ret, RFC3339_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ",
		 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		 (unsigned)tm.tm_sec % 100, (unsigned)(wall_ns % NS_PER_SEC));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly @digits digits at *text, then move past them. */
static bool take_number(const char **text, int digits, int *ret)
{
	int value = 0;

	for (int i = 0; i < digits; i++) {
		if (!is_digit((*text)[i]))
			return false;
		value = value * 10 + ((*text)[i] - '0');
	}
	*text += digits;
	*ret = value;
	return true;
}

static bool take_char(const char **text, const char *one_of)
{
	if (!**text || !strchr(one_of, **text))
		return false;
	(*text)++;
	return true;
}

static bool take_fraction(const char **text, uint64_t *ret_ns)
{
	uint64_t scale = NS_PER_SEC / 10;

	*ret_ns = 0;
	if (!take_char(text, "."))
		return true;
	if (!is_digit(**text))
		return false;
	for (; is_digit(**text); (*text)++) {
		*ret_ns += (uint64_t)(**text - '0') * scale;
		scale /= 10;
	}
	return true;
}

static bool take_offset(const char **text, int *ret_seconds)
{
	int hours, minutes;
	int sign;

	*ret_seconds = 0;
	if (take_char(text, "Zz"))
		return true;
	if (**text != '+' && **text != '-')
		return false;
	sign = *(*text)++ == '-' ? -1 : 1;
	if (!take_number(text, 2, &hours) || !take_char(text, ":") ||
	    !take_number(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool take_date(const char **text, struct tm *tm)
{
	if (!take_number(text, 4, &tm->tm_year) || !take_char(text, "-") ||
	    !take_number(text, 2, &tm->tm_mon) || !take_char(text, "-") ||
	    !take_number(text, 2, &tm->tm_mday) || !take_char(text, "Tt "))
		return false;
	return true;
}

static bool take_time(const char **text, struct tm *tm)
{
	if (!take_number(text, 2, &tm->tm_hour) || !take_char(text, ":") ||
	    !take_number(text, 2, &tm->tm_min) || !take_char(text, ":") ||
	    !take_number(text, 2, &tm->tm_sec))
		return false;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

int clock_parse_rfc3339(const char *text, uint64_t *ret_wall_ns)
{
	struct tm tm = {0};
	uint64_t fraction;
	int offset, month, day;
	time_t seconds;

	if (!take_date(&text, &tm) || !take_time(&text, &tm) || !take_fraction(&text, &fraction) ||
	    !take_offset(&text, &offset) || *text)
		return -EINVAL;

	tm.tm_year -= 1900;
	month = --tm.tm_mon;
	day = tm.tm_mday;
	if (tm.tm_sec == 60) /* a leap second is the last one of its minute to us */
		tm.tm_sec = 59;
	seconds = timegm(&tm);
	/* timegm() turns 31 April into 1 May; such a date is refused instead. */
	if (tm.tm_mon != month || tm.tm_mday != day)
		return -EINVAL;
	seconds -= offset;
	if (seconds < 0) /* 0001-01-01T00:00:00Z is Go's "never": not known */
		seconds = 0, fraction = 0;
	if ((uint64_t)seconds >= UINT64_MAX / NS_PER_SEC)
		return -EINVAL;

	*ret_wall_ns = (uint64_t)seconds * NS_PER_SEC + fraction;
	return 0;
}

void clock_format_age(uint64_t age_ns, char *ret, size_t size)
{
	uint64_t seconds = age_ns / NS_PER_SEC;

	if (seconds < 60)
		snprintf(ret, size, "%us", (unsigned)seconds);
	else if (seconds < 3600)
		snprintf(ret, size, "%um", (unsigned)(seconds / 60));
	else if (seconds < SEC_PER_DAY)
		snprintf(ret, size, "%uh", (unsigned)(seconds / 3600));
	else
		snprintf(ret, size, "%ud", (unsigned)(seconds / SEC_PER_DAY));
}

static bool take_unit(const char **text, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		/* "ms" before "m", so that the longer name wins */
		{"ns", 1},
		{"us", 1000},
		{"ms", NS_PER_MSEC},
		{"s", NS_PER_SEC},
		{"m", 60 * NS_PER_SEC},
		{"h", 3600 * NS_PER_SEC},
		{"d", SEC_PER_DAY * NS_PER_SEC},
		{"w", 7 * SEC_PER_DAY * NS_PER_SEC},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t len = strlen(units[i].name);

		if (!strncmp(*text, units[i].name, len)) {
			*text += len;
			*ret_ns = units[i].ns;
			return true;
		}
	}
	return false;
}

static bool take_count(const char **text, uint64_t *ret)
{
	uint64_t count = 0;

	if (!is_digit(**text))
		return false;
	for (; is_digit(**text); (*text)++) {
		if (__builtin_mul_overflow(count, 10, &count) ||
		    __builtin_add_overflow(count, (uint64_t)(**text - '0'), &count))
			return false;
	}
	*ret = count;
	return true;
}

int clock_parse_duration(const char *text, uint64_t *ret_ns)
{
	uint64_t total = 0, count, unit, part;
	bool first = true;

	do {
		if (!take_count(&text, &count))
			return -EINVAL;
		if (first && !*text)
			unit = NS_PER_SEC;
		else if (!take_unit(&text, &unit))
			return -EINVAL;
		if (__builtin_mul_overflow(count, unit, &part) ||
		    __builtin_add_overflow(total, part, &total))
			return -EINVAL;
		first = false;
	} while (*text);

	*ret_ns = total;
	return 0;
}

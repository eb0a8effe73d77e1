/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * clock.h - the clocks we use and their text forms.
 *
 * Records carry CLOCK_BOOTTIME nanoseconds (boot_ns); people and files carry
 * CLOCK_REALTIME nanoseconds since 1970 (wall_ns). 0 means "not known".
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_SEC  1000000000ull
#define NS_PER_MSEC 1000000ull

uint64_t clock_boot_ns(void);
uint64_t clock_wall_ns(void);
uint64_t clock_mono_ns(void);

/* Wall time of a CLOCK_BOOTTIME instant, by today's offset between the clocks. */
uint64_t clock_wall_of_boot(uint64_t boot_ns);

static inline uint64_t clock_of_timespec(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * NS_PER_SEC + (uint64_t)ts->tv_nsec;
}

#define RFC3339_LEN 31 /* "2026-11-21T19:06:10.255393601Z" and the NUL */

/* RFC 3339 in UTC with nanoseconds; "" for 0. */
void clock_format_rfc3339(uint64_t wall_ns, char ret[RFC3339_LEN]);

/* RFC 3339 with any number of fraction digits and Z or an offset. Returns 0 or -EINVAL. */
int clock_parse_rfc3339(const char *text, uint64_t *ret_wall_ns);

/* "41d", "3h", "12m", "5s": the largest unit only, as ps shows ages. */
void clock_format_age(uint64_t age_ns, char *ret, size_t size);

/* "10m", "1h30m", "500ms", "2d", or plain seconds. Returns 0 or -EINVAL. */
int clock_parse_duration(const char *text, uint64_t *ret_ns);

#endif /* CLOCK_H */

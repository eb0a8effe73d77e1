/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_clock.c - instants, ages and durations as text, both ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define UNTOUCHED 12345u

static uint64_t parsed_time(const char *text)
{
	uint64_t ns = UNTOUCHED;

	assert_int_equal(clock_parse_rfc3339(text, &ns), 0);
	return ns;
}

static void known_instants_are_formatted_in_utc(void **state)
{
	char text[RFC3339_LEN];

	(void)state;
	clock_format_rfc3339(1000000000ull * NS_PER_SEC + 5, text);
	assert_string_equal(text, "2001-09-09T01:46:40.000000005Z");
	clock_format_rfc3339(0, text);
	assert_string_equal(text, "");
	clock_format_rfc3339(UINT64_MAX, text);
	assert_int_equal(strlen(text), RFC3339_LEN - 1);
	assert_memory_equal(text, "2554-", 5);
}

static void the_forms_that_runtimes_write_are_parsed(void **state)
{
	const uint64_t billion = 1000000000ull * NS_PER_SEC;

	(void)state;
	assert_int_equal(parsed_time("2001-09-09T01:46:40Z"), billion);
	assert_int_equal(parsed_time("2001-09-09T01:46:40.5Z"), billion + 500 * NS_PER_MSEC);
	assert_int_equal(parsed_time("2001-09-09T01:46:40.123456789Z"), billion + 123456789);
	/* digits past the nanosecond are cut */
	assert_int_equal(parsed_time("2001-09-09T01:46:40.1234567899Z"), billion + 123456789);
	assert_int_equal(parsed_time("2001-09-09T03:46:40+02:00"), billion);
	assert_int_equal(parsed_time("2001-09-08T22:16:40.000-03:30"), billion);
	assert_int_equal(parsed_time("2000-02-29T00:00:00Z"), 951782400ull * NS_PER_SEC);
}

static void the_zero_time_of_go_means_not_known(void **state)
{
	(void)state;
	assert_int_equal(parsed_time("0001-01-01T00:00:00Z"), 0);
}

static void what_is_not_an_instant_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"now",
		"2001-09-09",
		"2001-09-09T01:46:40",
		"2001-09-09T01:46:40.Z",
		"2001-09-09T01:46:40Zx",
		"2001-09-09T24:00:00Z",
		"2001-09-09T01:60:00Z",
		"2001-09-09T01:46:61Z",
		"2001-13-09T01:46:40Z",
		"2001-00-09T01:46:40Z",
		"2001-04-31T01:46:40Z",
		"2001-02-29T01:46:40Z",
		"2001-09-09T01:46:40+2:00",
		"2001-09-09T01:46:40+99:00",
		"-001-09-09T01:46:40Z",
		"9999-09-09T01:46:40Z",
	};
	uint64_t ns = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(clock_parse_rfc3339(bad[i], &ns), -EINVAL);
		assert_int_equal(ns, UNTOUCHED);
	}
}

static void format_and_parse_agree(void **state)
{
	char text[RFC3339_LEN];

	(void)state;
	for (uint64_t ns = 1; ns < UINT64_MAX / 3; ns = ns * 3 + 7) {
		clock_format_rfc3339(ns, text);
		assert_int_equal(parsed_time(text), ns);
	}
}

static void a_boot_instant_of_now_is_the_wall_time_of_now(void **state)
{
	uint64_t before = clock_wall_ns();
	uint64_t wall = clock_wall_of_boot(clock_boot_ns());

	(void)state;
	/* The three clocks are not read at once. */
	assert_in_range(wall, before - NS_PER_SEC, clock_wall_ns() + NS_PER_SEC);
	assert_int_equal(clock_wall_of_boot(0), 0);
}

static void ages_show_their_largest_unit(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} ages[] = {
		{0, "0s"},    {59, "59s"},    {60, "1m"},    {3599, "59m"},
		{3600, "1h"}, {86399, "23h"}, {86400, "1d"}, {41 * 86400, "41d"},
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		clock_format_age(ages[i].seconds * NS_PER_SEC, text, sizeof(text));
		assert_string_equal(text, ages[i].text);
	}
}

static uint64_t parsed_duration(const char *text)
{
	uint64_t ns = UNTOUCHED;

	assert_int_equal(clock_parse_duration(text, &ns), 0);
	return ns;
}

static void durations_add_up_their_units(void **state)
{
	(void)state;
	assert_int_equal(parsed_duration("10m"), 600 * NS_PER_SEC);
	assert_int_equal(parsed_duration("1h30m"), 5400 * NS_PER_SEC);
	assert_int_equal(parsed_duration("500ms"), 500 * NS_PER_MSEC);
	assert_int_equal(parsed_duration("2d"), 172800 * NS_PER_SEC);
	assert_int_equal(parsed_duration("15"), 15 * NS_PER_SEC);
	assert_int_equal(parsed_duration("0"), 0);
}

static void what_is_not_a_duration_is_refused(void **state)
{
	static const char *const bad[] = {"",
					  "s",
					  "-1s",
					  "1x",
					  "1h30",
					  " 1s",
					  "1 s",
					  "1.5s",
					  "99999999999999999999s",
					  "18446744073709551615d"};
	uint64_t ns = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(clock_parse_duration(bad[i], &ns), -EINVAL);
		assert_int_equal(ns, UNTOUCHED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_instants_are_formatted_in_utc),
		cmocka_unit_test(the_forms_that_runtimes_write_are_parsed),
		cmocka_unit_test(the_zero_time_of_go_means_not_known),
		cmocka_unit_test(what_is_not_an_instant_is_refused),
		cmocka_unit_test(format_and_parse_agree),
		cmocka_unit_test(a_boot_instant_of_now_is_the_wall_time_of_now),
		cmocka_unit_test(ages_show_their_largest_unit),
		cmocka_unit_test(durations_add_up_their_units),
		cmocka_unit_test(what_is_not_a_duration_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

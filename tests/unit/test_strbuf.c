/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_strbuf.c - the growing byte string: growth, NULs, failure, hand-over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/strbuf.h"

static void an_empty_buffer_is_an_empty_string(void **state)
{
	auto_strbuf struct strbuf sb = STRBUF_INIT;

	(void)state;
	assert_string_equal(strbuf_str(&sb), "");
	assert_int_equal(sb.len, 0);
}

static void appends_keep_nul_bytes_and_end_in_one(void **state)
{
	auto_strbuf struct strbuf sb = STRBUF_INIT;

	(void)state;
	strbuf_add(&sb, "a\0b", 3);
	strbuf_addc(&sb, 'c');
	strbuf_adds(&sb, "de");
	assert_int_equal(sb.len, 6);
	assert_memory_equal(sb.data, "a\0bcde", 7);
}

static void it_grows_past_any_first_size(void **state)
{
	auto_strbuf struct strbuf sb = STRBUF_INIT;

	(void)state;
	for (int i = 0; i < 10000; i++)
		strbuf_addc(&sb, (char)('a' + i % 26));
	assert_int_equal(sb.len, 10000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(sb.data[i], 'a' + i % 26);
	assert_int_equal(sb.data[10000], 0);
}

static void formatted_text_of_every_length_around_the_size_is_whole(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int len = 0; len < (int)sizeof(text); len++) {
		auto_strbuf struct strbuf sb = STRBUF_INIT;

		strbuf_adds(&sb, "head ");
		strbuf_addf(&sb, "%.*s|%d", len, text, 42);
		assert_int_equal(sb.len, 5 + len + 3);
		assert_string_equal(sb.data + 5 + len, "|42");
		assert_false(strbuf_failed(&sb));
	}
}

static void running_out_of_memory_is_remembered_and_appends_stop(void **state)
{
	auto_strbuf struct strbuf sb = STRBUF_INIT;

	(void)state;
	strbuf_adds(&sb, "kept");
	strbuf_add(&sb, "", SIZE_MAX / 2);
	assert_true(strbuf_failed(&sb));
	strbuf_adds(&sb, "ignored");
	strbuf_addf(&sb, "%s", "ignored");
	assert_string_equal(strbuf_str(&sb), "kept");
	assert_null(strbuf_take(&sb));

	strbuf_adds(&sb, "usable again");
	assert_string_equal(strbuf_str(&sb), "usable again");
}

static void a_reset_buffer_starts_empty(void **state)
{
	auto_strbuf struct strbuf sb = STRBUF_INIT;

	(void)state;
	strbuf_adds(&sb, "old");
	strbuf_reset(&sb);
	assert_string_equal(strbuf_str(&sb), "");
	strbuf_adds(&sb, "n");
	assert_string_equal(strbuf_str(&sb), "n");
}

static void truncate_only_ever_shortens(void **state)
{
	auto_strbuf struct strbuf sb = STRBUF_INIT;

	(void)state;
	strbuf_truncate(&sb, 0);
	strbuf_adds(&sb, "hello");
	strbuf_truncate(&sb, 9);
	assert_int_equal(sb.len, 5);
	assert_string_equal(strbuf_str(&sb), "hello");
	strbuf_truncate(&sb, 2);
	assert_string_equal(strbuf_str(&sb), "he");
}

static void taken_bytes_belong_to_the_caller(void **state)
{
	auto_strbuf struct strbuf sb = STRBUF_INIT;
	auto_free char *empty = NULL;
	auto_free char *text = NULL;

	(void)state;
	empty = strbuf_take(&sb);
	assert_string_equal(empty, "");
	strbuf_adds(&sb, "mine");
	text = strbuf_take(&sb);
	assert_string_equal(text, "mine");
	assert_int_equal(sb.len, 0);
	assert_null(sb.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_is_an_empty_string),
		cmocka_unit_test(appends_keep_nul_bytes_and_end_in_one),
		cmocka_unit_test(it_grows_past_any_first_size),
		cmocka_unit_test(formatted_text_of_every_length_around_the_size_is_whole),
		cmocka_unit_test(running_out_of_memory_is_remembered_and_appends_stop),
		cmocka_unit_test(a_reset_buffer_starts_empty),
		cmocka_unit_test(truncate_only_ever_shortens),
		cmocka_unit_test(taken_bytes_belong_to_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

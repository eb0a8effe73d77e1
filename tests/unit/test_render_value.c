/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_render_value.c - values out of JSON: absent, of the wrong type, hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "command/render_value.h"

static json_t *parse(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(value);
	return value;
}

static void a_dotted_path_reaches_nested_values(void **state)
{
	json_t *o = parse("{\"a\":{\"b\":{\"c\":\"deep\"}},\"plain\":\"top\"}");

	(void)state;
	assert_string_equal(value_string(o, "a.b.c"), "deep");
	assert_string_equal(value_string(o, "plain"), "top");
	json_decref(o);
}

static void what_is_absent_or_of_another_type_is_not_known(void **state)
{
	json_t *o = parse("{\"text\":\"x\",\"number\":-1,\"null\":null,\"list\":[1],\"big\":"
			  "\"18446744073709551616\",\"real\":1.5}");
	uint64_t n = 77;

	(void)state;
	assert_null(value_at(o, "missing"));
	assert_null(value_at(o, "text.inside"));
	assert_null(value_at(NULL, "text"));
	assert_null(value_string(o, "number"));
	assert_null(value_string(o, "null"));
	assert_false(value_number(o, "number", &n));
	assert_false(value_number(o, "text", &n));
	assert_false(value_number(o, "list", &n));
	assert_false(value_number(o, "big", &n));
	assert_false(value_number(o, "real", &n));
	assert_int_equal(n, 77);
	assert_false(value_is_true(o, "text"));
	assert_false(value_is_false(o, "null"));
	json_decref(o);
}

static void a_key_longer_than_any_of_ours_is_not_found(void **state)
{
	json_t *o = parse("{}");
	char path[300];

	(void)state;
	memset(path, 'k', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_null(value_at(o, path));
	json_decref(o);
}

static void large_integers_may_come_as_text(void **state)
{
	json_t *o = parse("{\"n\":42,\"inode\":\"18446744073709551615\"}");
	uint64_t n;

	(void)state;
	assert_true(value_number(o, "n", &n));
	assert_int_equal(n, 42);
	assert_true(value_number(o, "inode", &n));
	assert_true(n == UINT64_MAX);
	json_decref(o);
}

static void bytes_that_are_not_utf8_come_back_whole(void **state)
{
	/* base64 of ff 2f 0a, by RFC 4648 */
	json_t *o = parse("{\"path\":\"\\ufffd/\\n\",\"path_b64\":\"/y8K\"}");
	auto_strbuf struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_true(value_bytes(o, "path", &out));
	assert_int_equal(out.len, 3);
	assert_memory_equal(out.data, "\xff/\n", 3);
	json_decref(o);
}

static void broken_base64_falls_back_to_the_text(void **state)
{
	json_t *o = parse("{\"path\":\"/x\",\"path_b64\":\"AAAA*\"}");
	auto_strbuf struct strbuf out = STRBUF_INIT;

	(void)state;
	strbuf_adds(&out, "before ");
	assert_true(value_bytes(o, "path", &out));
	assert_string_equal(strbuf_str(&out), "before /x");
	json_decref(o);
}

static void a_time_that_is_none_is_not_known(void **state)
{
	json_t *o = parse("{\"t\":\"2026-11-21T19:06:10.255393601Z\",\"bad\":\"yesterday\"}");

	(void)state;
	assert_true(value_wall_ns(o, "t") == 1795287970ull * NS_PER_SEC + 255393601);
	assert_true(value_wall_ns(o, "bad") == 0);
	assert_true(value_wall_ns(o, "missing") == 0);
	json_decref(o);
}

static void check_size(uint64_t bytes, const char *expected)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	render_size(&out, bytes);
	assert_string_equal(strbuf_str(&out), expected);
}

static void sizes_count_in_steps_of_1024(void **state)
{
	(void)state;
	check_size(0, "0");
	check_size(1023, "1023");
	check_size(1024, "1.0Ki");
	check_size(4096, "4.0Ki");
	check_size(1536, "1.5Ki");
	check_size(1024 * 1024 - 1, "1023.9Ki");
	check_size(1024 * 1024, "1.0Mi");
	check_size(1ull << 40, "1.0Ti");
	check_size(UINT64_MAX, "15.9Ei");
}

static void an_instant_in_the_future_has_no_age(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	(void)state;
	render_age(&out, 20 * NS_PER_SEC, 10 * NS_PER_SEC);
	assert_string_equal(strbuf_str(&out), "0s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dotted_path_reaches_nested_values),
		cmocka_unit_test(what_is_absent_or_of_another_type_is_not_known),
		cmocka_unit_test(a_key_longer_than_any_of_ours_is_not_found),
		cmocka_unit_test(large_integers_may_come_as_text),
		cmocka_unit_test(bytes_that_are_not_utf8_come_back_whole),
		cmocka_unit_test(broken_base64_falls_back_to_the_text),
		cmocka_unit_test(a_time_that_is_none_is_not_known),
		cmocka_unit_test(sizes_count_in_steps_of_1024),
		cmocka_unit_test(an_instant_in_the_future_has_no_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

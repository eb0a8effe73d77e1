/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_escape.c - hostile names made safe for terminals, labels, HTML and CSV.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include "base/escape.h"

typedef void (*escape_fn)(struct strbuf *out, const char *bytes, size_t len);

#define FFFD "\xef\xbf\xbd"

static void check(escape_fn escape, const char *bytes, size_t len, const char *expected)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	escape(&out, bytes, len);
	assert_string_equal(strbuf_str(&out), expected);
}

#define CHECK(escape, literal, expected) check(escape, literal, sizeof(literal) - 1, expected)

/* Shortest and longest forms, then each way to be wrong. */
static void only_well_formed_utf8_is_valid(void **state)
{
	static const char *const good[] = {"",
					   "plain",
					   "\x7f",
					   "\xc2\x80",
					   "\xdf\xbf",
					   "\xe0\xa0\x80",
					   "\xed\x9f\xbf",
					   "\xee\x80\x80",
					   "\xef\xbf\xbf",
					   "\xf0\x90\x80\x80",
					   "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {
		"\x80",
		"\xc0\x80",
		"\xc1\xbf",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xc3",
		"\xe2\x82",
		"\xf0\x9f\x98",
		"a\xc3(",
		"\xe2\x28\xa1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(utf8_is_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_is_valid(bad[i], strlen(bad[i])));
}

static void a_sequence_cut_by_the_length_is_not_read_past(void **state)
{
	(void)state;
	assert_false(utf8_is_valid("\xe2\x82\xac", 2));
	check(utf8_add_replaced, "\xe2\x82\xac", 2, FFFD FFFD);
}

static void invalid_bytes_are_replaced_one_by_one(void **state)
{
	(void)state;
	CHECK(utf8_add_replaced,
	      "a\xff\xfe"
	      "b\xc3\xa9",
	      "a" FFFD FFFD "b\xc3\xa9");
}

static void a_terminal_gets_no_byte_that_it_obeys(void **state)
{
	(void)state;
	CHECK(escape_terminal, "/etc/passwd", "/etc/passwd");
	CHECK(escape_terminal, "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80",
	      "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80");
	CHECK(escape_terminal, "a\nb\tc\\d", "a\\nb\\tc\\\\d");
	CHECK(escape_terminal, "\x1b[2J\r\x7f", "\\x1b[2J\\x0d\\x7f");
	/* C1 control, right-to-left override, zero width space, byte order mark */
	CHECK(escape_terminal, "\xc2\x9b", "\\xc2\\x9b");
	CHECK(escape_terminal,
	      "\xe2\x80\xae"
	      "x",
	      "\\xe2\\x80\\xaex");
	CHECK(escape_terminal, "\xe2\x80\x8b", "\\xe2\\x80\\x8b");
	CHECK(escape_terminal, "\xef\xbb\xbf", "\\xef\\xbb\\xbf");
	CHECK(escape_terminal, "\xff", "\\xff");
	CHECK(escape_terminal, "a\0b", "a\\x00b");
}

/* What looks like an escape in the name must differ from an escape of ours. */
static void terminal_text_is_unambiguous(void **state)
{
	(void)state;
	CHECK(escape_terminal, "\\n", "\\\\n");
	CHECK(escape_terminal, "\\x1b", "\\\\x1b");
}

static void every_single_byte_is_inert_on_a_terminal(void **state)
{
	(void)state;
	for (int byte = 0; byte < 256; byte++) {
		auto_strbuf struct strbuf out = STRBUF_INIT;
		char c = (char)byte;

		escape_terminal(&out, &c, 1);
		for (size_t i = 0; i < out.len; i++)
			assert_in_range((unsigned char)out.data[i], 0x20, 0x7e);
	}
}

static void labels_escape_what_prometheus_reads(void **state)
{
	(void)state;
	CHECK(escape_label, "plain", "plain");
	CHECK(escape_label, "a\"b\\c\nd", "a\\\"b\\\\c\\nd");
	CHECK(escape_label, "\xff\xc3\xa9", FFFD "\xc3\xa9");
}

static void html_cannot_leave_text_or_attribute(void **state)
{
	(void)state;
	CHECK(escape_html, "<a href='x' b=\"y\">&",
	      "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;");
	CHECK(escape_html, "\x01\xff\xc3\xa9", FFFD FFFD "\xc3\xa9");
}

static void csv_quotes_only_where_it_must(void **state)
{
	(void)state;
	CHECK(escape_csv, "plain text", "plain text");
	CHECK(escape_csv, "a,b", "\"a,b\"");
	CHECK(escape_csv, "say \"x\"", "\"say \"\"x\"\"\"");
	CHECK(escape_csv, "a\nb", "\"a\nb\"");
	CHECK(escape_csv, "a\rb", "\"a\rb\"");
	CHECK(escape_csv, "", "");
}

/* The vectors of RFC 4648, section 10. */
static void base64_matches_the_vectors_of_its_rfc(void **state)
{
	static const char *const vectors[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		auto_strbuf struct strbuf text = STRBUF_INIT;
		auto_strbuf struct strbuf back = STRBUF_INIT;

		base64_add(&text, vectors[i][0], strlen(vectors[i][0]));
		assert_string_equal(strbuf_str(&text), vectors[i][1]);
		assert_int_equal(base64_decode(vectors[i][1], strlen(vectors[i][1]), &back), 0);
		assert_string_equal(strbuf_str(&back), vectors[i][0]);
	}
}

static void base64_carries_every_byte(void **state)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	auto_strbuf struct strbuf back = STRBUF_INIT;
	unsigned char bytes[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		bytes[i] = (unsigned char)i;
	base64_add(&text, bytes, sizeof(bytes));
	assert_int_equal(base64_decode(text.data, text.len, &back), 0);
	assert_int_equal(back.len, sizeof(bytes));
	assert_memory_equal(back.data, bytes, sizeof(bytes));
}

static void what_is_not_base64_is_refused(void **state)
{
	static const char *const bad[] = {
		"Z",	"Zg",	"Zg=",	"Z===",		"====", "Zg==Zg==",
		"Zh==", "Zm9=", "Zm 8", "Zm8=\n\n\n\n", "Z=8=", "Zm_v"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_strbuf struct strbuf out = STRBUF_INIT;

		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &out), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_well_formed_utf8_is_valid),
		cmocka_unit_test(a_sequence_cut_by_the_length_is_not_read_past),
		cmocka_unit_test(invalid_bytes_are_replaced_one_by_one),
		cmocka_unit_test(a_terminal_gets_no_byte_that_it_obeys),
		cmocka_unit_test(terminal_text_is_unambiguous),
		cmocka_unit_test(every_single_byte_is_inert_on_a_terminal),
		cmocka_unit_test(labels_escape_what_prometheus_reads),
		cmocka_unit_test(html_cannot_leave_text_or_attribute),
		cmocka_unit_test(csv_quotes_only_where_it_must),
		cmocka_unit_test(base64_matches_the_vectors_of_its_rfc),
		cmocka_unit_test(base64_carries_every_byte),
		cmocka_unit_test(what_is_not_base64_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_render_table.c - tables: alignment by display width, narrowing, CSV, and
 * names that try to break out of their cell.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command/render_table.h"
#include "command/render_width.h"

static const struct table_column columns[] = {
	{"NAME", "name", cell_bytes, NULL, IN_ALL, false, true, 0},
	{"N", "n", cell_number, NULL, IN_ALL, true, false, 0},
	{"SIZE", "size", cell_size, NULL, IN_WIDE | IN_CSV, true, false, 0},
	{"PATH", "path", cell_bytes, NULL, IN_ALL, false, false, 0},
	{NULL, NULL, NULL, NULL, 0, false, false, 0},
};

static void check(const char *rows_text, const struct table_style *style, const char *expected)
{
	json_t *rows = json_loads(rows_text, 0, NULL);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(rows);
	assert_non_null(out);
	assert_int_equal(table_print(columns, rows, style, out), 0);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	json_decref(rows);
}

static const struct table_style plain = {.format = TABLE_TEXT};

static void columns_stand_below_each_other(void **state)
{
	(void)state;
	check("[{\"name\":\"a\",\"n\":5,\"path\":\"/x\"},"
	      "{\"name\":\"longer\",\"n\":1234,\"path\":\"/y\"}]",
	      &plain,
	      "NAME       N  PATH\n"
	      "a          5  /x\n"
	      "longer  1234  /y\n");
}

static void what_is_not_known_is_a_dash(void **state)
{
	(void)state;
	check("[{\"name\":\"a\"}]", &plain, "NAME  N  PATH\na     -  -\n");
}

static void an_empty_list_has_a_header_only(void **state)
{
	const struct table_style silent = {.format = TABLE_TEXT, .no_headers = true};

	(void)state;
	check("[]", &plain, "NAME  N  PATH\n");
	check("[]", &silent, "");
}

static void wide_shows_columns_that_text_leaves_out(void **state)
{
	const struct table_style wide = {.format = TABLE_WIDE};

	(void)state;
	check("[{\"name\":\"a\",\"n\":1,\"size\":4096,\"path\":\"/x\"}]", &wide,
	      "NAME  N   SIZE  PATH\n"
	      "a     1  4.0Ki  /x\n");
}

/* U+4E2D takes two cells, U+0301 none. */
static void width_is_counted_in_cells_not_bytes(void **state)
{
	(void)state;
	check("[{\"name\":\"\xe4\xb8\xad\xe4\xb8\xad\",\"n\":1,\"path\":\"/\"},"
	      "{\"name\":\"e\xcc\x81tat\",\"n\":1,\"path\":\"/\"}]",
	      &plain,
	      "NAME  N  PATH\n"
	      "\xe4\xb8\xad\xe4\xb8\xad  1  /\n"
	      "e\xcc\x81tat  1  /\n");
}

/* Newline, escape sequence, right-to-left override, a byte that is no UTF-8. */
static void a_hostile_name_stays_in_its_cell(void **state)
{
	(void)state;
	check("[{\"name\":\"a\\nb\",\"n\":1,\"path\":\"/\\u001b[2J\"},"
	      "{\"name\":\"\\u202e\",\"n\":1,\"path\":\"\\ufffd\",\"path_b64\":\"L/8=\"}]",
	      &plain,
	      "NAME          N  PATH\n"
	      "a\\nb          1  /\\x1b[2J\n"
	      "\\xe2\\x80\\xae  1  /\\xff\n");
}

static void csv_is_exact_and_quoted(void **state)
{
	const struct table_style csv = {.format = TABLE_CSV};

	(void)state;
	check("[{\"name\":\"a,\\\"b\\\"\",\"n\":1,\"size\":4096,\"path\":\"/x\\ny\"},"
	      "{\"name\":\"\",\"path\":\"\\ufffd\",\"path_b64\":\"L/8=\"}]",
	      &csv,
	      "name,n,size,path\n"
	      "\"a,\"\"b\"\"\",1,4096,\"/x\ny\"\n"
	      ",,,/\xff\n");
}

static void csv_on_a_terminal_is_inert(void **state)
{
	const struct table_style csv = {
		.format = TABLE_CSV,
		.no_headers = true,
		.to_terminal = true,
	};

	(void)state;
	check("[{\"name\":\"\\u001b[31m\",\"n\":1,\"path\":\"/a\\nb\"}]", &csv,
	      "\\x1b[31m,1,,/a\\nb\n");
}

static void a_narrow_terminal_narrows_only_what_may_shrink(void **state)
{
	const struct table_style narrow = {.format = TABLE_TEXT, .width = 24, .no_headers = true};
	const struct table_style full = {
		.format = TABLE_TEXT,
		.width = 24,
		.no_headers = true,
		.no_trunc = true,
	};
	const char *rows = "[{\"name\":\"registry.example.com/team/eco\",\"n\":1,"
			   "\"path\":\"/a/b/c\"}]";

	(void)state;
	check(rows, &narrow, "registry.exa\xe2\x80\xa6  1  /a/b/c\n");
	check(rows, &full, "registry.example.com/team/eco  1  /a/b/c\n");
}

static void nothing_shrinks_to_less_than_can_be_recognised(void **state)
{
	const struct table_style tiny = {.format = TABLE_TEXT, .width = 5, .no_headers = true};

	(void)state;
	check("[{\"name\":\"abcdefghijklmnopqrstuvwxyz\",\"n\":1,\"path\":\"/\"}]", &tiny,
	      "abcdefghijk\xe2\x80\xa6  1  /\n");
}

static void a_long_path_takes_no_column_away(void **state)
{
	const struct table_style style = {.format = TABLE_TEXT, .width = 40, .no_headers = true};

	(void)state;
	check("[{\"name\":\"abcd\",\"n\":1,\"path\":\"/0123456789/0123456789/0123456789/0123\"}]",
	      &style, "abcd  1  /0123456789/0123456789/0123456789/0123\n");
}

static void what_still_does_not_fit_is_left_out_by_rank(void **state)
{
	static const struct table_column ranked[] = {
		{"FIRST", "a", cell_bytes, NULL, IN_ALL, false, false, 2},
		{"KEPT", "b", cell_bytes, NULL, IN_ALL, false, false, 0},
		{"LEAST", "c", cell_bytes, NULL, IN_ALL, false, false, 1},
		{NULL, NULL, NULL, NULL, 0, false, false, 0},
	};
	static const char *const expected[] = {
		[16] = "FIRST  KEPT\nabcde  b\n",
		[18] = "FIRST  KEPT  LEAST\nabcde  b     -\n",
		[10] = "KEPT\nb\n",
		[1] = "KEPT\nb\n",
	};
	json_t *rows = json_loads("[{\"a\":\"abcde\",\"b\":\"b\"}]", 0, NULL);

	(void)state;
	for (size_t width = 0; width < sizeof(expected) / sizeof(expected[0]); width++) {
		struct table_style style = {.format = TABLE_TEXT, .width = width};
		char *text = NULL;
		size_t size = 0;
		FILE *out;

		if (!expected[width])
			continue;
		out = open_memstream(&text, &size);
		assert_int_equal(table_print(ranked, rows, &style, out), 0);
		fclose(out);
		assert_string_equal(text, expected[width]);
		free(text);
	}
	json_decref(rows);
}

static const char *always_red(const json_t *row)
{
	(void)row;
	return "31";
}

static void color_does_not_move_columns(void **state)
{
	static const struct table_column colored[] = {
		{"NAME", "name", cell_bytes, always_red, IN_ALL, false, false, 0},
		{"N", "n", cell_number, NULL, IN_ALL, true, false, 0},
		{NULL, NULL, NULL, NULL, 0, false, false, 0},
	};
	const struct table_style style = {.format = TABLE_TEXT, .color = true};
	json_t *rows = json_loads("[{\"name\":\"ab\",\"n\":1}]", 0, NULL);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(table_print(colored, rows, &style, out), 0);
	fclose(out);
	assert_string_equal(text, "NAME  N\n\x1b[31mab\x1b[0m    1\n");
	free(text);
	json_decref(rows);
}

static void a_cut_never_splits_a_character(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	(void)state;
	/* Five cells hold two wide characters and the ellipsis. */
	assert_int_equal(text_add_cut(&out, "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 9, 5), 5);
	assert_string_equal(strbuf_str(&out), "\xe4\xb8\xad\xe4\xb8\xad\xe2\x80\xa6");
	strbuf_reset(&out);
	/* Four cells would cut the second one in half. */
	assert_int_equal(text_add_cut(&out, "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad", 9, 4), 3);
	assert_string_equal(strbuf_str(&out), "\xe4\xb8\xad\xe2\x80\xa6");
	strbuf_reset(&out);
	assert_int_equal(text_add_cut(&out, "abc", 3, 0), 0);
	assert_int_equal(out.len, 0);
}

static void bytes_that_are_no_text_count_one_cell_each(void **state)
{
	(void)state;
	assert_int_equal(text_width("\xff\xfe", 2), 2);
	assert_int_equal(text_width("\xe4\xb8", 2), 2); /* cut short */
	assert_int_equal(text_width("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_stand_below_each_other),
		cmocka_unit_test(what_is_not_known_is_a_dash),
		cmocka_unit_test(an_empty_list_has_a_header_only),
		cmocka_unit_test(wide_shows_columns_that_text_leaves_out),
		cmocka_unit_test(width_is_counted_in_cells_not_bytes),
		cmocka_unit_test(a_hostile_name_stays_in_its_cell),
		cmocka_unit_test(csv_is_exact_and_quoted),
		cmocka_unit_test(csv_on_a_terminal_is_inert),
		cmocka_unit_test(a_narrow_terminal_narrows_only_what_may_shrink),
		cmocka_unit_test(nothing_shrinks_to_less_than_can_be_recognised),
		cmocka_unit_test(a_long_path_takes_no_column_away),
		cmocka_unit_test(what_still_does_not_fit_is_left_out_by_rank),
		cmocka_unit_test(color_does_not_move_columns),
		cmocka_unit_test(a_cut_never_splits_a_character),
		cmocka_unit_test(bytes_that_are_no_text_count_one_cell_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

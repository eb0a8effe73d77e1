/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_render_columns.c - the columns of ps and files: what each shows of a container
 * and of a file, known and unknown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "command/render_container.h"
#include "command/render_file.h"

/* 2026-11-21T12:00:00Z */
#define NOON (1795262400ull * NS_PER_SEC)

static const struct table_style text = {.format = TABLE_TEXT, .no_headers = true, .now_ns = NOON};
static const struct table_style csv = {.format = TABLE_CSV, .now_ns = NOON};

static char *print(const struct table_column *columns, const char *row,
		   const struct table_style *style)
{
	json_t *rows = json_pack("[o]", json_loads(row, 0, NULL));
	char *printed = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&printed, &size);

	assert_non_null(rows);
	assert_non_null(out);
	assert_int_equal(table_print(columns, rows, style, out), 0);
	fclose(out);
	json_decref(rows);
	return printed;
}

static void check(const struct table_column *columns, const char *row,
		  const struct table_style *style, const char *expected)
{
	char *printed = print(columns, row, style);

	assert_string_equal(printed, expected);
	free(printed);
}

#define WEB                                                                                     \
	"\"id\":\"0123456789abcdef0123456789abcdef\",\"name\":\"web1\",\"runtime\":\"docker\"," \
	"\"image\":\"nginx\",\"state\":\"running\",\"created\":\"2026-11-21T10:00:00Z\","       \
	"\"drift\":{\"added\":1,\"modified\":2,\"deleted\":3,\"bytes\":4096},"                  \
	"\"writes\":{\"calls\":{\"layer\":7}},\"last_drift\":\"2026-11-21T11:59:30Z\""

static void a_container_shows_what_is_known(void **state)
{
	(void)state;
	check(container_columns, "{" WEB ",\"complete\":true}", &text,
	      "0123456789ab  web1  docker  nginx  running  2h  1  2  3  4.0Ki  7  30s  yes\n");
}

static void a_container_shows_dashes_for_what_is_not(void **state)
{
	(void)state;
	check(container_columns, "{\"id\":\"ab\",\"drift\":null,\"image\":null}", &text,
	      "ab  ab  -  -  -  -  -  -  -  -  -  -  -\n");
}

static void ids_are_whole_when_asked(void **state)
{
	struct table_style whole = text;
	char *printed;

	(void)state;
	whole.no_trunc = true;
	printed = print(container_columns, "{" WEB "}", &whole);
	assert_memory_equal(printed, "0123456789abcdef0123456789abcdef  ", 34);
	free(printed);
}

static void an_incomplete_list_names_its_reasons(void **state)
{
	char *printed;

	(void)state;
	printed = print(container_columns,
			"{" WEB
			",\"complete\":false,\"incomplete_reasons\":[\"ring_full\",7,\"gap\"]}",
			&text);
	assert_non_null(strstr(printed, "  no: ring_full gap\n"));
	free(printed);
	printed = print(container_columns, "{" WEB ",\"complete\":false,\"incomplete_reasons\":[]}",
			&text);
	assert_non_null(strstr(printed, "  no\n"));
	free(printed);
}

static void a_pod_is_named_in_full(void **state)
{
	char *printed;

	(void)state;
	printed = print(container_columns,
			"{\"id\":\"ab\",\"name\":\"nginx\",\"k8s\":{\"namespace\":\"shop\","
			"\"pod\":\"web\\n\",\"container\":\"nginx\"}}",
			&text);
	assert_memory_equal(printed, "ab  shop/web\\n/nginx  ", 22);
	free(printed);
}

static void image_digests_are_short_only_for_people(void **state)
{
	struct table_style wide = text;
	const char *row = "{\"id\":\"ab\",\"image_id\":\"sha256:0123456789abcdef\"}";
	char *printed;

	(void)state;
	wide.format = TABLE_WIDE;
	printed = print(container_columns, row, &wide);
	assert_non_null(strstr(printed, "  0123456789ab  "));
	free(printed);
	printed = print(container_columns, row, &csv);
	assert_non_null(strstr(printed, ",sha256:0123456789abcdef,"));
	free(printed);
}

#define SH "{\"pid\":7,\"comm\":\"sh\",\"executable\":\"/bin/sh\"}"

static void a_file_shows_who_and_how_much(void **state)
{
	(void)state;
	check(file_columns,
	      "{\"path\":\"/usr/local/bin/x\",\"change\":\"added\",\"class\":\"executable\","
	      "\"executable\":true,\"mode\":\"0755\",\"uid\":0,\"gid\":5,\"size\":4096,"
	      "\"written_bytes\":8192,\"write_calls\":2,"
	      "\"first_change\":\"2026-11-21T11:00:00Z\",\"last_change\":\"2026-11-21T11:59:00Z\","
	      "\"last_writer\":" SH "}",
	      &text,
	      "A x  executable  0755  0:5  4.0Ki  8.0Ki  2  1h  1m  sh[7]  /usr/local/bin/x\n");
}

static void a_deleted_file_has_nothing_but_its_name(void **state)
{
	(void)state;
	check(file_columns,
	      "{\"path\":\"/bin/tee\",\"change\":\"deleted\",\"class\":\"deleted\",\"mode\":null,"
	      "\"size\":null,\"executable\":false,\"last_writer\":null}",
	      &text, "D  deleted  -  -  -  -  -  -  -  -  /bin/tee\n");
}

static void what_is_no_drift_says_what_it_is(void **state)
{
	char *printed;

	(void)state;
	printed = print(file_columns,
			"{\"path\":\"/bin/sh\",\"change\":null,\"depth\":\"tampered\","
			"\"executable\":true}",
			&text);
	assert_memory_equal(printed, "tampered  ", 10);
	free(printed);
}

/* comm holds ff, by RFC 4648 "/w==" */
static void csv_of_a_file_is_exact(void **state)
{
	(void)state;
	check(file_columns,
	      "{\"path\":\"/a,b\",\"change\":\"modified\",\"uid\":1000,\"gid\":1,\"size\":5,"
	      "\"first_writer\":{\"pid\":7,\"comm\":\"\\ufffd\",\"comm_b64\":\"/w==\"},"
	      "\"last_writer\":" SH "}",
	      &csv,
	      "change,depth,type,class,mode,uid,gid,size,written_bytes,write_calls,first_change,"
	      "last_change,first_writer.pid,first_writer.comm,first_writer.executable,"
	      "last_writer.pid,last_writer.comm,last_writer.executable,path\n"
	      "modified,,,,,1000,1,5,,,,,7,\xff,,7,sh,/bin/sh,\"/a,b\"\n");
}

static void only_changed_executables_count_as_such(void **state)
{
	json_t *touched = json_loads("{\"change\":null,\"executable\":true}", 0, NULL);
	json_t *added = json_loads("{\"change\":\"added\",\"executable\":true}", 0, NULL);
	json_t *plain = json_loads("{\"change\":\"added\",\"executable\":false}", 0, NULL);

	(void)state;
	assert_false(file_is_executable(touched));
	assert_true(file_is_executable(added));
	assert_false(file_is_executable(plain));
	json_decref(touched);
	json_decref(added);
	json_decref(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_container_shows_what_is_known),
		cmocka_unit_test(a_container_shows_dashes_for_what_is_not),
		cmocka_unit_test(ids_are_whole_when_asked),
		cmocka_unit_test(an_incomplete_list_names_its_reasons),
		cmocka_unit_test(a_pod_is_named_in_full),
		cmocka_unit_test(image_digests_are_short_only_for_people),
		cmocka_unit_test(a_file_shows_who_and_how_much),
		cmocka_unit_test(a_deleted_file_has_nothing_but_its_name),
		cmocka_unit_test(what_is_no_drift_says_what_it_is),
		cmocka_unit_test(csv_of_a_file_is_exact),
		cmocka_unit_test(only_changed_executables_count_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

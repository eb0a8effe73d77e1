/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_config.c - defaults, file and flags; every refusal names file, key and reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_probe.h"
#include "agent/config.h"
#include "base/clock.h"

struct world {
	char path[32];
	struct config config;
	struct strbuf error;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	int fd;

	assert_non_null(w);
	*w = (struct world){.path = "/tmp/test_config.XXXXXX"};
	fd = mkstemp(w->path);
	assert_true(fd >= 0);
	close(fd);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	unlink(w->path);
	config_done(&w->config);
	strbuf_done(&w->error);
	free(w);
	return 0;
}

static int read_text(struct world *w, const char *text, const struct config_flag *flags, size_t len)
{
	const struct config_source source = {.file = w->path, .flags = flags, .flags_len = len};
	FILE *file = fopen(w->path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	strbuf_reset(&w->error);
	return config_read(&source, &w->error, &w->config);
}

static struct config_flag flag(const char *name, const char *text)
{
	for (size_t i = 0; i < config_settings_len; i++) {
		if (!strcmp(config_settings[i].flag, name))
			return (struct config_flag){i, text};
	}
	fail_msg("no flag %s", name);
	return (struct config_flag){0};
}

static void an_empty_object_means_defaults(void **state)
{
	struct world *w = *state;

	assert_int_equal(read_text(w, "{}", NULL, 0), 0);
	assert_string_equal(w->config.state_dir, "/var/lib/driftwatch");
	assert_string_equal(w->config.tier, "auto");
	assert_int_equal(w->config.web_listen_address.len, 1);
	assert_string_equal(w->config.web_listen_address.items[0], "127.0.0.1:9470");
	assert_true(w->config.dead_retention_ns == 300 * NS_PER_SEC);
	assert_true(w->config.verify_interval_ns == 3600 * NS_PER_SEC);
	assert_int_equal(w->config.max_containers, 1024);
	assert_null(w->config.socket);
}

static void every_kind_of_value_is_read(void **state)
{
	struct world *w = *state;

	assert_int_equal(
		read_text(w,
			  "{\"socket\":\"/run/x.sock\",\"no_pin\":true,"
			  "\"max_files\":5,\"max_files_total\":6,\"max_compare_bytes\":\"2MiB\","
			  "\"dead_retention\":\"1h30m\",\"duration\":90,"
			  "\"web_listen_address\":[\":9471\",\"[::1]:9472\"],"
			  "\"runtime_root\":\"docker=/data/docker\"}",
			  NULL, 0),
		0);
	assert_string_equal(w->config.socket, "/run/x.sock");
	assert_true(w->config.no_pin);
	assert_int_equal(w->config.max_files, 5);
	assert_int_equal(w->config.max_files_total, 6);
	assert_int_equal(w->config.max_compare_bytes, 2 << 20);
	assert_true(w->config.dead_retention_ns == 5400 * NS_PER_SEC);
	assert_true(w->config.duration_ns == 90 * NS_PER_SEC);
	assert_int_equal(w->config.web_listen_address.len, 2);
	assert_string_equal(w->config.web_listen_address.items[1], "[::1]:9472");
	assert_string_equal(w->config.runtime_root.items[0], "docker=/data/docker");
}

static void a_flag_wins_over_the_file(void **state)
{
	struct world *w = *state;
	const struct config_flag flags[] = {
		flag("max-files", "7"),
		flag("web.listen-address", ":1"),
		flag("web.listen-address", ":2"),
		flag("no-pin", NULL),
	};

	assert_int_equal(
		read_text(w, "{\"max_files\":5,\"max_series\":9,\"web_listen_address\":[\":3\"]}",
			  flags, 4),
		0);
	assert_int_equal(w->config.max_files, 7);
	assert_int_equal(w->config.max_series, 9);
	assert_int_equal(w->config.web_listen_address.len, 2);
	assert_string_equal(w->config.web_listen_address.items[0], ":1");
	assert_true(w->config.no_pin);
}

static void check_refusal(struct world *w, const char *text, const char *key, const char *reason)
{
	assert_int_equal(read_text(w, text, NULL, 0), -EINVAL);
	if (!strstr(strbuf_str(&w->error), w->path) || !strstr(strbuf_str(&w->error), key) ||
	    !strstr(strbuf_str(&w->error), reason))
		fail_msg("%s: %s", text, strbuf_str(&w->error));
}

static void a_refusal_names_file_key_and_reason(void **state)
{
	struct world *w = *state;

	check_refusal(w, "{\"max_filse\":5}", "max_filse", "unknown key");
	check_refusal(w, "{\"max_files\":\"many\"}", "max_files", "a whole number");
	check_refusal(w, "{\"max_files\":1.5}", "max_files", "a whole number");
	check_refusal(w, "{\"max_files\":0}", "max_files", "from 1 to");
	check_refusal(w, "{\"max_files\":-3}", "max_files", "from 1 to");
	check_refusal(w, "{\"max_containers\":70000}", "max_containers", "from 1 to 65534");
	check_refusal(w, "{\"dead_retention\":\"5 parsecs\"}", "dead_retention", "\"5 parsecs\"");
	check_refusal(w, "{\"dead_retention\":9223372036854775807}", "dead_retention", "seconds");
	check_refusal(w, "{\"max_compare_bytes\":\"9999999999999T\"}", "max_compare_bytes",
		      "whole number");
	check_refusal(w, "{\"no_pin\":\"yes\"}", "no_pin", "true or false");
	check_refusal(w, "{\"tier\":\"best\"}", "tier", "vfs-fexit");
	check_refusal(w, "{\"socket\":7}", "socket", "a string");
	check_refusal(w, "{\"socket\":\"\"}", "socket", "a path");
	check_refusal(w, "{\"runtime_root\":\"/data\"}", "runtime_root", "KIND=DIR");
	check_refusal(w, "{\"runtime_root\":[7]}", "runtime_root", "list of strings");
	check_refusal(w, "{\"log_level\":\"loud\"}", "log_level", "debug");
	check_refusal(w, "{\"log_level\":null}", "log_level", "a string");
	check_refusal(w, "{\"\\u001b[31m\":1}", "\\x1b[31m", "unknown key");
}

static void a_malformed_file_names_the_line(void **state)
{
	struct world *w = *state;

	check_refusal(w, "{\n\"max_files\": 5,\n}", "line 3", "column");
	check_refusal(w, "{\"max_files\":1,\"max_files\":2}", "line 1", "duplicate");
	check_refusal(w, "[]", "object", "one JSON object");
	check_refusal(w, "", "line 1", "");
}

static void a_list_that_never_ends_is_refused(void **state)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	struct world *w = *state;

	strbuf_adds(&text, "{\"web_listen_address\":[\":1\"");
	for (int i = 0; i < 1000; i++)
		strbuf_adds(&text, ",\":1\"");
	strbuf_adds(&text, "]}");
	check_refusal(w, strbuf_str(&text), "web_listen_address", "more than 64");
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
	struct world *w = *state;
	const struct config_source source = {.file = "/nonexistent/driftwatch.conf"};

	assert_int_equal(config_read(&source, &w->error, &w->config), -ENOENT);
	assert_non_null(strstr(strbuf_str(&w->error), "/nonexistent/driftwatch.conf"));
}

static void a_wrong_flag_is_named_as_it_was_typed(void **state)
{
	struct world *w = *state;
	const struct config_flag flags[] = {flag("dead-retention", "soon")};

	assert_int_equal(read_text(w, "{}", flags, 1), -EINVAL);
	assert_non_null(strstr(strbuf_str(&w->error), "--dead-retention"));
}

static void a_refused_file_leaves_the_old_values(void **state)
{
	struct world *w = *state;

	assert_int_equal(read_text(w, "{\"max_files\":5}", NULL, 0), 0);
	assert_int_equal(read_text(w, "{\"max_files\":6,\"tier\":\"best\"}", NULL, 0), -EINVAL);
	assert_int_equal(w->config.max_files, 5);
}

static void a_reload_takes_what_it_may_and_names_the_rest(void **state)
{
	auto_strbuf struct strbuf kept = STRBUF_INIT;
	struct world *w = *state;
	struct config running;

	assert_int_equal(read_text(w, "{\"socket\":\"/a\"}", NULL, 0), 0);
	running = w->config;
	w->config = (struct config){0};
	assert_int_equal(read_text(w,
				   "{\"socket\":\"/b\",\"max_files\":5,\"log_level\":\"debug\","
				   "\"web_listen_address\":\"none\",\"keep_pins\":true}",
				   NULL, 0),
			 0);
	assert_int_equal(config_needs_restart(&running, &w->config, &kept), 2);
	assert_string_equal(strbuf_str(&kept), "socket, web_listen_address");
	assert_int_equal(config_take_reloadable(&running, &w->config), 0);
	assert_string_equal(running.socket, "/a");
	assert_int_equal(running.max_files, 5);
	assert_string_equal(running.log_level, "debug");
	assert_true(running.keep_pins);
	config_done(&running);
}

/* The file that is shipped must be one that the agent takes. */
static void the_example_file_is_accepted(void **state)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct world *w = *state;
	struct config_source source = {0};

	strbuf_addf(&path, "%.*s../../scripts/deploy/driftwatch.conf",
		    (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__);
	source.file = strbuf_str(&path);
	if (config_read(&source, &w->error, &w->config))
		fail_msg("%s", strbuf_str(&w->error));
	assert_true(w->config.dead_retention_ns == 300 * NS_PER_SEC);
	assert_int_equal(w->config.max_series, 200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_empty_object_means_defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(every_kind_of_value_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flag_wins_over_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refusal_names_file_key_and_reason, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_malformed_file_names_the_line, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_that_never_ends_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_an_error, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_wrong_flag_is_named_as_it_was_typed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_refused_file_leaves_the_old_values, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_reload_takes_what_it_may_and_names_the_rest,
						setup, teardown),
		cmocka_unit_test_setup_teardown(the_example_file_is_accepted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

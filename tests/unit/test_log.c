/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_log.c - what reaches stderr, in each format, caught by a temporary file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/log.h"

#define MAX_LINE 512

struct capture {
	int real_stderr;
	FILE *file;
	char text[MAX_LINE];
};

static int start_capture(void **state)
{
	struct capture *capture = calloc(1, sizeof(*capture));

	assert_non_null(capture);
	capture->file = tmpfile();
	assert_non_null(capture->file);
	capture->real_stderr = dup(STDERR_FILENO);
	dup2(fileno(capture->file), STDERR_FILENO);
	log_set_level(LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_PLAIN);
	*state = capture;
	return 0;
}

static int end_capture(void **state)
{
	struct capture *capture = *state;

	dup2(capture->real_stderr, STDERR_FILENO);
	close(capture->real_stderr);
	fclose(capture->file);
	free(capture);
	unsetenv("JOURNAL_STREAM");
	return 0;
}

/* Everything written to stderr so far. */
static const char *captured(struct capture *capture)
{
	ssize_t n = pread(fileno(capture->file), capture->text, MAX_LINE - 1, 0);

	assert_true(n >= 0);
	capture->text[n] = '\0';
	return capture->text;
}

static void plain_messages_carry_the_name_of_the_program(void **state)
{
	log_info("watching %d containers", 3);
	log_warning("no agent");
	assert_string_equal(captured(*state), "driftwatch: watching 3 containers\n"
					      "driftwatch: warning: no agent\n");
}

static void messages_below_the_level_are_silent(void **state)
{
	log_debug("hidden");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("hidden too");
	assert_string_equal(captured(*state), "");
	assert_int_equal(log_get_level(), LOG_LEVEL_ERROR);
}

static void a_name_cannot_forge_another_line(void **state)
{
	log_info("name %s", "x\ndriftwatch: all is well\x1b[0m");
	assert_string_equal(captured(*state),
			    "driftwatch: name x\\ndriftwatch: all is well\\x1b[0m\n");
}

static void what_was_escaped_already_is_not_escaped_again(void **state)
{
	log_info("%s", "a\\nb");
	assert_string_equal(captured(*state), "driftwatch: a\\nb\n");
}

static void text_messages_carry_time_and_level(void **state)
{
	const char *text;

	log_set_format(LOG_FORMAT_TEXT);
	log_warning("w");
	text = captured(*state);
	assert_int_equal(strlen(text), strlen("2026-11-21T19:06:10.255393601Z warning w\n"));
	assert_int_equal(text[10], 'T');
	assert_string_equal(text + 30, " warning w\n");
}

static void journal_messages_carry_a_priority(void **state)
{
	log_set_format(LOG_FORMAT_JOURNAL);
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("e");
	log_warning("w");
	log_info("i");
	log_debug("d");
	assert_string_equal(captured(*state), "<3>e\n<4>w\n<6>i\n<7>d\n");
}

static void json_messages_are_json_whatever_they_say(void **state)
{
	json_t *line;

	log_set_format(LOG_FORMAT_JSON);
	log_error("say \"%s\"", "\\ \n \xff \xc3\xa9");
	line = json_loads(captured(*state), 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
	assert_string_equal(json_string_value(json_object_get(line, "message")),
			    "say \"\\ \\n \\xff \xc3\xa9\"");
	json_decref(line);
}

static void logging_keeps_errno(void **state)
{
	(void)state;
	close(STDERR_FILENO); /* so that the write in it fails and sets another */
	errno = ENOTTY;
	log_info("x");
	assert_int_equal(errno, ENOTTY);
}

static void the_journal_is_recognised_by_the_inode_of_stderr(void **state)
{
	char stream[64];
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_int_equal(log_format_of_stderr(), LOG_FORMAT_JOURNAL);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_int_equal(log_format_of_stderr(), LOG_FORMAT_TEXT);
	setenv("JOURNAL_STREAM", "nonsense", 1);
	assert_int_equal(log_format_of_stderr(), LOG_FORMAT_TEXT);
}

static void levels_and_formats_are_parsed_by_name(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;
	enum log_format format = LOG_FORMAT_JSON;

	(void)state;
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("error", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_ERROR);

	assert_int_equal(log_format_parse("journal", &format), 0);
	assert_int_equal(format, LOG_FORMAT_JOURNAL);
	assert_int_equal(log_format_parse("", &format), -EINVAL);
	assert_int_equal(format, LOG_FORMAT_JOURNAL);
}

#define captured_test(test) cmocka_unit_test_setup_teardown(test, start_capture, end_capture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		captured_test(plain_messages_carry_the_name_of_the_program),
		captured_test(messages_below_the_level_are_silent),
		captured_test(a_name_cannot_forge_another_line),
		captured_test(what_was_escaped_already_is_not_escaped_again),
		captured_test(text_messages_carry_time_and_level),
		captured_test(journal_messages_carry_a_priority),
		captured_test(json_messages_are_json_whatever_they_say),
		captured_test(logging_keeps_errno),
		captured_test(the_journal_is_recognised_by_the_inode_of_stderr),
		captured_test(levels_and_formats_are_parsed_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

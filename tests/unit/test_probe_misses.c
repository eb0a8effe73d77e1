/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_probe_misses.c - what the kernel says of runs it skipped, and where it would skip many.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/probe_internal.h"

static uint64_t missed(const char *profile, const char *function)
{
	auto_fclose FILE *file = fmemopen((void *)profile, strlen(profile), "r");

	assert_non_null(file);
	return kretprobe_parse_missed(file, function);
}

/* As kprobe_profile of 6.12 has it: the name of the event, hits, misses. */
static const char profile[] =
	"  vfs_write                                        48060            512\n"
	"  vfs_writev                                           3              0\n"
	"  other_write                                          9              7\n";

static void missed_returns_are_those_of_the_function(void **state)
{
	(void)state;
	assert_int_equal(missed(profile, "vfs_write"), 512);
	assert_int_equal(missed(profile, "vfs_writev"), 0);
}

static void a_function_without_an_event_missed_nothing(void **state)
{
	(void)state;
	assert_int_equal(missed(profile, "vfs_link"), 0);
	assert_int_equal(missed(profile, "write"), 0);
	assert_int_equal(missed("\n", "vfs_write"), 0);
	assert_int_equal(missed("vfs_write\nvfs_write many few\n", "vfs_write"), 0);
}

static void the_chosen_mode_of_preemption_is_the_one_in_brackets(void **state)
{
	const char *version = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2";

	(void)state;
	assert_true(preemption_is_full("none voluntary (full) \n", "", version));
	assert_false(preemption_is_full("none (voluntary) full \n", "preempt=full", version));
	assert_false(preemption_is_full("full (lazy) \n", "", version));
}

static void without_debugfs_it_is_told_by_the_build_and_the_command_line(void **state)
{
	(void)state;
	assert_true(preemption_is_full(NULL, "", "#1 SMP PREEMPT Fri"));
	assert_true(preemption_is_full(NULL, "", "#1 SMP PREEMPT_RT Fri"));
	assert_false(preemption_is_full(NULL, "", "#1 SMP Debian 5.10"));
	assert_false(preemption_is_full(NULL, "quiet", "#1 SMP PREEMPT_DYNAMIC Fri"));
	assert_true(preemption_is_full(NULL, "quiet preempt=full", "#1 SMP PREEMPT_DYNAMIC Fri"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missed_returns_are_those_of_the_function),
		cmocka_unit_test(a_function_without_an_event_missed_nothing),
		cmocka_unit_test(the_chosen_mode_of_preemption_is_the_one_in_brackets),
		cmocka_unit_test(without_debugfs_it_is_told_by_the_build_and_the_command_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

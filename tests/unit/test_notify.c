/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_notify.c - what systemd hears, on a socket of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/notify.h"
#include "base/cleanup.h"
#include "base/clock.h"

static char path_here[64]; /* of this run alone: others may test at the same time */

static int bind_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, path, strlen(path));
	if (*path == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
			 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	return fd;
}

static void check_heard(int fd, const char *expected)
{
	char text[256] = "";

	assert_true(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(text, expected);
}

static int clear(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	unlink(path_here);
	return 0;
}

static void nobody_listening_is_fine(void **state)
{
	(void)state;
	assert_int_equal(notify_ready("x"), 0);
	assert_true(notify_watchdog_ns() == 0);
}

static void a_path_hears_the_life_of_the_agent(void **state)
{
	auto_close int fd = bind_socket(path_here);
	char text[256] = "";
	unsigned long long usec;

	(void)state;
	assert_int_equal(notify_ready("watching"), 1);
	check_heard(fd, "READY=1\nSTATUS=watching\n");
	assert_int_equal(notify_watchdog(), 1);
	check_heard(fd, "WATCHDOG=1\n");
	assert_int_equal(notify_stopping(), 1);
	check_heard(fd, "STOPPING=1\n");

	/* systemd refuses RELOADING without the time it began. */
	assert_int_equal(notify_reloading(), 1);
	assert_true(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
	assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu\n", &usec), 1);
	assert_true(usec * 1000 <= clock_mono_ns() && usec * 1000 + NS_PER_SEC > clock_mono_ns());
}

static void the_abstract_namespace_works_too(void **state)
{
	auto_close int fd = bind_socket("@driftwatch/test_notify");

	(void)state;
	assert_int_equal(notify_watchdog(), 1);
	check_heard(fd, "WATCHDOG=1\n");
}

static void a_socket_that_is_gone_or_no_path_is_an_error(void **state)
{
	char longest[200];

	(void)state;
	setenv("NOTIFY_SOCKET", path_here, 1);
	assert_int_equal(notify_watchdog(), -ENOENT);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_watchdog(), -EINVAL);
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	assert_int_equal(notify_watchdog(), -EINVAL);
}

static void the_watchdog_is_fed_at_half_time_and_by_us_alone(void **state)
{
	char pid[16];

	(void)state;
	setenv("WATCHDOG_USEC", "60000000", 1);
	assert_true(notify_watchdog_ns() == 30 * NS_PER_SEC);
	setenv("WATCHDOG_PID", "1", 1);
	assert_true(notify_watchdog_ns() == 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_true(notify_watchdog_ns() == 30 * NS_PER_SEC);
	setenv("WATCHDOG_USEC", "18446744073709551615", 1);
	assert_true(notify_watchdog_ns() == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_listening_is_fine, clear, clear),
		cmocka_unit_test_setup_teardown(a_path_hears_the_life_of_the_agent, clear, clear),
		cmocka_unit_test_setup_teardown(the_abstract_namespace_works_too, clear, clear),
		cmocka_unit_test_setup_teardown(a_socket_that_is_gone_or_no_path_is_an_error, clear,
						clear),
		cmocka_unit_test_setup_teardown(the_watchdog_is_fed_at_half_time_and_by_us_alone,
						clear, clear),
	};

	snprintf(path_here, sizeof(path_here), "/tmp/test_notify.%d.sock", (int)getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}

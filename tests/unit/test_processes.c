/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_processes.c - new processes are noticed, and the others are left alone.
 *
 * Over the machine's own /proc, with children of the test.
 */
#include "host_world.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "container/processes.h"

#define MANY	100
#define INFANCY 350000 /* µs; from then on one is looked at ever less often */
#define SIGHTS	8192

struct seen {
	struct hostfs fs;
	struct processes *p;
	pid_t sights[SIGHTS];
	size_t len;
	struct strbuf roots;
};

static void on_process(pid_t pid, uint32_t root_dev, void *arg)
{
	struct seen *s = arg;

	(void)root_dev;
	assert_in_range(s->len, 0, SIGHTS - 1);
	s->sights[s->len++] = pid;
}

static void on_root(void *arg, const char *kind, const char *root, const char *found_by)
{
	struct seen *s = arg;

	(void)found_by;
	strbuf_addf(&s->roots, "%s=%s ", kind, root);
}

static void prepare(struct seen *s)
{
	struct processes_events events = {on_root, on_process, s};

	memset(s, 0, sizeof(*s));
	assert_int_equal(hostfs_init(&s->fs, NULL), 0);
	s->p = processes_new(&s->fs, &events);
	assert_non_null(s->p);
	/* From the second on, what is given out since is tried. */
	assert_int_equal(processes_look(s->p, false), 0);
	usleep(INFANCY);
	assert_int_equal(processes_look(s->p, false), 0);
}

static void finish(struct seen *s)
{
	processes_free(s->p);
	hostfs_done(&s->fs);
	strbuf_done(&s->roots);
}

static unsigned look_for(struct seen *s, pid_t pid)
{
	unsigned found = 0;

	s->len = 0;
	assert_int_equal(processes_look(s->p, false), 0);
	for (size_t i = 0; i < s->len; i++)
		found += s->sights[i] == pid;
	return found;
}

static pid_t start(void)
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* also of a test that fails */
	pause();
	_exit(0);
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Calls of read() that this process ever made. */
static long reads(void)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	const char *line;

	assert_int_equal(file_read(AT_FDCWD, "/proc/self/io", 1 << 16, &text), 0);
	line = strstr(strbuf_str(&text), "syscr: ");
	assert_non_null(line);
	return strtol(line + strlen("syscr: "), NULL, 10);
}

static void a_new_process_is_told_of_once_and_no_other_is_read(void **state)
{
	pid_t many[MANY], one;
	struct seen s;
	long before;

	(void)state;
	prepare(&s);
	for (unsigned i = 0; i < MANY; i++)
		many[i] = start();
	assert_int_equal(look_for(&s, many[0]), 1);
	usleep(INFANCY);
	assert_int_equal(look_for(&s, many[0]), 0);
	one = start();
	before = reads();
	assert_int_equal(look_for(&s, one), 1);
	assert_in_range(reads() - before, 1, MANY / 2);
	assert_int_equal(look_for(&s, one), 0);
	end(one);
	for (unsigned i = 0; i < MANY; i++)
		end(many[i]);
	finish(&s);
}

static void *wait_for_end(void *arg)
{
	char byte;

	return read(*(int *)arg, &byte, 1) < 0 ? arg : NULL;
}

static void a_thread_is_no_process(void **state)
{
	pid_t first = start(), last;
	pthread_t thread;
	struct seen s;
	int fds[2];

	(void)state;
	prepare(&s);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_end, &fds[0]), 0);
	last = start();
	assert_int_equal(look_for(&s, last), 1);
	for (size_t i = 0; i < s.len; i++) {
		auto_strbuf struct strbuf text = STRBUF_INIT;
		char path[64], line[64];

		snprintf(path, sizeof(path), "/proc/%d/status", s.sights[i]);
		snprintf(line, sizeof(line), "\nTgid:\t%d\n", s.sights[i]);
		if (!file_read(AT_FDCWD, path, 1 << 16, &text)) /* it may have ended */
			assert_non_null(strstr(strbuf_str(&text), line));
	}
	end(first);
	end(last); /* it has the pipe open too */
	close(fds[1]);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(fds[0]);
	finish(&s);
}

static void a_process_becomes_a_runtime_by_exec(void **state)
{
	struct host_world w;
	struct seen s;
	int fds[2];
	pid_t pid;
	char byte;

	(void)state;
	world_open(&w);
	world_file(&w, "/dockerd", "#!/bin/sh\nkill -STOP $$\n");
	prepare(&s);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		auto_free char *program = file_join(w.root, "/dockerd");

		chmod(program, 0755);
		close(fds[1]);
		if (read(fds[0], &byte, 1) >= 0)
			execl(program, program, "--data-root=/srv/late", NULL);
		_exit(127);
	}
	assert_int_equal(look_for(&s, pid), 1);
	assert_null(strstr(strbuf_str(&s.roots), "docker=/srv/late"));
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid); /* it runs and stopped itself */
	assert_int_equal(look_for(&s, pid), 0);
	assert_non_null(strstr(strbuf_str(&s.roots), "docker=/srv/late"));
	end(pid);
	finish(&s);
	world_close(&w);
}

static void a_number_that_is_given_again_is_another_process(void **state)
{
	pid_t pid, later, again;
	struct seen s;
	FILE *f;

	(void)state;
	prepare(&s);
	pid = start();
	later = start();
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(look_for(&s, pid), i == 0);
		usleep(INFANCY);
	}
	end(pid);
	f = fopen("/proc/sys/kernel/ns_last_pid", "w");
	if (!f || fprintf(f, "%d", pid - 1) < 0 || fclose(f)) {
		end(later);
		finish(&s);
		skip();
	}
	again = start();
	if (again == pid) /* nobody else took it */
		assert_int_equal(look_for(&s, pid), 1);
	end(again);
	end(later);
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_process_is_told_of_once_and_no_other_is_read),
		cmocka_unit_test(a_thread_is_no_process),
		cmocka_unit_test(a_process_becomes_a_runtime_by_exec),
		cmocka_unit_test(a_number_that_is_given_again_is_another_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

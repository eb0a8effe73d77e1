/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_sandbox_state.c - the state file of a sandbox, written and read back.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "container/sandbox_state.h"

#define ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BASE "\"schema\":\"driftwatch.sandbox/1\",\"id\":\"" ID "\",\"name\":\"run-01234567\""
#define DIRS "\"upper\":\"/a/upper\",\"work\":\"/a/work\",\"lowers\":[\"/\"]"

static int parse(const char *text, struct container **ret)
{
	return sandbox_state_parse(text, strlen(text), ret);
}

static void a_minimal_file_is_a_running_container(void **state)
{
	struct container *c = NULL;

	(void)state;
	assert_int_equal(parse("{" BASE ",\"pid\":42," DIRS "}", &c), 0);
	assert_string_equal(c->id, ID);
	assert_string_equal(c->runtime, "driftwatch");
	assert_int_equal(c->pid, 42);
	assert_int_equal(c->state, CONTAINER_RUNNING);
	assert_string_equal(c->overlay.lowers[0], "/");
	assert_int_equal(c->cgroup_ids_len, 0);
	container_free(c);
}

static void malformed_files_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{" BASE "}",
		"{\"schema\":\"driftwatch.sandbox/2\",\"id\":\"" ID
		"\",\"name\":\"x\",\"pid\":42," DIRS "}",
		"{\"schema\":\"driftwatch.sandbox/1\",\"id\":\"../../"
		"etc\",\"name\":\"x\",\"pid\":42," DIRS "}",
		"{" BASE ",\"pid\":0," DIRS "}",
		"{" BASE ",\"pid\":-1," DIRS "}",
		"{" BASE ",\"pid\":4294967297," DIRS "}",
		"{" BASE ",\"pid\":\"42\"," DIRS "}",
		"{" BASE ",\"pid\":42,\"upper\":\"a\",\"work\":\"/w\",\"lowers\":[\"/\"]}",
		"{" BASE ",\"pid\":42,\"upper\":\"/a\",\"work\":\"/w\",\"lowers\":[]}",
		"{" BASE ",\"pid\":42,\"upper\":\"/a\",\"work\":\"/w\",\"lowers\":[1]}",
		"{" BASE ",\"pid\":42,\"upper\":\"/a\",\"work\":\"/w\",\"lowers\":\"/\"}",
		"{" BASE ",\"pid\":42,\"upper\":\"/a\",\"work\":\"/w\",\"lowers\":[\"relative\"]}",
		"{" BASE ",\"pid\":42,\"upper_b64\":\"?\",\"work\":\"/w\",\"lowers\":[\"/\"]}",
		"{" BASE
		",\"pid\":42,\"upper_b64\":\"L2EAYg==\",\"work\":\"/w\",\"lowers\":[\"/\"]}",
		"{" BASE ",\"pid\":42,\"cgroup_id\":\"x\",\"cgroup_path\":\"/x\"," DIRS "}",
		"{" BASE ",\"pid\":42,\"cgroup_id\":\"-1\",\"cgroup_path\":\"/x\"," DIRS "}",
		"{" BASE ",\"pid\":42,\"cgroup_id\":\"857\"," DIRS "}",
		"{" BASE ",\"pid\":42,\"overlay_dev\":4294967296," DIRS "}",
		"{" BASE ",\"pid\":42," DIRS "} trailing",
	};
	struct container *c = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (parse(texts[i], &c) != -EBADMSG)
			fail_msg("not refused: %s", texts[i]);
		assert_null(c);
	}
}

static struct container *example(void)
{
	struct container *c = container_new(ID, "driftwatch");

	c->name = strdup("run-01234567");
	c->image = strdup("sh -c 'echo \"\xff\"\n'");
	c->pid = getpid();
	c->created_wall_ns = 1795291200123456789;
	c->started_wall_ns = 1795291201000000000;
	c->overlay.upper = strdup("/k\xe9/upper");
	c->overlay.work = strdup("/k\xe9/work");
	c->overlay.merged = strdup("/k\xe9/merged");
	c->overlay.lowers = calloc(1, sizeof(char *));
	c->overlay.lowers[0] = strdup("/lo\xe9");
	c->overlay.lowers_len = 1;
	c->overlay.dev = 51;
	c->cgroup_path = strdup("/driftwatch-" ID);
	c->cgroup_ids = malloc(sizeof(uint64_t));
	c->cgroup_ids[0] = UINT64_MAX;
	c->cgroup_ids_len = 1;
	return c;
}

struct scratch {
	char path[64];
	char dir[96];
	int fd;
};

static int make_scratch(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	snprintf(s->path, sizeof(s->path), "/tmp/test_sandbox_state.XXXXXX");
	if (!mkdtemp(s->path))
		return -1;
	snprintf(s->dir, sizeof(s->dir), "%s/a/b", s->path);
	*state = s;
	return 0;
}

static int remove_scratch(void **state)
{
	struct scratch *s = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", s->path);
	if (system(command)) /* NOLINT: a path of mkdtemp */
		return -1;
	free(s);
	return 0;
}

static void what_is_written_is_read_back_in_any_bytes(void **state)
{
	struct scratch *s = *state;
	struct container *c = example(), *read = NULL;
	int fd;

	assert_int_equal(sandbox_state_write(s->dir, c), 0);
	fd = open(s->dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(sandbox_state_read(fd, ID ".json", &read), 0);
	assert_string_equal(read->name, c->name);
	assert_string_equal(read->image, c->image);
	assert_int_equal(read->pid, c->pid);
	assert_true(read->created_wall_ns == c->created_wall_ns);
	assert_true(read->started_wall_ns == c->started_wall_ns);
	assert_string_equal(read->overlay.upper, c->overlay.upper);
	assert_string_equal(read->overlay.work, c->overlay.work);
	assert_string_equal(read->overlay.merged, c->overlay.merged);
	assert_int_equal(read->overlay.lowers_len, 1);
	assert_string_equal(read->overlay.lowers[0], c->overlay.lowers[0]);
	assert_int_equal(read->overlay.dev, 51);
	assert_string_equal(read->cgroup_path, c->cgroup_path);
	assert_true(read->cgroup_ids[0] == UINT64_MAX);
	container_free(read);

	sandbox_state_remove(s->dir, ID);
	assert_int_equal(sandbox_state_read(fd, ID ".json", &read), -ENOENT);
	close(fd);
	container_free(c);
}

static void only_files_of_containers_that_are_gone_are_swept(void **state)
{
	struct scratch *s = *state;
	struct container *c = example(), *read = NULL;
	struct stat st;
	pid_t child;
	int fd;

	assert_int_equal(stat("/", &st), 0);
	c->overlay.dev = file_kernel_dev(st.st_dev);
	assert_int_equal(sandbox_state_write(s->dir, c), 0);
	fd = open(s->dir, O_RDONLY | O_DIRECTORY);
	sandbox_state_sweep(s->dir);
	assert_int_equal(faccessat(fd, ID ".json", F_OK, 0), 0);

	/* The number was given to a process with another root. */
	c->overlay.dev++;
	assert_int_equal(sandbox_state_write(s->dir, c), 0);
	sandbox_state_sweep(s->dir);
	assert_int_equal(sandbox_state_read(fd, ID ".json", &read), -ENOENT);
	c->overlay.dev--;

	child = fork();
	if (child == 0)
		_exit(0);
	c->pid = child;
	assert_int_equal(waitid(P_PID, (id_t)child, NULL, WEXITED | WNOWAIT), 0);
	assert_int_equal(sandbox_state_write(s->dir, c), 0);
	sandbox_state_sweep(s->dir); /* a zombie counts as gone */
	assert_int_equal(sandbox_state_read(fd, ID ".json", &read), -ENOENT);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(fd);
	container_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_minimal_file_is_a_running_container),
		cmocka_unit_test(malformed_files_are_refused),
		cmocka_unit_test_setup_teardown(what_is_written_is_read_back_in_any_bytes,
						make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(only_files_of_containers_that_are_gone_are_swept,
						make_scratch, remove_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_engine_work.c - large layers do not keep the small ones waiting, and tell how far they are.
 *
 * The engine runs without a kernel side on layers made here, in memory: it is about turns.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/engine_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/strbuf.h"

#define LARGE	    2
#define LARGE_FILES 6000 /* many times what is read in the steps that the small one gets */
#define STEPS	    4

struct world {
	char dir[64];
	struct engine *engine;
	struct ledger_container *large[LARGE], *small;
};

static void fill(const char *directory, int files)
{
	char path[160];
	int fd;

	for (int i = 0; i < files; i++) {
		snprintf(path, sizeof(path), "%s/file%d", directory, i);
		fd = open(path, O_CREAT | O_WRONLY, 0644);
		assert_true(fd >= 0);
		close(fd);
	}
}

static void add(struct world *w, const char *name, int files, struct ledger_container **ret)
{
	char upper[128], lower[128], id[80];
	struct container *meta;

	snprintf(upper, sizeof(upper), "%s/%s", w->dir, name);
	assert_int_equal(mkdir(upper, 0755), 0);
	fill(upper, files);
	snprintf(id, sizeof(id), "%s%0*d", name, 64 - (int)strlen(name), 0);
	meta = container_new(id, "driftwatch");
	assert_non_null(meta);
	meta->overlay.upper = strdup(upper);
	meta->overlay.lowers = calloc(1, sizeof(char *));
	snprintf(lower, sizeof(lower), "%s/lower", w->dir);
	meta->overlay.lowers[0] = strdup(lower);
	meta->overlay.lowers_len = 1;
	meta->overlay.dev = 1;
	assert_int_equal(engine_add_own(w->engine, meta, ret), 0);
	container_free(meta);
}

static int setup(void **state)
{
	struct engine_options options = {.no_probe = true, .no_discovery = true};
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct world *w = calloc(1, sizeof(*w));
	char lower[128];

	snprintf(w->dir, sizeof(w->dir), "/dev/shm/test_engine_work.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(lower, sizeof(lower), "%s/lower", w->dir);
	assert_int_equal(mkdir(lower, 0755), 0);
	assert_int_equal(engine_open(&options, &error, &w->engine), 0);
	add(w, "aaaa", LARGE_FILES, &w->large[0]);
	add(w, "bbbb", LARGE_FILES, &w->large[1]);
	add(w, "cccc", 3, &w->small);
	assert_int_equal(engine_start(w->engine), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	auto_strbuf struct strbuf command = STRBUF_INIT;
	struct world *w = *state;

	engine_close(w->engine, false);
	strbuf_addf(&command, "rm -rf %s", w->dir);
	assert_int_equal(system(strbuf_str(&command)), 0);
	free(w);
	return 0;
}

static void a_small_layer_is_read_while_large_ones_before_it_are(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < STEPS && !tree_is_complete(w->small->tree); i++)
		assert_int_equal(engine_step(w->engine), 0);
	assert_true(tree_is_complete(w->small->tree));
	for (int i = 0; i < LARGE; i++)
		assert_false(tree_is_complete(w->large[i]->tree));
}

static void large_layers_are_read_side_by_side(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < STEPS; i++)
		assert_int_equal(engine_step(w->engine), 0);
	for (int i = 0; i < LARGE; i++) {
		assert_false(tree_is_complete(w->large[i]->tree));
		assert_true(tree_entries(w->large[i]->tree) > 0);
	}
	assert_true(engine_settle(w->engine, 20000));
	for (int i = 0; i < LARGE; i++)
		assert_int_equal(tree_entries(w->large[i]->tree), LARGE_FILES);
}

/* How many entries of @c's layer the log says are read by now; -1: nothing. */
static long logged_progress(struct world *w, const struct ledger_container *c)
{
	int before = dup(STDERR_FILENO), pipe_fds[2];
	char text[512];
	const char *at;
	ssize_t len;

	assert_int_equal(pipe2(pipe_fds, O_NONBLOCK), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	log_set_level(LOG_LEVEL_INFO);
	engine_look_after(w->engine, c->engine_data);
	dup2(before, STDERR_FILENO);
	len = read(pipe_fds[0], text, sizeof(text) - 1);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(before);
	text[len > 0 ? len : 0] = '\0';
	at = strstr(text, "reading the layer of");
	at = at ? strstr(at, ": ") : NULL;
	return at ? strtol(at + 2, NULL, 10) : -1;
}

static void a_reading_that_takes_long_tells_how_far_it_is(void **state)
{
	struct world *w = *state;
	struct track *t = w->large[0]->engine_data;

	for (int i = 0; i < STEPS; i++)
		assert_int_equal(engine_step(w->engine), 0);
	assert_int_equal(logged_progress(w, w->large[0]), -1);
	t->last_rescan_ns -= 2 * NS_PER_SEC;
	assert_int_equal(logged_progress(w, w->large[0]), tree_entries(w->large[0]->tree));
	assert_true(tree_entries(w->large[0]->tree) > 0);
	assert_int_equal(logged_progress(w, w->large[0]), -1);
	t->told_ns -= 2 * NS_PER_SEC;
	assert_int_equal(engine_step(w->engine), 0);
	assert_int_equal(logged_progress(w, w->large[0]), tree_entries(w->large[0]->tree));
	assert_true(engine_settle(w->engine, 20000));
	t->told_ns -= 2 * NS_PER_SEC;
	assert_int_equal(logged_progress(w, w->large[0]), -1);
}

static void a_step_looks_only_at_who_has_something_to_do(void **state)
{
	struct world *w = *state;
	struct track *t = w->small->engine_data;

	assert_true(engine_settle(w->engine, 20000));
	for (int i = 0; i < LARGE; i++)
		((struct track *)w->large[i]->engine_data)->work_due_ns = 0;
	t->work_due_ns = 0;
	assert_int_equal(engine_step(w->engine), 0);
	assert_null(w->engine->busy);
	assert_true(engine_timeout_ms(w->engine) > 0);
	engine_want_work(t, clock_mono_ns());
	engine_want_work(t, t->work_due_ns);
	assert_ptr_equal(w->engine->busy, t);
	assert_null(t->next);
	assert_int_equal(engine_timeout_ms(w->engine), 0);
	assert_int_equal(engine_step(w->engine), 0);
	assert_int_equal(t->visited, w->engine->work_round);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_small_layer_is_read_while_large_ones_before_it_are, setup, teardown),
		cmocka_unit_test_setup_teardown(large_layers_are_read_side_by_side, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_reading_that_takes_long_tells_how_far_it_is,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_step_looks_only_at_who_has_something_to_do, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

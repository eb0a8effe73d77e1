/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_bpf_urgent.c - how long records wait to be read: long where nobody is told of them,
 * and not when a container may end or the room for them does.
 */
#include "bench.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "kernel/probe_internal.h"

#define MANY	    4 /* so little of a ring may wait */
#define EVENT_BYTES (1u << 20)
#define DIRTY_BYTES (1u << 16)

static const char *cgroup_root(void)
{
	return access("/sys/fs/cgroup/cgroup.procs", F_OK) ? "/sys/fs/cgroup/unified"
							   : "/sys/fs/cgroup";
}

struct world {
	struct bench *b;
	char cgroup[128];
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct engine_options options;

	bench_open((void **)&w->b, LAB_ROOT_FS, 0);
	options = bench_options(w->b);
	options.probe.ring_bytes = EVENT_BYTES;
	options.probe.dirty_ring_bytes = DIRTY_BYTES;
	assert_int_equal(engine_open(&options, NULL, &w->b->engine), 0);
	snprintf(w->cgroup, sizeof(w->cgroup), "%s/dw-test-urgent-%d", cgroup_root(),
		 (int)getpid());
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	void *b = w->b;

	rmdir(w->cgroup);
	bench_teardown(&b);
	free(w);
	return 0;
}

static struct probe *probe(const struct world *w)
{
	return engine_probe(w->b->engine);
}

/* Other cgroups of this machine come and go: only what is meant to happen is waited for. */
static bool is_urgent(const struct world *w, int timeout_ms)
{
	struct pollfd p = {.fd = probe_urgent_fd(probe(w)), .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static void pass_over(const struct probe_record *record, void *arg)
{
	(void)record;
	(void)arg;
}

static void calm(const struct world *w)
{
	while (probe_drain(probe(w), 1000, pass_over, NULL) > 0)
		;
	probe_take_urge(probe(w));
}

static size_t waiting(const struct world *w, int ring)
{
	const struct ring *r = &probe(w)->rings[ring];

	return ring_end(r) - *r->consumer;
}

/* --- how long --- */

static uint64_t wait_of_next_record(const struct world *w)
{
	struct engine *e = w->b->engine;
	struct pollfd p = {.fd = engine_fd(e), .events = POLLIN};
	static int number;
	char name[32];

	assert_true(engine_settle(e, 10000));
	snprintf(name, sizeof(name), "new%d", number++);
	bench_make_file(w->b, name);
	assert_int_equal(poll(&p, 1, 10000), 1);
	engine_step(e);
	assert_int_not_equal(e->flush_at_ns, 0);
	return e->flush_at_ns - e->now_ns;
}

static void ignore(const struct event *event, void *arg)
{
	(void)event;
	(void)arg;
}

static void records_wait_long_only_where_nobody_is_told(void **state)
{
	struct world *w = *state;
	int number;

	bench_begin_and_read(w->b);
	assert_int_equal(wait_of_next_record(w), ENGINE_UNHEARD_NS);
	assert_false(probe(w)->control->is_heard);
	number = engine_subscribe(w->b->engine, false, ignore, NULL);
	assert_true(number >= 0);
	assert_true(probe(w)->control->is_heard);
	assert_in_range(wait_of_next_record(w), 1, ENGINE_COALESCE_MAX_NS);
	engine_unsubscribe(w->b->engine, number);
	assert_false(probe(w)->control->is_heard);
	assert_int_equal(wait_of_next_record(w), ENGINE_UNHEARD_NS);
}

static void who_asks_or_comes_to_listen_does_not_wait(void **state)
{
	struct world *w = *state;

	bench_begin_and_read(w->b);
	wait_of_next_record(w);
	engine_refresh_sizes(w->b->engine); /* as a scrape does */
	assert_int_equal(waiting(w, RING_EVENTS), 0);

	wait_of_next_record(w);
	assert_true(engine_subscribe(w->b->engine, false, ignore, NULL) >= 0);
	assert_int_equal(waiting(w, RING_EVENTS), 0);
}

/* --- what does not wait --- */

static void a_cgroup_s_last_process_is_urgent(void **state)
{
	struct world *w = *state;
	int procs, status, in[2], out[2];
	char path[160], byte;
	pid_t child;

	assert_int_equal(mkdir(w->cgroup, 0755), 0);
	snprintf(path, sizeof(path), "%s/cgroup.procs", w->cgroup);
	assert_int_equal(pipe(in) | pipe(out), 0);
	child = fork();
	if (!child) {
		procs = open(path, O_WRONLY);
		_exit(procs < 0 || write(procs, "0", 1) != 1 || write(in[1], "x", 1) != 1 ||
		      read(out[0], &byte, 1) != 1);
	}
	assert_int_equal(read(in[0], &byte, 1), 1);
	calm(w);
	assert_int_equal(write(out[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(is_urgent(w, 10000));
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

static void cgroups_that_come_and_go_are_urgent(void **state)
{
	struct world *w = *state;

	calm(w);
	assert_int_equal(mkdir(w->cgroup, 0755), 0);
	assert_true(is_urgent(w, 0));
	calm(w);
	assert_int_equal(rmdir(w->cgroup), 0);
	assert_true(is_urgent(w, 0));
}

/* What is urgent brings the flush forward, from 250 ms to 5, once. */
static void what_is_urgent_is_flushed_soon(void **state)
{
	struct world *w = *state;
	struct engine *e = w->b->engine;

	bench_begin_and_read(w->b);
	assert_int_equal(wait_of_next_record(w), ENGINE_UNHEARD_NS);
	assert_int_equal(mkdir(w->cgroup, 0755), 0);
	engine_step(e);
	assert_in_range(e->flush_at_ns - e->now_ns, 0, e->options.coalesce_ns);
	assert_false(is_urgent(w, 0));
}

static void fill_events(const struct world *w, size_t until)
{
	char name[32];
	int number = 0;

	while (waiting(w, RING_EVENTS) <= until) {
		snprintf(name, sizeof(name), "fill%d", number++ % 8);
		bench_make_file(w->b, name);
		assert_int_equal(unlink(lab_path(w->b->lab, name)), 0);
	}
}

static void a_ring_that_fills_is_urgent(void **state)
{
	struct world *w = *state;

	bench_begin_and_read(w->b);
	assert_true(engine_settle(w->b->engine, 10000));
	calm(w);
	fill_events(w, EVENT_BYTES / MANY / 2);
	assert_int_equal(probe(w)->control->is_urged, 0);
	fill_events(w, EVENT_BYTES / MANY);
	assert_true(is_urgent(w, 0));

	/* Once: who knows it is not woken by each further record, until there are few again. */
	probe_take_urge(probe(w));
	fill_events(w, 2 * EVENT_BYTES / MANY);
	assert_false(is_urgent(w, 0));
	calm(w);
	fill_events(w, EVENT_BYTES / MANY);
	assert_true(is_urgent(w, 0));
	assert_int_equal(probe(w)->control->dirty_overflow, 0);
}

static void dirty_marks_that_fill_their_ring_are_urgent(void **state)
{
	struct world *w = *state;
	char name[32];

	bench_make_wide(w->b, 3); /* with marks of their own */
	bench_begin_and_read(w->b);
	assert_true(engine_settle(w->b->engine, 10000));
	calm(w);
	for (int i = 0; i < 3 * BENCH_DIRS && waiting(w, RING_DIRTY) <= DIRTY_BYTES / MANY; i++) {
		assert_int_equal(probe(w)->control->is_urged, 0);
		snprintf(name, sizeof(name), "d%d/f%d", i / 3, i % 3);
		assert_int_equal(chmod(lab_path(w->b->lab, name), 0711), 0);
	}
	assert_true(waiting(w, RING_DIRTY) > DIRTY_BYTES / MANY);
	assert_true(is_urgent(w, 0));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_wait_long_only_where_nobody_is_told),
		TEST(who_asks_or_comes_to_listen_does_not_wait),
		TEST(a_cgroup_s_last_process_is_urgent),
		TEST(cgroups_that_come_and_go_are_urgent),
		TEST(what_is_urgent_is_flushed_soon),
		TEST(a_ring_that_fills_is_urgent),
		TEST(dirty_marks_that_fill_their_ring_are_urgent),
	};

	if (!lab_can(PROBE_TIER_FS, LAB_ROOT_FS))
		return 0;
	return cmocka_run_group_tests_name("urgent", tests, NULL, NULL);
}

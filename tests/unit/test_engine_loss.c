/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_engine_loss.c - what was lost is counted by reason, marks whom it hit, and heals.
 *
 * There is no kernel side: its counters are set as it would. Time passes when the test
 * says so.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/engine_internal.h"
#include "base/clock.h"
#include "engine_world.h"

#define OTHER_ID "bbbb1111bbbb2222cccc3333dddd4444eeee5555ffff6666aaaa1111bbbb2222"
#define MARK(r)	 (1u << (r))

struct told {
	enum event_type type;
	char reason[32];
	uint64_t count;
	const struct ledger_container *container;
};

static void on_event(const struct event *event, void *arg)
{
	struct told *told = arg;

	told->type = event->type;
	told->count = event->count;
	told->container = event->container;
	snprintf(told->reason, sizeof(told->reason), "%s", event->reason ? event->reason : "");
}

static struct track *track_of(const struct ledger_container *c)
{
	return c->engine_data;
}

/* Its marks tell of every change, as on ext4: no scan is needed for what was lost. */
static struct track *make_live(const struct ledger_container *c)
{
	track_of(c)->is_scanned = false;
	return track_of(c);
}

static void pass_time(struct track *t, uint64_t ns)
{
	t->last_rescan_ns -= ns;
	t->rescan_due_ns -= t->rescan_due_ns ? ns : 0;
}

/* As a mark on every directory would. */
static void reread(struct track *t)
{
	tree_rescan(t->c->tree);
	engine_want_work(t, clock_mono_ns());
}

static struct ledger_container *add_other(struct engine *e, const struct engine_world *w)
{
	struct container *meta = world_describe(w, OTHER_ID);
	struct ledger_container *c;

	assert_int_equal(engine_add_own(e, meta, &c), 0);
	assert_true(engine_settle(e, 2000));
	container_free(meta);
	return c;
}

static void what_the_kernel_lost_marks_its_container_alone_until_it_is_read(void **state)
{
	struct ledger_container *c, *other;
	struct engine *e = world_start(*state, &c);
	struct told told = {0};
	const struct {
		enum loss_reason reason;
		__u64 *counter;
	} losses[] = {
		{LOSS_RING_FULL, &c->counters.records_lost},
		{LOSS_DIRTY_FULL, &c->counters.dirty_overflow},
		{LOSS_FILES_FULL, &c->counters.files_unlisted},
		{LOSS_PATH, &c->counters.paths_truncated},
	};

	other = add_other(e, *state);
	make_live(c);
	make_live(other);
	assert_true(engine_subscribe(e, false, on_event, &told) >= 0);
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		enum loss_reason reason = losses[i].reason;

		*losses[i].counter += 3;
		engine_look_after(e, track_of(c));
		assert_int_equal(other->incomplete, 0); /* before it would be healed again */
		engine_look_after(e, track_of(other));
		assert_int_equal(c->lost[reason], 3);
		assert_int_equal(c->incomplete, MARK(reason));
		assert_false(ledger_container_is_complete(c));
		assert_int_equal(told.type, EVENT_LOST);
		assert_string_equal(told.reason, loss_reason_name(reason));
		assert_int_equal(told.count, 3);
		assert_ptr_equal(told.container, c);

		engine_look_after(e, track_of(c));
		assert_int_equal(c->lost[reason], 3);
		assert_int_equal(c->incomplete, 0);
		assert_int_equal(c->rescans[reason], 0);
		assert_int_equal(other->lost[reason], 0);
		assert_int_equal(other->incomplete, 0);
	}
	engine_close(e, false);
}

static void a_mark_stays_while_something_is_still_to_be_read(void **state)
{
	struct ledger_container *c;
	struct engine *e = world_start(*state, &c);
	struct track *t = make_live(c);

	c->counters.dirty_overflow++;
	engine_look_after(e, t);
	reread(t);
	engine_look_after(e, t);
	assert_int_equal(c->incomplete, MARK(LOSS_DIRTY_FULL));
	assert_true(engine_settle(e, 2000));
	engine_look_after(e, t);
	assert_int_equal(c->incomplete, 0);
	engine_close(e, false);
}

static void a_layer_is_read_again_once_in_ten_seconds_and_finds_what_was_lost(void **state)
{
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);
	struct track *t = track_of(c); /* without marks: only a scan finds what was lost */
	uint64_t last = t->last_rescan_ns;

	world_put(w->upper, "unheard", "text");
	c->counters.records_lost++;
	engine_look_after(e, t);
	assert_int_equal(t->rescan_due_ns, last + 10 * NS_PER_SEC);
	pass_time(t, 4 * NS_PER_SEC);
	engine_look_after(e, t);
	assert_true(engine_settle(e, 2000));
	assert_int_equal(c->rescans[LOSS_RING_FULL], 0);
	assert_int_equal(c->incomplete, MARK(LOSS_RING_FULL));
	assert_null(tree_find_path(c->tree, "/unheard", 8));

	pass_time(t, 7 * NS_PER_SEC);
	engine_look_after(e, t);
	assert_int_equal(c->rescans[LOSS_RING_FULL], 1);
	assert_true(engine_settle(e, 2000));
	world_node(c, "/unheard");
	engine_look_after(e, t);
	assert_int_equal(c->incomplete, 0);

	engine_request_rescan(t, LOSS_PROGRAM_MISS);
	engine_request_rescan(t, LOSS_DETACHED);
	assert_int_equal(t->rescan_due_ns, t->last_rescan_ns + 10 * NS_PER_SEC);
	assert_true(t->rescan_due_ns > clock_mono_ns());
	pass_time(t, 11 * NS_PER_SEC);
	engine_look_after(e, t); /* one for both */
	assert_int_equal(c->rescans[LOSS_PROGRAM_MISS], 1);
	assert_int_equal(c->rescans[LOSS_DETACHED], 1);
	assert_int_equal(c->rescans[LOSS_RING_FULL], 1);
	engine_close(e, false);
}

/* As engine_attach() leaves it when the kernel side has no room. */
static void roots_without_room_are_marked_for_as_long_as_there_is_none(void **state)
{
	struct ledger_container *c, *other;
	struct engine *e = world_start(*state, &c);
	struct track *t = make_live(c);

	other = add_other(e, *state);
	t->untold = 2;
	engine_check_marks(t);
	engine_report_loss(e, t, LOSS_DIRTY_FULL, 1); /* what heals that leaves the other mark */
	engine_check_marks(t);
	engine_check_marks(t);
	assert_int_equal(c->incomplete, MARK(LOSS_ROOTS_FULL));
	assert_int_equal(c->lost[LOSS_ROOTS_FULL], 2);
	assert_int_equal(other->incomplete, 0);
	assert_int_equal(other->lost[LOSS_ROOTS_FULL], 0);
	t->untold = 0;
	engine_check_marks(t);
	assert_int_equal(c->incomplete, 0);
	engine_close(e, false);
}

/* Nobody tells of what happens in it: its list is as of a scan, of which there are more. */
static void a_layer_without_events_is_read_every_five_seconds(void **state)
{
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);
	struct track *t = track_of(c);

	world_put(w->upper, "later", "text");
	pass_time(t, 4 * NS_PER_SEC);
	engine_look_after(e, t);
	assert_true(engine_settle(e, 2000));
	assert_null(tree_find_path(c->tree, "/later", 6));
	pass_time(t, 2 * NS_PER_SEC);
	engine_look_after(e, t);
	assert_true(engine_settle(e, 2000));
	world_node(c, "/later");
	assert_int_equal(c->incomplete, 0);
	for (int i = 0; i < LOSS_MAX; i++)
		assert_int_equal(c->rescans[i], 0); /* those of losses are counted there */

	make_live(c);
	world_put(w->upper, "unheard", "text");
	pass_time(t, 60 * NS_PER_SEC);
	engine_look_after(e, t);
	assert_true(engine_settle(e, 2000));
	assert_null(tree_find_path(c->tree, "/unheard", 8));
	engine_close(e, false);
}

/* So many more descriptors than are open now. */
static struct rlimit allow_descriptors(unsigned more)
{
	int lowest = dup(STDERR_FILENO);
	struct rlimit before, now;

	assert_true(lowest >= 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = (rlim_t)lowest + more;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	return before;
}

/* "<layer>/sub<number>" with a file in it. */
static void put_dir(const char *layer, unsigned number)
{
	char dir[128];

	snprintf(dir, sizeof(dir), "%s/sub%u", layer, number);
	assert_int_equal(mkdir(dir, 0755), 0);
	world_put(dir, "in", "text");
}

/* No descriptor for the root, for the directory in it, for its names, for the image's. */
static void a_directory_that_cannot_be_read_is_marked_until_it_can(void **state)
{
	const enum loss_reason reason = LOSS_WALK_FAILED;
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);
	struct track *t = make_live(c);

	for (unsigned more = 0; more < 4; more++) {
		char path[] = {'/', 's', 'u', 'b', (char)('0' + more), '/', 'i', 'n', '\0'};
		struct rlimit before;

		put_dir(w->lower, more);
		put_dir(w->upper, more);
		before = allow_descriptors(more);
		reread(t);
		assert_false(engine_settle(e, 50));
		engine_look_after(e, t);
		engine_look_after(e, t);
		assert_int_equal(c->lost[reason], more + 1);
		assert_int_equal(c->incomplete, MARK(reason));

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_true(engine_settle(e, 5000));
		engine_look_after(e, t);
		assert_int_equal(c->incomplete, 0);
		assert_true(ledger_container_is_complete(c));
		world_node(c, path);
	}
	engine_close(e, false);
}

/* --- names that cannot be read --- */

static bool names_cannot_be_read;

/* In place of the C library's. */
ssize_t getdents64(int fd, void *buffer, size_t size)
{
	if (names_cannot_be_read) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_getdents64, fd, buffer, size);
}

static void names_that_cannot_be_read_are_not_taken_for_gone(void **state)
{
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);
	struct track *t = make_live(c);

	world_put(w->upper, "new", "text");
	names_cannot_be_read = true;
	reread(t);
	assert_false(engine_settle(e, 50));
	engine_look_after(e, t);
	engine_look_after(e, t);
	world_node(c, "/dropped");
	assert_int_equal(c->incomplete, MARK(LOSS_WALK_FAILED));
	assert_int_equal(c->lost[LOSS_WALK_FAILED], 1);

	names_cannot_be_read = false;
	assert_true(engine_settle(e, 5000));
	engine_look_after(e, t);
	assert_int_equal(c->incomplete, 0);
	world_node(c, "/dropped");
	world_node(c, "/new");
	engine_close(e, false);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(what_the_kernel_lost_marks_its_container_alone_until_it_is_read),
		IN_WORLD(a_mark_stays_while_something_is_still_to_be_read),
		IN_WORLD(a_layer_is_read_again_once_in_ten_seconds_and_finds_what_was_lost),
		IN_WORLD(roots_without_room_are_marked_for_as_long_as_there_is_none),
		IN_WORLD(a_layer_without_events_is_read_every_five_seconds),
		IN_WORLD(a_directory_that_cannot_be_read_is_marked_until_it_can),
		IN_WORLD(names_that_cannot_be_read_are_not_taken_for_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

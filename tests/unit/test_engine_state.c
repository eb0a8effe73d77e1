/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_engine_state.c - what an agent leaves behind, and what the next one makes of it.
 *
 * The engine runs without a kernel side on a layer made here; the attribution is put
 * on the nodes as records would.
 */
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/engine_state.h"
#include "base/clock.h"
#include "engine_world.h"

#define OTHER_ID "bbbb1111bbbb2222cccc3333dddd4444eeee5555ffff6666aaaa1111bbbb2222"
#define THIRD_ID "cccc1111bbbb2222cccc3333dddd4444eeee5555ffff6666aaaa1111bbbb2222"

/* As if records had named the process, of which the last was @last_wall_ns. */
static void attribute(struct engine *e, const struct ledger_container *c, uint64_t last_wall_ns)
{
	struct writer w = {.tgid = 77,
			   .vpid = 7,
			   .ppid = 70,
			   .uid = 1000,
			   .comm = "miner",
			   .start_boot_ns = 9,
			   .is_runtime = true};
	struct tree_cause cause = {.wall_ns = 1000000000ull};

	w.executable = (char[]){"/usr/bin/mi\377ner"};
	cause.writer = writers_add(ledger_writers(engine_ledger(e)), 5, &w);
	tree_node_set_cause(world_node(c, "/dropped"), true, &cause);
	cause.wall_ns = last_wall_ns;
	tree_node_set_cause(world_node(c, "/dropped"), false, &cause);
}

static void attribution_survives_the_agent(void **state)
{
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);
	struct tree_node_info info;
	const struct writer *writer;

	attribute(e, c, clock_wall_ns());
	engine_close(e, false);

	e = world_start(w, &c);
	tree_node_info(world_node(c, "/dropped"), &info);
	assert_int_equal(info.first_wall_ns, 1000000000ull);
	writer = writers_get(ledger_writers(engine_ledger(e)), info.first_writer);
	assert_non_null(writer);
	assert_int_equal(writer->tgid, 77);
	assert_int_equal(writer->vpid, 7);
	assert_int_equal(writer->ppid, 70);
	assert_int_equal(writer->uid, 1000);
	assert_int_equal(writer->start_boot_ns, 9);
	assert_true(writer->is_runtime);
	assert_string_equal(writer->comm, "miner");
	assert_string_equal(writer->executable, "/usr/bin/mi\377ner");
	engine_close(e, false);
}

static void losses_and_rescans_survive_the_agent(void **state)
{
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);

	for (uint64_t i = 0; i < LOSS_MAX; i++) {
		c->lost[i] += 10 + i;
		c->rescans[i] += 100 + i;
	}
	engine_close(e, false);
	e = world_start(w, &c);
	for (uint64_t i = 0; i < LOSS_MAX; i++) {
		assert_int_equal(c->lost[i], 10 + i);
		assert_int_equal(c->rescans[i], 100 + i);
	}
	assert_int_equal(c->incomplete, 0);
	engine_close(e, false);
}

static uint64_t nanoseconds(const struct statx_timestamp *t)
{
	return (uint64_t)t->tv_sec * 1000000000ull + t->tv_nsec;
}

static void drift_older_than_the_agent_has_the_times_of_the_layer(void **state)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct tree_node_info info;
	struct engine *e;
	struct statx st;

	strbuf_addf(&path, "%s/dropped", w->upper);
	do { /* until the one is later than the other */
		assert_int_equal(chmod(strbuf_str(&path), 0600), 0);
		assert_int_equal(
			statx(AT_FDCWD, strbuf_str(&path), 0, STATX_CTIME | STATX_BTIME, &st), 0);
	} while (st.stx_mask & STATX_BTIME &&
		 nanoseconds(&st.stx_ctime) == nanoseconds(&st.stx_btime));
	e = world_start(w, &c);
	tree_node_info(world_node(c, "/dropped"), &info);
	if (st.stx_mask & STATX_BTIME)
		assert_int_equal(info.first_wall_ns, nanoseconds(&st.stx_btime));
	assert_int_equal(info.last_wall_ns, nanoseconds(&st.stx_ctime));
	assert_int_equal(c->last_drift_wall_ns, nanoseconds(&st.stx_ctime));
	engine_close(e, false);
}

static void attribution_of_another_file_of_that_name_is_not_taken(void **state)
{
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);
	struct tree_node_info info;

	attribute(e, c, clock_wall_ns());
	engine_close(e, false);
	world_put(w->upper, "dropped", "replaced by a rename: another inode");

	e = world_start(w, &c);
	tree_node_info(world_node(c, "/dropped"), &info);
	assert_int_equal(info.first_writer, 0);
	engine_close(e, false);
}

/* Its name and its number, and born when the last that is known of that was over. */
static void attribution_of_a_file_that_had_the_number_is_not_taken(void **state)
{
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);
	struct tree_node_info info;

	tree_node_info(world_node(c, "/dropped"), &info);
	attribute(e, c, info.birth_wall_ns - NS_PER_SEC);
	engine_close(e, false);

	e = world_start(w, &c);
	tree_node_info(world_node(c, "/dropped"), &info);
	assert_int_equal(info.first_writer, 0);
	assert_int_equal(info.first_wall_ns, info.birth_wall_ns);
	engine_close(e, false);
}

static void ledger_path(const struct engine_world *w, const char *end, struct strbuf *out)
{
	strbuf_addf(out, "%s/ledger.ndjson%s", w->state, end);
}

/* Cut anywhere, or not ours at all: set aside, nothing in it is used, and the agent goes on. */
static void is_set_aside(struct engine_world *w, const char *text)
{
	auto_strbuf struct strbuf bad = STRBUF_INIT;
	struct ledger_container *c;
	struct tree_node_info info;
	struct engine *e;

	world_put(w->state, "ledger.ndjson", text);
	e = world_start(w, &c);
	tree_node_info(world_node(c, "/dropped"), &info);
	assert_int_equal(info.first_writer, 0);
	engine_close(e, false);
	ledger_path(w, ".bad", &bad);
	assert_int_equal(access(strbuf_str(&bad), F_OK), 0);
	assert_int_equal(unlink(strbuf_str(&bad)), 0);
}

/* What an agent saved that had a writer to tell of, to be freed by the caller. */
static char *saved_ledger(struct engine_world *w)
{
	auto_strbuf struct strbuf saved = STRBUF_INIT, path = STRBUF_INIT;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);

	attribute(e, c, clock_wall_ns());
	engine_close(e, false);
	ledger_path(w, "", &path);
	assert_int_equal(file_read(AT_FDCWD, strbuf_str(&path), 1 << 20, &saved), 0);
	return strbuf_take(&saved);
}

static void a_ledger_of_another_version_is_set_aside(void **state)
{
	auto_free char *saved = saved_ledger(*state);
	char *version = strstr(saved, ENGINE_STATE_SCHEMA);

	assert_non_null(version);
	version[strlen(ENGINE_STATE_SCHEMA) - 1]++;
	is_set_aside(*state, saved);
	is_set_aside(*state, "\xff\xfe garbage");
	is_set_aside(*state, "");
}

/* One line that cannot be ours, after the header that is. */
static void a_damaged_line_makes_the_whole_ledger_be_set_aside(void **state)
{
	static const char *const lines[] = {
		"{\"path\":\"Lw==\",\"n\":[1,2,3,4,5,6,7]}", /* of no container */
		"{\"container\":\"\"}",
		"{\"container\":\"x\"}\n{\"path\":\"Lw==\",\"n\":[1]}",
		"{\"container\":\"x\"}\n{\"path\":\"AA==\",\"n\":[1,2,3,4,5,6,7]}", /* a NUL */
		"{\"container\":\"x\"}\n{\"path\":\"!\",\"n\":[1,2,3,4,5,6,7]}",
		"{\"container\":\"x\"}\n{\"container\":\"x\"}",
		"{\"writer\":1,\"comm\":7}",
		"{\"folded\":[1]}",
		"{\"end\":false}",
		"{}",
		"[",
	};
	auto_free char *saved = saved_ledger(*state);
	size_t header = strcspn(saved, "\n") + 1;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		auto_strbuf struct strbuf text = STRBUF_INIT;

		strbuf_add(&text, saved, header);
		strbuf_addf(&text, "%s\n%s", lines[i], saved + header);
		is_set_aside(*state, strbuf_str(&text));
	}
}

static void a_save_never_writes_into_the_file_that_is_there(void **state)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, kept = STRBUF_INIT, now = STRBUF_INIT;
	auto_free char *saved = saved_ledger(*state);
	struct engine_world *w = *state;
	struct ledger_container *c;

	ledger_path(w, "", &path);
	ledger_path(w, ".kept", &kept);
	assert_int_equal(link(strbuf_str(&path), strbuf_str(&kept)), 0);
	engine_close(world_start(w, &c), false);
	assert_int_equal(file_read(AT_FDCWD, strbuf_str(&kept), 1 << 20, &now), 0);
	assert_string_equal(strbuf_str(&now), saved);
	strbuf_reset(&now);
	assert_int_equal(file_read(AT_FDCWD, strbuf_str(&path), 1 << 20, &now), 0);
	assert_string_not_equal(strbuf_str(&now), saved); /* when it was saved is in it */
}

static void cut_is_refused(void **state, char *saved, size_t cut)
{
	char kept = saved[cut];

	saved[cut] = '\0';
	is_set_aside(*state, saved);
	saved[cut] = kept;
}

static void every_cut_of_a_saved_file_is_refused(void **state)
{
	auto_free char *saved = saved_ledger(*state);
	size_t len = strlen(saved), cut;

	for (cut = 1; cut < len - 1; cut += 37)
		cut_is_refused(state, saved, cut);
	/* Whole lines, but not all of them. */
	for (cut = 1; cut < len; cut++)
		if (saved[cut - 1] == '\n')
			cut_is_refused(state, saved, cut);
}

/* As on a full disk: files end after so many bytes. */
static struct rlimit allow_bytes(size_t bytes)
{
	struct rlimit before, now;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	now = before;
	now.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
	return before;
}

static void read_state(const struct engine_world *w, const char *name, struct strbuf *out)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/%s", w->state, name);
	assert_int_equal(file_read(AT_FDCWD, strbuf_str(&path), 1 << 20, out), 0);
}

static bool has_state(const struct engine_world *w, const char *name)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/%s", w->state, name);
	return access(strbuf_str(&path), F_OK) == 0;
}

static void a_save_that_fails_leaves_what_was_saved(void **state)
{
	auto_free char *saved = saved_ledger(*state);
	auto_strbuf struct strbuf now = STRBUF_INIT;
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);
	struct rlimit before = allow_bytes(100);

	engine_close(e, false);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	read_state(w, "ledger.ndjson", &now);
	assert_string_equal(strbuf_str(&now), saved);
	assert_false(has_state(w, "ledger.ndjson.new"));
}

/* Until the process that saves is done, and what it says is known. */
static void wait_for_saver(struct engine *e)
{
	assert_true(e->state->saver > 0);
	while (e->state->saver)
		engine_state_save(e, false);
}

static void a_save_that_fails_is_made_up_for(void **state)
{
	auto_strbuf struct strbuf before = STRBUF_INIT, now = STRBUF_INIT;
	struct engine_world *w = *state;
	struct rlimit allowed;
	struct ledger_container *c;
	struct engine *e;

	engine_close(world_start(w, &c), false);
	e = world_start(w, &c);
	read_state(w, "ledger.ndjson", &before);
	allowed = allow_bytes(100);
	engine_state_save_soon(e);
	engine_state_save(e, false);
	wait_for_saver(e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &allowed), 0);
	read_state(w, "ledger.ndjson", &now);
	assert_string_equal(strbuf_str(&now), strbuf_str(&before));

	e->state->next_save_ns = 0; /* its time has come again, with nothing new to save */
	engine_state_save(e, false);
	wait_for_saver(e);
	strbuf_reset(&now);
	read_state(w, "ledger.ndjson", &now);
	assert_string_not_equal(strbuf_str(&now), strbuf_str(&before));
	e->state->next_save_ns = 0;
	engine_state_save(e, false);
	assert_int_equal(e->state->saver, 0); /* nothing has changed since */
	engine_close(e, false);
}

static void add_container(struct engine *e, const struct engine_world *w, const char *id)
{
	struct container *meta = world_describe(w, id);
	struct ledger_container *c;

	assert_int_equal(engine_add_own(e, meta, &c), 0);
	container_free(meta);
}

/* Ends with a part of the line of OTHER_ID. */
static struct engine *start_and_cut_a_line(const struct engine_world *w)
{
	auto_strbuf struct strbuf slots = STRBUF_INIT;
	struct ledger_container *c;
	struct engine *e = world_start(w, &c);
	struct rlimit before;
	size_t whole;

	read_state(w, "slots.ndjson", &slots);
	assert_non_null(strstr(strbuf_str(&slots), WORLD_ID));
	whole = slots.len;
	before = allow_bytes(whole + 20);
	add_container(e, w, OTHER_ID);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	strbuf_reset(&slots);
	read_state(w, "slots.ndjson", &slots);
	assert_int_equal(slots.len, whole + 20);
	return e;
}

static void a_line_of_slots_that_was_cut_spoils_no_other(void **state)
{
	static const char *const ids[] = {WORLD_ID, OTHER_ID, THIRD_ID};
	auto_strbuf struct strbuf slots = STRBUF_INIT;
	struct engine_world *w = *state;
	struct ledger_container *c;
	struct engine *e;

	engine_close(start_and_cut_a_line(w), false);
	engine_close(world_start(w, &c), false);
	assert_false(has_state(w, "slots.ndjson.bad"));

	e = start_and_cut_a_line(w);
	add_container(e, w, THIRD_ID);
	read_state(w, "slots.ndjson", &slots);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_non_null(strstr(strbuf_str(&slots), ids[i]));
	engine_close(e, false);
	engine_close(world_start(w, &c), false);
	assert_false(has_state(w, "slots.ndjson.bad"));
}

static void a_state_directory_that_cannot_be_made_is_named(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct engine_options options = {.no_probe = true, .no_discovery = true};
	struct engine *e = NULL;

	(void)state;
	options.state_dir = "/proc/nowhere";
	assert_int_not_equal(engine_open(&options, &error, &e), 0);
	assert_non_null(strstr(strbuf_str(&error), "/proc/nowhere"));
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(attribution_survives_the_agent),
		IN_WORLD(losses_and_rescans_survive_the_agent),
		IN_WORLD(drift_older_than_the_agent_has_the_times_of_the_layer),
		IN_WORLD(attribution_of_another_file_of_that_name_is_not_taken),
		IN_WORLD(attribution_of_a_file_that_had_the_number_is_not_taken),
		IN_WORLD(a_ledger_of_another_version_is_set_aside),
		IN_WORLD(a_damaged_line_makes_the_whole_ledger_be_set_aside),
		IN_WORLD(a_save_never_writes_into_the_file_that_is_there),
		IN_WORLD(every_cut_of_a_saved_file_is_refused),
		IN_WORLD(a_save_that_fails_leaves_what_was_saved),
		IN_WORLD(a_save_that_fails_is_made_up_for),
		IN_WORLD(a_line_of_slots_that_was_cut_spoils_no_other),
		cmocka_unit_test(a_state_directory_that_cannot_be_made_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

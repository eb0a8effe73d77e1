/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_engine_state.c - what an agent leaves behind, and what the next one makes of it.
 *
 * The engine runs without a kernel side on a layer made here; the attribution is put
 * on the nodes as records would.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/engine.h"
#include "base/file.h"

#define ID "aaaa1111bbbb2222cccc3333dddd4444eeee5555ffff6666aaaa1111bbbb2222"

struct world {
	char dir[64];
	char upper[96], work[96], lower[96], state[96];
};

static void make_dir(struct world *w, char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", w->dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void put(const char *dir, const char *name, const char *text)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/%s", dir, name);
	assert_int_equal(file_replace(AT_FDCWD, strbuf_str(&path), text, strlen(text)), 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	snprintf(w->dir, sizeof(w->dir), "/tmp/test_engine_state.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	make_dir(w, w->upper, sizeof(w->upper), "upper");
	make_dir(w, w->work, sizeof(w->work), "work");
	make_dir(w, w->lower, sizeof(w->lower), "lower");
	make_dir(w, w->state, sizeof(w->state), "state");
	put(w->upper, "dropped", "text");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	auto_strbuf struct strbuf command = STRBUF_INIT;
	struct world *w = *state;

	strbuf_addf(&command, "rm -rf %s", w->dir);
	assert_int_equal(system(strbuf_str(&command)), 0);
	free(w);
	return 0;
}

static struct engine *start(struct world *w, struct ledger_container **ret)
{
	struct engine_options options = {
		.no_probe = true, .no_discovery = true, .state_dir = w->state};
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct container *meta = container_new(ID, "driftwatch");
	struct engine *e = NULL;

	meta->overlay.upper = strdup(w->upper);
	meta->overlay.work = strdup(w->work);
	meta->overlay.lowers = calloc(1, sizeof(char *));
	meta->overlay.lowers[0] = strdup(w->lower);
	meta->overlay.lowers_len = 1;
	meta->overlay.dev = 1;
	assert_int_equal(engine_open(&options, &error, &e), 0);
	assert_int_equal(engine_add_own(e, meta, ret), 0);
	assert_int_equal(engine_start(e), 0);
	assert_true(engine_settle(e, 2000));
	assert_int_equal(engine_step(e), 0);
	assert_true(engine_is_ready(e));
	container_free(meta);
	return e;
}

static struct tree_node *dropped(const struct ledger_container *c)
{
	struct tree_node *n = tree_find_path(c->tree, "/dropped", 8);

	assert_non_null(n);
	return n;
}

/* As if a record had named the process. */
static void attribute(struct engine *e, const struct ledger_container *c)
{
	struct writer w = {.tgid = 77, .comm = "miner", .start_boot_ns = 9};
	struct tree_cause cause = {.wall_ns = 1000000000ull};

	w.executable = (char[]){"/usr/bin/mi\377ner"};
	cause.writer = writers_add(ledger_writers(engine_ledger(e)), 5, &w);
	tree_node_set_cause(dropped(c), true, &cause);
}

static void attribution_survives_the_agent(void **state)
{
	struct world *w = *state;
	struct ledger_container *c;
	struct engine *e = start(w, &c);
	struct tree_node_info info;
	const struct writer *writer;

	attribute(e, c);
	engine_close(e, false);

	e = start(w, &c);
	tree_node_info(dropped(c), &info);
	assert_int_equal(info.first_wall_ns, 1000000000ull);
	writer = writers_get(ledger_writers(engine_ledger(e)), info.first_writer);
	assert_non_null(writer);
	assert_int_equal(writer->tgid, 77);
	assert_string_equal(writer->comm, "miner");
	assert_string_equal(writer->executable, "/usr/bin/mi\377ner");
	engine_close(e, false);
}

static void attribution_of_another_file_of_that_name_is_not_taken(void **state)
{
	struct world *w = *state;
	struct ledger_container *c;
	struct engine *e = start(w, &c);
	struct tree_node_info info;

	attribute(e, c);
	engine_close(e, false);
	put(w->upper, "dropped", "replaced by a rename: another inode");

	e = start(w, &c);
	tree_node_info(dropped(c), &info);
	assert_int_equal(info.first_writer, 0);
	engine_close(e, false);
}

static void ledger_path(const struct world *w, const char *end, struct strbuf *out)
{
	strbuf_addf(out, "%s/ledger.ndjson%s", w->state, end);
}

/* Cut anywhere, or not ours at all: set aside, and the agent goes on. */
static void is_set_aside(struct world *w, const char *text)
{
	auto_strbuf struct strbuf bad = STRBUF_INIT;
	struct ledger_container *c;

	put(w->state, "ledger.ndjson", text);
	engine_close(start(w, &c), false);
	ledger_path(w, ".bad", &bad);
	assert_int_equal(access(strbuf_str(&bad), F_OK), 0);
	assert_int_equal(unlink(strbuf_str(&bad)), 0);
}

static void a_damaged_or_foreign_file_is_set_aside(void **state)
{
	struct world *w = *state;

	is_set_aside(w, "\xff\xfe garbage");
	is_set_aside(w, "{\"schema\":\"driftwatch.state/99\"}\n{\"end\":true}\n");
	is_set_aside(w, "{\"schema\":\"driftwatch.state/1\"}\n");
	is_set_aside(w, "{\"schema\":\"driftwatch.state/"
			"1\"}\n{\"path\":\"Lw==\",\"n\":[1]}\n{\"end\":true}\n");
	is_set_aside(
		w,
		"{\"schema\":\"driftwatch.state/1\"}\n{\"writer\":1,\"comm\":7}\n{\"end\":true}\n");
}

static void every_cut_of_a_saved_file_is_refused(void **state)
{
	auto_strbuf struct strbuf saved = STRBUF_INIT, path = STRBUF_INIT;
	struct world *w = *state;
	struct ledger_container *c;
	struct engine *e = start(w, &c);

	attribute(e, c);
	engine_close(e, false);
	ledger_path(w, "", &path);
	assert_int_equal(file_read(AT_FDCWD, strbuf_str(&path), 1 << 20, &saved), 0);
	for (size_t cut = 1; cut < saved.len - 1; cut += 37) {
		char kept = saved.data[cut];

		saved.data[cut] = '\0';
		is_set_aside(w, saved.data);
		saved.data[cut] = kept;
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(attribution_survives_the_agent, setup, teardown),
		cmocka_unit_test_setup_teardown(
			attribution_of_another_file_of_that_name_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_or_foreign_file_is_set_aside, setup,
						teardown),
		cmocka_unit_test_setup_teardown(every_cut_of_a_saved_file_is_refused, setup,
						teardown),
		cmocka_unit_test(a_state_directory_that_cannot_be_made_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

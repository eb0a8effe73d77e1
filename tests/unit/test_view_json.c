/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_view_json.c - containers, files, diff and events as JSON, against a written-down tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fake_probe.h"
#include "fake_tree.h"
#include "json_schema.h"
#include "base/clock.h"
#include "view/view.h"

#define ID   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SEC  1763751970ull /* 2025-11-21T19:06:10Z */
#define WALL (SEC * 1000000000ull + 255393601ull)

struct world {
	struct ledger *ledger;
	struct ledger_container *c;
	struct probe probe;
};

static struct container *make_meta(const char *id, const char *name)
{
	struct container *meta = container_new(id, "docker");

	assert_non_null(meta);
	meta->name = strdup(name);
	meta->state = CONTAINER_RUNNING;
	return meta;
}

static struct ledger_container *add_container(struct ledger *l, const char *id, const char *name)
{
	struct container *meta = make_meta(id, name);
	struct ledger_container *c = NULL;

	assert_int_equal(ledger_add(l, meta, &c), 0);
	container_free(meta);
	c->slot = 1;
	return c;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->ledger = ledger_new();
	w->c = add_container(w->ledger, ID, "web1");
	w->c->tree = calloc(1, sizeof(*w->c->tree));
	w->c->tree->as_of_wall_ns = WALL;
	w->probe.sees = 1ull << PROBE_SEES_LAYER_WRITES;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	ledger_free(w->ledger);
	free(w);
	return 0;
}

static void set_lines(struct world *w, struct fake_line *lines, size_t len)
{
	w->c->tree->lines = lines;
	w->c->tree->len = len;
}

static struct fake_line regular(const char *path, enum tree_verdict verdict, unsigned mode)
{
	return (struct fake_line){
		.path = path,
		.verdict = verdict,
		.node.info =
			{
				.verdict = verdict,
				.st = {.st_mode = S_IFREG | mode, .st_size = 4096, .st_ino = 131},
				.first_wall_ns = WALL,
				.last_wall_ns = WALL + NS_PER_SEC,
			},
	};
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "(none)";
}

static json_t *files_of(struct world *w, const struct view_files_options *options)
{
	json_t *answer = view_files(w->ledger, w->c, options);

	assert_non_null(answer);
	assert_true(schema_accepts("files-1.json", answer));
	return answer;
}

static const json_t *file_at(const json_t *answer, size_t i)
{
	return json_array_get(json_object_get(answer, "files"), i);
}

static void a_file_is_shown_with_all_that_is_known(void **state)
{
	struct fake_line lines[] = {regular("/usr/bin/x", TREE_ADDED, 04755)};
	struct view_files_options options = {0};
	struct world *w = *state;
	const struct writer process = {
		.tgid = 23616,
		.vpid = 7,
		.uid = 1000,
		.comm = "dd",
		.executable = strdup("/bin/busybox"),
	};
	const json_t *file, *writer;
	json_t *answer;

	options.probe = &w->probe;
	lines[0].node.info.written_bytes = 4097;
	lines[0].node.info.write_calls = 3;
	lines[0].node.info.first_writer = writers_add(ledger_writers(w->ledger), 5, &process);
	set_lines(w, lines, 1);
	answer = files_of(w, &options);
	file = file_at(answer, 0);
	assert_string_equal(text_at(file, "path"), "/usr/bin/x");
	assert_string_equal(text_at(file, "change"), "added");
	assert_string_equal(text_at(file, "class"), "executable");
	assert_string_equal(text_at(file, "mode"), "4755");
	assert_string_equal(text_at(file, "inode"), "131");
	assert_string_equal(text_at(file, "first_change"), "2025-11-21T19:06:10.255393601Z");
	assert_string_equal(text_at(file, "last_change"), "2025-11-21T19:06:11.255393601Z");
	assert_int_equal(json_integer_value(json_object_get(file, "size")), 4096);
	assert_int_equal(json_integer_value(json_object_get(file, "written_bytes")), 4097);
	assert_int_equal(json_integer_value(json_object_get(file, "write_calls")), 3);
	assert_true(json_is_true(json_object_get(file, "setuid")));
	writer = json_object_get(file, "first_writer");
	assert_int_equal(json_integer_value(json_object_get(writer, "pid")), 23616);
	assert_string_equal(text_at(writer, "executable"), "/bin/busybox");
	assert_true(json_is_null(json_object_get(file, "last_writer")));
	json_decref(answer);
	free(process.executable);
}

static void files_are_sorted_by_bytes_of_the_path(void **state)
{
	struct fake_line lines[] = {
		regular("/a", TREE_MODIFIED, 0644),	regular("/a/b", TREE_ADDED, 0644),
		regular("/a-b", TREE_ADDED, 0644),	regular("/\xff", TREE_ADDED, 0644),
		regular("/\xc3\xa4", TREE_ADDED, 0644),
	};
	static const char *const expected[] = {"/a", "/a-b", "/a/b", "/\xc3\xa4", "/\xef\xbf\xbd"};
	const struct view_files_options options = {0};
	struct world *w = *state;
	json_t *answer;

	set_lines(w, lines, 5);
	answer = files_of(w, &options);
	assert_int_equal(json_array_size(json_object_get(answer, "files")), 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(text_at(file_at(answer, i), "path"), expected[i]);
	json_decref(answer);
}

static void a_name_that_is_no_utf8_is_given_in_full_as_base64(void **state)
{
	struct fake_line lines[] = {regular("/a\n\xff", TREE_ADDED, 0644)};
	const struct view_files_options options = {0};
	struct world *w = *state;
	json_t *answer;

	set_lines(w, lines, 1);
	answer = files_of(w, &options);
	assert_string_equal(text_at(file_at(answer, 0), "path"), "/a\n\xef\xbf\xbd");
	assert_string_equal(text_at(file_at(answer, 0), "path_b64"), "L2EK/w==");
	json_decref(answer);
}

static void a_deleted_file_has_no_size_and_no_mode(void **state)
{
	struct fake_line lines[] = {
		regular("/gone", TREE_DELETED, 0),
		{.path = "/opaque/old", .verdict = TREE_DELETED, .without_node = true},
	};
	const struct view_files_options options = {0};
	struct world *w = *state;
	json_t *answer;

	lines[0].node.info.is_whiteout = true;
	set_lines(w, lines, 2);
	answer = files_of(w, &options);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(text_at(file_at(answer, i), "change"), "deleted");
		assert_string_equal(text_at(file_at(answer, i), "class"), "deleted");
		assert_true(json_is_null(json_object_get(file_at(answer, i), "size")));
		assert_true(json_is_null(json_object_get(file_at(answer, i), "inode")));
	}
	json_decref(answer);
}

static void entries_without_a_verdict_show_only_on_request(void **state)
{
	struct fake_line lines[] = {
		regular("/touched", TREE_NONE, 0644),
		regular("/tampered", TREE_NONE, 0644),
		regular("/large", TREE_NONE, 0644),
	};
	struct view_files_options options = {0};
	struct world *w = *state;
	json_t *answer;

	lines[0].node.info.depth = TREE_TOUCHED;
	lines[1].node.info.depth = TREE_TAMPERED;
	lines[2].node.info.depth = TREE_NOT_COMPARED;
	set_lines(w, lines, 3);
	answer = files_of(w, &options);
	assert_int_equal(json_array_size(json_object_get(answer, "files")), 0);
	json_decref(answer);

	options.all = true;
	answer = files_of(w, &options);
	assert_string_equal(text_at(file_at(answer, 0), "depth"), "not_compared");
	assert_string_equal(text_at(file_at(answer, 1), "depth"), "tampered");
	assert_string_equal(text_at(file_at(answer, 2), "depth"), "touched");
	assert_true(json_is_null(json_object_get(file_at(answer, 2), "change")));
	json_decref(answer);
}

static void write_counts_are_absent_where_they_cannot_be_seen(void **state)
{
	struct fake_line lines[] = {regular("/x", TREE_ADDED, 0644)};
	struct view_files_options options = {0};
	struct world *w = *state;
	json_t *answer;

	set_lines(w, lines, 1);
	options.probe = &w->probe;
	answer = files_of(w, &options);
	assert_int_equal(json_integer_value(json_object_get(file_at(answer, 0), "write_calls")), 0);
	assert_non_null(json_object_get(file_at(answer, 0), "write_calls"));
	json_decref(answer);

	w->c->unseen = 1u << PROBE_SEES_LAYER_WRITES;
	answer = files_of(w, &options);
	assert_null(json_object_get(file_at(answer, 0), "write_calls"));
	assert_null(json_object_get(file_at(answer, 0), "written_bytes"));
	json_decref(answer);
}

/* An image directory that is listed only for what is beneath it. */
static struct fake_line implied(const char *path)
{
	struct fake_line line = regular(path, TREE_MODIFIED, 0);

	line.node.info.verdict = TREE_NONE;
	line.node.info.st.st_mode = S_IFDIR | 0755;
	return line;
}

static void check_diff(struct world *w, bool no_runtime, const char *expected, size_t len)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	assert_int_equal(view_diff(w->c, no_runtime, &out), 0);
	assert_int_equal(out.len, len);
	assert_memory_equal(strbuf_str(&out), expected, len);
}

static void diff_is_sorted_raw_and_ended_by_nul(void **state)
{
	struct fake_line lines[] = {
		implied("/etc"),
		regular("/etc/x\n\xff", TREE_ADDED, 0644),
		regular("/bin/tee", TREE_DELETED, 0),
		regular("/etc-old", TREE_NONE, 0644),
	};
	static const char expected[] = "D /bin/tee\0C /etc\0A /etc/x\n\xff";
	struct world *w = *state;

	set_lines(w, lines, 4);
	check_diff(w, false, expected, sizeof(expected));
}

static void without_the_runtime_its_directories_go_too(void **state)
{
	struct fake_line lines[] = {
		implied("/etc"),
		regular("/etc/hosts", TREE_ADDED, 0644),
		implied("/opt"),
		implied("/opt/a"),
		regular("/opt/a/stub", TREE_ADDED, 0644),
		regular("/opt/b", TREE_ADDED, 0644),
		regular("/opt-c", TREE_ADDED, 0644),
		implied("/srv"),
		implied("/srv/a"),
		regular("/srv/a/stub", TREE_ADDED, 0644),
	};
	static const char expected[] = "C /opt\0A /opt-c\0A /opt/b";
	struct world *w = *state;

	lines[1].node.info.is_runtime = true;
	lines[4].node.info.is_runtime = true;
	lines[9].node.info.is_runtime = true;
	set_lines(w, lines, 10);
	check_diff(w, true, expected, sizeof(expected));
}

static void a_container_says_what_it_lacks(void **state)
{
	struct world *w = *state;
	json_t *c;

	w->c->tree->counts = (struct tree_counts){.added = 312, .unlisted = 4, .bytes = 1ull << 60};
	w->c->incomplete = 1u << LOSS_RING_FULL;
	c = view_container_seen(w->c, &w->probe);
	assert_true(json_is_false(json_object_get(c, "complete")));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(c, "incomplete_reasons"), 0)),
		loss_reason_name(LOSS_RING_FULL));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(c, "incomplete_reasons"), 1)),
		"unlisted");
	/* Above 2^53 a number would lose digits in most readers. */
	assert_string_equal(text_at(json_object_get(c, "drift"), "bytes"), "1152921504606846976");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(c, "drift"), "added")),
			 312);
	json_decref(c);
}

static void only_seen_targets_have_counters(void **state)
{
	struct world *w = *state;
	json_t *c, *calls;

	w->c->counters.write_calls[DW_TARGET_TMPFS] = 9; /* cannot be: but it is not seen */
	c = view_container_seen(w->c, &w->probe);
	calls = json_object_get(json_object_get(c, "writes"), "calls");
	assert_int_equal(json_object_size(calls), 1);
	assert_int_equal(json_integer_value(json_object_get(calls, "layer")), 0);
	json_decref(c);
}

static void the_list_leaves_out_the_stopped_and_the_sandboxes(void **state)
{
	struct world *w = *state;
	struct ledger_container *stopped = add_container(w->ledger, "b" ID, "old");
	struct ledger_container *sandbox = add_container(w->ledger, "c" ID, "pause");
	json_t *list;

	stopped->meta->state = CONTAINER_EXITED;
	sandbox->meta->is_sandbox = true;
	list = view_containers_seen(w->ledger, &w->probe, false);
	assert_true(schema_accepts("ps-1.json", list));
	assert_int_equal(json_array_size(json_object_get(list, "containers")), 1);
	json_decref(list);
	list = view_containers_seen(w->ledger, &w->probe, true);
	assert_true(schema_accepts("ps-1.json", list));
	assert_int_equal(json_array_size(json_object_get(list, "containers")), 3);
	json_decref(list);
}

static json_t *event_json(const struct event *event)
{
	json_t *object = view_event(event, "n1");
	char *dump;

	assert_non_null(object);
	assert_true(schema_accepts("event-1.json", object));
	dump = json_dumps(object, JSON_COMPACT);
	assert_null(strchr(dump, '\n'));
	free(dump);
	return object;
}

static void a_new_executable_is_a_warning(void **state)
{
	struct world *w = *state;
	const struct writer writer = {.tgid = 9, .comm = "sh\x1b", .executable = NULL};
	const struct event event = {
		.seq = 4711,
		.wall_ns = WALL,
		.type = EVENT_DRIFT,
		.container = w->c,
		.op = DW_OP_CREATE,
		.path = "/usr/bin/\xfe",
		.path_len = 10,
		.change = TREE_ADDED,
		.has_stat = true,
		.ino = UINT64_MAX,
		.mode = S_IFREG | 0755,
		.writer = &writer,
		.cgroup_id = 857,
	};
	json_t *object = event_json(&event);
	const json_t *file = json_object_get(object, "file");

	assert_string_equal(text_at(object, "severity"), "warning");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(object, "reasons"), 0)),
		"new-executable");
	assert_string_equal(text_at(file, "inode"), "18446744073709551615");
	assert_string_equal(text_at(file, "path_b64"), "L3Vzci9iaW4v/g==");
	assert_string_equal(text_at(json_object_get(object, "process"), "cgroup_id"), "857");
	assert_string_equal(text_at(json_object_get(object, "container"), "name"), "web1");
	json_decref(object);
}

static void a_loss_of_nobody_names_no_container(void **state)
{
	const struct event event = {
		.seq = 1, .wall_ns = WALL, .type = EVENT_LOST, .count = 118, .reason = "ring_full"};
	json_t *object = event_json(&event);

	(void)state;
	assert_null(json_object_get(object, "container"));
	assert_int_equal(json_integer_value(json_object_get(object, "count")), 118);
	assert_string_equal(text_at(object, "reason"), "ring_full");
	json_decref(object);
}

static void every_type_and_op_fits_the_schema(void **state)
{
	struct world *w = *state;

	for (int type = 0; type < EVENT_TYPE_MAX; type++) {
		for (int op = DW_OP_INVALID + 1; op < DW_OP_MAX; op++) {
			const struct event event = {
				.wall_ns = WALL,
				.type = type,
				.container = w->c,
				.op = op,
				.target = op % DW_TARGET_MAX,
				.change = op % 4,
				.path = "/x",
				.path_len = 2,
				.old_path = op == DW_OP_RENAME ? "/y" : NULL,
				.old_path_len = 2,
			};

			json_decref(event_json(&event));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_shown_with_all_that_is_known, setup,
						teardown),
		cmocka_unit_test_setup_teardown(files_are_sorted_by_bytes_of_the_path, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_name_that_is_no_utf8_is_given_in_full_as_base64,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_deleted_file_has_no_size_and_no_mode, setup,
						teardown),
		cmocka_unit_test_setup_teardown(entries_without_a_verdict_show_only_on_request,
						setup, teardown),
		cmocka_unit_test_setup_teardown(write_counts_are_absent_where_they_cannot_be_seen,
						setup, teardown),
		cmocka_unit_test_setup_teardown(diff_is_sorted_raw_and_ended_by_nul, setup,
						teardown),
		cmocka_unit_test_setup_teardown(without_the_runtime_its_directories_go_too, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_container_says_what_it_lacks, setup, teardown),
		cmocka_unit_test_setup_teardown(only_seen_targets_have_counters, setup, teardown),
		cmocka_unit_test_setup_teardown(the_list_leaves_out_the_stopped_and_the_sandboxes,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_executable_is_a_warning, setup, teardown),
		cmocka_unit_test_setup_teardown(a_loss_of_nobody_names_no_container, setup,
						teardown),
		cmocka_unit_test_setup_teardown(every_type_and_op_fits_the_schema, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

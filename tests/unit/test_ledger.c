/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_ledger.c - containers by what people type, writers by number, classes of files.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ledger/ledger.h"

#define WEB_ID "aaaa1111bbbb2222cccc3333dddd4444eeee5555ffff6666aaaa1111bbbb2222"
#define DB_ID  "aaaa9999bbbb2222cccc3333dddd4444eeee5555ffff6666aaaa1111bbbb2222"
#define POD_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void add(struct ledger *l, const char *id, const char *name)
{
	struct container *meta = container_new(id, "docker");
	struct ledger_container *c;

	meta->name = strdup(name);
	assert_int_equal(ledger_add(l, meta, &c), 0);
	container_free(meta);
}

static void add_pod(struct ledger *l)
{
	struct container *meta = container_new(POD_ID, "cri");
	struct ledger_container *c;

	meta->pod_namespace = strdup("shop");
	meta->pod = strdup("web-7d4b9");
	meta->pod_container = strdup("nginx");
	assert_int_equal(ledger_add(l, meta, &c), 0);
	container_free(meta);
}

static int setup(void **state)
{
	struct ledger *l = ledger_new();

	add(l, WEB_ID, "web");
	add(l, DB_ID, "db");
	add_pod(l);
	*state = l;
	return 0;
}

static int teardown(void **state)
{
	ledger_free(*state);
	return 0;
}

static void take_id(struct ledger_container *c, void *arg)
{
	*(const char **)arg = c->meta->id;
}

static void resolves_to(struct ledger *l, const char *reference, const char *id)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	const char *found = NULL;

	assert_int_equal(ledger_resolve(l, reference, true, take_id, &found, &error), 1);
	assert_non_null(found);
	assert_string_equal(found, id);
	assert_int_equal(error.len, 0);
}

static void a_container_is_found_by_each_of_its_names(void **state)
{
	resolves_to(*state, WEB_ID, WEB_ID);
	resolves_to(*state, "web", WEB_ID);
	resolves_to(*state, "/web", WEB_ID);
	resolves_to(*state, "aaaa1", WEB_ID);
	resolves_to(*state, "w?b", WEB_ID);
	resolves_to(*state, "shop/web-7d4b9", POD_ID);
	resolves_to(*state, "shop/web-7d4b9/nginx", POD_ID);
	resolves_to(*state, "nginx", POD_ID);
}

static void an_ambiguous_prefix_names_the_candidates(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	const char *found = NULL;

	assert_int_equal(ledger_resolve(*state, "aaaa", true, take_id, &found, &error), 2);
	assert_null(found);
	assert_non_null(strstr(strbuf_str(&error), "web (aaaa1111bbbb)"));
	assert_non_null(strstr(strbuf_str(&error), "db (aaaa9999bbbb)"));
}

static void an_unknown_name_is_escaped_and_answered_with_what_there_is(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;

	assert_int_equal(ledger_resolve(*state, "no\x1bpe", true, NULL, NULL, &error), 0);
	assert_null(strchr(strbuf_str(&error), '\x1b'));
	assert_non_null(strstr(strbuf_str(&error), "web (aaaa1111bbbb)"));
}

static void an_exact_name_wins_over_an_id_prefix(void **state)
{
	add(*state, "feedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeed", "aaaa1");
	resolves_to(*state, "aaaa1",
		    "feedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeed");
}

static void a_living_container_wins_over_a_removed_one_of_its_name(void **state)
{
	struct ledger *l = *state;

	ledger_find_id(l, WEB_ID)->removed_wall_ns = 1;
	resolves_to(l, "web", WEB_ID);
	add(l, "feedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeed", "web");
	resolves_to(l, "web", "feedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeedfeed");
}

static void an_id_is_added_once_and_survives_an_update(void **state)
{
	struct container *meta = container_new(WEB_ID, "docker");
	struct ledger_container *c;

	assert_int_equal(ledger_add(*state, meta, &c), -EEXIST);
	meta->name = strdup("renamed");
	assert_int_equal(ledger_update(ledger_find_id(*state, WEB_ID), meta), 0);
	container_free(meta);
	resolves_to(*state, "renamed", WEB_ID);
	assert_non_null(ledger_find_id(*state, WEB_ID));
}

/* --- writers --- */

static struct writer process(pid_t tgid, const char *comm)
{
	struct writer w = {.tgid = tgid, .start_boot_ns = 5};

	memcpy(w.comm, comm, strlen(comm) + 1);
	return w;
}

static void threads_of_one_process_are_one_writer(void **state)
{
	struct writers *w = writers_new(8);
	struct writer dd = process(7, "dd");
	uint64_t first = writers_add(w, 100, &dd);

	(void)state;
	assert_int_equal(writers_add(w, 101, &dd), first);
	assert_int_equal(writers_by_kernel_id(w, 100), first);
	assert_int_equal(writers_by_kernel_id(w, 101), first);
	assert_int_equal(writers_count(w), 1);
	writers_free(w);
}

static void an_exec_makes_another_writer_of_the_same_pid(void **state)
{
	struct writers *w = writers_new(8);
	struct writer sh = process(7, "sh"), dd = process(7, "dd");

	(void)state;
	assert_int_not_equal(writers_add(w, 1, &sh), writers_add(w, 2, &dd));
	writers_free(w);
}

static void a_full_table_counts_what_it_refuses(void **state)
{
	struct writers *w = writers_new(1);
	struct writer sh = process(7, "sh"), dd = process(8, "dd");

	(void)state;
	assert_int_not_equal(writers_add(w, 1, &sh), 0);
	assert_int_equal(writers_add(w, 2, &dd), 0);
	assert_int_equal(writers_dropped(w), 1);
	assert_null(writers_get(w, 0));
	writers_free(w);
}

static bool is_even(uint64_t number, void *arg)
{
	(void)arg;
	return number % 2 == 0;
}

static void a_sweep_forgets_unused_writers_and_their_kernel_numbers(void **state)
{
	struct writers *w = writers_new(8);
	struct writer sh = process(7, "sh"), dd = process(8, "dd");
	uint64_t one = writers_add(w, 1, &sh), two = writers_add(w, 2, &dd);

	(void)state;
	assert_int_equal(writers_sweep(w, is_even, NULL), 1);
	assert_null(writers_get(w, one % 2 ? one : two));
	assert_int_equal(writers_by_kernel_id(w, one % 2 ? 1 : 2), 0);
	assert_non_null(writers_get(w, one % 2 ? two : one));
	writers_free(w);
}

/* --- classes --- */

static const char *class_of(const char *path, unsigned mode)
{
	struct tree_node_info info = {.st = {.st_mode = mode}};

	return ledger_classify(path, strlen(path), TREE_ADDED, &info);
}

static void files_are_classed_by_kind_then_mode_then_place(void **state)
{
	(void)state;
	assert_string_equal(class_of("/usr/local/bin/miner", S_IFREG | 0755), "executable");
	assert_string_equal(class_of("/tmp/x", S_IFREG | 0700), "executable");
	assert_string_equal(class_of("/usr/lib/libc.so.6", S_IFREG | 0755), "library");
	assert_string_equal(class_of("/etc/passwd", S_IFREG | 0644), "config");
	assert_string_equal(class_of("/etcetera/x", S_IFREG | 0644), "data");
	assert_string_equal(class_of("/var/log/messages", S_IFREG | 0644), "log");
	assert_string_equal(class_of("/tmp/x", S_IFREG | 0600), "temporary");
	assert_string_equal(class_of("/etc", S_IFDIR | 0755), "directory");
	assert_string_equal(class_of("/etc/x", S_IFLNK | 0777), "symlink");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_container_is_found_by_each_of_its_names, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_ambiguous_prefix_names_the_candidates, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			an_unknown_name_is_escaped_and_answered_with_what_there_is, setup,
			teardown),
		cmocka_unit_test_setup_teardown(an_exact_name_wins_over_an_id_prefix, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			a_living_container_wins_over_a_removed_one_of_its_name, setup, teardown),
		cmocka_unit_test_setup_teardown(an_id_is_added_once_and_survives_an_update, setup,
						teardown),
		cmocka_unit_test(threads_of_one_process_are_one_writer),
		cmocka_unit_test(an_exec_makes_another_writer_of_the_same_pid),
		cmocka_unit_test(a_full_table_counts_what_it_refuses),
		cmocka_unit_test(a_sweep_forgets_unused_writers_and_their_kernel_numbers),
		cmocka_unit_test(files_are_classed_by_kind_then_mode_then_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * test_recall.c - what the engine remembers for a moment: inodes, and the text of a flush.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine_recall.h"
#include "base/arena.h"

#define SOME 3000

/* Numbers in steps, as a file system hands them out, the same ones of two devices. */
static uint64_t ino_of(int i)
{
	return 131072 + (uint64_t)(i / 2) * 8;
}

static void make_some(struct recall_table *t)
{
	for (int i = 0; i < SOME; i++) {
		struct recall *r = recall_make(t, 1 + i % 2, ino_of(i));

		assert_non_null(r);
		r->ops = (unsigned)i;
		r->told_until_ns = 10 + (uint64_t)i % 3;
	}
}

static void an_inode_is_remembered_where_it_was(void **state)
{
	struct recall_table t = {0};
	struct recall *first;

	(void)state;
	assert_null(recall_find(&t, 1, 7));
	first = recall_make(&t, 1, 7);
	first->told_until_ns = 1;
	assert_null(recall_find(&t, 257, 7)); /* which has the same place */
	make_some(&t);
	assert_ptr_equal(recall_find(&t, 1, 7), first);
	assert_ptr_equal(recall_make(&t, 1, 7), first);
	assert_null(recall_find(&t, 2, 7));
	for (int i = 0; i < SOME; i++)
		assert_int_equal(recall_find(&t, 1 + i % 2, ino_of(i))->ops, i);
	assert_null(recall_make(&t, 1, 0));
	recall_expire(&t, UINT64_MAX);
	assert_int_equal(t.used, 0);
	assert_null(t.places);
}

static void what_is_due_is_forgotten_and_the_rest_found(void **state)
{
	struct recall_table t = {0};

	(void)state;
	make_some(&t);
	recall_expire(&t, 11);
	for (int i = 0; i < SOME; i++) {
		const struct recall *r = recall_find(&t, 1 + i % 2, ino_of(i));

		assert_int_equal(r ? (int)r->ops : -1, i % 3 == 2 ? i : -1);
	}
	make_some(&t); /* in the places that are free again */
	assert_int_equal(t.used, SOME);
	recall_expire(&t, UINT64_MAX);
}

static void each_memory_of_an_inode_ends_at_its_own_time(void **state)
{
	struct recall_table t = {0};
	struct recall *r = recall_make(&t, 1, 2);

	(void)state;
	*r = (struct recall){.key = r->key,
			     .ops = 1,
			     .created_at = strdup("/name"),
			     .pending = calloc(1, sizeof(*r->pending)),
			     .origin = {.writer = 3},
			     .mark = {.writer = 4},
			     .told_until_ns = 30,
			     .mark_until_ns = 20,
			     .pending_until_ns = 10};
	recall_expire(&t, 10);
	assert_null(r->pending);
	assert_int_equal(r->mark.writer, 4);
	recall_expire(&t, 20);
	assert_int_equal(r->mark.writer, 0);
	assert_string_equal(r->created_at, "/name");
	assert_int_equal(r->origin.writer, 3);
	recall_expire(&t, 29);
	assert_ptr_equal(recall_find(&t, 1, 2), r);
	recall_expire(&t, 30);
	assert_null(recall_find(&t, 1, 2));
}

static void a_full_memory_takes_no_more_and_loses_nothing(void **state)
{
	struct recall_table t = {0};

	(void)state;
	for (uint64_t ino = 1; ino <= RECALL_MAX; ino++)
		recall_make(&t, 1, ino)->mark_until_ns = 1 + ino % 2;
	assert_null(recall_make(&t, 1, RECALL_MAX + 1));
	assert_null(recall_make(&t, 1, 0));
	assert_non_null(recall_make(&t, 1, RECALL_MAX));
	recall_expire(&t, 1);
	assert_int_equal(t.used, RECALL_MAX / 2);
	assert_non_null(recall_make(&t, 1, RECALL_MAX + 1));
	recall_expire(&t, UINT64_MAX);
}

static void text_is_whole_until_the_reset(void **state)
{
	enum { LONG = 100000 };
	struct arena a = {0};
	char *big = calloc(1, LONG + 1);
	char *copies[5000], number[16];

	(void)state;
	memset(big, 'x', LONG);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5000; i++) {
			int len = snprintf(number, sizeof(number), "/%d", i);

			copies[i] = arena_copy(&a, number, (size_t)len);
		}
		assert_string_equal(arena_copy(&a, big, LONG), big);
		assert_string_equal(arena_copy(&a, "", 0), "");
		for (int i = 0; i < 5000; i++)
			assert_int_equal(atoi(copies[i] + 1), i);
		arena_reset(&a);
	}
	arena_done(&a);
	arena_done(&a);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_inode_is_remembered_where_it_was),
		cmocka_unit_test(what_is_due_is_forgotten_and_the_rest_found),
		cmocka_unit_test(each_memory_of_an_inode_ends_at_its_own_time),
		cmocka_unit_test(a_full_memory_takes_no_more_and_loses_nothing),
		cmocka_unit_test(text_is_whole_until_the_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_probe_decode.c - records of the rings are bounded, whatever is in them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/probe.h"

/* A record with room for its paths, on the heap so that overruns are seen. */
static struct dw_op_record *op_record(const char *path, const char *path2, size_t *ret_size)
{
	size_t len = path ? strlen(path) + 1 : 0, len2 = path2 ? strlen(path2) + 1 : 0;
	struct dw_op_record *r = calloc(1, sizeof(*r) + len + len2);

	assert_non_null(r);
	r->type = DW_RECORD_OP;
	r->op = DW_OP_WRITE;
	r->path_len = (uint16_t)len;
	r->path2_len = (uint16_t)len2;
	if (path)
		memcpy(r->path, path, len);
	if (path2)
		memcpy(r->path + len, path2, len2);
	*ret_size = sizeof(*r) + len + len2;
	return r;
}

static void both_paths_are_handed_out(void **state)
{
	struct probe_record record;
	size_t size;
	struct dw_op_record *r = op_record("/new", "/older", &size);

	(void)state;
	assert_int_equal(probe_decode(r, size, &record), 0);
	assert_int_equal(record.type, DW_RECORD_OP);
	assert_ptr_equal(record.op, r);
	assert_string_equal(record.path, "/new");
	assert_int_equal(record.path_len, 4);
	assert_string_equal(record.path2, "/older");
	assert_int_equal(record.path2_len, 6);
	free(r);
}

static void a_record_without_a_path_has_an_empty_one(void **state)
{
	struct probe_record record;
	size_t size;
	struct dw_op_record *r = op_record(NULL, NULL, &size);

	(void)state;
	assert_int_equal(probe_decode(r, size, &record), 0);
	assert_string_equal(record.path, "");
	assert_string_equal(record.path2, "");
	free(r);
}

static void a_path_longer_than_the_record_is_refused(void **state)
{
	struct probe_record record;
	size_t size;
	struct dw_op_record *r = op_record("/path", NULL, &size);

	(void)state;
	r->path_len = 7;
	assert_int_equal(probe_decode(r, size, &record), -EBADMSG);
	r->path_len = 6;
	r->path2_len = UINT16_MAX;
	assert_int_equal(probe_decode(r, size, &record), -EBADMSG);
	free(r);
}

static void a_path_without_its_nul_is_refused(void **state)
{
	struct probe_record record;
	size_t size;
	struct dw_op_record *r = op_record("/path", NULL, &size);

	(void)state;
	r->path[5] = 'x';
	assert_int_equal(probe_decode(r, size, &record), -EBADMSG);
	r->path[5] = '\0';
	r->path[2] = '\0';
	assert_int_equal(probe_decode(r, size, &record), -EBADMSG);
	free(r);
}

static void every_short_record_is_refused(void **state)
{
	struct probe_record record;
	size_t size, cut;
	struct dw_op_record *r = op_record("/path", "/other", &size);

	(void)state;
	for (cut = 0; cut < size; cut++) {
		void *copy = malloc(cut ? cut : 1);

		assert_non_null(copy);
		memcpy(copy, r, cut);
		assert_int_equal(probe_decode(copy, cut, &record), -EBADMSG);
		free(copy);
	}
	free(r);
}

static void unknown_numbers_are_refused(void **state)
{
	struct probe_record record;
	size_t size;
	struct dw_op_record *r = op_record("/path", NULL, &size);

	(void)state;
	r->op = DW_OP_INVALID;
	assert_int_equal(probe_decode(r, size, &record), -EPROTO);
	r->op = DW_OP_MAX;
	assert_int_equal(probe_decode(r, size, &record), -EPROTO);
	r->op = DW_OP_WRITE;
	r->target = DW_TARGET_MAX;
	assert_int_equal(probe_decode(r, size, &record), -EPROTO);
	r->target = DW_TARGET_LAYER;
	r->type = 99;
	assert_int_equal(probe_decode(r, size, &record), -EPROTO);
	r->type = DW_RECORD_INVALID;
	assert_int_equal(probe_decode(r, size, &record), -EPROTO);
	free(r);
}

static void a_name_of_a_task_without_its_nul_is_refused(void **state)
{
	struct dw_dirty_record dirty = {.type = DW_RECORD_DIRTY};
	struct probe_record record;
	size_t size;
	struct dw_op_record *r = op_record("/path", NULL, &size);

	(void)state;
	memset(r->comm, 'c', sizeof(r->comm));
	assert_int_equal(probe_decode(r, size, &record), -EBADMSG);
	free(r);
	assert_int_equal(probe_decode(&dirty, sizeof(dirty), &record), 0);
	assert_ptr_equal(record.dirty, &dirty);
	memset(dirty.comm, 'c', sizeof(dirty.comm));
	assert_int_equal(probe_decode(&dirty, sizeof(dirty), &record), -EBADMSG);
}

static void cgroups_and_sights_are_decoded(void **state)
{
	struct dw_sight_record sight = {.type = DW_RECORD_SIGHT, .tgid = 5};
	struct dw_cgroup_record *cgroup = calloc(1, sizeof(*cgroup) + 3);
	struct probe_record record;

	(void)state;
	assert_non_null(cgroup);
	assert_int_equal(probe_decode(&sight, sizeof(sight), &record), 0);
	assert_int_equal(record.sight->tgid, 5);
	assert_int_equal(probe_decode(&sight, sizeof(sight) - 1, &record), -EBADMSG);
	cgroup->type = DW_RECORD_CGROUP;
	cgroup->op = DW_CGROUP_RMDIR;
	cgroup->path_len = 3;
	memcpy(cgroup->path, "/a", 3);
	assert_int_equal(probe_decode(cgroup, sizeof(*cgroup) + 3, &record), 0);
	assert_string_equal(record.path, "/a");
	assert_int_equal(probe_decode(cgroup, sizeof(*cgroup) + 2, &record), -EBADMSG);
	cgroup->op = 3;
	assert_int_equal(probe_decode(cgroup, sizeof(*cgroup) + 3, &record), -EPROTO);
	free(cgroup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_paths_are_handed_out),
		cmocka_unit_test(a_record_without_a_path_has_an_empty_one),
		cmocka_unit_test(a_path_longer_than_the_record_is_refused),
		cmocka_unit_test(a_path_without_its_nul_is_refused),
		cmocka_unit_test(every_short_record_is_refused),
		cmocka_unit_test(unknown_numbers_are_refused),
		cmocka_unit_test(a_name_of_a_task_without_its_nul_is_refused),
		cmocka_unit_test(cgroups_and_sights_are_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

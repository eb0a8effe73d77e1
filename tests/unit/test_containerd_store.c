/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_containerd_store.c - databases that containerd 1.6 wrote, whole and damaged.
 *
 * What ctr said of the container in them is written down below.
 */
#include "host_world.h"

#include "base/clock.h"
#include "container/containerd_db.h"
#include "container/mountinfo.h"

#define ROOT	  "/srv/c"
#define META	  ROOT "/io.containerd.metadata.v1.bolt/meta.db"
#define SNAPSHOTS ROOT "/io.containerd.snapshotter.v1.overlayfs"

static void put_database(struct host_world *w, const char *path, const char *name)
{
	auto_strbuf struct strbuf bytes = STRBUF_INIT;
	char from[PATH_MAX];

	snprintf(from, sizeof(from), "%s/fixtures/runtimes/%s", TEST_DATA, name);
	assert_int_equal(file_read(AT_FDCWD, from, 1 << 24, &bytes), 0);
	world_bytes(w, path, bytes.data, bytes.len);
}

static void prepare(struct host_world *w, struct source *s)
{
	static char root[] = ROOT;

	world_open(w);
	*s = world_source(w, &containerd_store_source_ops, root);
	put_database(w, META, "containerd-meta.db");
	put_database(w, SNAPSHOTS "/metadata.db", "containerd-overlayfs.db");
}

static void finish(struct host_world *w, struct source *s)
{
	source_close(s);
	world_close(w);
}

static int collect(const char *key, void *arg)
{
	strbuf_addf(arg, "[%s]", key);
	return 0;
}

static void a_container_that_does_not_run_is_read_whole(void **state)
{
	auto_strbuf struct strbuf keys = STRBUF_INIT, why = STRBUF_INIT;
	struct host_world w;
	struct container *c;
	struct source s;
	uint64_t created;

	(void)state;
	prepare(&w, &s);
	assert_int_equal(s.ops->list(&s, collect, &keys), 0);
	assert_string_equal(strbuf_str(&keys), "[default/keep1]");
	assert_int_equal(s.ops->read(&s, "default/keep1", &why, &c), 0);
	clock_parse_rfc3339("2026-11-21T22:11:41.791507104Z", &created);
	assert_string_equal(c->id, "keep1");
	assert_string_equal(c->runtime, "containerd");
	assert_string_equal(c->image, "docker.io/library/eco:1");
	assert_string_equal(
		c->image_id,
		"sha256:a774985e5dfd10cfc06c7d83829a6d11add3390cc063b91374a419a165e9b1b5");
	assert_int_equal(c->created_wall_ns, created);
	assert_int_equal(c->state, CONTAINER_EXITED);
	assert_string_equal(c->cgroup_path, "/default/keep1");
	assert_string_equal(c->overlay.upper, SNAPSHOTS "/snapshots/5/fs");
	assert_string_equal(c->overlay.work, SNAPSHOTS "/snapshots/5/work");
	assert_int_equal(c->overlay.lowers_len, 1);
	assert_string_equal(c->overlay.lowers[0], SNAPSHOTS "/snapshots/1/fs");
	container_free(c);
	finish(&w, &s);
}

static void a_snapshot_is_found_by_its_key_alone(void **state)
{
	struct container_overlay layer = {0};
	struct containerd_db *db;
	struct host_world w;
	struct source s;

	(void)state;
	prepare(&w, &s);
	assert_int_equal(containerd_db_open(&s, &db), 0);
	assert_int_equal(containerd_db_read_snapshot(db, "moby", "keep1", &layer), -ENOENT);
	assert_int_equal(containerd_db_read_snapshot(db, "default", "other", &layer), -ENOENT);
	assert_int_equal(containerd_db_read_snapshot(db, "default", "keep1", &layer), 0);
	assert_string_equal(layer.upper, SNAPSHOTS "/snapshots/5/fs");
	assert_string_equal(layer.lowers[0], SNAPSHOTS "/snapshots/1/fs");
	mountinfo_overlay_done(&layer);
	assert_true(containerd_db_is_current(db));
	containerd_db_close(db);
	finish(&w, &s);
}

static void without_the_snapshotters_database_the_layer_is_unknown(void **state)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	struct host_world w;
	struct container *c;
	struct source s;

	(void)state;
	prepare(&w, &s);
	world_remove(&w, SNAPSHOTS);
	assert_int_equal(s.ops->read(&s, "default/keep1", &why, &c), 0);
	assert_null(c->overlay.upper);
	container_free(c);
	finish(&w, &s);
}

static void what_is_no_database_is_an_error_with_a_sentence(void **state)
{
	auto_strbuf struct strbuf keys = STRBUF_INIT, why = STRBUF_INIT;
	struct container *c = NULL;
	struct host_world w;
	struct source s;

	(void)state;
	prepare(&w, &s);
	world_file(&w, META, "not a database");
	assert_int_equal(s.ops->list(&s, collect, &keys), -EBADMSG);
	assert_int_equal(s.ops->read(&s, "default/keep1", &why, &c), -EBADMSG);
	assert_non_null(strstr(strbuf_str(&why), "meta.db cannot be read"));
	world_remove(&w, META);
	assert_int_equal(s.ops->list(&s, collect, &keys), -ENOENT);
	finish(&w, &s);
}

static void while_it_cannot_be_read_what_was_read_stays(void **state)
{
	auto_strbuf struct strbuf keys = STRBUF_INIT;
	struct host_world w;
	struct source s;
	uint64_t stamp;

	(void)state;
	prepare(&w, &s);
	stamp = s.ops->stamp(&s, "default/keep1");
	assert_int_not_equal(stamp, 0);
	world_file(&w, META, "torn");
	assert_int_equal(s.ops->stamp(&s, "default/keep1"), stamp);
	finish(&w, &s);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Any damage ends in an error or in some containers; ASan and the clock judge the rest. */
static void damaged_databases_do_no_harm(void **state)
{
	auto_strbuf struct strbuf good = STRBUF_INIT;
	auto_free char *bytes = NULL;
	char from[PATH_MAX];
	uint32_t seed = 1;
	struct host_world w;
	struct source s;

	(void)state;
	prepare(&w, &s);
	snprintf(from, sizeof(from), "%s/fixtures/runtimes/containerd-meta.db", TEST_DATA);
	assert_int_equal(file_read(AT_FDCWD, from, 1 << 24, &good), 0);
	bytes = malloc(good.len);
	for (int round = 0; round < 300; round++) {
		auto_strbuf struct strbuf keys = STRBUF_INIT;
		size_t len = round % 10 ? good.len : next_random(&seed) % good.len;

		memcpy(bytes, good.data, good.len);
		for (int i = 0; i < 40; i++) {
			/* Headers and elements of a page lie at its beginning. */
			size_t page = 2 + next_random(&seed) % (good.len / 4096 - 2);
			size_t at = page * 4096 + next_random(&seed) % 256;

			bytes[at] = (char)next_random(&seed);
		}
		world_bytes(&w, META, bytes, len);
		s.ops->list(&s, collect, &keys);
	}
	finish(&w, &s);
}

/* A page that is its own child must not be followed for ever. */
static void a_tree_that_bites_its_tail_ends_in_an_error(void **state)
{
	auto_strbuf struct strbuf bytes = STRBUF_INIT, keys = STRBUF_INIT;
	char from[PATH_MAX];
	uint64_t root;
	struct host_world w;
	struct source s;

	(void)state;
	prepare(&w, &s);
	snprintf(from, sizeof(from), "%s/fixtures/runtimes/containerd-meta.db", TEST_DATA);
	assert_int_equal(file_read(AT_FDCWD, from, 1 << 24, &bytes), 0);
	for (uint64_t page = 2; page < bytes.len / 4096; page++) {
		uint8_t *p = (uint8_t *)bytes.data + page * 4096;

		root = page;
		p[8] = 1; /* a branch */
		p[9] = 0;
		p[10] = 8; /* of eight elements */
		p[11] = 0;
		memset(p + 12, 0, 4);
		for (int i = 0; i < 8; i++) {
			memset(p + 16 + 16 * i, 0, 8);
			memcpy(p + 16 + 16 * i + 8, &root, sizeof(root));
		}
	}
	world_bytes(&w, META, bytes.data, bytes.len);
	assert_true(s.ops->list(&s, collect, &keys) < 0);
	finish(&w, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_container_that_does_not_run_is_read_whole),
		cmocka_unit_test(a_snapshot_is_found_by_its_key_alone),
		cmocka_unit_test(without_the_snapshotters_database_the_layer_is_unknown),
		cmocka_unit_test(what_is_no_database_is_an_error_with_a_sentence),
		cmocka_unit_test(while_it_cannot_be_read_what_was_read_stays),
		cmocka_unit_test(damaged_databases_do_no_harm),
		cmocka_unit_test(a_tree_that_bites_its_tail_ends_in_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

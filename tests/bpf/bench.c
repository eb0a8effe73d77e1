/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bench.c - an engine on the kernel side of a lab, with the lab's container for its own.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct engine_options bench_options(const struct bench *b)
{
	return (struct engine_options){
		.no_discovery = true,
		.state_dir = b->state_dir,
		.probe = {.tier = PROBE_TIER_FS,
			  .dirty_ring_bytes = 4096,
			  .max_containers = b->max_containers,
			  .pin_dir = b->state_dir ? b->pin_dir : NULL},
	};
}

void bench_open_engine(struct bench *b)
{
	struct engine_options options = bench_options(b);

	assert_int_equal(engine_open(&options, NULL, &b->engine), 0);
}

void bench_open(void **state, enum lab_fs fs, unsigned max_containers)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->max_containers = max_containers;
	b->lab = lab_open(fs, 16, PROBE_TIER_FS);
	b->lab->probe = probe_close(b->lab->probe, false);
	*state = b;
}

int bench_setup(void **state)
{
	bench_open(state, LAB_ROOT_FS, 0);
	bench_open_engine(*state);
	return 0;
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	engine_close(b->engine, false);
	if (b->state_dir)
		probe_unpin(b->pin_dir);
	free(b->state_dir);
	lab_close(b->lab);
	free(b);
	return 0;
}

char *bench_beside(const struct lab *lab, const char *name)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/fs/%s", lab->dir, name) > 0);
	return path;
}

void bench_make_dir_beside(const struct bench *b, const char *name)
{
	auto_free char *dir = bench_beside(b->lab, name);

	assert_int_equal(mkdir(dir, 0755), 0);
}

struct ledger_container *bench_add_layer(const struct bench *b, const char *id, const char *upper,
					 uint32_t overlay_dev)
{
	struct container *meta = container_new(id, "driftwatch");
	struct ledger_container *c;

	meta->overlay.upper = bench_beside(b->lab, upper);
	meta->overlay.work = overlay_dev ? bench_beside(b->lab, "work/work") : NULL;
	meta->overlay.lowers = calloc(1, sizeof(char *));
	meta->overlay.lowers[0] = bench_beside(b->lab, "lower");
	meta->overlay.lowers_len = 1;
	meta->overlay.dev = overlay_dev;
	assert_int_equal(engine_add_own(b->engine, meta, &c), 0);
	container_free(meta);
	return c;
}

void bench_add(struct bench *b, const char *id)
{
	b->c = bench_add_layer(b, id, "upper", b->lab->overlay_dev);
}

void bench_begin(struct bench *b)
{
	bench_add(b, "lab");
	assert_true(b->c->counts_pending); /* what was counted before goes with the first scan */
	assert_int_equal(engine_start(b->engine), 0);
}

struct track *bench_track(const struct bench *b)
{
	return b->c->engine_data;
}

void bench_begin_and_read(struct bench *b)
{
	bench_begin(b);
	assert_true(engine_settle(b->engine, 10000));
	assert_false(b->c->counts_pending);
	assert_false(bench_track(b)->is_scanned);
	engine_look_after(b->engine, bench_track(b)); /* what the reading itself may have lost */
	engine_look_after(b->engine, bench_track(b));
	assert_int_equal(b->c->incomplete, 0);
}

void bench_make_wide(const struct bench *b, int files)
{
	char name[32];

	for (int i = 0; i < BENCH_DIRS; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		bench_make_dir(b, name);
		for (int j = 0; j < files; j++) {
			snprintf(name, sizeof(name), "d%d/f%d", i, j);
			bench_make_file(b, name);
		}
	}
}

void bench_fill_dirty_ring(const struct bench *b)
{
	char name[32];

	for (int i = 0; i < BENCH_DIRTY; i++) {
		snprintf(name, sizeof(name), "d%d/new", i);
		bench_make_file(b, name);
	}
	assert_true(probe_dirty_overflowed(engine_probe(b->engine)));
}

bool bench_lists(const struct bench *b, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/%s", name);
	return tree_find_path(b->c->tree, path, strlen(path));
}

void bench_make_dir(const struct bench *b, const char *name)
{
	assert_int_equal(mkdir(lab_path(b->lab, name), 0755), 0);
}

void bench_make_file(const struct bench *b, const char *name)
{
	int fd = open(lab_path(b->lab, name), O_CREAT | O_WRONLY, 0644);

	assert_true(fd >= 0);
	close(fd);
}

void bench_expect_mode(const struct bench *b, const char *name, mode_t mode)
{
	struct tree_node_info info;
	char path[64];

	snprintf(path, sizeof(path), "/%s", name);
	assert_true(bench_lists(b, name));
	tree_node_info(tree_find_path(b->c->tree, path, strlen(path)), &info);
	assert_int_equal(info.st.st_mode & 07777, mode);
}

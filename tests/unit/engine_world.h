/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_world.h - an engine without a kernel side on one container's layer, made here.
 *
 * The layer holds one added file, "dropped". What the kernel side would report the test
 * puts into the container's counters or on the tree's nodes.
 */
#ifndef ENGINE_WORLD_H
#define ENGINE_WORLD_H

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/engine.h"
#include "base/file.h"

#define WORLD_ID "aaaa1111bbbb2222cccc3333dddd4444eeee5555ffff6666aaaa1111bbbb2222"

struct engine_world {
	char dir[64];
	char upper[96], work[96], lower[96], state[96];
};

static inline void world_make_dir(struct engine_world *w, char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", w->dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static inline void world_put(const char *dir, const char *name, const char *text)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/%s", dir, name);
	assert_int_equal(file_replace(AT_FDCWD, strbuf_str(&path), text, strlen(text)), 0);
}

static inline int world_setup(void **state)
{
	struct engine_world *w = calloc(1, sizeof(*w));

	snprintf(w->dir, sizeof(w->dir), "/tmp/driftwatch-engine.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	world_make_dir(w, w->upper, sizeof(w->upper), "upper");
	world_make_dir(w, w->work, sizeof(w->work), "work");
	world_make_dir(w, w->lower, sizeof(w->lower), "lower");
	world_make_dir(w, w->state, sizeof(w->state), "state");
	world_put(w->upper, "dropped", "text");
	*state = w;
	return 0;
}

static inline int world_teardown(void **state)
{
	auto_strbuf struct strbuf command = STRBUF_INIT;
	struct engine_world *w = *state;

	strbuf_addf(&command, "rm -rf %s", w->dir);
	assert_int_equal(system(strbuf_str(&command)), 0);
	free(w);
	return 0;
}

static inline struct container *world_describe(const struct engine_world *w, const char *id)
{
	struct container *meta = container_new(id, "driftwatch");

	meta->overlay.upper = strdup(w->upper);
	meta->overlay.work = strdup(w->work);
	meta->overlay.lowers = calloc(1, sizeof(char *));
	meta->overlay.lowers[0] = strdup(w->lower);
	meta->overlay.lowers_len = 1;
	meta->overlay.dev = 1;
	return meta;
}

/* An engine that has read the layer of the one container it has. */
static inline struct engine *world_start(const struct engine_world *w,
					 struct ledger_container **ret)
{
	struct engine_options options = {
		.no_probe = true, .no_discovery = true, .state_dir = w->state};
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct container *meta = world_describe(w, WORLD_ID);
	struct engine *e = NULL;

	assert_int_equal(engine_open(&options, &error, &e), 0);
	assert_int_equal(engine_add_own(e, meta, ret), 0);
	assert_int_equal(engine_start(e), 0);
	assert_true(engine_settle(e, 2000));
	assert_int_equal(engine_step(e), 0);
	assert_true(engine_is_ready(e));
	container_free(meta);
	return e;
}

static inline struct tree_node *world_node(const struct ledger_container *c, const char *path)
{
	struct tree_node *n = tree_find_path(c->tree, path, strlen(path));

	assert_non_null(n);
	return n;
}

#endif /* ENGINE_WORLD_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * host_world.h - a host root made of files, for tests of container/.
 *
 * A directory below /tmp that holds what a host's /proc, /run and /var/lib would.
 */
#ifndef HOST_WORLD_H
#define HOST_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/strbuf.h"
#include "container/hostfs.h"
#include "container/source.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct host_world {
	char root[64];
	struct hostfs fs;
};

static inline int world_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void world_remove(const struct host_world *w, const char *path)
{
	auto_free char *full = file_join(w->root, path);

	nftw(full, world_unlink, 32, FTW_DEPTH | FTW_PHYS);
}

static inline void world_open(struct host_world *w)
{
	snprintf(w->root, sizeof(w->root), "/tmp/driftwatch-test.XXXXXX");
	assert_non_null(mkdtemp(w->root));
	assert_int_equal(hostfs_init(&w->fs, w->root), 0);
}

static inline void world_close(struct host_world *w)
{
	hostfs_done(&w->fs);
	world_remove(w, "/");
}

static inline void world_dir(const struct host_world *w, const char *path)
{
	auto_free char *full = file_join(w->root, path);

	assert_int_equal(file_make_dirs(full, 0755), 0);
}

static inline void world_bytes(const struct host_world *w, const char *path, const void *bytes,
			       size_t len)
{
	auto_free char *full = file_join(w->root, path);
	auto_free char *dir = strdup(full);
	FILE *f;

	*strrchr(dir, '/') = '\0';
	assert_int_equal(file_make_dirs(dir, 0755), 0);
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void world_file(const struct host_world *w, const char *path, const char *text)
{
	world_bytes(w, path, text, strlen(text));
}

static inline void world_link(const struct host_world *w, const char *path, const char *target)
{
	auto_free char *full = file_join(w->root, path);

	assert_int_equal(symlink(target, full), 0);
}

/* The text of tests/fixtures/runtimes/@name. The caller frees it. */
static inline char *fixture(const char *name)
{
	struct strbuf text = STRBUF_INIT;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/fixtures/runtimes/%s", TEST_DATA, name);
	assert_int_equal(file_read(AT_FDCWD, path, 1 << 24, &text), 0);
	return strbuf_take(&text);
}

static inline void world_fixture(const struct host_world *w, const char *path, const char *name)
{
	auto_free char *text = fixture(name);

	world_file(w, path, text);
}

/* An overlay2 layer below @home, on one lower. */
static inline void world_layer(const struct host_world *w, const char *home, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/diff", home, name);
	world_dir(w, path);
	snprintf(path, sizeof(path), "%s/base/diff", home);
	world_dir(w, path);
	snprintf(path, sizeof(path), "%s/l", home);
	world_dir(w, path);
	snprintf(path, sizeof(path), "%s/l/BASE", home);
	world_remove(w, path);
	world_link(w, path, "../base/diff");
	snprintf(path, sizeof(path), "%s/%s/lower", home, name);
	world_file(w, path, "l/BASE");
}

static inline void ignore_discovery(void *arg, const char *kind, const char *root,
				    const char *found_by)
{
	(void)arg;
	(void)kind;
	(void)root;
	(void)found_by;
}

/* A source over the world, as the registry would make one. */
static inline struct source world_source(struct host_world *w, const struct source_ops *ops,
					 char *root)
{
	return (struct source){
		.ops = ops, .fs = &w->fs, .root = root, .discover = ignore_discovery};
}

static inline void source_close(struct source *s)
{
	if (s->ops->done)
		s->ops->done(s);
}

#endif /* HOST_WORLD_H */

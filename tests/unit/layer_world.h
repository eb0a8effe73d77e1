/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * layer_world.h - layers on a real disk for the tests of stack, scan and tree.
 *
 * A world is a temporary directory with lower layers l0 (topmost), l1, … and an upper
 * layer; whiteouts and opaque marks need root, so do these tests.
 */
#ifndef LAYER_WORLD_H
#define LAYER_WORLD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "layer/scan.h"
#include "layer/stack.h"

#define WORLD_LAYERS_MAX 128

struct world {
	char dir[64];
	char *lowers[WORLD_LAYERS_MAX];
	size_t lowers_len;
	char upper[96];
};

/* A path in the world, of the few that are needed at once. */
__attribute__((format(printf, 2, 3))) static inline char *world_path(struct world *w,
								     const char *fmt, ...)
{
	static char paths[8][4096];
	static unsigned next;
	char *path = paths[next++ % 8];
	int n = snprintf(path, sizeof(paths[0]), "%s/", w->dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path + n, sizeof(paths[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	return path;
}

static inline void world_make(struct world *w, size_t lowers_len)
{
	size_t i;

	*w = (struct world){.dir = "/var/tmp/driftwatch-test-XXXXXX"};
	assert_non_null(mkdtemp(w->dir));
	w->lowers_len = lowers_len;
	for (i = 0; i < lowers_len; i++) {
		w->lowers[i] = strdup(world_path(w, "l%zu", i));
		assert_int_equal(mkdir(w->lowers[i], 0755), 0);
	}
	snprintf(w->upper, sizeof(w->upper), "%s/upper", w->dir);
	assert_int_equal(mkdir(w->upper, 0755), 0);
}

static inline void world_remove(struct world *w)
{
	char command[128];
	size_t i;

	/* Its paths may be too long for nftw(). */
	snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
	for (i = 0; i < w->lowers_len; i++)
		free(w->lowers[i]);
}

static inline struct layer_stack *world_stack(struct world *w)
{
	struct layer_stack *stack = NULL;

	assert_int_equal(layer_stack_open(NULL, w->lowers, w->lowers_len, NULL, &stack), 0);
	return stack;
}

/* Content and a fixed time, so that a copy in two layers is equal by stat. */
static inline void put_file(const char *path, const char *content)
{
	const struct timespec times[2] = {{1700000000, 123}, {1700000000, 123}};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static inline void put_dir(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static inline void put_whiteout(const char *path)
{
	assert_int_equal(mknod(path, S_IFCHR | 0600, makedev(0, 0)), 0);
}

static inline void set_opaque(const char *path)
{
	assert_int_equal(setxattr(path, "trusted.overlay.opaque", "y", 1, 0), 0);
}

/* --- lines as one sorted text, "A /x\nC /y\n" */

struct line_set {
	char **text;
	size_t len, size;
};

static inline int line_add(char verdict, const char *path, size_t len, void *arg)
{
	struct line_set *set = arg;

	assert_int_equal(strlen(path), len);
	if (set->len == set->size) {
		set->size = set->size ? set->size * 2 : 64;
		set->text = reallocarray(set->text, set->size, sizeof(char *));
		assert_non_null(set->text);
	}
	assert_true(asprintf(&set->text[set->len++], "%c %s\n", verdict, path) > 0);
	return 0;
}

static inline int line_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Frees the set. The caller frees the text. */
static inline char *line_text(struct line_set *set)
{
	char *text;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (set->len)
		qsort(set->text, set->len, sizeof(char *), line_order);
	for (i = 0; i < set->len; i++) {
		fputs(set->text[i], out);
		free(set->text[i]);
	}
	fclose(out);
	free(set->text);
	*set = (struct line_set){0};
	return text;
}

static inline char *world_scan(struct world *w)
{
	struct layer_stack *stack = world_stack(w);
	struct line_set set = {0};

	assert_int_equal(layer_scan(NULL, w->upper, stack, line_add, &set), 0);
	layer_stack_close(stack);
	return line_text(&set);
}

static inline void assert_scan(struct world *w, const char *expected)
{
	char *text = world_scan(w);

	assert_string_equal(text, expected);
	free(text);
}

static inline void skip_unless_root(void)
{
	if (geteuid() != 0) {
		print_message("SKIP: whiteouts and trusted xattrs need root\n");
		exit(0);
	}
}

#endif /* LAYER_WORLD_H */

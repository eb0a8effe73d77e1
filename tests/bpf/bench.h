/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bench.h - an engine on the kernel side of a lab, with the lab's container for its own.
 *
 * What is not as it should be fails the test.
 */
#ifndef BENCH_H
#define BENCH_H

#include "lab.h"

#include <sys/types.h>

#include "agent/engine_internal.h"

#define BENCH_DIRS  300 /* of bench_make_wide() */
#define BENCH_DIRTY 100 /* more of them than the bench's ring of marks holds */

struct bench {
	struct lab *lab;
	struct engine *engine;
	struct ledger_container *c;
	unsigned max_containers;
	char *state_dir; /* NULL: nothing is left to a next agent */
	char pin_dir[64];
};

/* For one test: all on the machine's own file system; nothing is pinned. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* The same in two steps: the bench that *@state is then, without an engine; and the engine. */
void bench_open(void **state, enum lab_fs fs, unsigned max_containers);
void bench_open_engine(struct bench *b);
struct engine_options bench_options(const struct bench *b);

/* The lab's container becomes one the engine has, is read next, or has been read whole. */
void bench_add(struct bench *b, const char *id);
void bench_begin(struct bench *b);
void bench_begin_and_read(struct bench *b);
struct track *bench_track(const struct bench *b);

/* "<dir>/fs/<name>", for the caller to free. */
char *bench_beside(const struct lab *lab, const char *name);
void bench_make_dir_beside(const struct bench *b, const char *name);
/* A further container, whose layer is "<dir>/fs/<upper>"; @overlay_dev 0: it is not mounted. */
struct ledger_container *bench_add_layer(const struct bench *b, const char *id, const char *upper,
					 uint32_t overlay_dev);

/* In the container, by names without a leading slash. */
void bench_make_dir(const struct bench *b, const char *name);
void bench_make_file(const struct bench *b, const char *name);
/* Directories "d0", "d1", ..., with @files files "f0", ... in each. */
void bench_make_wide(const struct bench *b, int files);
/* A new file in each of the first BENCH_DIRTY of these: marks are refused. */
void bench_fill_dirty_ring(const struct bench *b);
bool bench_lists(const struct bench *b, const char *name);
void bench_expect_mode(const struct bench *b, const char *name, mode_t mode); /* as listed */

#endif /* BENCH_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lab.h - a make-believe container for the tests of the BPF programs.
 *
 * An overlay mount of our own, registered with a probe of our own as container
 * LAB_CONTAINER. Everything lies below one temporary directory and goes with it.
 */
#ifndef LAB_H
#define LAB_H

#include <stdarg.h>
#include <stdbool.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/probe.h"

#define LAB_CONTAINER 7

enum lab_fs { LAB_ROOT_FS, LAB_EXT4, LAB_XFS };

struct lab {
	char dir[64];	 /* everything is below */
	char merged[96]; /* the container's root */
	char upper[96];
	uint32_t overlay_dev;
	struct probe *probe;
	struct dw_counters before; /* set by lab_mark() */
};

/* Whether this kernel and this machine can; says why not. For main(). */
bool lab_can(enum probe_tier tier, enum lab_fs fs);

/*
 * Set up: a file system of @fs (@mib of them; ignored for LAB_ROOT_FS), overlay
 * with one lower layer that has file "lower" of 1 MiB, a probe of @tier. Skips the
 * test when this machine cannot do it.
 */
struct lab *lab_open(enum lab_fs fs, unsigned mib, enum probe_tier tier);
void lab_close(struct lab *lab);

/* Tell a probe opened anew whose the overlay is; lab_open() has done it for its own. */
void lab_register(const struct lab *lab);

/*
 * Containers of others that run now take no room in tables that a test fills (tier fs):
 * unknown ones would be noticed and counted.
 */
void lab_ignore_others(const struct lab *lab);

/* Another probe for the same container, which has counted nothing yet. */
void lab_reopen(struct lab *lab, const struct probe_options *options);

/* "<merged>/<name>"; valid until the next call but three. */
const char *lab_path(const struct lab *lab, const char *name);
const char *lab_upper_path(const struct lab *lab, const char *name);

/* Forget what was counted up to here. */
void lab_mark(struct lab *lab);
/* Counted since lab_mark(). */
struct dw_counters lab_counted(const struct lab *lab);
/* Fail unless exactly this was counted for the layer since lab_mark(). */
void lab_expect(const struct lab *lab, uint64_t calls, uint64_t bytes);

/* Kernel device number and inode of a path. */
uint32_t lab_dev(const char *path);
uint64_t lab_ino(const char *path);

/* Run a command; fail the test unless it exits with 0. */
void lab_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* LAB_H */

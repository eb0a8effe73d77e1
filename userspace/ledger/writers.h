/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * writers.h - the processes that changed something, kept as long as a file names them.
 *
 * Trees and events name a writer by a number; 0 is "not known". Numbers are never
 * reused within one run. The table is bounded: writers that no file names any more
 * are dropped by writers_sweep(), and past the bound new ones are counted, not kept.
 */
#ifndef LEDGER_WRITERS_H
#define LEDGER_WRITERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "driftwatch_abi.h"

struct writer {
	uint64_t start_boot_ns;
	uint64_t cgroup_id;
	pid_t tgid; /* on the host */
	pid_t vpid; /* in the container; 0 unknown */
	pid_t ppid;
	uid_t uid;
	bool is_runtime;	/* joined the container's cgroup, had not exec'd yet */
	char comm[DW_COMM_LEN]; /* hostile bytes, NUL-terminated */
	char *executable;	/* as the container sees it; NULL unknown; hostile bytes */
};

struct writers;

struct writers *writers_new(size_t max); /* NULL: out of memory */
struct writers *writers_free(struct writers *w);

/*
 * Remember a writer under the kernel's number @kernel_id (0: none, from a record
 * alone). The same process image gets the same number again. Returns the ledger's
 * number, 0 when the table is full (counted).
 */
uint64_t writers_add(struct writers *w, uint64_t kernel_id, const struct writer *process);

/* The ledger's number of a kernel number, 0 when not known. */
uint64_t writers_by_kernel_id(struct writers *w, uint64_t kernel_id);

/* NULL for 0 and for numbers no longer known. Valid until the next call. */
const struct writer *writers_get(const struct writers *w, uint64_t number);

/* Forget writers whose number @is_used denies. Returns how many went. */
size_t writers_sweep(struct writers *w, bool (*is_used)(uint64_t number, void *arg), void *arg);

void writers_foreach(const struct writers *w,
		     void (*fn)(uint64_t number, const struct writer *writer, void *arg),
		     void *arg);

size_t writers_count(const struct writers *w);
uint64_t writers_dropped(const struct writers *w); /* refused by the bound */

#endif /* LEDGER_WRITERS_H */

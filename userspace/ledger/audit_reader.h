/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * audit_reader.h - a thread that reads a layer for the audit, so that nobody else waits
 * for the disk.
 *
 * It shares nothing with the tree: its own descriptors, its own look at the lower
 * layers. What it finds goes through a queue of a few blocks; it waits when that is full.
 * First it scans the layer once, then it looks at single paths when asked to.
 */
#ifndef LEDGER_AUDIT_READER_H
#define LEDGER_AUDIT_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "layer/look.h"

struct audit_reader;

struct audit_reader_options {
	const char *upper;     /* absolute, the host root in front; copied */
	const char *host_root; /* of the lowers */
	char *const *lowers;   /* copied */
	size_t lowers_len;
	bool is_whole;	/* as of layer_stack_set_whole() */
	bool is_urgent; /* somebody waits: not at the lowest priority */
};

/* Starts the thread and its scan. 0 or -errno. */
int audit_reader_begin(const struct audit_reader_options *options, struct audit_reader **ret);

/* Stops it wherever it is. Takes NULL, returns NULL. */
struct audit_reader *audit_reader_end(struct audit_reader *r);

/*
 * A block of lines, each a letter of layer_scan_telling(), the path and a NUL; the caller
 * frees *ret. 1: there is one; 0: none yet, ask again; -ENODATA: the scan is over; or
 * -errno: it could not be finished.
 */
int audit_reader_take(struct audit_reader *r, char **ret, size_t *ret_len);

/* One path to look at. Belongs to the thread from audit_reader_look() until it is done. */
struct audit_task {
	const char *path;
	struct layer_look look;
	int err; /* of the look */
};

/* Look at all of @tasks. Only after the scan, one list at a time. */
void audit_reader_look(struct audit_reader *r, struct audit_task *const *tasks, size_t len);
bool audit_reader_is_done(struct audit_reader *r); /* nothing is being looked at */

#endif /* LEDGER_AUDIT_READER_H */

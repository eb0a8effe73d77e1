/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * process_roots.h - the directories that a runtime's command line tells.
 */
#ifndef PROCESS_ROOTS_H
#define PROCESS_ROOTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "container/hostfs.h"
#include "container/source.h"

struct process_roots {
	const struct hostfs *fs;
	source_discover_fn discover;
	void *arg;
	pid_t pid;
	const char *comm;
	const char *argv; /* NUL-separated, not necessarily terminated */
	size_t argv_len;
};

/* True for the comm of a process whose command line is worth reading. */
bool process_roots_is_runtime(const char *comm);

/* Calls discover() for each root found, with defaults where no flag says otherwise. */
void process_roots_find(const struct process_roots *p);

#endif /* PROCESS_ROOTS_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_init.h - the first process of a sandbox: sets it up, waits, runs the
 * command, reaps, hands signals on, and ends with the command's status.
 */
#ifndef SANDBOX_INIT_H
#define SANDBOX_INIT_H

#include <signal.h>

#include "container/sandbox_mount.h"

#define SANDBOX_OWN_FAILURE 125 /* exit code, as docker run's */

/* What init says when the container is ready, or is not going to be. */
struct sandbox_report {
	int err; /* 0: ready */
	char error[508];
};

struct sandbox_init {
	struct sandbox_root root;
	char *const *argv;
	const char *cwd;  /* "/" where the container has no such directory */
	int control_fd;	  /* report out; one byte in: go; end of file: give up */
	int exec_fd;	  /* errno out when the command cannot be executed */
	int stdout_fd;	  /* -1: keep */
	sigset_t signals; /* mask for the command */
};

/* The whole life of init. Never returns. */
__attribute__((noreturn)) void sandbox_init_run(const struct sandbox_init *init);

#endif /* SANDBOX_INIT_H */

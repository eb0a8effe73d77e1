/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * table.c - every operation of the table in one container, for where a container each
 * would take too long: each finds a tree of its own mounted at /img.
 */
#include "ops.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

static int run_in(const char *tree, const char *name)
{
	TRY(unshare(CLONE_NEWNS));
	TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	TRY(mount(tree, IMG, NULL, MS_BIND, NULL));
	return run_op(name);
}

/* Prints "NAME OK" or "NAME ERR reason". */
static void run_apart(const char *trees, const char *name)
{
	char tree[256];
	pid_t pid;

	snprintf(tree, sizeof(tree), "%s/%s", trees, name);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (run_in(tree, name))
			printf("%s ERR %s\n", name, ops_error());
		else
			printf("%s OK\n", name);
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || wait_for(pid))
		printf("%s ERR died\n", name);
}

int run_table(const char *trees)
{
	const char *name;

	for (unsigned i = 0; (name = op_name(i)); i++)
		run_apart(trees, name);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * main.c - find an operation by name and run it.
 *
 *	ops op NAME               one operation; prints OK or ERR reason
 *	ops load KIND FILE COUNT  a workload; prints "CALLS BYTES"
 *	ops random SEED COUNT N   COUNT random operations by each of N processes
 *	ops serve SOCKET          commands from a socket, one a line
 *	ops pass SOCKET FILE      hand a descriptor over; "take SOCKET" writes to it
 *	ops enter SOCKET CMD...   run CMD in the container of who passes something there
 *	ops table DIR             all operations, each with DIR/NAME as /img
 *	ops dump DIR              all entries below DIR
 *	ops list                  the names
 */
#include "ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct op *const tables[] = {
	write_ops, kernel_write_ops, uring_ops,	     uring_name_ops, map_ops,
	size_ops,  create_ops,	     name_ops,	     remove_ops,     meta_ops,
	place_ops, odd_ops,	     uring_more_ops, indirect_ops,
};
#define N_TABLES (sizeof(tables) / sizeof(tables[0]))

static const struct op *find_op(const char *name)
{
	for (size_t i = 0; i < N_TABLES; i++)
		for (const struct op *op = tables[i]; op->name; op++)
			if (!strcmp(op->name, name))
				return op;
	return NULL;
}

const char *op_name(unsigned number)
{
	for (size_t i = 0; i < N_TABLES; i++)
		for (const struct op *op = tables[i]; op->name; op++)
			if (!number--)
				return op->name;
	return NULL;
}

int run_op(const char *name)
{
	const struct op *op = find_op(name);
	pid_t pid;

	if (!op) {
		snprintf((char *)ops_error(), 64, "no such operation");
		return -1;
	}
	((char *)ops_error())[0] = '\0';
	pid = fork();
	if (pid == 0)
		_exit(op->run() == 0 ? 0 : 1);
	return wait_for(pid);
}

static int list(void)
{
	const char *name;

	for (unsigned i = 0; (name = op_name(i)); i++)
		puts(name);
	return 0;
}

static int print_load(char **argv)
{
	uint64_t calls, bytes;

	if (run_load(argv[2], argv[3], (unsigned)strtoul(argv[4], NULL, 0), &calls, &bytes)) {
		printf("ERR %s\n", ops_error());
		return 1;
	}
	printf("%" PRIu64 " %" PRIu64 "\n", calls, bytes);
	return 0;
}

/* 0, or 1 with the reason said. */
static int said(int err)
{
	if (err)
		fprintf(stderr, "ERR %s\n", ops_error());
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "op")) {
		if (run_op(argv[2])) {
			printf("ERR %s\n", ops_error());
			return 1;
		}
		puts("OK");
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "load"))
		return print_load(argv);
	if (argc == 5 && !strcmp(argv[1], "random"))
		return run_random((unsigned)strtoul(argv[2], NULL, 0),
				  (unsigned)strtoul(argv[3], NULL, 0),
				  (unsigned)strtoul(argv[4], NULL, 0))
			       ? 1
			       : 0;
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(argv[2]) ? 1 : 0;
	if (argc == 4 && !strcmp(argv[1], "pass"))
		return said(pass_descriptor(argv[2], argv[3]));
	if (argc == 3 && !strcmp(argv[1], "take"))
		return said(take_descriptor(argv[2]));
	if (argc > 3 && !strcmp(argv[1], "enter"))
		return said(enter_container(argv[2], argv + 3));
	if (argc == 3 && !strcmp(argv[1], "table"))
		return said(run_table(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "dump"))
		return said(dump_tree(argv[2]));
	if (argc == 2 && !strcmp(argv[1], "list"))
		return list();
	fputs("usage: ops op|load|random|serve|pass|take|enter|table|dump|list ...\n", stderr);
	return 2;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ops.h - the program that runs inside the containers of the end-to-end tests.
 *
 * It performs one named operation of operations.tsv, a random sequence of them, or
 * a measured workload, and says what the kernel answered: the tests compare that
 * with what driftwatch says. Built static, it needs nothing from the image.
 */
#ifndef OPS_H
#define OPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The image under /img: tests/e2e/driftlib/image.py makes it. */
#define IMG   "/img"
#define F     IMG "/f"	/* 10,000 bytes */
#define F2    IMG "/f2" /* 5,000 bytes */
#define D     IMG "/d"	/* a, b, sub/c */
#define ED    IMG "/ed" /* empty */
#define NEW   D "/new"
#define F_LEN 10000

struct op {
	const char *name;
	int (*run)(void); /* 0, or -1 after ops_fail() */
};

/* Each ends with a NULL name. */
extern const struct op write_ops[], kernel_write_ops[], uring_ops[], uring_name_ops[], map_ops[],
	size_ops[], create_ops[], name_ops[], remove_ops[], meta_ops[], place_ops[], odd_ops[],
	uring_more_ops[], indirect_ops[];

/* Remember "what: strerror(errno)" and return -1. */
int ops_fail(const char *what);
const char *ops_error(void);

/* Return -1 from the calling operation when @call is negative. */
#define TRY(call)                               \
	do {                                    \
		if ((call) < 0)                 \
			return ops_fail(#call); \
	} while (0)

/* Open or create a file, write @len bytes of text in one call, close it. */
int put(const char *path, int flags, mode_t mode, size_t len);

/* Append @len bytes to an existing file. */
int append_to(const char *path, size_t len);

/* An empty file of mode 0644. */
int make(const char *path);

/* Set a file's modification time to the image's. */
int set_image_time(int fd);

/* Wait for a child; -1 when it failed or was killed. */
int wait_for(pid_t pid);

/* A mount namespace of its own, from which nothing comes back. */
int own_mounts(void);

/* rm -r, without following symbolic links. */
int remove_tree(const char *path);

/* Bytes for every purpose: at least 1 MiB of text. */
const char *text_bytes(void);

/* random.c: "SEED COUNT PROCESSES"; 0, or -1 when a process died. */
int run_random(unsigned seed, unsigned count, unsigned processes);

/* race.c: @count changes of one @kind by each of its processes; 0, or -1 when one died. */
int run_race(const char *kind, unsigned seed, unsigned count);

/* load.c: perform workload @kind, put its own count of calls and bytes in *calls, *bytes. */
int run_load(const char *kind, const char *path, unsigned count, uint64_t *calls, uint64_t *bytes);

/* serve.c: connect to a unix socket and obey the lines that come. */
int serve(const char *socket_path);

/* Hand @file, opened for appending, to whoever listens; returns when that one hung up. */
int pass_descriptor(const char *socket_path, const char *file);
/* Listen on a path for one connection. */
int accept_on(const char *socket_path);
/* enter.c: run a program in the container of who connects; 0 when it ended well. */
int enter_container(const char *socket_path, char **command);
/* Accept one descriptor and write 10 bytes to it. */
int take_descriptor(const char *socket_path);

/* main.c: run one operation of the tables by name, in a child. */
int run_op(const char *name);
/* The name of the operation of that number, NULL after the last. */
const char *op_name(unsigned number);

/* table.c: run all of them, NAME with the directory @trees/NAME as /img. */
int run_table(const char *trees);

/* dump.c: print the entries below a directory. */
int dump_tree(const char *top);

#endif /* OPS_H */

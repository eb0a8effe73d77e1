/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * map.c - stores into shared mappings: no call says how many bytes.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ops.h"
#include "ring.h"

static char *map_f(int protection)
{
	int fd = open(F, O_RDWR);
	char *map;

	if (fd < 0)
		return MAP_FAILED;
	map = mmap(NULL, F_LEN, protection, MAP_SHARED, fd, 0);
	close(fd);
	return map;
}

static int store(volatile char *map)
{
	map[100] = 'Z';
	map[5000] = 'Z';
	return 0;
}

static int op_mmap_store(void)
{
	char *map = map_f(PROT_READ | PROT_WRITE);

	return map == MAP_FAILED ? ops_fail("mmap") : store(map);
}

static int op_mmap_nostore(void)
{
	volatile char *map = map_f(PROT_READ | PROT_WRITE);

	if (map == MAP_FAILED)
		return ops_fail("mmap");
	return map[100] == 0 ? ops_fail("content") : 0;
}

static int op_mmap_mprotect(void)
{
	char *map = map_f(PROT_READ);

	if (map == MAP_FAILED)
		return ops_fail("mmap");
	TRY(mprotect(map, F_LEN, PROT_READ | PROT_WRITE));
	return store(map);
}

/* A read by io_uring into the mapping: the kernel stores. */
static int op_mmap_uring_read(void)
{
	struct io_uring_sqe sqe = {.opcode = IORING_OP_READ, .len = 2000};
	char *map = map_f(PROT_READ | PROT_WRITE);

	if (map == MAP_FAILED)
		return ops_fail("mmap");
	sqe.fd = open("/bin/busybox", O_RDONLY);
	TRY(sqe.fd);
	sqe.addr = (uintptr_t)map;
	TRY(ring_once(&sqe));
	return close(sqe.fd);
}

static int op_process_vm_writev(void)
{
	char *map = map_f(PROT_READ | PROT_WRITE);
	struct iovec local = {(void *)text_bytes(), 200}, remote = {map, 200};
	int go[2];
	char byte;
	pid_t pid;

	if (map == MAP_FAILED)
		return ops_fail("mmap");
	TRY(pipe(go));
	pid = fork();
	TRY(pid);
	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) == 0 ? 0 : 1);
	}
	TRY(process_vm_writev(pid, &local, 1, &remote, 1, 0));
	close(go[1]);
	return wait_for(pid);
}

static int op_memfd(void)
{
	int fd = memfd_create("m", 0);

	TRY(fd);
	TRY(write(fd, text_bytes(), 100));
	return close(fd);
}

const struct op map_ops[] = {
	{"mmap_store", op_mmap_store},
	{"mmap_nostore", op_mmap_nostore},
	{"mmap_mprotect", op_mmap_mprotect},
	{"mmap_uring_read", op_mmap_uring_read},
	{"process_vm_writev", op_process_vm_writev},
	{"memfd", op_memfd},
	{0},
};

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * indirect.c - changes whose call does not look like one.
 */
#include "ops.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Newer than Debian 12's headers, or of the kernel's alone. */
enum { NR_SETXATTRAT = 463 };

struct space_resv {
	int16_t l_type, l_whence;
	int64_t l_start, l_len;
	int32_t l_sysid;
	uint32_t l_pid;
	int32_t l_pad[4];
};
#define FS_IOC_RESVSP _IOW('X', 40, struct space_resv)

static int aio(struct iocb *block, int flags, long long expected)
{
	struct iocb *blocks[1] = {block};
	aio_context_t context = 0;
	struct io_event event;
	int fd = open(F, O_WRONLY | flags);

	TRY(fd);
	block->aio_fildes = (unsigned)fd;
	TRY(syscall(SYS_io_setup, 1, &context));
	TRY(syscall(SYS_io_submit, context, 1, blocks));
	TRY(syscall(SYS_io_getevents, context, 1, 1, &event, NULL));
	if (event.res != expected)
		return ops_fail("aio result");
	return close(fd);
}

static int op_aio_pwritev(void)
{
	struct iovec v[2] = {{(void *)text_bytes(), 100}, {(void *)text_bytes(), 200}};
	struct iocb block = {.aio_lio_opcode = IOCB_CMD_PWRITEV, .aio_nbytes = 2};

	block.aio_buf = (uintptr_t)v;
	return aio(&block, 0, 300);
}

/* Beyond the end, past the page cache: the size changes when the disk has answered. */
static int op_aio_direct(void)
{
	struct iocb block = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_nbytes = 4096};
	char *page = aligned_alloc(4096, 4096);

	memset(page, 'd', 4096);
	block.aio_buf = (uintptr_t)page;
	block.aio_offset = 12288;
	return aio(&block, O_DIRECT, 4096);
}

/* Frees the pages of a mapping, which punches a hole into the file beneath. */
static int op_madvise_remove(void)
{
	int fd = open(F, O_RDWR);
	void *map;

	TRY(fd);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return ops_fail("mmap");
	TRY(madvise(map, 4096, MADV_REMOVE));
	return close(fd);
}

static int op_ioctl_resvsp(void)
{
	struct space_resv space = {.l_whence = SEEK_SET, .l_len = 65536};
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(ioctl(fd, FS_IOC_RESVSP, &space));
	return close(fd);
}

static int op_proc_mem_write(void)
{
	int mem = open("/proc/self/mem", O_WRONLY), fd = open(F, O_RDWR);
	char *map;

	TRY(mem);
	TRY(fd);
	map = mmap(NULL, F_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return ops_fail("mmap");
	TRY(pwrite(mem, "stored", 6, (off_t)(uintptr_t)map));
	return close(fd);
}

/* A descriptor taken out of another process, which closes its own. */
static int op_pidfd_getfd(void)
{
	int ready[2], end[2], fd, pidfd;
	char byte = 0;
	pid_t pid;

	TRY(pipe(ready));
	TRY(pipe(end));
	pid = fork();
	TRY(pid);
	if (pid == 0) {
		close(end[1]);
		fd = dup2(open(F, O_WRONLY), 100);
		_exit(fd == 100 && write(ready[1], "", 1) == 1 && read(end[0], &byte, 1) == 0 ? 0
											      : 1);
	}
	TRY(read(ready[0], &byte, 1));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	TRY(pidfd);
	fd = (int)syscall(SYS_pidfd_getfd, pidfd, 100, 0);
	TRY(fd);
	close(end[1]);
	TRY(wait_for(pid));
	TRY(write(fd, text_bytes(), 30));
	return close(fd);
}

static int op_setxattrat_cap(void)
{
	struct vfs_cap_data cap = {.magic_etc = VFS_CAP_REVISION_2};
	struct {
		uint64_t value;
		uint32_t size, flags;
	} args = {.size = XATTR_CAPS_SZ_2};

	cap.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
	args.value = (uintptr_t)&cap;
	TRY(syscall(NR_SETXATTRAT, AT_FDCWD, F, 0, "security.capability", &args, sizeof(args)));
	return 0;
}

/* An overlay of the container's own above its layer: its changes are elsewhere. */
static int op_nested_overlay_above(void)
{
	TRY(own_mounts());
	TRY(mount("none", ED, "tmpfs", 0, NULL));
	TRY(mkdir(ED "/u", 0755));
	TRY(mkdir(ED "/w", 0755));
	TRY(mount("none", D, "overlay", 0, "lowerdir=" D ",upperdir=" ED "/u,workdir=" ED "/w"));
	TRY(append_to(D "/a", 50));
	TRY(put(NEW, O_WRONLY | O_CREAT, 0644, 100));
	TRY(unlink(D "/b"));
	return 0;
}

#ifdef __x86_64__
static int op_i386_program(void)
{
	pid_t pid = fork();

	TRY(pid);
	if (pid == 0) {
		execl("/bin/ops32", "ops32", (char *)NULL);
		_exit(1);
	}
	return wait_for(pid) ? ops_fail("ops32") : 0;
}
#else
static int op_i386_program(void)
{
	return ops_fail("no i386 here");
}
#endif

const struct op indirect_ops[] = {
	{"aio_pwritev", op_aio_pwritev},       {"aio_direct", op_aio_direct},
	{"madvise_remove", op_madvise_remove}, {"ioctl_resvsp", op_ioctl_resvsp},
	{"proc_mem_write", op_proc_mem_write}, {"pidfd_getfd", op_pidfd_getfd},
	{"setxattrat_cap", op_setxattrat_cap}, {"nested_overlay_above", op_nested_overlay_above},
	{"i386_program", op_i386_program},     {0},
};

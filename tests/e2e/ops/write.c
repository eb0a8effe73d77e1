/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * write.c - bytes written by the plain calls, through every kind of descriptor.
 */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

static int op_read(void)
{
	char buffer[4096];
	int fd = open(F, O_RDONLY);

	TRY(fd);
	TRY(read(fd, buffer, sizeof(buffer)));
	return close(fd);
}

static int op_write(void)
{
	return put(F, O_WRONLY, 0, 100);
}

static int op_pwrite64(void)
{
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(pwrite(fd, text_bytes(), 100, 200));
	return close(fd);
}

static int op_writev(void)
{
	struct iovec parts[2] = {{(void *)text_bytes(), 10}, {(void *)text_bytes(), 20}};
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(writev(fd, parts, 2));
	return close(fd);
}

static int op_pwritev2(void)
{
	struct iovec parts[2] = {{(void *)text_bytes(), 10}, {(void *)text_bytes(), 20}};
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(pwritev2(fd, parts, 2, 300, RWF_DSYNC));
	return close(fd);
}

static int op_odirect(void)
{
	void *aligned;
	int fd = open(F, O_WRONLY | O_DIRECT);

	TRY(fd);
	if (posix_memalign(&aligned, 4096, 4096))
		return ops_fail("posix_memalign");
	TRY(pwrite(fd, aligned, 4096, 0));
	return close(fd);
}

static int op_write0(void)
{
	int fd = open(F, O_WRONLY);

	TRY(fd);
	TRY(write(fd, "", 0));
	return close(fd);
}

static int op_append(void)
{
	return append_to(F, 50);
}

static int op_hardlink_write(void)
{
	return append_to(IMG "/hl2", 5);
}

static int op_symlink_write(void)
{
	return append_to(IMG "/sl", 5);
}

/* Write through /proc/self/fd of a descriptor opened with @flags. */
static int reopen_and_write(int flags)
{
	char path[64];
	int fd = open(F, flags);

	TRY(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	TRY(append_to(path, 7));
	return close(fd);
}

static int op_procfd_reopen(void)
{
	return reopen_and_write(O_RDONLY);
}

static int op_opath_reopen(void)
{
	return reopen_and_write(O_PATH);
}

/* The read-only descriptor shows the lower file until the write copies it up. */
static int op_ro_fd_then_write(void)
{
	char buffer[16];
	int fd = open(F, O_RDONLY);

	TRY(fd);
	TRY(append_to(F, 7));
	TRY(read(fd, buffer, sizeof(buffer)));
	return close(fd);
}

static void *write_in_thread(void *arg)
{
	(void)arg;
	return put(F, O_WRONLY, 0, 64) ? (void *)1 : NULL;
}

static int op_thread_exit(void)
{
	pthread_t thread;
	void *result;

	errno = pthread_create(&thread, NULL, write_in_thread, NULL);
	if (errno)
		return ops_fail("pthread_create");
	pthread_join(thread, &result);
	return result ? -1 : 0;
}

/* The writer's parent is gone by the time it writes. */
static int op_orphan(void)
{
	int done[2], gone[2];
	char byte = 1;
	pid_t pid;

	TRY(pipe(done));
	TRY(pipe(gone));
	pid = fork();
	TRY(pid);
	if (pid == 0) {
		close(gone[0]);
		if (fork())
			_exit(0);
		close(gone[1]);
		while (getppid() != 1)
			usleep(1000);
		if (append_to(F, 9) == 0 && write(done[1], &byte, 1) == 1)
			_exit(0);
		_exit(1);
	}
	close(done[1]);
	TRY(wait_for(pid));
	if (read(done[0], &byte, 1) != 1)
		return ops_fail("the orphan did not write");
	return 0;
}

static int op_flock(void)
{
	int fd = open(F, O_RDONLY);

	TRY(fd);
	TRY(flock(fd, LOCK_EX));
	return close(fd);
}

static int op_execve_over(void)
{
	pid_t pid;
	int fd = open(IMG "/script", O_WRONLY | O_APPEND);

	TRY(fd);
	TRY(write(fd, "exit 0\n", 7));
	TRY(close(fd));
	pid = fork();
	TRY(pid);
	if (pid == 0) {
		execl(IMG "/script", "script", (char *)NULL);
		_exit(1);
	}
	return wait_for(pid);
}

static int op_etc_hosts(void)
{
	int fd = open("/etc/hosts", O_WRONLY | O_APPEND);

	TRY(fd);
	TRY(write(fd, "# x\n", 4));
	return close(fd);
}

static int op_devnull(void)
{
	return put("/dev/null", O_WRONLY, 0, 100);
}

const struct op write_ops[] = {
	{"read", op_read},
	{"write", op_write},
	{"pwrite64", op_pwrite64},
	{"writev", op_writev},
	{"pwritev2", op_pwritev2},
	{"odirect", op_odirect},
	{"write0", op_write0},
	{"append", op_append},
	{"hardlink_write", op_hardlink_write},
	{"symlink_write", op_symlink_write},
	{"procfd_reopen", op_procfd_reopen},
	{"opath_reopen", op_opath_reopen},
	{"ro_fd_then_write", op_ro_fd_then_write},
	{"thread_exit", op_thread_exit},
	{"orphan", op_orphan},
	{"flock", op_flock},
	{"execve_over", op_execve_over},
	{"etc_hosts", op_etc_hosts},
	{"devnull", op_devnull},
	{0},
};

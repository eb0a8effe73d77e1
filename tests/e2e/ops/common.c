/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * common.c - what many operations need.
 */
#include "ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Shared with the child that runs an operation, so that its parent can tell the reason. */
static char *error_text;
#define ERROR_LEN 512

static char *error_buffer(void)
{
	if (!error_text)
		error_text = mmap(NULL, ERROR_LEN, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return error_text;
}

int ops_fail(const char *what)
{
	snprintf(error_buffer(), ERROR_LEN, "%s: %s", what, strerror(errno));
	return -1;
}

const char *ops_error(void)
{
	return error_buffer();
}

const char *text_bytes(void)
{
	static char text[1 << 20];

	if (!text[0])
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)('A' + i % 26);
	return text;
}

int put(const char *path, int flags, mode_t mode, size_t len)
{
	int fd = open(path, flags | O_NONBLOCK, mode); /* a random path may be a fifo */

	if (fd < 0)
		return ops_fail(path);
	if (len > 0 && write(fd, text_bytes(), len) != (ssize_t)len)
		return ops_fail("write");
	return close(fd);
}

int append_to(const char *path, size_t len)
{
	return put(path, O_WRONLY | O_APPEND, 0, len);
}

int make(const char *path)
{
	return put(path, O_WRONLY | O_CREAT | O_EXCL, 0644, 0);
}

int set_image_time(int fd)
{
	struct timespec times[2] = {{.tv_sec = 1735787045}, {.tv_sec = 1735787045}};

	return futimens(fd, times);
}

int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return ops_fail("waitpid");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

int remove_tree(const char *path)
{
	char child[4096];
	struct dirent *e;
	DIR *dir;

	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	dir = opendir(path);
	if (!dir)
		return ops_fail(path);
	while ((e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (snprintf(child, sizeof(child), "%s/%s", path, e->d_name) < (int)sizeof(child))
			remove_tree(child);
	}
	closedir(dir);
	return rmdir(path);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * enter.c - a program run in somebody else's container, as `docker exec --privileged` does.
 *
 * Whoever connects to the socket is in the container; it waits until we are done.
 */
#include "ops.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int join_cgroup(pid_t pid)
{
	char line[512], path[600];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "r");
	if (!f || !fgets(line, sizeof(line), f) || strncmp(line, "0::", 3) != 0)
		return ops_fail("the container's cgroup");
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.procs", line + 3);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f))
		return ops_fail(path);
	return 0;
}

static int open_namespace(pid_t pid, const char *kind)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int join(pid_t pid)
{
	int processes = open_namespace(pid, "pid"), mounts = open_namespace(pid, "mnt");

	TRY(join_cgroup(pid));
	TRY(setns(processes, CLONE_NEWPID));
	TRY(setns(mounts, CLONE_NEWNS));
	return 0;
}

int enter_container(const char *socket_path, char **command)
{
	int s = accept_on(socket_path);
	struct ucred peer;
	socklen_t len = sizeof(peer);
	pid_t pid;

	TRY(s);
	TRY(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &peer, &len));
	TRY(join(peer.pid));
	pid = fork();
	if (pid == 0) {
		close(s);
		execv(command[0], command);
		_exit(127);
	}
	TRY(pid);
	return wait_for(pid);
}

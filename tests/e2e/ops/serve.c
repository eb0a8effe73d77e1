/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * serve.c - the container's first process: it does what the test asks, line by line.
 *
 *	op NAME | random SEED COUNT N | load KIND FILE COUNT | sh COMMAND   answered when done
 *	start random SEED COUNT N | start load KIND FILE COUNT    runs beside; "wait" collects
 *	pass SOCKET FILE    hand FILE, opened for appending, to whoever listens; wait for its end
 *	take SOCKET         accept one descriptor on SOCKET and write 10 bytes to it
 *
 * The answer is a line "OK …" or "ERR reason".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops.h"

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, strlen(path));
	TRY(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

/* Send or receive one descriptor, in @slot. */
static int transfer_fd(int socket, int *slot, int sending)
{
	char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {&byte, 1};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	if (sending) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), slot, sizeof(int));
		TRY(sendmsg(socket, &message, 0));
		return 0;
	}
	TRY(recvmsg(socket, &message, 0));
	memcpy(slot, CMSG_DATA(c), sizeof(int));
	return 0;
}

int pass_descriptor(const char *socket_path, const char *file)
{
	int s = connect_to(socket_path), fd = open(file, O_WRONLY | O_APPEND);
	char byte;

	if (s < 0)
		return -1;
	TRY(fd);
	TRY(transfer_fd(s, &fd, 1));
	close(fd);
	if (read(s, &byte, 1) < 0 && errno != ECONNRESET) /* until it is closed */
		return ops_fail("read");
	return close(s);
}

int accept_on(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), s;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	TRY(bind(listener, (struct sockaddr *)&address, sizeof(address)));
	TRY(listen(listener, 1));
	s = accept(listener, NULL, NULL);
	close(listener);
	return s < 0 ? ops_fail("accept") : s;
}

int take_descriptor(const char *socket_path)
{
	int s = accept_on(socket_path), fd = -1;

	TRY(s);
	TRY(transfer_fd(s, &fd, 0));
	TRY(write(fd, text_bytes(), 10));
	close(fd);
	return close(s);
}

static int shell(const char *command)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	errno = 0;
	return wait_for(pid) ? ops_fail("the command failed") : 0;
}

/* Split @line at blanks; the last of @n words takes the rest. */
static unsigned split(char *line, char **words, unsigned n)
{
	unsigned got = 0;

	while (got < n && *line) {
		words[got++] = line;
		line = got < n ? strchr(line, ' ') : NULL;
		if (!line)
			break;
		*line++ = '\0';
	}
	return got;
}

static unsigned number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 0);
}

static int obey(char *line, char *answer, size_t size)
{
	uint64_t calls, bytes;
	char *w[5];

	if (!strncmp(line, "sh ", 3))
		return shell(line + 3);
	if (split(line, w, 5) < 2)
		return ops_fail("what?");
	if (!strcmp(w[0], "op"))
		return run_op(w[1]);
	if (!strcmp(w[0], "random"))
		return run_random(number(w[1]), number(w[2]), number(w[3]));
	if (!strcmp(w[0], "race"))
		return run_race(w[1], number(w[2]), number(w[3]));
	if (!strcmp(w[0], "pass"))
		return pass_descriptor(w[1], w[2]);
	if (!strcmp(w[0], "take"))
		return take_descriptor(w[1]);
	if (strcmp(w[0], "load") != 0)
		return ops_fail("what?");
	if (run_load(w[1], w[2], number(w[3]), &calls, &bytes))
		return -1;
	snprintf(answer, size, "%" PRIu64 " %" PRIu64, calls, bytes);
	return 0;
}

static int obey_aside(char *line)
{
	char answer[64];
	pid_t pid = fork();

	if (pid == 0)
		_exit(obey(line, answer, sizeof(answer)) ? 1 : 0);
	return pid < 0 ? -1 : 0;
}

static int collect(void)
{
	int status, result = 0;

	while (wait(&status) > 0)
		result |= status;
	return result ? ops_fail("a child failed") : 0;
}

int serve(const char *socket_path)
{
	char line[1024], answer[128];
	FILE *in, *out;
	int fd = connect_to(socket_path);
	int err;

	if (fd < 0)
		return -1;
	in = fdopen(fd, "r");
	out = fdopen(fcntl(fd, F_DUPFD_CLOEXEC, 0), "w");
	while (in && out && fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = '\0';
		answer[0] = '\0';
		if (!strncmp(line, "start ", 6))
			err = obey_aside(line + 6);
		else if (!strcmp(line, "wait"))
			err = collect();
		else
			err = obey(line, answer, sizeof(answer));
		fprintf(out, "%s %s\n", err ? "ERR" : "OK", err ? ops_error() : answer);
		fflush(out);
	}
	return 0;
}

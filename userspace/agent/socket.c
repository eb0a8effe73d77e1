/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * socket.c - listening on a path that a dead agent left behind, and on TCP.
 */
#include "agent/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

#define BACKLOG 64
#define GROUP	"driftwatch"

static int fail(struct strbuf *error, int err, const char *what, const char *name)
{
	strbuf_addf(error, "%s %s: %s", what, name, strerror(-err));
	return err;
}

static int make_parent(const char *path, struct strbuf *error)
{
	const char *slash = strrchr(path, '/');
	auto_free char *dir = NULL;
	int err;

	if (!slash || slash == path)
		return 0;
	dir = strndup(path, (size_t)(slash - path));
	if (!dir)
		return -ENOMEM;
	err = file_make_dirs(dir, 0755);
	return err ? fail(error, err, "cannot make the directory", dir) : 0;
}

/* Two agents that start at once must not both replace a dead socket. */
static int lock_path(const char *path, struct strbuf *error, int *ret)
{
	auto_strbuf struct strbuf name = STRBUF_INIT;
	auto_close int fd = -1;

	strbuf_addf(&name, "%s.lock", path);
	if (strbuf_failed(&name))
		return -ENOMEM;
	fd = open(strbuf_str(&name), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(error, -errno, "cannot open", strbuf_str(&name));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		strbuf_addf(error, "another agent uses the socket %s: stop it, or give --socket",
			    path);
		return -EADDRINUSE;
	}
	*ret = take_fd(&fd);
	return 0;
}

/* Removes what a dead agent left. */
static int clear_path(const char *path, const struct sockaddr_un *address, struct strbuf *error)
{
	auto_close int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail(error, -errno, "cannot look at", path);
	if (!S_ISSOCK(st.st_mode)) {
		strbuf_addf(error, "%s is there and is no socket: remove it, or give --socket",
			    path);
		return -EADDRINUSE;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(error, -errno, "cannot make a socket for", path);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno == EAGAIN) {
		strbuf_addf(error, "another agent answers at %s: stop it, or give --socket", path);
		return -EADDRINUSE;
	}
	if (unlink(path) < 0)
		return fail(error, -errno, "cannot remove the dead socket", path);
	return 0;
}

static int bind_path(int fd, const char *path, const struct sockaddr_un *address)
{
	const struct group *group = getgrnam(GROUP);
	mode_t saved = umask(0117);
	int err = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

	umask(saved);
	if (err)
		return err;
	if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
		log_warning("cannot give %s to group %s: %s", path, GROUP, strerror(errno));
	return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

static int prepare_path(const char *path, struct strbuf *error, struct sockaddr_un *ret_address,
			int *ret_lock)
{
	size_t len = strlen(path);
	int err;

	if (len >= sizeof(ret_address->sun_path)) {
		strbuf_addf(error, "the socket path %s is longer than %zu bytes: give --socket",
			    path, sizeof(ret_address->sun_path) - 1);
		return -ENAMETOOLONG;
	}
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret_address->sun_path, path, len);
	err = make_parent(path, error);
	if (!err)
		err = lock_path(path, error, ret_lock);
	return err ? err : clear_path(path, ret_address, error);
}

int socket_listen_unix(const char *path, struct strbuf *error, int *ret_lock)
{
	struct sockaddr_un address;
	auto_close int lock = -1;
	auto_close int fd = -1;
	int err = prepare_path(path, error, &address, &lock);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(error, -errno, "cannot make a socket for", path);
	err = bind_path(fd, path, &address);
	if (err)
		return fail(error, err, "cannot listen on", path);
	*ret_lock = take_fd(&lock);
	return take_fd(&fd);
}

/* getaddrinfo() takes 99999 and means 34463. */
static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits <= 5 && !text[digits] && strtoul(text, NULL, 10) <= 65535;
}

/* Splits at the last colon; an IPv6 address stands in brackets. */
static int split_address(const char *address, char **ret_host, char **ret_port)
{
	const char *colon = strrchr(address, ':');
	const char *start = address, *end = colon;
	char *host, *port;

	if (!colon || !is_port(colon + 1))
		return -EINVAL;
	if (*start == '[') {
		start++;
		if (end == start || *--end != ']')
			return -EINVAL;
	} else if (memchr(start, ':', (size_t)(end - start))) {
		return -EINVAL;
	}
	host = strndup(start, (size_t)(end - start));
	port = strdup(colon + 1);
	if (!host || !port) {
		free(host);
		free(port);
		return -ENOMEM;
	}
	*ret_host = host;
	*ret_port = port;
	return 0;
}

static int listen_on(const struct addrinfo *info)
{
	auto_close int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1, off = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	return take_fd(&fd);
}

/* :PORT listens on IPv6 and IPv4 at once where the kernel has both. */
static int listen_on_any(const struct addrinfo *list)
{
	static const int families[] = {AF_INET6, AF_INET};
	int fd = -EADDRNOTAVAIL;

	for (size_t i = 0; i < 2; i++) {
		for (const struct addrinfo *info = list; info; info = info->ai_next) {
			if (info->ai_family != families[i])
				continue;
			fd = listen_on(info);
			if (fd >= 0 || fd == -EADDRINUSE || fd == -EACCES)
				return fd;
		}
	}
	return fd;
}

int socket_listen_tcp(const char *address, struct strbuf *error)
{
	const struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	auto_free char *host = NULL;
	auto_free char *port = NULL;
	struct addrinfo *list = NULL;
	int fd, code;

	fd = split_address(address, &host, &port);
	if (fd) {
		strbuf_addf(error, "%s is no listen address: give HOST:PORT, :PORT or none",
			    address);
		return fd;
	}
	code = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	if (code) {
		strbuf_addf(error, "cannot resolve the listen address %s: %s", address,
			    gai_strerror(code));
		return -EINVAL;
	}
	fd = listen_on_any(list);
	freeaddrinfo(list);
	if (fd == -EADDRINUSE)
		strbuf_addf(error,
			    "the port of %s is in use: stop its user, or give another "
			    "--web.listen-address",
			    address);
	else if (fd < 0)
		fail(error, fd, "cannot listen on", address);
	return fd;
}

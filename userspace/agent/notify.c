/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * notify.c - one datagram per message; see sd_notify(3) for the protocol.
 */
#include "agent/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strbuf.h"

/* A leading '@' stands for the abstract namespace. */
static int make_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_len)
{
	size_t len = strlen(path);

	if ((*path != '/' && *path != '@') || len >= sizeof(ret->sun_path))
		return -EINVAL;
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret->sun_path, path, len);
	if (*path == '@')
		ret->sun_path[0] = '\0';
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return 0;
}

int notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	auto_close int fd = -1;
	socklen_t len;
	int err;

	if (!path || !*path)
		return 0;
	err = make_address(path, &address, &len);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, len) < 0)
		return -errno;
	return 1;
}

int notify_ready(const char *status)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, "READY=1\nSTATUS=%s\n", status);
	return strbuf_failed(&text) ? -ENOMEM : notify_send(strbuf_str(&text));
}

int notify_reloading(void)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n", clock_mono_ns() / 1000);
	return strbuf_failed(&text) ? -ENOMEM : notify_send(strbuf_str(&text));
}

int notify_stopping(void)
{
	return notify_send("STOPPING=1\n");
}

int notify_watchdog(void)
{
	return notify_send("WATCHDOG=1\n");
}

/* Text of the environment as a number; 0 when it is none. */
static uint64_t number_of(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : 0;
}

uint64_t notify_watchdog_ns(void)
{
	uint64_t pid = number_of("WATCHDOG_PID");
	uint64_t usec = number_of("WATCHDOG_USEC");

	if (getenv("WATCHDOG_PID") && pid != (uint64_t)getpid())
		return 0;
	return usec > UINT64_MAX / 1000 ? 0 : usec * 1000 / 2;
}

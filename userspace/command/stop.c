/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stop.c - signalfd, timerfd and the output's far end behind one epoll fd.
 */
#include "command/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "base/cleanup.h"
#include "base/clock.h"

struct stop {
	int epoll_fd;
	int signal_fd;
	int timer_fd;
};

static int watch(const struct stop *s, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int watch_signals(struct stop *s)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -errno : watch(s, s->signal_fd, EPOLLIN);
}

static int watch_time(struct stop *s, uint64_t duration_ns)
{
	struct itimerspec at = {
		.it_value = {.tv_sec = (time_t)(duration_ns / NS_PER_SEC),
			     .tv_nsec = (long)(duration_ns % NS_PER_SEC)},
	};

	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->timer_fd < 0 || timerfd_settime(s->timer_fd, 0, &at, NULL) < 0)
		return -errno;
	return watch(s, s->timer_fd, EPOLLIN);
}

int stop_open(uint64_t duration_ns, int out_fd, struct stop **ret)
{
	struct stop *s = malloc(sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	*s = (struct stop){.epoll_fd = -1, .signal_fd = -1, .timer_fd = -1};
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	err = s->epoll_fd < 0 ? -errno : watch_signals(s);
	if (!err && duration_ns)
		err = watch_time(s, duration_ns);
	/* Only errors are asked for: EPOLLERR comes unasked. Files (-EPERM) have no reader. */
	if (!err && out_fd >= 0)
		watch(s, out_fd, 0);
	if (err) {
		stop_close(s);
		return err;
	}
	*ret = s;
	return 0;
}

struct stop *stop_close(struct stop *s)
{
	if (!s)
		return NULL;
	cleanup_closep(&s->timer_fd);
	cleanup_closep(&s->signal_fd);
	cleanup_closep(&s->epoll_fd);
	free(s);
	return NULL;
}

int stop_fd(const struct stop *s)
{
	return s->epoll_fd;
}

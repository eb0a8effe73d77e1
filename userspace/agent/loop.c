/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * loop.c - wait for what comes first, and give everybody a turn.
 */
#include "agent/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/notify.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

struct turn {
	const struct loop *loop;
	int epoll_fd, signal_fd;
	uint64_t stop_at_ns;	 /* monotonic; UINT64_MAX: never */
	uint64_t watchdog_ns;	 /* 0: nobody watches */
	uint64_t watchdog_at_ns; /* monotonic; UINT64_MAX: never */
	uint64_t engine_at_ns;	 /* monotonic; when the engine wants its next step */
	bool should_stop;
};

int loop_catch_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	signal(SIGPIPE, SIG_IGN); /* clients leave */
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* Stopping saves state, which may take a while: who asks twice does not want to wait. */
static void let_second_interrupt_kill(void)
{
	sigset_t set;

	signal(SIGINT, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void handle_signal(struct turn *turn, int number)
{
	const struct loop *loop = turn->loop;

	switch (number) {
	case SIGTERM:
	case SIGINT:
		log_info("stopping on %s", number == SIGINT ? "SIGINT" : "SIGTERM");
		turn->should_stop = true;
		break;
	case SIGHUP:
		loop->on_reload(loop->arg);
		break;
	case SIGUSR1:
		loop->on_reopen(loop->arg);
		break;
	case SIGUSR2:
		loop->on_dump(loop->arg);
		break;
	default:
		break;
	}
}

static void read_signals(struct turn *turn)
{
	struct signalfd_siginfo info;

	while (read(turn->signal_fd, &info, sizeof(info)) == sizeof(info))
		handle_signal(turn, (int)info.ssi_signo);
}

static uint64_t after_ms(uint64_t now, int ms)
{
	return ms < 0 ? UINT64_MAX : now + (uint64_t)ms * NS_PER_MSEC;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int wait_ms(const struct turn *turn, uint64_t now)
{
	uint64_t due = after_ms(now, http_timeout_ms(turn->loop->http));

	due = earlier(due, turn->engine_at_ns);
	due = earlier(due, turn->stop_at_ns);
	due = earlier(due, turn->watchdog_at_ns);
	if (due == UINT64_MAX)
		return -1;
	if (due <= now)
		return 0;
	due = (due - now + NS_PER_MSEC - 1) / NS_PER_MSEC;
	return due > 60000 ? 60000 : (int)due;
}

static int add_fd(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int step_engine(struct turn *turn)
{
	int err = engine_step(turn->loop->engine);

	turn->engine_at_ns = after_ms(clock_mono_ns(), engine_timeout_ms(turn->loop->engine));
	return err;
}

static void watch_time(struct turn *turn, uint64_t now)
{
	if (now >= turn->watchdog_at_ns) {
		notify_watchdog();
		turn->watchdog_at_ns = now + turn->watchdog_ns;
	}
	if (now >= turn->stop_at_ns && !turn->should_stop) {
		log_info("stopping at the end of --duration");
		turn->should_stop = true;
	}
}

static int take_turn(struct turn *turn)
{
	struct epoll_event events[8];
	bool engine_ready = false;
	uint64_t now = clock_mono_ns();
	int n = epoll_wait(turn->epoll_fd, events, 8, wait_ms(turn, now));
	int err = 0;

	if (n < 0 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == turn->signal_fd)
			read_signals(turn);
		else if (events[i].data.fd == engine_fd(turn->loop->engine))
			engine_ready = true;
	}
	now = clock_mono_ns();
	if (engine_ready || now >= turn->engine_at_ns)
		err = step_engine(turn);
	http_run(turn->loop->http);
	/* An answer may have stepped the engine and left it something to do. */
	turn->engine_at_ns =
		earlier(turn->engine_at_ns, after_ms(now, engine_timeout_ms(turn->loop->engine)));
	watch_time(turn, now);
	return err;
}

static int prepare(struct turn *turn)
{
	uint64_t now = clock_mono_ns();
	int err = add_fd(turn->epoll_fd, turn->signal_fd);

	if (!err)
		err = add_fd(turn->epoll_fd, engine_fd(turn->loop->engine));
	if (!err)
		err = add_fd(turn->epoll_fd, http_fd(turn->loop->http));
	turn->stop_at_ns = turn->loop->duration_ns ? now + turn->loop->duration_ns : UINT64_MAX;
	turn->watchdog_ns = notify_watchdog_ns();
	turn->watchdog_at_ns = turn->watchdog_ns ? now : UINT64_MAX;
	return err;
}

int loop_run(const struct loop *loop, int signal_fd)
{
	auto_close int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct turn turn = {.loop = loop, .epoll_fd = epoll_fd, .signal_fd = signal_fd};
	int err;

	if (epoll_fd < 0)
		return -errno;
	err = prepare(&turn);
	while (!err && !turn.should_stop)
		err = take_turn(&turn);
	let_second_interrupt_kill();
	return err;
}

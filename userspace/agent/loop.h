/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * loop.h - the one thread of the agent: kernel records, containers, HTTP, signals, time.
 */
#ifndef AGENT_LOOP_H
#define AGENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/engine.h"
#include "agent/http.h"

struct loop {
	struct engine *engine;
	struct http *http;
	uint64_t duration_ns;	      /* stop after this long; 0: never */
	void (*on_reload)(void *arg); /* SIGHUP */
	void (*on_reopen)(void *arg); /* SIGUSR1 */
	void (*on_dump)(void *arg);   /* SIGUSR2 */
	void *arg;
};

/*
 * From here on the signals the loop serves wait for it. Call it first, so that none
 * that comes while the agent starts is lost. Returns a signalfd, or -errno.
 */
int loop_catch_signals(void);

/*
 * Run until SIGTERM, SIGINT or the end of the duration: 0. A second SIGINT ends the
 * process at once, whatever it is doing. -errno when the engine or epoll failed.
 */
int loop_run(const struct loop *loop, int signal_fd);

#endif /* AGENT_LOOP_H */

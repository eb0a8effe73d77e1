/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * daemon_internal.h - the running agent, shared by its files.
 *
 *	daemon.c          start and stop
 *	daemon_signals.c  reload, dump
 *	daemon_pins.c     where the kernel side is pinned
 */
#ifndef AGENT_DAEMON_INTERNAL_H
#define AGENT_DAEMON_INTERNAL_H

#include <limits.h>

#include "agent/api.h"
#include "agent/daemon.h"

struct agent {
	struct config *config;
	const struct config_source *source;
	struct engine *engine;
	struct http *http;
	struct api api;
	char node[HOST_NAME_MAX + 1];
	char *pin_dir; /* NULL: nothing is pinned */
	int socket_lock;
	bool has_socket;
};

/* From the configuration as it is now; borrows from @a. */
struct engine_options daemon_engine_options(const struct agent *a);

/* Sets a->pin_dir, or leaves it NULL and says why. 0 or -ENOMEM. */
int daemon_choose_pin_dir(struct agent *a);

/* The reload of struct api. */
int daemon_reload(struct strbuf *error, void *agent);

/* What the loop does on SIGHUP, SIGUSR1 and SIGUSR2. */
void daemon_on_reload(void *agent);
void daemon_on_reopen(void *agent);
void daemon_on_dump(void *agent);

#endif /* AGENT_DAEMON_INTERNAL_H */

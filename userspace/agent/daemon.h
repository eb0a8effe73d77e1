/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * daemon.h - a running agent: engine, server and configuration, from start to stop.
 */
#ifndef AGENT_DAEMON_H
#define AGENT_DAEMON_H

#include "agent/config.h"

enum daemon_failure {
	DAEMON_OK,
	DAEMON_FAILED,
	DAEMON_NO_PERMISSION,
	DAEMON_NO_KERNEL, /* the kernel lacks what this needs */
};

/*
 * Run until told to stop. @config is @source as read before; a reload reads @source
 * again and changes @config. Failures have been logged.
 */
enum daemon_failure daemon_run(struct config *config, const struct config_source *source);

/*
 * Where the kernel side is pinned: --pin-dir, or a directory of its own per state
 * directory. Appended to @out. 0 or -ENOMEM.
 */
int daemon_pin_dir(const struct config *config, struct strbuf *out);

/* Apply log level and format; "" and NULL leave them as they are. */
void daemon_apply_log(const struct config *config);

#endif /* AGENT_DAEMON_H */

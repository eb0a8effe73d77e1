/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * local.h - the engine in this process, for a command that found no agent.
 *
 * Only session.c uses it. Functions that return int return an enum exit_code; a
 * failure has been logged.
 */
#ifndef COMMAND_LOCAL_H
#define COMMAND_LOCAL_H

#include "agent/engine.h"
#include "command/session.h"

/* Opens and starts the engine: no state directory, no pins. */
int local_open(const struct global_options *options, enum session_need need, struct engine **ret);

/* Every container of the first inventory has been read; says so when that takes long. */
int local_wait_ready(const struct global_options *options, struct engine *engine);

/* The one container that @reference names, its layer read and up to date. */
int local_resolve(const struct global_options *options, struct engine *engine,
		  const char *reference, struct ledger_container **ret);

/* As session_metrics(), session_verify() and session_events(). */
int local_metrics(struct engine *engine, struct strbuf *out);
int local_verify(struct engine *engine, struct ledger_container *c, json_t **ret);
int local_events(struct engine *engine, const struct session_events *query, int stop_fd,
		 int (*fn)(const char *line, size_t len, void *arg), void *arg);

#endif /* COMMAND_LOCAL_H */

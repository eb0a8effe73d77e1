/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * session.h - where commands get their answers: the agent, or the engine in-process.
 *
 * With an agent on --socket every question goes to it. Without one, and as root,
 * the engine runs in this process for the length of the command, and a notice on
 * stderr says so. Commands cannot tell the difference: both give the same JSON.
 *
 * Functions that return int return an enum exit_code; a failure has been logged.
 */
#ifndef SESSION_H
#define SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"
#include "command/command.h"

/* What the command can do without, when there is no agent. */
enum session_need {
	SESSION_LAYERS, /* reads layers; a kernel that refuses BPF is a warning */
	SESSION_KERNEL, /* nothing to say without the kernel side */
};

struct session;

int session_open(const struct global_options *options, enum session_need need,
		 struct session **ret);
struct session *session_close(struct session *s); /* takes NULL, returns NULL */

/* driftwatch.ps/1; the caller releases *ret with json_decref(). */
int session_containers(struct session *s, bool all, json_t **ret);

struct session_files_options {
	bool all;
	bool no_runtime;
};

/* driftwatch.files/1 of one container. */
int session_files(struct session *s, const char *reference,
		  const struct session_files_options *options, json_t **ret);

/* "A /path" NUL-terminated each, sorted by path bytes, raw. */
int session_diff(struct session *s, const char *reference, bool no_runtime, struct strbuf *out,
		 bool *ret_complete);

/* driftwatch.verify/1 of one container; tells on stderr how far it is when that takes long. */
int session_verify(struct session *s, const char *reference, json_t **ret);

/* One scrape, text 0.0.4. */
int session_metrics(struct session *s, struct strbuf *out);

/* What tail asks for; lists end with NULL, and NULL means no such filter. */
struct session_events {
	const char *const *containers; /* references */
	const char *const *ops;
	const char *const *targets;
	const char *path_glob;
	bool raw;
};

/*
 * Call @fn with every event as it comes (driftwatch.event/1, one line of JSON without
 * the newline), until it returns non-zero or @stop_fd becomes readable: EXIT_CODE_OK.
 */
int session_events(struct session *s, const struct session_events *query, int stop_fd,
		   int (*fn)(const char *line, size_t len, void *arg), void *arg);

/*
 * GET @target of the agent alone (doctor): EXIT_CODE_OK with the JSON, or a failure
 * that was not logged. Nothing runs in-process.
 */
int session_ask_agent(const struct global_options *options, const char *target, json_t **ret);

#endif /* SESSION_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * session.c - questions as HTTP to the agent, or as calls into an engine of our own.
 */
#include "command/session.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/client.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "command/local.h"
#include "view/view.h"

struct session {
	struct global_options options;
	struct engine *engine; /* NULL: an agent answers */
};

/* --- opening */

static int explain_no_agent(const struct global_options *options, int err)
{
	if (err == -EACCES || err == -EPERM) {
		log_error("not allowed to talk to the agent at %s; run this as root or as a member "
			  "of the socket's group",
			  options->socket);
		return EXIT_CODE_PERMISSION;
	}
	if (options->socket_given) {
		log_error("no agent answers at %s (%s); leave --socket away to look without one",
			  options->socket, strerror(-err));
		return EXIT_CODE_FAILURE;
	}
	if (geteuid() != 0) {
		log_error("no agent at %s, and looking without one needs root; start 'driftwatch "
			  "agent' or run this as root",
			  options->socket);
		return EXIT_CODE_PERMISSION;
	}
	if (!options->quiet)
		log_info("no agent at %s: looking for myself (counters start now)",
			 options->socket);
	return EXIT_CODE_OK;
}

int session_open(const struct global_options *options, enum session_need need, struct session **ret)
{
	struct session *s = calloc(1, sizeof(*s));
	int err, code;

	if (!s)
		return command_fail(-ENOMEM, "cannot start");
	s->options = *options;
	err = client_ping(options->socket);
	code = err ? explain_no_agent(options, err) : EXIT_CODE_OK;
	if (err && code == EXIT_CODE_OK)
		code = local_open(options, need, &s->engine);
	if (code != EXIT_CODE_OK) {
		session_close(s);
		return code;
	}
	*ret = s;
	return EXIT_CODE_OK;
}

struct session *session_close(struct session *s)
{
	if (!s)
		return NULL;
	engine_close(s->engine, false);
	free(s);
	return NULL;
}

/* --- asking the agent */

/* The agent's own sentence where it gave one. */
static int explain_status(int status, const struct strbuf *body)
{
	json_t *answer = json_loadb(strbuf_str(body), body->len, 0, NULL);
	const char *sentence = json_string_value(json_object_get(answer, "error"));

	if (sentence)
		log_error("%s", sentence);
	else
		log_error("the agent refused the question (HTTP status %d)", status);
	json_decref(answer);
	return status == 403 ? EXIT_CODE_PERMISSION : EXIT_CODE_FAILURE;
}

static int ask(const struct session *s, const char *target, struct strbuf *body, bool *ret_complete)
{
	int status = client_get(s->options.socket, target, body, ret_complete);

	if (status < 0)
		return command_fail(status, "cannot ask the agent at %s", s->options.socket);
	if (strbuf_failed(body))
		return command_fail(-ENOMEM, "cannot hold the agent's answer");
	return status == 200 || status == 202 ? EXIT_CODE_OK : explain_status(status, body);
}

static int ask_json(const struct session *s, const struct strbuf *target, json_t **ret)
{
	auto_strbuf struct strbuf body = STRBUF_INIT;
	json_error_t error;
	json_t *answer;
	int code;

	if (strbuf_failed(target))
		return command_fail(-ENOMEM, "cannot ask the agent");
	code = ask(s, strbuf_str(target), &body, NULL);
	if (code != EXIT_CODE_OK)
		return code;
	answer = json_loadb(strbuf_str(&body), body.len, JSON_ALLOW_NUL, &error);
	if (!answer) {
		log_error("the agent's answer is not JSON: %s", error.text);
		return EXIT_CODE_FAILURE;
	}
	*ret = answer;
	return EXIT_CODE_OK;
}

/* "/api/v1/containers/REFERENCE/LEAF" */
static void add_container_target(struct strbuf *target, const char *reference, const char *leaf)
{
	strbuf_adds(target, "/api/v1/containers/");
	client_encode(target, reference, strlen(reference));
	strbuf_addf(target, "/%s", leaf);
}

static void add_parameter(struct strbuf *target, const char *name, const char *value)
{
	strbuf_addf(target, "%c%s=", strchr(strbuf_str(target), '?') ? '&' : '?', name);
	client_encode(target, value, strlen(value));
}

static void add_parameters(struct strbuf *target, const char *name, const char *const *values)
{
	for (; values && *values; values++)
		add_parameter(target, name, *values);
}

/* --- the questions */

static int own_answer(json_t *answer, json_t **ret)
{
	if (!answer)
		return command_fail(-ENOMEM, "cannot compose the answer");
	*ret = answer;
	return EXIT_CODE_OK;
}

int session_containers(struct session *s, bool all, json_t **ret)
{
	auto_strbuf struct strbuf target = STRBUF_INIT;
	int code;

	if (s->engine) {
		code = local_wait_ready(&s->options, s->engine);
		if (code != EXIT_CODE_OK)
			return code;
		engine_refresh_counters(s->engine, NULL);
		return own_answer(view_containers_seen(engine_ledger(s->engine),
						       engine_probe(s->engine), all),
				  ret);
	}
	strbuf_adds(&target, "/api/v1/containers");
	if (all)
		add_parameter(&target, "all", "1");
	return ask_json(s, &target, ret);
}

int session_files(struct session *s, const char *reference,
		  const struct session_files_options *options, json_t **ret)
{
	struct view_files_options view = {.all = options->all, .no_runtime = options->no_runtime};
	auto_strbuf struct strbuf target = STRBUF_INIT;
	struct ledger_container *c;
	int code;

	if (s->engine) {
		code = local_resolve(&s->options, s->engine, reference, &c);
		if (code != EXIT_CODE_OK)
			return code;
		engine_refresh_counters(s->engine, c);
		engine_fold_files(s->engine);
		view.probe = engine_probe(s->engine);
		return own_answer(view_files(engine_ledger(s->engine), c, &view), ret);
	}
	add_container_target(&target, reference, "files");
	if (options->all)
		add_parameter(&target, "all", "1");
	if (options->no_runtime)
		add_parameter(&target, "no_runtime", "1");
	return ask_json(s, &target, ret);
}

int session_diff(struct session *s, const char *reference, bool no_runtime, struct strbuf *out,
		 bool *ret_complete)
{
	auto_strbuf struct strbuf target = STRBUF_INIT;
	struct ledger_container *c;
	int code, err;

	if (s->engine) {
		code = local_resolve(&s->options, s->engine, reference, &c);
		if (code != EXIT_CODE_OK)
			return code;
		err = view_diff(c, no_runtime, out);
		if (err)
			return command_fail(err, "cannot compose the answer");
		*ret_complete = ledger_container_is_complete(c);
		return EXIT_CODE_OK;
	}
	add_container_target(&target, reference, "diff");
	if (no_runtime)
		add_parameter(&target, "no_runtime", "1");
	*ret_complete = true;
	return ask(s, strbuf_str(&target), out, ret_complete);
}

/* The agent answers 202 after a while: what is pending is asked for again. */
static int ask_verify(struct session *s, const char *reference, json_t **ret)
{
	auto_free char *since = NULL;
	json_t *answer = NULL;

	for (;;) {
		auto_strbuf struct strbuf target = STRBUF_INIT;
		int code;

		add_container_target(&target, reference, "verify");
		if (since)
			add_parameter(&target, "since", since);
		code = ask_json(s, &target, &answer);
		if (code != EXIT_CODE_OK)
			return code;
		if (!json_is_true(json_object_get(answer, "pending")))
			break;
		log_info("verifying %s: %lld lines so far", reference,
			 (long long)json_integer_value(json_object_get(answer, "lines")));
		free(since);
		since = strdup(json_string_value(json_object_get(answer, "since")) ?: "");
		json_decref(answer);
		if (!since)
			return command_fail(-ENOMEM, "cannot ask the agent");
	}
	*ret = answer;
	return EXIT_CODE_OK;
}

int session_verify(struct session *s, const char *reference, json_t **ret)
{
	struct ledger_container *c;
	int code;

	if (!s->engine)
		return ask_verify(s, reference, ret);
	code = local_resolve(&s->options, s->engine, reference, &c);
	return code == EXIT_CODE_OK ? local_verify(s->engine, c, ret) : code;
}

int session_metrics(struct session *s, struct strbuf *out)
{
	int code;

	if (!s->engine)
		return ask(s, "/metrics", out, NULL);
	code = local_wait_ready(&s->options, s->engine);
	return code == EXIT_CODE_OK ? local_metrics(s->engine, out) : code;
}

int session_events(struct session *s, const struct session_events *query, int stop_fd,
		   int (*fn)(const char *line, size_t len, void *arg), void *arg)
{
	auto_strbuf struct strbuf target = STRBUF_INIT, error = STRBUF_INIT;
	int status;

	if (s->engine)
		return local_events(s->engine, query, stop_fd, fn, arg);

	strbuf_adds(&target, "/api/v1/events");
	if (query->raw)
		add_parameter(&target, "raw", "1");
	add_parameters(&target, "container", query->containers);
	add_parameters(&target, "op", query->ops);
	add_parameters(&target, "target", query->targets);
	if (query->path_glob)
		add_parameter(&target, "path", query->path_glob);
	status = client_stream(s->options.socket, strbuf_str(&target), stop_fd, fn, arg, &error);
	if (status == -EPIPE) {
		log_error("the agent at %s went away", s->options.socket);
		return EXIT_CODE_FAILURE;
	}
	if (status < 0)
		return command_fail(status, "cannot follow the agent at %s", s->options.socket);
	/* Callbacks end with 1; what is more is the agent's refusal. */
	return status > 1 ? explain_status(status, &error) : EXIT_CODE_OK;
}

int session_ask_agent(const struct global_options *options, const char *target, json_t **ret)
{
	auto_strbuf struct strbuf body = STRBUF_INIT;
	int status = client_get(options->socket, target, &body, NULL);
	json_t *answer;

	if (status < 0)
		return command_exit_code(status);
	answer = status == 200 ? json_loadb(strbuf_str(&body), body.len, JSON_ALLOW_NUL, NULL)
			       : NULL;
	if (!answer)
		return EXIT_CODE_FAILURE;
	*ret = answer;
	return EXIT_CODE_OK;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * local.c - the engine for the length of one command: open, wait, answer.
 */
#include "command/local.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "agent/filter.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "view/view.h"

#define SETTLE_SLICE_MS 200
#define PROGRESS_FIRST	(1 * NS_PER_SEC)
#define PROGRESS_EVERY	(10 * NS_PER_SEC)

/* --- opening */

static int probe_exit_code(int err)
{
	/* probe.h: -ENOENT is a kernel without BTF */
	return err == -ENOENT ? EXIT_CODE_KERNEL : command_exit_code(err);
}

static int explain_open(int err, const struct strbuf *error)
{
	log_error("cannot watch the containers of this machine: %s ('driftwatch doctor' explains)",
		  error->len ? strbuf_str(error) : strerror(-err));
	return probe_exit_code(err);
}

int local_open(const struct global_options *options, enum session_need need, struct engine **ret)
{
	struct engine_options engine_options = {.registry = {.host_root = options->host_root}};
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct engine *engine = NULL;
	int err = engine_open(&engine_options, &error, &engine);

	if (err && need == SESSION_LAYERS) {
		log_warning("the kernel side is missing, so layers are only read, not watched: %s",
			    error.len ? strbuf_str(&error) : strerror(-err));
		strbuf_reset(&error);
		engine_options.no_probe = true;
		err = engine_open(&engine_options, &error, &engine);
	}
	if (err)
		return explain_open(err, &error);
	err = engine_start(engine);
	if (err) {
		engine_close(engine, false);
		return command_fail(err, "cannot find the containers of this machine");
	}
	*ret = engine;
	return EXIT_CODE_OK;
}

/* --- waiting, with a word about it when it takes long */

struct progress {
	uint64_t start_ns, next_ns;
};

static void progress_start(struct progress *p)
{
	p->start_ns = clock_mono_ns();
	p->next_ns = p->start_ns + PROGRESS_FIRST;
}

static int count_read(struct ledger_container *c, void *arg)
{
	size_t *done = arg;

	if (!c->tree || tree_is_complete(c->tree))
		(*done)++;
	return 0;
}

static void progress_tell(struct progress *p, const struct engine *engine)
{
	uint64_t now_ns = clock_mono_ns();
	size_t done = 0;

	if (now_ns < p->next_ns)
		return;
	p->next_ns = now_ns + PROGRESS_EVERY;
	ledger_foreach(engine_ledger(engine), count_read, &done);
	log_info("reading layers for %llu s: %zu of %zu containers done",
		 (unsigned long long)((now_ns - p->start_ns) / NS_PER_SEC), done,
		 ledger_count(engine_ledger(engine)));
}

/* Wait for work, at most @max_ms, and do it. */
static int step(struct engine *engine, int max_ms)
{
	struct pollfd pfd = {.fd = engine_fd(engine), .events = POLLIN};
	int timeout = engine_timeout_ms(engine);

	if (timeout < 0 || timeout > max_ms)
		timeout = max_ms;
	if (poll(&pfd, 1, timeout) < 0 && errno != EINTR)
		return -errno;
	return engine_step(engine);
}

int local_wait_ready(const struct global_options *options, struct engine *engine)
{
	struct progress progress;
	int err;

	(void)options;
	progress_start(&progress);
	while (!engine_is_ready(engine)) {
		err = step(engine, SETTLE_SLICE_MS);
		if (err)
			return command_fail(err, "cannot read the layers");
		progress_tell(&progress, engine);
	}
	engine_settle(engine, SETTLE_SLICE_MS);
	return EXIT_CODE_OK;
}

static void take_match(struct ledger_container *c, void *arg)
{
	struct ledger_container **match = arg;

	*match = c;
}

int local_resolve(const struct global_options *options, struct engine *engine,
		  const char *reference, struct ledger_container **ret)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct ledger_container *c = NULL;
	struct progress progress;

	(void)options;
	if (ledger_resolve(engine_ledger(engine), reference, true, take_match, &c, &error) != 1 ||
	    !c) {
		log_error("%s", strbuf_str(&error));
		return EXIT_CODE_FAILURE;
	}
	progress_start(&progress);
	while (!engine_settle_container(engine, c, SETTLE_SLICE_MS)) {
		/* A layer that never comes to rest is answered as of now, and says so. */
		if (c->tree && tree_is_complete(c->tree))
			break;
		progress_tell(&progress, engine);
	}
	*ret = c;
	return EXIT_CODE_OK;
}

/* --- answers that need more than a view */

int local_metrics(struct engine *engine, struct strbuf *out)
{
	struct engine_stats stats;
	struct view_metrics_input input = {
		.ledger = engine_ledger(engine),
		.probe = engine_probe(engine),
		.registry = engine_registry(engine),
		.version = version_string(),
		.revision = version_revision(),
		.reload_successful = true,
	};
	int err;

	engine_refresh_counters(engine, NULL);
	engine_stats(engine, &stats);
	input.verifications = stats.verifications;
	input.mismatches = stats.mismatches;
	input.unresolved_cgroups = stats.unresolved_cgroups;
	input.containers_refused = stats.containers_refused;
	input.rescans = stats.rescans;
	input.files = stats.files;
	input.max_files_total = stats.max_files_total;
	input.reload_wall_ns = stats.started_wall_ns;
	err = view_metrics(&input, false, out);
	return err ? command_fail(err, "cannot compose the metrics") : EXIT_CODE_OK;
}

int local_verify(struct engine *engine, struct ledger_container *c, json_t **ret)
{
	uint64_t since_ns = clock_mono_ns();
	const struct audit_result *result;
	int err;

	while (!(result = engine_verify(engine, c, since_ns, NULL))) {
		err = step(engine, SETTLE_SLICE_MS);
		if (err)
			return command_fail(err, "cannot read the layers");
	}
	*ret = view_verify(c, result);
	return *ret ? EXIT_CODE_OK : command_fail(-ENOMEM, "cannot compose the answer");
}

struct follower {
	struct filter filter;
	const struct ledger *ledger;
	char node[256];
	int (*fn)(const char *line, size_t len, void *arg);
	void *arg;
	bool is_done;
};

static void follow_event(const struct event *event, void *arg)
{
	struct follower *follower = arg;
	json_t *object;
	char *line;

	if (follower->is_done || !filter_allows(&follower->filter, follower->ledger, event))
		return;
	object = view_event(event, follower->node);
	line = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (!line) {
		log_error("out of memory: an event is not shown");
		return;
	}
	follower->is_done = follower->fn(line, strlen(line), follower->arg) != 0;
	free(line);
}

static int follow(struct engine *engine, const struct follower *follower, int stop_fd)
{
	struct pollfd fds[] = {
		{.fd = engine_fd(engine), .events = POLLIN},
		{.fd = stop_fd, .events = POLLIN},
	};

	while (!follower->is_done) {
		int err;

		if (poll(fds, 2, engine_timeout_ms(engine)) < 0 && errno != EINTR)
			return command_fail(-errno, "cannot wait for events");
		/* What happened before the stop is still shown. */
		err = engine_step(engine);
		if (err)
			return command_fail(err, "cannot follow the kernel's records");
		if (fds[1].revents)
			break;
	}
	return EXIT_CODE_OK;
}

static int add_all(struct filter *filter, const char *key, const char *const *values,
		   struct strbuf *error)
{
	for (; values && *values; values++) {
		int err = filter_set(filter, key, *values, error);

		if (err)
			return err;
	}
	return 0;
}

/* The agent's own filter, filled as its URL parameters would. */
static int set_filter(struct filter *filter, const struct session_events *query,
		      const struct ledger *ledger, struct strbuf *error)
{
	int err = add_all(filter, "container", query->containers, error);

	if (!err)
		err = add_all(filter, "op", query->ops, error);
	if (!err)
		err = add_all(filter, "target", query->targets, error);
	if (!err && query->path_glob)
		err = filter_set(filter, "path", query->path_glob, error);
	filter->raw = query->raw;
	return err ? err : filter_check(filter, ledger, error);
}

static int subscribe(struct engine *engine, const struct session_events *query, int stop_fd,
		     struct follower *follower)
{
	int subscription = engine_subscribe(engine, query->raw, follow_event, follower);
	int code;

	if (subscription < 0)
		return command_fail(subscription, "cannot follow events");
	log_info("watching %zu containers with tier %s", ledger_count(engine_ledger(engine)),
		 probe_tier_name(probe_tier(engine_probe(engine))));
	code = follow(engine, follower, stop_fd);
	engine_unsubscribe(engine, subscription);
	return code;
}

int local_events(struct engine *engine, const struct session_events *query, int stop_fd,
		 int (*fn)(const char *line, size_t len, void *arg), void *arg)
{
	struct follower follower = {.ledger = engine_ledger(engine), .fn = fn, .arg = arg};
	auto_strbuf struct strbuf error = STRBUF_INIT;
	int code = EXIT_CODE_FAILURE;
	int err = set_filter(&follower.filter, query, follower.ledger, &error);

	if (gethostname(follower.node, sizeof(follower.node) - 1))
		follower.node[0] = '\0';
	if (err)
		log_error("%s", error.len ? strbuf_str(&error) : strerror(-err));
	else
		code = subscribe(engine, query, stop_fd, &follower);
	filter_done(&follower.filter);
	return code;
}

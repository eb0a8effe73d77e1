/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * daemon.c - starts the parts in order, reloads, and stops them in reverse.
 */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/daemon_internal.h"
#include "agent/loop.h"
#include "agent/notify.h"
#include "agent/socket.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

struct engine_options daemon_engine_options(const struct agent *a)
{
	const struct config *c = a->config;
	struct engine_options options = {
		.probe =
			{
				.pin_dir = a->pin_dir,
				.btf_path = c->btf,
				.scratch_dir = c->state_dir,
				.max_containers = (unsigned)c->max_containers,
				.max_watched = (unsigned)c->max_watched,
				.max_files = (unsigned)c->max_counted,
				.ring_bytes = c->ring_bytes,
				.dirty_ring_bytes = 2 * c->ring_bytes,
			},
		.registry =
			{
				.host_root = c->host_root,
				.runtime_roots = (const char *const *)c->runtime_root.items,
				.runtime_roots_len = c->runtime_root.len,
			},
		.dead_retention_ns = c->dead_retention_ns,
		.max_files = c->max_files,
		.max_files_total = c->max_files_total,
		.max_compare_bytes = c->max_compare_bytes,
		.verify_interval_ns = c->verify_interval_ns,
		.state_dir = c->state_dir,
	};

	if (probe_tier_parse(c->tier, &options.probe.tier))
		options.probe.tier = PROBE_TIER_AUTO;
	return options;
}

/* Every lower layer of every container is held open. */
static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int report(int err, const struct strbuf *error)
{
	log_error("%s", error->len ? strbuf_str(error) : strerror(-err));
	return err;
}

static int listen_web(struct agent *a, struct strbuf *error)
{
	const struct config_list *list = &a->config->web_listen_address;

	for (size_t i = 0; i < list->len; i++) {
		const char *address = list->items[i];
		int fd;

		if (!*address || !strcmp(address, "none"))
			continue;
		fd = socket_listen_tcp(address, error);
		if (fd < 0)
			return fd;
		fd = http_listen(a->http, fd, false);
		if (fd < 0)
			return fd;
		log_info("metrics on http://%s/metrics", address);
	}
	return 0;
}

/* Sockets come first: what is in the way shows before the kernel is touched. */
static int start_server(struct agent *a)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	int err = http_open(api_handle, &a->api, &a->http);
	int fd;

	if (err)
		return report(err, &error);
	fd = socket_listen_unix(a->config->socket, &error, &a->socket_lock);
	if (fd < 0)
		return report(fd, &error);
	a->has_socket = true;
	err = http_listen(a->http, fd, true);
	if (!err)
		err = listen_web(a, &error);
	return err ? report(err, &error) : 0;
}

static int make_state_dir(const struct agent *a)
{
	int err = file_make_dirs(a->config->state_dir, 0700);

	if (err)
		log_error("cannot make the state directory %s: %s (give --state-dir)",
			  a->config->state_dir, strerror(-err));
	return err;
}

/* What a person can do about a refusal of the kernel side. */
static const char *advice(int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return "run it as root, or with the capabilities that driftwatch.service has";
	case -ENOENT:
		return "a kernel with CONFIG_DEBUG_INFO_BTF is needed, or its BTF given with --btf";
	case -EOPNOTSUPP:
		return "driftwatch doctor tells what this kernel offers";
	case -EEXIST:
		return "driftwatch agent --unpin with the same --state-dir removes them";
	case -EBUSY:
		return "stop the other agent, or give another --state-dir";
	default:
		return NULL;
	}
}

static int report_engine(int err, const struct strbuf *error)
{
	const char *hint = advice(err);

	if (!hint)
		return report(err, error);
	log_error("%s: %s", error->len ? strbuf_str(error) : strerror(-err), hint);
	return err;
}

static int start_engine(struct agent *a)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct engine_options options;
	int err = daemon_choose_pin_dir(a);

	if (err)
		return report(err, &error);
	options = daemon_engine_options(a);
	err = engine_open(&options, &error, &a->engine);
	if (err)
		return report_engine(err, &error);
	a->api.engine = a->engine;
	err = engine_start(a->engine);
	if (err)
		return report(err, &error);
	return 0;
}

static void log_refused(const struct probe_hook *hook, void *arg)
{
	(void)arg;
	if (!hook->attached && hook->error)
		log_warning("the kernel refuses %s (%s): %s", hook->name, hook->role,
			    strerror(-hook->error));
}

/* Once: what the chosen hooks leave in the dark. */
static void log_lacks(const struct probe *probe)
{
	auto_strbuf struct strbuf lacks = STRBUF_INIT;

	probe_foreach_hook(probe, log_refused, NULL);
	for (int i = 0; i < PROBE_SEES_MAX; i++)
		if (!probe_sees(probe, i))
			strbuf_addf(&lacks, "%s%s", lacks.len ? ", " : "", probe_sight_name(i));
	if (lacks.len)
		log_info("tier %s does not see: %s (driftwatch doctor says what that means)",
			 probe_tier_name(probe_tier(probe)), strbuf_str(&lacks));
}

static int serve(struct agent *a, int signal_fd)
{
	const struct probe *probe = engine_probe(a->engine);
	const struct loop loop = {
		.engine = a->engine,
		.http = a->http,
		.duration_ns = a->config->duration_ns,
		.on_reload = daemon_on_reload,
		.on_reopen = daemon_on_reopen,
		.on_dump = daemon_on_dump,
		.arg = a,
	};
	int err;

	log_info("watching %zu containers with tier %s, API on %s",
		 ledger_count(engine_ledger(a->engine)),
		 probe ? probe_tier_name(probe_tier(probe)) : "none", a->config->socket);
	if (probe)
		log_lacks(probe);
	memory_give_back(); /* the kernel's types, the programs, and what read them */
	notify_ready("watching");
	err = loop_run(&loop, signal_fd);
	if (err)
		log_error("the event loop failed: %s", strerror(-err));
	notify_stopping();
	return err;
}

static void stop(struct agent *a)
{
	http_close(a->http);
	if (a->has_socket)
		unlink(a->config->socket);
	if (a->socket_lock >= 0)
		close(a->socket_lock);
	engine_close(a->engine, a->config->keep_pins);
	free(a->pin_dir);
}

static enum daemon_failure failure_of(int err, bool is_engine)
{
	if (!err)
		return DAEMON_OK;
	if (err == -EPERM || err == -EACCES)
		return DAEMON_NO_PERMISSION;
	if (is_engine && (err == -ENOENT || err == -EOPNOTSUPP || err == -ENOSYS))
		return DAEMON_NO_KERNEL;
	return DAEMON_FAILED;
}

static void read_node_name(struct agent *a)
{
	const char *given = getenv("NODE_NAME"); /* a pod's host name is not the node's */

	if (given && *given)
		snprintf(a->node, sizeof(a->node), "%s", given);
	else if (gethostname(a->node, sizeof(a->node) - 1))
		a->node[0] = '\0';
}

enum daemon_failure daemon_run(struct config *config, const struct config_source *source)
{
	struct agent a = {.config = config, .source = source, .socket_lock = -1};
	auto_close int signal_fd = loop_catch_signals();
	bool in_engine = false;
	int err = signal_fd < 0 ? signal_fd : 0;

	read_node_name(&a);
	raise_fd_limit();
	a.api = (struct api){
		.node = a.node,
		.max_series = config->max_series,
		.reload_successful = true,
		.reload_wall_ns = clock_wall_ns(),
		.reload = daemon_reload,
		.arg = &a,
	};
	if (!err)
		err = make_state_dir(&a);
	if (!err)
		err = start_server(&a);
	if (!err) {
		in_engine = true;
		err = start_engine(&a);
	}
	if (!err)
		err = serve(&a, signal_fd);
	stop(&a);
	return failure_of(err, in_engine);
}

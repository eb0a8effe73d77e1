/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * daemon.c - starts the parts in order, reloads, and stops them in reverse.
 */
#include "agent/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/api.h"
#include "agent/loop.h"
#include "agent/notify.h"
#include "agent/socket.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define BPF_FS_MAGIC_NUMBER 0xcafe4a11
#define BPF_FS		    "/sys/fs/bpf"

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

int daemon_pin_dir(const struct config *config, struct strbuf *out)
{
	auto_free char *resolved = realpath(config->state_dir, NULL);
	const char *path = resolved ? resolved : config->state_dir;
	uint64_t hash = 14695981039346656037ull;

	if (config->pin_dir) {
		strbuf_adds(out, config->pin_dir);
	} else {
		for (; *path; path++)
			hash = (hash ^ (unsigned char)*path) * 1099511628211ull; /* FNV-1a */
		strbuf_addf(out, BPF_FS "/driftwatch/%016" PRIx64, hash);
	}
	return strbuf_failed(out) ? -ENOMEM : 0;
}

void daemon_apply_log(const struct config *config)
{
	enum log_format format;
	enum log_level level;

	if (config->log_level && !log_level_parse(config->log_level, &level))
		log_set_level(level);
	if (config->log_format && !log_format_parse(config->log_format, &format))
		log_set_format(format);
}

/* The nearest directory that exists above @path is on bpffs. */
static bool is_on_bpffs(const char *path)
{
	auto_free char *copy = strdup(path);
	struct statfs fs;

	while (copy && *copy) {
		char *slash = strrchr(copy, '/');

		if (statfs(copy, &fs) == 0)
			return (uint32_t)fs.f_type == BPF_FS_MAGIC_NUMBER;
		if (!slash)
			break;
		*slash = '\0';
	}
	return false;
}

static int choose_pin_dir(struct agent *a)
{
	auto_strbuf struct strbuf dir = STRBUF_INIT;

	if (a->config->no_pin)
		return 0;
	if (daemon_pin_dir(a->config, &dir))
		return -ENOMEM;
	if (!is_on_bpffs(strbuf_str(&dir))) {
		log_warning("%s is not on a BPF file system: running without pins, so what "
			    "happens while no agent runs is not counted (mount -t bpf bpf " BPF_FS
			    ", or give --no-pin)",
			    strbuf_str(&dir));
		return 0;
	}
	a->pin_dir = strbuf_take(&dir);
	return a->pin_dir ? 0 : -ENOMEM;
}

static struct engine_options engine_options(const struct agent *a)
{
	const struct config *c = a->config;
	struct engine_options options = {
		.probe =
			{
				.pin_dir = a->pin_dir,
				.btf_path = c->btf,
				.max_containers = (unsigned)c->max_containers,
			},
		.registry =
			{
				.host_root = c->host_root,
				.runtime_roots = (const char *const *)c->runtime_root.items,
				.runtime_roots_len = c->runtime_root.len,
			},
		.dead_retention_ns = c->dead_retention_ns,
		.max_files = c->max_files,
		.max_compare_bytes = c->max_compare_bytes,
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

static int start_engine(struct agent *a)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct engine_options options;
	int err = choose_pin_dir(a);

	if (err)
		return report(err, &error);
	options = engine_options(a);
	err = engine_open(&options, &error, &a->engine);
	if (err)
		return report(err, &error);
	a->api.engine = a->engine;
	err = engine_start(a->engine);
	return err ? report(err, &error) : 0;
}

static int reload(struct strbuf *error, void *arg)
{
	auto_strbuf struct strbuf kept = STRBUF_INIT;
	struct agent *a = arg;
	struct config fresh = {0};
	struct engine_options options;
	int err;

	notify_reloading();
	err = config_read(a->source, error, &fresh);
	if (!err && config_needs_restart(a->config, &fresh, &kept))
		log_warning("these settings changed, and need a restart: %s", strbuf_str(&kept));
	if (!err)
		err = config_take_reloadable(a->config, &fresh);
	config_done(&fresh);
	a->api.reload_successful = !err;
	if (err) {
		log_error("%s; the configuration stays as it was", strbuf_str(error));
	} else {
		daemon_apply_log(a->config);
		options = engine_options(a);
		engine_reconfigure(a->engine, &options);
		a->api.max_series = a->config->max_series;
		a->api.reload_wall_ns = clock_wall_ns();
		log_info("configuration read again");
	}
	notify_ready("watching");
	return err;
}

static void on_reload(void *arg)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;

	reload(&error, arg);
}

/* All output goes to stderr, which whoever started us rotates. */
static void on_reopen(void *arg)
{
	(void)arg;
	log_info("nothing to reopen: the log goes to stderr");
}

static int dump_container(struct ledger_container *c, void *arg)
{
	struct tree_counts counts = {0};

	(void)arg;
	if (c->tree)
		tree_counts(c->tree, &counts);
	log_info("%.12s %s %s: %" PRIu64 " added, %" PRIu64 " modified, %" PRIu64
		 " deleted, %llu calls, %llu bytes, %s",
		 c->meta->id, container_label(c->meta), container_state_name(c->meta->state),
		 counts.added, counts.modified, counts.deleted,
		 (unsigned long long)c->counters.write_calls[DW_TARGET_LAYER],
		 (unsigned long long)c->counters.write_bytes[DW_TARGET_LAYER],
		 ledger_container_is_complete(c) ? "complete" : "incomplete");
	return 0;
}

static void on_dump(void *arg)
{
	struct agent *a = arg;
	struct engine_stats stats;

	engine_refresh_counters(a->engine, NULL);
	engine_stats(a->engine, &stats);
	log_info("%zu containers, %" PRIu64 " events, %" PRIu64 " unresolved cgroups",
		 ledger_count(engine_ledger(a->engine)), stats.events, stats.unresolved_cgroups);
	ledger_foreach(engine_ledger(a->engine), dump_container, NULL);
}

static int serve(struct agent *a, int signal_fd)
{
	const struct probe *probe = engine_probe(a->engine);
	const struct loop loop = {
		.engine = a->engine,
		.http = a->http,
		.duration_ns = a->config->duration_ns,
		.on_reload = on_reload,
		.on_reopen = on_reopen,
		.on_dump = on_dump,
		.arg = a,
	};
	int err;

	log_info("watching %zu containers with tier %s, API on %s",
		 ledger_count(engine_ledger(a->engine)),
		 probe ? probe_tier_name(probe_tier(probe)) : "none", a->config->socket);
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
		.reload = reload,
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

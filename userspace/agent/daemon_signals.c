/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * daemon_signals.c - what an agent does when it is poked: read its configuration
 * again, say how it is.
 */
#include <inttypes.h>
#include <string.h>

#include "agent/daemon_internal.h"
#include "agent/notify.h"
#include "base/clock.h"
#include "base/log.h"

void daemon_apply_log(const struct config *config)
{
	enum log_format format;
	enum log_level level;

	if (config->log_level && !log_level_parse(config->log_level, &level))
		log_set_level(level);
	if (config->log_format && !log_format_parse(config->log_format, &format))
		log_set_format(format);
}

int daemon_reload(struct strbuf *error, void *agent)
{
	auto_strbuf struct strbuf kept = STRBUF_INIT;
	struct agent *a = agent;
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
		options = daemon_engine_options(a);
		engine_reconfigure(a->engine, &options);
		a->api.max_series = a->config->max_series;
		a->api.reload_wall_ns = clock_wall_ns();
		log_info("configuration read again");
	}
	notify_ready("watching");
	return err;
}

void daemon_on_reload(void *agent)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;

	daemon_reload(&error, agent);
}

/* All output goes to stderr, which whoever started us rotates. */
void daemon_on_reopen(void *agent)
{
	(void)agent;
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

void daemon_on_dump(void *agent)
{
	const struct agent *a = agent;
	struct engine_stats stats;

	engine_refresh_counters(a->engine, NULL);
	engine_stats(a->engine, &stats);
	log_info("%zu containers, %" PRIu64 " events, %" PRIu64 " unresolved cgroups",
		 ledger_count(engine_ledger(a->engine)), stats.events, stats.unresolved_cgroups);
	ledger_foreach(engine_ledger(a->engine), dump_container, NULL);
}

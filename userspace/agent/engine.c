/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine.c - the engine's life: open, close, and its subscribers.
 */
#include "agent/engine_internal.h"
#include "agent/engine_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"

#define DEFAULT_COALESCE_NS    (5 * NS_PER_MSEC)
#define DEFAULT_RETENTION_NS   (300 * NS_PER_SEC)
#define DEFAULT_MAX_FILES      200000
#define DEFAULT_MAX_TOTAL      500000
#define DEFAULT_MAX_COMPARE    (64ull << 20)
#define DEFAULT_MAX_CONTAINERS 1024

static void set_defaults(struct engine_options *o)
{
	if (!o->coalesce_ns)
		o->coalesce_ns = DEFAULT_COALESCE_NS;
	if (!o->dead_retention_ns)
		o->dead_retention_ns = DEFAULT_RETENTION_NS;
	if (!o->max_files)
		o->max_files = DEFAULT_MAX_FILES;
	if (!o->max_files_total)
		o->max_files_total = DEFAULT_MAX_TOTAL;
	if (!o->max_compare_bytes)
		o->max_compare_bytes = DEFAULT_MAX_COMPARE;
	if (!o->probe.max_containers)
		o->probe.max_containers = DEFAULT_MAX_CONTAINERS;
}

static int watch_fd(struct engine *e, int fd, bool on)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(e->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event) ? -errno : 0;
}

/*
 * While a flush is waiting for more records, the readable probe would wake the loop
 * for nothing: it leaves the set until the flush is done.
 */
void engine_arm_probe(struct engine *e, bool on)
{
	if (!e->probe || e->probe_armed == on)
		return;
	if (watch_fd(e, probe_fd(e->probe), on) == 0)
		e->probe_armed = on;
}

static int open_parts(struct engine *e, struct strbuf *error)
{
	int err;

	e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (e->epoll_fd < 0)
		return -errno;
	e->ledger = ledger_new();
	e->ops = calloc(ENGINE_MAX_QUEUED, sizeof(*e->ops));
	e->changes = calloc(ENGINE_MAX_QUEUED, sizeof(*e->changes));
	if (!e->ledger || !e->ops || !e->changes)
		return -ENOMEM;
	err = engine_init_slots(e, e->options.probe.max_containers + 1);
	if (err)
		return err;
	if (!e->options.no_probe) {
		err = probe_open(&e->options.probe, error, &e->probe);
		if (err)
			return err;
		engine_arm_probe(e, true);
		err = watch_fd(e, probe_urgent_fd(e->probe), true);
		if (err)
			return err;
	}
	err = engine_state_open(e, error);
	if (err)
		return err;
	engine_fill_slots(e);
	e->mounts_seen_ns = UINT64_MAX;
	if (e->options.no_discovery)
		return 0;
	e->mounts_seen_ns = 0;
	err = registry_open(&e->options.registry, engine_on_registry, e, &e->registry);
	if (err) {
		strbuf_addf(error, "cannot watch for containers: %s", strerror(-err));
		return err;
	}
	return watch_fd(e, registry_fd(e->registry), true);
}

int engine_open(const struct engine_options *options, struct strbuf *error, struct engine **ret)
{
	struct engine *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	e->epoll_fd = -1;
	e->flushes = 1; /* 0: nothing queued yet */
	e->options = *options;
	set_defaults(&e->options);
	engine_look_at_clocks(e);
	e->coalesce_ns = e->options.coalesce_ns;
	e->files.max = e->options.max_files_total;
	e->stats.started_wall_ns = clock_wall_ns();
	err = open_parts(e, error);
	if (err) {
		if (error && !error->len)
			strbuf_addf(error, "cannot start: %s", strerror(-err));
		engine_close(e, false);
		return err;
	}
	*ret = e;
	return 0;
}

static int forget_one(struct ledger_container *c, void *arg)
{
	struct track **last = arg;

	*last = c->engine_data;
	return 1;
}

struct engine *engine_close(struct engine *e, bool keep_pins)
{
	struct track *t = NULL;

	if (!e)
		return NULL;
	e->keeps_pins = keep_pins;
	if (e->ledger) {
		engine_flush_events(e); /* what they count is saved too */
		engine_state_close(e);
	}
	while (e->ledger && ledger_foreach(e->ledger, forget_one, &t))
		engine_forget(e, t);
	engine_drop_queues(e);
	registry_close(e->registry);
	ledger_free(e->ledger);
	probe_close(e->probe, keep_pins);
	free(e->ops);
	free(e->changes);
	free(e->by_slot);
	free(e->free_slots);
	if (e->epoll_fd >= 0)
		close(e->epoll_fd);
	free(e);
	return NULL;
}

int engine_start(struct engine *e)
{
	e->started = true;
	return e->registry ? registry_scan(e->registry) : 0;
}

bool engine_is_ready(const struct engine *e)
{
	return e->ready;
}

int engine_fd(const struct engine *e)
{
	return e->epoll_fd;
}

struct ledger *engine_ledger(const struct engine *e)
{
	return e->ledger;
}

struct probe *engine_probe(const struct engine *e)
{
	return e->probe;
}

struct registry *engine_registry(const struct engine *e)
{
	return e->registry;
}

void engine_stats(const struct engine *e, struct engine_stats *ret)
{
	*ret = e->stats;
	ret->still_reading = e->still_reading;
	ret->files = e->files.used;
	ret->max_files_total = e->files.max;
}

void engine_reconfigure(struct engine *e, const struct engine_options *options)
{
	e->options.dead_retention_ns = options->dead_retention_ns;
	e->options.max_files = options->max_files;
	e->options.max_compare_bytes = options->max_compare_bytes;
	e->options.max_files_total = options->max_files_total;
	e->options.verify_interval_ns = options->verify_interval_ns;
	set_defaults(&e->options);
	e->files.max = e->options.max_files_total;
}

/* --- subscribers --- */

static void tell_probe_of_subscribers(const struct engine *e)
{
	if (e->probe)
		probe_set_heard(e->probe, engine_has_subscriber(e));
}

int engine_subscribe(struct engine *e, bool want_raw, event_fn fn, void *arg)
{
	struct subscriber *s;

	if (e->subscribers_len == ENGINE_MAX_SUBSCRIBERS)
		return -ENOMEM;
	if (!e->subscribers_len) { /* what was left until now is not news to the first */
		engine_refresh_sizes(e);
		engine_flush_events(e);
	}
	s = &e->subscribers[e->subscribers_len++];
	*s = (struct subscriber){
		.number = e->next_subscription++, .want_raw = want_raw, .fn = fn, .arg = arg};
	tell_probe_of_subscribers(e);
	if (want_raw)
		engine_fold_files(e); /* bursts start from now */
	return s->number;
}

void engine_unsubscribe(struct engine *e, int subscription)
{
	for (size_t i = 0; i < e->subscribers_len; i++) {
		if (e->subscribers[i].number != subscription)
			continue;
		e->subscribers_len--;
		memmove(&e->subscribers[i], &e->subscribers[i + 1],
			(e->subscribers_len - i) * sizeof(e->subscribers[0]));
		tell_probe_of_subscribers(e);
		return;
	}
}

bool engine_has_raw_subscriber(const struct engine *e)
{
	for (size_t i = 0; i < e->subscribers_len; i++)
		if (e->subscribers[i].want_raw)
			return true;
	return false;
}

void engine_emit(struct engine *e, struct event *event)
{
	event->seq = ++e->next_seq;
	if (!event->wall_ns)
		event->wall_ns = clock_wall_ns();
	e->stats.events++;
	for (size_t i = 0; i < e->subscribers_len; i++)
		if (event->type != EVENT_WRITE || e->subscribers[i].want_raw)
			e->subscribers[i].fn(event, e->subscribers[i].arg);
}

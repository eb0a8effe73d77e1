/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * run_watch.c - the engine on one container of ours, while its command runs.
 */
#include "command/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "command/render_event.h"
#include "view/view.h"

#define FIRST_READ_MS 2000
#define LAST_READ_MS  10000

struct run_watch {
	struct engine *engine;
	struct ledger_container *container;
	struct event_style style;
	int subscription; /* negative: none */
	int signal_fd;
};

/* One write per line: the command may be writing to the same terminal. */
static void print_line(struct strbuf *line)
{
	strbuf_addc(line, '\n');
	if (!strbuf_failed(line))
		fwrite(line->data, 1, line->len, stderr);
}

/* The command's output, sent to a file: a file outside the container, but no escape. */
static bool is_our_output(uint64_t ino)
{
	struct stat st;

	return (fstat(STDOUT_FILENO, &st) == 0 && st.st_ino == ino) ||
	       (fstat(STDERR_FILENO, &st) == 0 && st.st_ino == ino);
}

static void on_event(const struct event *event, void *arg)
{
	struct run_watch *w = arg;
	auto_strbuf struct strbuf line = STRBUF_INIT;
	json_t *object;

	/* That it starts and stops is seen by who runs it. */
	if (event->type != EVENT_DRIFT && event->type != EVENT_LOST)
		return;
	if (event->target == DW_TARGET_OTHER && is_our_output(event->ino))
		return;
	object = view_event(event, "");
	if (!object)
		return;
	render_event(&line, object, &w->style);
	json_decref(object);
	print_line(&line);
}

static int open_engine(enum probe_tier tier, struct run_watch *w)
{
	const struct engine_options options = {.probe = {.tier = tier}, .no_discovery = true};
	auto_strbuf struct strbuf error = STRBUF_INIT;
	int err = engine_open(&options, &error, &w->engine);

	if (!err)
		err = engine_start(w->engine);
	if (err)
		log_error("cannot watch the container: %s ('driftwatch doctor' explains)",
			  error.len ? strbuf_str(&error) : strerror(-err));
	return err;
}

static sigset_t signals_handed_on(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&set, signals[i]);
	return set;
}

int run_block_signals(sigset_t *ret_old)
{
	sigset_t set = signals_handed_on();

	signal(SIGPIPE, SIG_IGN);
	return sigprocmask(SIG_BLOCK, &set, ret_old) < 0 ? -errno : 0;
}

void run_restore_signals(const sigset_t *old)
{
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, old, NULL);
}

static int take_signals(struct run_watch *w)
{
	sigset_t set = signals_handed_on();

	w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return w->signal_fd < 0 ? -errno : 0;
}

static int watch(const struct global_options *options, enum probe_tier tier,
		 const struct sandbox *sandbox, struct run_watch *w)
{
	int err = take_signals(w);

	if (!err)
		err = open_engine(tier, w);
	if (err)
		return err;
	err = engine_add_own(w->engine, sandbox_container(sandbox), &w->container);
	if (!err && !engine_settle_container(w->engine, w->container, FIRST_READ_MS))
		log_debug("the new layer did not come to rest");
	if (!err && !options->quiet)
		w->subscription = engine_subscribe(w->engine, false, on_event, w);
	if (err)
		log_error("cannot watch the container: %s", strerror(-err));
	return err;
}

int run_watch_open(const struct global_options *options, enum probe_tier tier,
		   const struct sandbox *sandbox, struct run_watch **ret)
{
	struct run_watch *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->signal_fd = w->subscription = -1;
	w->style = (struct event_style){
		.color = global_use_color(options, STDERR_FILENO),
		.align = isatty(STDERR_FILENO),
	};
	err = watch(options, tier, sandbox, w);
	if (err) {
		run_watch_close(w);
		return err;
	}
	*ret = w;
	return 0;
}

struct run_watch *run_watch_close(struct run_watch *w)
{
	if (!w)
		return NULL;
	if (w->subscription >= 0)
		engine_unsubscribe(w->engine, w->subscription);
	engine_close(w->engine, false);
	if (w->signal_fd >= 0)
		close(w->signal_fd);
	free(w);
	return NULL;
}

int run_watch_early_signal(struct run_watch *w)
{
	struct signalfd_siginfo info;

	return read(w->signal_fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

/* Ctrl-C comes from the terminal and has reached the command, too: that one is its own. */
static void hand_signals_on(struct run_watch *w, struct sandbox *sandbox)
{
	struct signalfd_siginfo info;

	while (read(w->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_code != SI_KERNEL)
			sandbox_signal(sandbox, (int)info.ssi_signo);
	}
}

int run_watch_follow(struct run_watch *w, struct sandbox *sandbox, struct sandbox_result *ret)
{
	struct pollfd fds[] = {
		{.fd = engine_fd(w->engine), .events = POLLIN},
		{.fd = w->signal_fd, .events = POLLIN},
		{.fd = sandbox_fd(sandbox), .events = POLLIN},
	};
	int err = ledger_update(w->container, sandbox_container(sandbox));

	while (!err && !fds[2].revents) {
		if (poll(fds, 3, engine_timeout_ms(w->engine)) < 0 && errno != EINTR)
			err = -errno;
		if (fds[1].revents)
			hand_signals_on(w, sandbox);
		if (!err)
			err = engine_step(w->engine);
	}
	if (!err)
		err = sandbox_wait(sandbox, ret);
	hand_signals_on(w, sandbox); /* what ended the command has reached us, too: used up */
	if (err) {
		log_error("cannot follow the container: %s", strerror(-err));
		return err;
	}
	engine_heal_container(w->engine, w->container);
	if (!engine_settle_container(w->engine, w->container, LAST_READ_MS))
		log_warning("the layer could not be read to its end in time");
	engine_refresh_counters(w->engine, w->container);
	engine_fold_files(w->engine);
	return 0;
}

struct engine *run_watch_engine(const struct run_watch *w)
{
	return w->engine;
}

struct ledger_container *run_watch_container(const struct run_watch *w)
{
	return w->container;
}

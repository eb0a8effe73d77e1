/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * run.h - the parts of `driftwatch run`: run.c (arguments, the whole sequence),
 * run_watch.c (follow the container while it runs), run_report.c (what it changed).
 */
#ifndef COMMAND_RUN_H
#define COMMAND_RUN_H

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>

#include "agent/engine.h"
#include "command/command.h"
#include "container/sandbox.h"

#define RUN_OWN_FAILURE 125 /* as docker run: the command was not even tried */

enum run_format { RUN_TEXT, RUN_JSON };

struct run_watch;

/*
 * Block the signals that are handed on to the command; a pipe whose reader left is an
 * error and no signal from now on, for there is a container to remove. 0 or -errno.
 */
int run_block_signals(sigset_t *ret_old);
void run_restore_signals(const sigset_t *old);

/*
 * Watch the container of @sandbox, which has not been started: the kernel side is
 * attached and the layer read when this returns. Drift lines go to stderr from now
 * on, unless @options are quiet. Returns 0 or -errno, logged.
 */
int run_watch_open(const struct global_options *options, enum probe_tier tier,
		   const struct sandbox *sandbox, struct run_watch **ret);
struct run_watch *run_watch_close(struct run_watch *w); /* takes NULL, returns NULL */

/* A signal that came while the container was being made; 0: none. */
int run_watch_early_signal(struct run_watch *w);

/*
 * Follow the started container until it ends; signals that were sent to us go to it.
 * Then brings the ledger up to date. 0 or -errno, logged.
 */
int run_watch_follow(struct run_watch *w, struct sandbox *sandbox, struct sandbox_result *ret);

struct engine *run_watch_engine(const struct run_watch *w);
struct ledger_container *run_watch_container(const struct run_watch *w);

/*
 * What there is to say at the end, taken from the ledger, so that it can be said when
 * the container has been removed: then nothing is left behind when saying it fails.
 */
struct run_report {
	json_t *files;	      /* driftwatch.files/1 */
	struct strbuf scrape; /* empty: not asked for */
};

/* 0 or -errno, logged. run_report_done() in any case. */
int run_report_take(const struct run_watch *w, bool metrics, struct run_report *ret);
void run_report_done(struct run_report *report);

/* Print it on stdout. Returns an enum exit_code; a failure has been logged. */
int run_report_print(const struct global_options *options, const struct run_report *report,
		     enum run_format format);

#endif /* COMMAND_RUN_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * run.c - `driftwatch run`: a command in a throwaway container, and what it changes.
 */
#include "command/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define REPEATS_MAX 64 /* of --volume and of --tmpfs */

enum { KEY_LOWER = 0x2000, KEY_VOLUME, KEY_KEEP, KEY_TMPFS, KEY_METRICS, KEY_TIER };

static const struct argp_option options_of_run[] = {
	{"lower", KEY_LOWER, "DIR", 0, "The container's root is DIR instead of this machine's", 0},
	{"volume", KEY_VOLUME, "DIR:PATH[:ro]", 0,
	 "Show DIR (or a file) at PATH in the container; writes go to DIR and are no drift", 0},
	{"tmpfs", KEY_TMPFS, "PATH", 0, "Mount an empty tmpfs at PATH in the container", 0},
	{"keep", KEY_KEEP, "DIR", 0,
	 "Make the writable layer in DIR, new or empty, and leave it in DIR/upper", 0},
	{"metrics", KEY_METRICS, NULL, 0, "Print the counters at the end, as a scrape", 0},
	{"tier", KEY_TIER, "TIER", 0,
	 "Watch with vfs-fexit, vfs-kprobe, fs or syscall; auto takes the best", 0},
	{0},
};

struct run_arguments {
	struct global_options *options;
	struct sandbox_volume volumes[REPEATS_MAX];
	char *tmpfs[REPEATS_MAX];
	struct sandbox_options sandbox;
	sigset_t signals; /* as we were given them: the command's mask */
	enum probe_tier tier;
	bool metrics;
};

/* "DIR:PATH[:ro]"; a colon may stand in DIR, as PATH begins behind the last ":/". */
static bool parse_volume(char *text, struct sandbox_volume *ret)
{
	size_t len = strlen(text);
	char *colon = NULL;

	ret->read_only = len > 3 && !strcmp(text + len - 3, ":ro");
	if (ret->read_only)
		text[len - 3] = '\0';
	for (char *at = strstr(text, ":/"); at; at = strstr(at + 1, ":/"))
		colon = at;
	if (!colon || colon == text)
		return false;
	*colon = '\0';
	ret->source = text;
	ret->destination = colon + 1;
	return ret->destination[strspn(ret->destination, "/")] != '\0';
}

static void add_volume(struct run_arguments *args, char *arg, struct argp_state *state)
{
	if (args->sandbox.volumes_len == REPEATS_MAX)
		argp_error(state, "more than %d volumes", REPEATS_MAX);
	if (!parse_volume(arg, &args->volumes[args->sandbox.volumes_len++]))
		argp_error(state, "--volume is DIR:PATH with an absolute PATH, such as "
				  "/srv/data:/data");
}

static void add_tmpfs(struct run_arguments *args, char *arg, struct argp_state *state)
{
	if (args->sandbox.tmpfs_len == REPEATS_MAX)
		argp_error(state, "more than %d tmpfs", REPEATS_MAX);
	if (*arg != '/' || !arg[strspn(arg, "/")])
		argp_error(state, "--tmpfs is an absolute path in the container, not '%s'", arg);
	args->tmpfs[args->sandbox.tmpfs_len++] = arg;
}

static error_t parse_argument(int key, char *arg, struct argp_state *state)
{
	struct run_arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->options;
		break;
	case KEY_LOWER:
		args->sandbox.lower = arg;
		break;
	case KEY_KEEP:
		args->sandbox.keep = arg;
		break;
	case KEY_VOLUME:
		add_volume(args, arg, state);
		break;
	case KEY_TMPFS:
		add_tmpfs(args, arg, state);
		break;
	case KEY_METRICS:
		args->metrics = true;
		break;
	case KEY_TIER:
		if (probe_tier_parse(arg, &args->tier))
			argp_error(state,
				   "--tier is auto, vfs-fexit, vfs-kprobe, fs or syscall, "
				   "not '%s'",
				   arg);
		break;
	case ARGP_KEY_ARG:
		/* What follows, options too, is the command's. */
		args->sandbox.argv = state->argv + state->next - 1;
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which command? For example: driftwatch run -- apt-get install "
				  "-y hello");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static void say_limits(const struct sandbox *sandbox)
{
	const char *problem = sandbox_cgroup_problem(sandbox);
	const char *shared = sandbox_shared_mounts(sandbox);

	if (problem)
		log_warning("the container has no cgroup of its own: %s", problem);
	if (*shared)
		log_info("other file systems of the host, read-only in the container: %s", shared);
}

static void say_exec_error(const char *command, int exec_errno)
{
	if (exec_errno == ENOENT)
		log_error("%s: not found in the container", command);
	else
		log_error("cannot execute %s in the container: %s", command, strerror(exec_errno));
}

/* Returns the exit code; @report is empty unless the command ran. */
static int run_watched(const struct run_arguments *args, struct sandbox *sandbox,
		       struct run_watch *watch, struct run_report *report)
{
	struct sandbox_result result;
	int err, signo = run_watch_early_signal(watch);

	if (signo)
		return 128 + signo;
	err = sandbox_start(sandbox);
	if (err) {
		log_error("cannot start the command: %s", strerror(-err));
		return RUN_OWN_FAILURE;
	}
	if (run_watch_follow(watch, sandbox, &result))
		return RUN_OWN_FAILURE;
	if (result.exec_errno) {
		say_exec_error(args->sandbox.argv[0], result.exec_errno);
		return result.exit_code;
	}
	if (run_report_take(watch, args->metrics, report))
		return RUN_OWN_FAILURE;
	return result.exit_code;
}

static int run_and_remove(const struct run_arguments *args, struct run_report *report)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct sandbox *sandbox = NULL;
	struct run_watch *watch = NULL;
	int code = RUN_OWN_FAILURE;

	if (sandbox_open(&args->sandbox, &error, &sandbox)) {
		log_error("%s", strbuf_str(&error));
		return RUN_OWN_FAILURE;
	}
	say_limits(sandbox);
	if (!run_watch_open(args->options, args->tier, sandbox, &watch))
		code = run_watched(args, sandbox, watch, report);
	/* The watch first: that the layer is removed is no drift. */
	run_watch_close(watch);
	sandbox_close(sandbox);
	return code;
}

/* An interactive shell in the container takes it, and cannot name us to give it back. */
static void take_terminal_back(void)
{
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(STDIN_FILENO, getpgrp());
	signal(SIGTTOU, SIG_DFL);
}

static int run(struct run_arguments *args, enum run_format format)
{
	bool is_foreground = tcgetpgrp(STDIN_FILENO) == getpgrp();
	struct run_report report = {0};
	int code;

	if (geteuid() != 0) {
		log_error("run makes a container and loads BPF programs, which takes root: "
			  "use sudo");
		return RUN_OWN_FAILURE;
	}
	if (run_block_signals(&args->signals))
		return RUN_OWN_FAILURE;
	code = run_and_remove(args, &report);
	if (is_foreground)
		take_terminal_back();
	run_restore_signals(&args->signals);
	if (report.files && run_report_print(args->options, &report, format) != EXIT_CODE_OK)
		code = RUN_OWN_FAILURE;
	run_report_done(&report);
	return code;
}

int command_run(struct global_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options_of_run,
		.parser = parse_argument,
		.args_doc = "[--] CMD [ARG...]",
		.doc = "Run CMD in a throwaway container and show what it changes.\v"
		       "The container shows this machine's root (or --lower DIR), with an empty "
		       "writable layer on top, which is removed at the end: nothing on the "
		       "machine changes. Its network is the machine's. While CMD runs, changes "
		       "are printed on stderr as they happen; when it has ended, whatever it "
		       "left running is killed, and the list of changed files is printed on "
		       "stdout. With -o json that list alone is on stdout, as the JSON of "
		       "'driftwatch files', and CMD's own output goes to stderr.\n\n"
		       "/run is empty, /proc, /sys and /dev are fresh, /tmp belongs to the "
		       "layer, and other file systems of the machine are read-only. This keeps "
		       "changes apart; it is no security boundary: do not run hostile programs "
		       "in it.\n\n"
		       "Exit status: CMD's; 128 + n when signal n ended it; 125 when driftwatch "
		       "itself failed, 126 when CMD cannot be executed, 127 when it is not "
		       "found; 2 wrong usage.\n\n"
		       "Formats: text, json.",
		.children = global_children,
	};
	static const char *const formats[] = {"text", "json", NULL};
	struct run_arguments args = {.options = options};
	int format;

	args.sandbox.volumes = args.volumes;
	args.sandbox.tmpfs = args.tmpfs;
	args.sandbox.signals = &args.signals;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &args);
	format = global_output_index(options, formats);
	if (format < 0)
		return EXIT_CODE_USAGE;
	args.sandbox.stdout_fd = format == RUN_JSON ? STDERR_FILENO : -1;
	return run(&args, format);
}

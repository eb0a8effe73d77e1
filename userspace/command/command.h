/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * command.h - what every command shares: its entry point, the global options
 * and the exit codes.
 *
 * A command is one function in command/<name>.c:
 *
 *	int command_ps(struct global_options *options, int argc, char **argv);
 *
 * argv[0] is "driftwatch ps", so argp's messages name the command. Global
 * options may stand before the command word (main.c has put those into
 * @options) and after it: the command takes global_argp as an argp child and
 * hands it @options as input:
 *
 *	static const struct argp_child children[] = {{&global_argp, 0, NULL, 0}, {0}};
 *
 *	case ARGP_KEY_INIT:
 *		state->child_inputs[0] = args->options;
 *
 * It returns an enum exit_code; argp itself exits with EXIT_CODE_USAGE.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <argp.h>
#include <stdbool.h>

#include "base/log.h"

#define DEFAULT_SOCKET "/run/driftwatch/driftwatch.sock"

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILURE = 1,	  /* it was asked rightly and went wrong */
	EXIT_CODE_USAGE = 2,	  /* it was asked wrongly */
	EXIT_CODE_DRIFT = 3,	  /* drift or a mismatch, only where that was asked for */
	EXIT_CODE_PERMISSION = 4, /* not root, or a capability is missing */
	EXIT_CODE_KERNEL = 5,	  /* the kernel lacks what this needs */
};

enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* Strings are borrowed from argv or the environment: valid for the whole run. */
struct global_options {
	const char *output;    /* -o; NULL when not given: the command has its default */
	const char *socket;    /* never NULL */
	const char *host_root; /* "" for the machine's own root, never NULL */
	enum color_mode color;
	bool quiet;
	bool verbose;
	bool socket_given;     /* --socket was given: no silent fall-back to in-process */
	bool log_format_given; /* --log-format was given: the agent keeps its hands off */
};

/* Parses the options above; its input is a struct global_options. */
extern const struct argp global_argp;

/* For a command that has no options or operands of its own; its input is the same struct. */
extern const struct argp_child global_children[];
error_t global_parse_no_operand(int key, char *arg, struct argp_state *state);

/* The defaults, with HOST_ROOT of the environment. */
void global_options_init(struct global_options *ret);

/* Whether output to @fd is coloured, by --color, NO_COLOR, CLICOLOR_FORCE and TERM. */
bool global_use_color(const struct global_options *options, int fd);

/*
 * Index of options->output in @names (NULL-terminated, the default first), 0 when
 * -o was not given. Prints the choices and returns -EINVAL when it is none of them.
 */
int global_output_index(const struct global_options *options, const char *const names[]);

/* The exit code that tells a script what kind of failure @err (negative errno) was. */
int command_exit_code(int err);

/* Log an error and return command_exit_code(@err). "what: reason of err". */
__attribute__((format(printf, 2, 3))) int command_fail(int err, const char *fmt, ...);

/*
 * Flush stdout. Returns @code, or EXIT_CODE_FAILURE when something that was
 * printed could not be written (a full disk); a reader that left is no failure.
 */
int command_finish(int code);

typedef int (*command_fn)(struct global_options *options, int argc, char **argv);

int command_agent(struct global_options *options, int argc, char **argv);
int command_tail(struct global_options *options, int argc, char **argv);
int command_ps(struct global_options *options, int argc, char **argv);
int command_files(struct global_options *options, int argc, char **argv);
int command_diff(struct global_options *options, int argc, char **argv);
int command_verify(struct global_options *options, int argc, char **argv);
int command_metrics(struct global_options *options, int argc, char **argv);
int command_doctor(struct global_options *options, int argc, char **argv);
int command_run(struct global_options *options, int argc, char **argv);
int command_version(struct global_options *options, int argc, char **argv);

#endif /* COMMAND_H */

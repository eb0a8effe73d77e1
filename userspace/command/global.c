/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * global.c - the options that every command accepts, and how commands end.
 */
#include "command/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "base/version.h"

enum { KEY_SOCKET = 0x1000, KEY_HOST_ROOT, KEY_COLOR, KEY_LOG_LEVEL, KEY_LOG_FORMAT, KEY_VERSION };

static const struct argp_option global_options[] = {
	{"output", 'o', "FORMAT", 0, "Print in this format, such as text or json", 0},
	{"socket", KEY_SOCKET, "PATH", 0, "Talk to the agent here (" DEFAULT_SOCKET ")", 0},
	{"host-root", KEY_HOST_ROOT, "DIR", 0, "Where the host's root is mounted (/)", 0},
	{"color", KEY_COLOR, "WHEN", 0, "auto, always or never", 0},
	{"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warning, info or debug", 0},
	{"log-format", KEY_LOG_FORMAT, "FORMAT", 0, "plain, text, json or journal", 0},
	{"quiet", 'q', NULL, 0, "Errors only", 0},
	{"verbose", 'v', NULL, 0, "Say more", 0},
	{"version", KEY_VERSION, NULL, 0, "Print the version and exit", -1},
	{NULL, 'h', NULL, OPTION_HIDDEN, NULL, -1},
	{0},
};

static int parse_color(const char *text, enum color_mode *ret)
{
	if (!strcmp(text, "auto"))
		*ret = COLOR_AUTO;
	else if (!strcmp(text, "always"))
		*ret = COLOR_ALWAYS;
	else if (!strcmp(text, "never"))
		*ret = COLOR_NEVER;
	else
		return -EINVAL;
	return 0;
}

static int parse_logging(int key, const char *arg, struct global_options *options)
{
	enum log_format format;
	enum log_level level;

	if (key == KEY_LOG_LEVEL) {
		if (log_level_parse(arg, &level))
			return -EINVAL;
		log_set_level(level);
		return 0;
	}
	if (log_format_parse(arg, &format))
		return -EINVAL;
	log_set_format(format);
	options->log_format_given = true;
	return 0;
}

static void print_version(void)
{
	printf("driftwatch %s\n", version_string());
	exit(command_finish(EXIT_CODE_OK));
}

static error_t parse_global(int key, char *arg, struct argp_state *state)
{
	struct global_options *options = state->input;

	switch (key) {
	case 'o':
		options->output = arg;
		break;
	case KEY_SOCKET:
		options->socket = arg;
		options->socket_given = true;
		break;
	case KEY_HOST_ROOT:
		options->host_root = strcmp(arg, "/") ? arg : "";
		break;
	case KEY_COLOR:
		if (parse_color(arg, &options->color))
			argp_error(state, "--color is auto, always or never, not '%s'", arg);
		break;
	case KEY_LOG_LEVEL:
	case KEY_LOG_FORMAT:
		if (parse_logging(key, arg, options))
			argp_error(state, "unknown log %s '%s'",
				   key == KEY_LOG_LEVEL ? "level" : "format", arg);
		break;
	case 'q':
		options->quiet = true;
		log_set_level(LOG_LEVEL_ERROR);
		break;
	case 'v':
		options->verbose = true;
		log_set_level(LOG_LEVEL_DEBUG);
		break;
	case KEY_VERSION:
		print_version();
		break;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp global_argp = {.options = global_options, .parser = parse_global};
const struct argp_child global_children[] = {{&global_argp, 0, NULL, 0}, {0}};

error_t global_parse_no_operand(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = state->input;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "this command takes no operand ('%s')", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void global_options_init(struct global_options *ret)
{
	const char *host_root = getenv("HOST_ROOT");

	*ret = (struct global_options){.socket = DEFAULT_SOCKET, .host_root = ""};
	if (host_root && strcmp(host_root, "/") != 0)
		ret->host_root = host_root;
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

bool global_use_color(const struct global_options *options, int fd)
{
	const char *term = getenv("TERM");

	if (options->color != COLOR_AUTO)
		return options->color == COLOR_ALWAYS;
	if (is_set("NO_COLOR"))
		return false;
	if (is_set("CLICOLOR_FORCE"))
		return true;
	return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

int global_output_index(const struct global_options *options, const char *const names[])
{
	auto_strbuf struct strbuf choices = STRBUF_INIT;

	if (!options->output)
		return 0;
	for (int i = 0; names[i]; i++) {
		if (!strcmp(options->output, names[i]))
			return i;
		strbuf_addf(&choices, "%s%s", i ? ", " : "", names[i]);
	}
	log_error("unknown output format '%s'; this command has: %s", options->output,
		  strbuf_str(&choices));
	return -EINVAL;
}

int command_exit_code(int err)
{
	switch (err) {
	case 0:
		return EXIT_CODE_OK;
	case -EPERM:
	case -EACCES:
		return EXIT_CODE_PERMISSION;
	case -ENOSYS:
	case -EOPNOTSUPP:
		return EXIT_CODE_KERNEL;
	default:
		return EXIT_CODE_FAILURE;
	}
}

int command_fail(int err, const char *fmt, ...)
{
	auto_strbuf struct strbuf what = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&what, fmt, ap);
	va_end(ap);
	log_error("%s: %s", strbuf_str(&what), strerror(-err));
	return command_exit_code(err);
}

int command_finish(int code)
{
	bool had_failed = ferror(stdout);

	if (fflush(stdout) == 0 && !had_failed)
		return code;
	if (errno == EPIPE)
		return code;
	log_error("cannot write the output: %s", strerror(errno));
	return EXIT_CODE_FAILURE;
}

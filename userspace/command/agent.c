/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * agent.c - `driftwatch agent`: the node's daemon, from its command line.
 *
 * The flags are those of agent/config.c's table, so that file, flags and --help
 * cannot differ.
 */
#include "command/command.h"

#include <errno.h>
#include <string.h>

#include "agent/config.h"
#include "agent/daemon.h"
#include "kernel/probe.h"

#define MAX_FLAGS    256
#define MAX_OPTIONS  64
#define KEY_CONFIG   0x2000
#define KEY_UNPIN    0x2001
#define KEY_SETTINGS 0x2100 /* and the setting's index */

struct arguments {
	struct global_options *options;
	struct config_source source;
	struct config_flag flags[MAX_FLAGS];
	bool unpin;
};

static void add_flag(struct argp_state *state, struct arguments *args, size_t setting,
		     const char *text)
{
	if (args->source.flags_len == MAX_FLAGS)
		argp_error(state, "too many options");
	args->flags[args->source.flags_len++] = (struct config_flag){setting, text};
}

static error_t parse_argument(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->options;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected operand '%s'", arg);
		return 0;
	case KEY_CONFIG:
		args->source.file = arg;
		return 0;
	case KEY_UNPIN:
		args->unpin = true;
		return 0;
	default:
		if (key < KEY_SETTINGS || (size_t)(key - KEY_SETTINGS) >= config_settings_len)
			return ARGP_ERR_UNKNOWN;
		add_flag(state, args, (size_t)(key - KEY_SETTINGS), arg);
		return 0;
	}
}

/*
 * The global options name some settings too. --socket and --host-root are taken from
 * there; --log-level and --log-format are ours here, hidden, to be told from defaults.
 */
static void fill_options(struct argp_option *options)
{
	size_t n = 0;

	options[n++] = (struct argp_option){
		"config",
		KEY_CONFIG,
		"FILE",
		0,
		"Read settings from this JSON file (" CONFIG_DEFAULT_FILE ", if there)",
		0};
	options[n++] = (struct argp_option){
		"unpin",
		KEY_UNPIN,
		NULL,
		0,
		"Remove what an agent that is gone left in the kernel, and exit",
		0};
	for (size_t i = 0; i < config_settings_len && n < MAX_OPTIONS - 1; i++) {
		const struct config_setting *setting = &config_settings[i];

		if (!setting->help && strncmp(setting->flag, "log-", 4) != 0)
			continue;
		options[n++] = (struct argp_option){
			.name = setting->flag,
			.key = KEY_SETTINGS + (int)i,
			.arg = setting->arg,
			.flags = setting->help ? 0 : OPTION_HIDDEN,
			.doc = setting->help,
		};
	}
}

static void add_global(struct arguments *args, const char *flag, const char *text)
{
	for (size_t i = 0; i < config_settings_len; i++) {
		if (!strcmp(config_settings[i].flag, flag) && args->source.flags_len < MAX_FLAGS)
			args->flags[args->source.flags_len++] = (struct config_flag){i, text};
	}
}

static int read_config(struct arguments *args, struct config *config)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	enum log_level given = log_get_level();
	int err;

	if (args->options->socket_given)
		add_global(args, "socket", args->options->socket);
	if (*args->options->host_root)
		add_global(args, "host-root", args->options->host_root);
	err = config_read(&args->source, &error, config);
	if (!err && !config->socket) {
		config->socket = strdup(DEFAULT_SOCKET);
		err = config->socket ? 0 : -ENOMEM;
	}
	if (err) {
		log_error("%s", error.len ? strbuf_str(&error) : strerror(-err));
		return err == -EINVAL ? EXIT_CODE_USAGE : command_exit_code(err);
	}
	daemon_apply_log(config);
	if (given != LOG_LEVEL_INFO) /* -q, -v or --log-level before the command word */
		log_set_level(given);
	return EXIT_CODE_OK;
}

static int unpin(const struct config *config)
{
	auto_strbuf struct strbuf dir = STRBUF_INIT;
	int n = daemon_pin_dir(config, &dir);

	if (!n)
		n = probe_unpin(strbuf_str(&dir));
	if (n == -ENOENT)
		n = 0;
	if (n < 0)
		return command_fail(n, "cannot remove the pins in %s", strbuf_str(&dir));
	log_info("%d pinned programs removed from %s", n, strbuf_str(&dir));
	return EXIT_CODE_OK;
}

static int exit_code_of(enum daemon_failure failure)
{
	switch (failure) {
	case DAEMON_OK:
		return EXIT_CODE_OK;
	case DAEMON_NO_PERMISSION:
		return EXIT_CODE_PERMISSION;
	case DAEMON_NO_KERNEL:
		return EXIT_CODE_KERNEL;
	default:
		return EXIT_CODE_FAILURE;
	}
}

int command_agent(struct global_options *options, int argc, char **argv)
{
	struct argp_option settings[MAX_OPTIONS] = {{0}};
	const struct argp argp = {
		.options = settings,
		.parser = parse_argument,
		.doc = "Watch every container of this machine, present and future.\v"
		       "Metrics are served on TCP, the API on the unix socket of --socket.\n"
		       "Settings may also stand in a JSON file, by the names of these options "
		       "with _ for - and dot; options win. SIGHUP reads the file again, SIGUSR2 "
		       "writes a summary to the log, SIGTERM and SIGINT stop.",
		.children = global_children,
	};
	struct arguments args = {.options = options};
	struct config config = {0};
	int code;

	fill_options(settings);
	args.source.flags = args.flags;
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	if (!options->log_format_given)
		log_set_format(log_format_of_stderr());
	code = read_config(&args, &config);
	if (code == EXIT_CODE_OK)
		code = args.unpin ? unpin(&config)
				  : exit_code_of(daemon_run(&config, &args.source));
	config_done(&config);
	return code;
}

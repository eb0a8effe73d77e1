/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * main.c - the command table: finds the command word, hands the rest to it.
 */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "command/command.h"

/* A build may leave commands out; the table then says so instead of failing to link. */
#pragma weak command_agent
#pragma weak command_tail
#pragma weak command_ps
#pragma weak command_files
#pragma weak command_diff
#pragma weak command_verify
#pragma weak command_metrics
#pragma weak command_doctor
#pragma weak command_run

static int command_help(struct global_options *options, int argc, char **argv);

struct command {
	const char *name;
	command_fn run;
	const char *summary;
};

static const struct command commands[] = {
	{"run", command_run, "Run a command in a throwaway container and show what it changes"},
	{"agent", command_agent, "Watch every container of this machine; API and metrics"},
	{"tail", command_tail, "Follow changes as they happen"},
	{"ps", command_ps, "List containers with a summary of their drift"},
	{"files", command_files, "List the changed files of a container, with who and how much"},
	{"diff", command_diff, "List changes as docker diff does"},
	{"verify", command_verify, "Compare the ledger of containers with their layers"},
	{"metrics", command_metrics, "Print one Prometheus scrape"},
	{"doctor", command_doctor, "Check what can be seen on this machine, and why not"},
	{"version", command_version, "Print the version"},
	{"help", command_help, "Explain a command"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

#define LONGEST_WORD 16

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Letters to add, drop or replace to turn one word into the other (Levenshtein). */
static unsigned edit_distance(const char *a, const char *b)
{
	unsigned row[LONGEST_WORD + 1];
	size_t b_len = strlen(b);

	if (strlen(a) > LONGEST_WORD || b_len > LONGEST_WORD)
		return LONGEST_WORD;
	for (size_t k = 0; k <= b_len; k++)
		row[k] = k;

	for (size_t i = 1; a[i - 1]; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t k = 1; k <= b_len; k++) {
			unsigned above = row[k];

			row[k] = least(least(above, row[k - 1]) + 1,
				       diagonal + (a[i - 1] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[b_len];
}

static const char *nearest_command(const char *word)
{
	const char *nearest = NULL;
	unsigned best = 3; /* three letters wrong is another word */

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		unsigned distance = edit_distance(word, commands[i].name);

		if (distance < best) {
			best = distance;
			nearest = commands[i].name;
		}
	}
	return nearest;
}

static int unknown_command(const char *word)
{
	const char *nearest = nearest_command(word);

	if (nearest)
		log_error("unknown command '%s'; did you mean '%s'?", word, nearest);
	else
		log_error("unknown command '%s'; see 'driftwatch help'", word);
	return EXIT_CODE_USAGE;
}

static int run_command(struct global_options *options, int argc, char **argv)
{
	const struct command *command = find_command(argv[0]);
	auto_free char *name = NULL;

	if (!command)
		return unknown_command(argv[0]);
	if (!command->run) {
		log_error("this build has no '%s' command", command->name);
		return EXIT_CODE_FAILURE;
	}
	if (asprintf(&name, "driftwatch %s", command->name) < 0) {
		name = NULL;
		log_error("out of memory");
		return EXIT_CODE_FAILURE;
	}
	argv[0] = name;
	return command->run(options, argc, argv);
}

struct main_arguments {
	struct global_options *options;
	int command_index; /* in argv; 0 when there is none */
};

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	struct main_arguments *args = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->options;
		return 0;
	case ARGP_KEY_ARG:
		/* What follows belongs to the command. */
		args->command_index = state->next - 1;
		state->next = state->argc;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The command list in --help, from the table. Freed by argp, as it is not @text. */
static char *add_command_list(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size = 0;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	out = open_memstream(&list, &size);
	if (!out)
		return (char *)text;
	fputs("Commands:\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].summary);
	fputs("\n'driftwatch COMMAND --help' explains a command.\n\n"
	      "Exit status: 0 done, 1 failed, 2 wrong usage, 3 drift found (where asked),\n"
	      "4 a permission is missing, 5 the kernel lacks a feature.",
	      out);
	if (fclose(out) != 0) {
		free(list);
		return (char *)text;
	}
	return list;
}

static const struct argp_child main_children[] = {{&global_argp, 0, NULL, 0}, {0}};

static const struct argp main_argp = {
	.parser = parse_main,
	.args_doc = "COMMAND [ARG...]",
	.doc = "See what every container writes.\v ",
	.children = main_children,
	.help_filter = add_command_list,
};

static int command_help(struct global_options *options, int argc, char **argv)
{
	char program[] = "driftwatch";
	char help_flag[] = "--help";
	char *command_argv[] = {NULL, help_flag, NULL};

	if (argc > 2) {
		log_error("help explains one command at a time");
		return EXIT_CODE_USAGE;
	}
	if (argc < 2 || argv[1][0] == '-') {
		struct main_arguments args = {.options = options};

		command_argv[0] = program;
		argp_parse(&main_argp, 2, command_argv, ARGP_IN_ORDER, NULL, &args);
		return EXIT_CODE_OK;
	}
	if (!strcmp(argv[1], "help")) {
		puts("Usage: driftwatch help [COMMAND]");
		return command_finish(EXIT_CODE_OK);
	}
	command_argv[0] = argv[1];
	return run_command(options, 2, command_argv);
}

int main(int argc, char **argv)
{
	struct global_options options;
	struct main_arguments args = {.options = &options};
	int code;

	/* A reader that leaves (`driftwatch ps | head`) ends us quietly. */
	signal(SIGPIPE, SIG_DFL);
	argp_err_exit_status = EXIT_CODE_USAGE;
	global_options_init(&options);
	argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, NULL, &args);

	if (!args.command_index) {
		log_error("no command given; see 'driftwatch help'");
		return EXIT_CODE_USAGE;
	}
	code = run_command(&options, argc - args.command_index, argv + args.command_index);
	return code == EXIT_CODE_OK ? command_finish(code) : code;
}

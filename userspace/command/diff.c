/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * diff.c - `driftwatch diff`: docker diff's form and rule, from the live ledger.
 *
 * Scripts read this: nothing but the lines goes to stdout.
 */
#include "command/command.h"

#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "command/scan.h"
#include "command/session.h"

enum { KEY_SCAN = 0x2000, KEY_EXIT_CODE, KEY_NO_RUNTIME };

static const struct argp_option options_of_diff[] = {
	{"scan", KEY_SCAN, NULL, 0, "Read the layer now, without agent and BPF", 0},
	{"null", '0', NULL, 0, "End each line with NUL, names raw", 0},
	{"exit-code", KEY_EXIT_CODE, NULL, 0, "Exit with 3 when there is drift", 0},
	{"no-runtime", KEY_NO_RUNTIME, NULL, 0, "Leave out what the container runtime made", 0},
	{0},
};

struct diff_arguments {
	struct global_options *options;
	const char *reference;
	bool scan;
	bool null;
	bool exit_code;
	bool no_runtime;
};

static error_t parse_argument(int key, char *arg, struct argp_state *state)
{
	struct diff_arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->options;
		break;
	case KEY_SCAN:
		args->scan = true;
		break;
	case '0':
		args->null = true;
		break;
	case KEY_EXIT_CODE:
		args->exit_code = true;
		break;
	case KEY_NO_RUNTIME:
		args->no_runtime = true;
		break;
	case ARGP_KEY_ARG:
		if (args->reference)
			argp_error(state, "diff takes one container");
		args->reference = arg;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "of which container? 'driftwatch ps -a' lists them");
		break;
	case ARGP_KEY_SUCCESS:
		if (args->scan && args->no_runtime)
			argp_error(state,
				   "--no-runtime needs the ledger: it does not go with --scan");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int print_lines(const struct diff_arguments *args, const struct strbuf *lines)
{
	bool escaped = !args->null && isatty(STDOUT_FILENO);
	auto_strbuf struct strbuf text = STRBUF_INIT;

	if (args->null) {
		fwrite(strbuf_str(lines), 1, lines->len, stdout);
		return command_finish(EXIT_CODE_OK);
	}
	for (size_t at = 0; at < lines->len;) {
		const char *line = lines->data + at;
		size_t len = strlen(line);

		strbuf_reset(&text);
		if (escaped)
			escape_terminal(&text, line, len);
		else
			strbuf_add(&text, line, len);
		strbuf_addc(&text, '\n');
		fwrite(strbuf_str(&text), 1, text.len, stdout);
		at += len + 1;
	}
	return command_finish(EXIT_CODE_OK);
}

static int read_lines(const struct diff_arguments *args, struct strbuf *lines, bool *ret_complete)
{
	struct session *session;
	int code;

	if (args->scan)
		return scan_diff(args->options, args->reference, lines);
	code = session_open(args->options, SESSION_LAYERS, &session);
	if (code != EXIT_CODE_OK)
		return code;
	code = session_diff(session, args->reference, args->no_runtime, lines, ret_complete);
	session_close(session);
	return code;
}

static int run(const struct diff_arguments *args)
{
	auto_strbuf struct strbuf lines = STRBUF_INIT;
	bool is_complete = true;
	int code = read_lines(args, &lines, &is_complete);

	if (code == EXIT_CODE_OK)
		code = print_lines(args, &lines);
	if (code != EXIT_CODE_OK)
		return code;
	if (!is_complete)
		log_warning("this list may lack something; 'driftwatch ps' says why");
	return args->exit_code && lines.len ? EXIT_CODE_DRIFT : EXIT_CODE_OK;
}

int command_diff(struct global_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options_of_diff,
		.parser = parse_argument,
		.args_doc = "CONTAINER",
		.doc = "List changes as docker diff does: A, C or D and the path, sorted by path.\v"
		       "CONTAINER is an id, the beginning of one, a name, "
		       "namespace/pod[/container], or a glob that matches one.\n\n"
		       "Paths are printed raw, and escaped only on a terminal; use -0 for names "
		       "that may hold newlines. The exit status is 0 also when there is drift, "
		       "unless --exit-code is given.\n\nFormats: text.",
		.children = global_children,
	};
	static const char *const formats[] = {"text", NULL};
	struct diff_arguments args = {.options = options};

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	if (global_output_index(options, formats) < 0)
		return EXIT_CODE_USAGE;
	return run(&args);
}

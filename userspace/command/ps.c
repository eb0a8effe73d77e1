/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ps.c - `driftwatch ps`: containers with a summary of their drift.
 */
#include "command/command.h"

#include <string.h>

#include "command/output.h"
#include "command/render_container.h"
#include "command/render_table.h"
#include "command/render_value.h"
#include "command/session.h"

enum { KEY_NO_TRUNC = 0x2000, KEY_NO_HEADERS };

static const struct argp_option options_of_ps[] = {
	{"all", 'a', NULL, 0, "Exited and removed containers and pod sandboxes, too", 0},
	{"no-trunc", KEY_NO_TRUNC, NULL, 0, "Ids in full, no column narrowed to the terminal", 0},
	{"no-headers", KEY_NO_HEADERS, NULL, 0, "No line of column titles", 0},
	{0},
};

struct ps_arguments {
	struct global_options *options;
	bool all;
	bool no_trunc;
	bool no_headers;
};

static error_t parse_argument(int key, char *arg, struct argp_state *state)
{
	struct ps_arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->options;
		break;
	case 'a':
		args->all = true;
		break;
	case KEY_NO_TRUNC:
		args->no_trunc = true;
		break;
	case KEY_NO_HEADERS:
		args->no_headers = true;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "ps takes no operand ('%s')", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

enum { PS_TEXT, PS_WIDE, PS_JSON, PS_CSV };

static int print(const struct ps_arguments *args, const json_t *answer, int format)
{
	static const enum table_format formats[] = {TABLE_TEXT, TABLE_WIDE, 0, TABLE_CSV};
	struct table_style style;

	if (format == PS_JSON)
		return output_json(answer, EXIT_CODE_OK);
	style = output_style(args->options, formats[format]);
	style.no_trunc = args->no_trunc;
	style.no_headers = args->no_headers;
	return output_table(container_columns, value_at(answer, "containers"), &style,
			    EXIT_CODE_OK);
}

int command_ps(struct global_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options_of_ps,
		.parser = parse_argument,
		.doc = "List containers with a summary of their drift.\v"
		       "A, C and D count the paths added, changed and deleted in the container's "
		       "writable layer, as driftwatch diff lists them. COMPLETE says whether that "
		       "list can be relied on.\n\nFormats: text, wide, json, csv.",
		.children = global_children,
	};
	static const char *const formats[] = {"text", "wide", "json", "csv", NULL};
	struct ps_arguments args = {.options = options};
	struct session *session;
	json_t *answer;
	int format, code;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	format = global_output_index(options, formats);
	if (format < 0)
		return EXIT_CODE_USAGE;

	code = session_open(options, SESSION_LAYERS, &session);
	if (code != EXIT_CODE_OK)
		return code;
	code = session_containers(session, args.all, &answer);
	if (code == EXIT_CODE_OK) {
		code = print(&args, answer, format);
		json_decref(answer);
	}
	session_close(session);
	return code;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * files.c - `driftwatch files`: the changed files of a container, with who and how much.
 */
#include "command/command.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "command/output.h"
#include "command/render_file.h"
#include "command/render_value.h"
#include "command/session.h"

enum { KEY_ALL = 0x2000, KEY_NO_RUNTIME, KEY_CHANGE, KEY_EXEC, KEY_NO_HEADERS, KEY_NO_TRUNC };

static const struct argp_option options_of_files[] = {
	{"all", KEY_ALL, NULL, 0,
	 "Files that were touched or tampered with and do not count as drift, too", 0},
	{"no-runtime", KEY_NO_RUNTIME, NULL, 0, "Leave out what the container runtime made", 0},
	{"change", KEY_CHANGE, "LIST", 0, "Only these: added, modified, deleted", 0},
	{"exec", KEY_EXEC, NULL, 0, "Only executable files, added or modified", 0},
	{"no-headers", KEY_NO_HEADERS, NULL, 0, "No line of column titles", 0},
	{"no-trunc", KEY_NO_TRUNC, NULL, 0, "No column narrowed to the terminal", 0},
	{0},
};

enum { ADDED = 1u << 0, MODIFIED = 1u << 1, DELETED = 1u << 2 };

struct files_arguments {
	struct global_options *options;
	const char *reference;
	struct session_files_options wanted;
	unsigned changes; /* 0: all */
	bool exec;
	bool no_headers;
	bool no_trunc;
};

static unsigned change_bit(const char *name, size_t len)
{
	static const char *const names[] = {"added", "modified", "deleted"};

	for (size_t i = 0; i < 3; i++) {
		if (strlen(names[i]) == len && !memcmp(names[i], name, len))
			return 1u << i;
	}
	return 0;
}

static bool parse_changes(const char *list, unsigned *ret)
{
	while (*list) {
		size_t len = strcspn(list, ",");
		unsigned bit = change_bit(list, len);

		if (!bit)
			return false;
		*ret |= bit;
		list += len;
		if (*list == ',' && !*++list)
			return false;
	}
	return *ret != 0;
}

static error_t parse_argument(int key, char *arg, struct argp_state *state)
{
	struct files_arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->options;
		break;
	case KEY_ALL:
		args->wanted.all = true;
		break;
	case KEY_NO_RUNTIME:
		args->wanted.no_runtime = true;
		break;
	case KEY_CHANGE:
		if (!parse_changes(arg, &args->changes))
			argp_error(state,
				   "--change is a list of added, modified and deleted, not "
				   "'%s'",
				   arg);
		break;
	case KEY_EXEC:
		args->exec = true;
		break;
	case KEY_NO_HEADERS:
		args->no_headers = true;
		break;
	case KEY_NO_TRUNC:
		args->no_trunc = true;
		break;
	case ARGP_KEY_ARG:
		if (args->reference)
			argp_error(state, "files takes one container");
		args->reference = arg;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "of which container? 'driftwatch ps -a' lists them");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static bool is_wanted(const struct files_arguments *args, const json_t *file)
{
	const char *change = value_string(file, "change");

	if (args->changes && (!change || !(args->changes & change_bit(change, strlen(change)))))
		return false;
	return !args->exec || file_is_executable(file);
}

/* Moves the wanted ones to a list of their own: removing from an array is quadratic. */
static int filter(const struct files_arguments *args, json_t *answer)
{
	json_t *all = json_object_get(answer, "files");
	json_t *kept, *file;
	size_t i;

	if (!args->changes && !args->exec)
		return EXIT_CODE_OK;
	kept = json_array();
	json_array_foreach (all, i, file) {
		if (is_wanted(args, file) && json_array_append(kept, file))
			break;
	}
	if (!kept || i < json_array_size(all) || json_object_set_new(answer, "files", kept))
		return command_fail(-ENOMEM, "cannot choose among the files");
	return EXIT_CODE_OK;
}

enum { FILES_TEXT, FILES_JSON, FILES_CSV };

static int print(const struct files_arguments *args, const json_t *answer, int format)
{
	struct table_style style;

	if (format == FILES_JSON)
		return output_json(answer, EXIT_CODE_OK);
	style = output_style(args->options, format == FILES_CSV ? TABLE_CSV : TABLE_TEXT);
	style.no_trunc = args->no_trunc;
	style.no_headers = args->no_headers;
	output_warn_incomplete(answer);
	return output_table(file_columns, value_at(answer, "files"), &style, EXIT_CODE_OK);
}

static int run(const struct files_arguments *args, int format)
{
	struct session *session;
	json_t *answer = NULL;
	int code;

	code = session_open(args->options, SESSION_LAYERS, &session);
	if (code != EXIT_CODE_OK)
		return code;
	code = session_files(session, args->reference, &args->wanted, &answer);
	if (code == EXIT_CODE_OK)
		code = filter(args, answer);
	if (code == EXIT_CODE_OK)
		code = print(args, answer, format);
	json_decref(answer);
	session_close(session);
	return code;
}

int command_files(struct global_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options_of_files,
		.parser = parse_argument,
		.args_doc = "CONTAINER",
		.doc = "List the changed files of a container, with who and how much.\v"
		       "CONTAINER is an id, the beginning of one, a name, "
		       "namespace/pod[/container], or a glob that matches one.\n\n"
		       "CHG is A (added), C (changed) or D (deleted), and x for an executable "
		       "file. BY is the process that changed it last.\n\n"
		       "Formats: text, json, csv.",
		.children = global_children,
	};
	static const char *const formats[] = {"text", "json", "csv", NULL};
	struct files_arguments args = {.options = options};
	int format;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	format = global_output_index(options, formats);
	return format < 0 ? EXIT_CODE_USAGE : run(&args, format);
}

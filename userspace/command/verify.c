/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * verify.c - `driftwatch verify`: is what the ledger says what the layers say?
 *
 * The agent reads each layer with other code than the ledger's, compares, and reads again
 * what was wrong. Here its findings are shown.
 */
#include "command/command.h"

#include <errno.h>
#include <string.h>

#include "base/escape.h"
#include "base/strbuf.h"
#include "command/output.h"
#include "command/render_value.h"
#include "command/session.h"

struct verify_arguments {
	struct global_options *options;
	char **references; /* borrowed from argv */
	int references_len;
};

static error_t parse_argument(int key, char *arg, struct argp_state *state)
{
	struct verify_arguments *args = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->options;
		break;
	case ARGP_KEY_ARGS:
		args->references = state->argv + state->next;
		args->references_len = state->argc - state->next;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* --- asking */

/* Add the containers of one answer to @all. */
static int merge(json_t *all, json_t *answer)
{
	json_t *containers = json_object_get(answer, "containers");
	size_t i;

	for (i = 0; i < json_array_size(containers); i++) {
		if (json_array_append(all, json_array_get(containers, i)))
			return command_fail(-ENOMEM, "cannot collect the answers");
	}
	return EXIT_CODE_OK;
}

static int verify_one(struct session *session, const char *reference, json_t *all)
{
	json_t *answer = NULL;
	int code = session_verify(session, reference, &answer);

	if (code == EXIT_CODE_OK)
		code = merge(all, answer);
	json_decref(answer);
	return code;
}

static int verify_every(struct session *session, json_t *all)
{
	json_t *answer = NULL, *container;
	int code = session_containers(session, true, &answer), one;
	size_t i;

	json_array_foreach (json_object_get(answer, "containers"), i, container) {
		const char *state = value_string(container, "state");
		const char *id = value_string(container, "id");

		if (!id || (state && !strcmp(state, "removed")))
			continue;
		one = verify_one(session, id, all);
		code = code == EXIT_CODE_OK ? one : code;
	}
	json_decref(answer);
	return code;
}

static int verify_named(struct session *session, const struct verify_arguments *args, json_t *all)
{
	int code = EXIT_CODE_OK, one;

	for (int i = 0; i < args->references_len; i++) {
		one = verify_one(session, args->references[i], all);
		code = code == EXIT_CODE_OK ? one : code;
	}
	return code;
}

/* --- showing */

static long long number(const json_t *container, const char *key)
{
	return (long long)json_integer_value(json_object_get(container, key));
}

static const char *line_name(const json_t *mismatch, const char *key)
{
	const char *name = value_string(mismatch, key);

	return name ? name : "no line";
}

static void print_mismatches(const json_t *container, struct strbuf *out)
{
	json_t *mismatch;
	size_t i;

	json_array_foreach (json_object_get(container, "listed"), i, mismatch) {
		const char *path = value_string(mismatch, "path");

		strbuf_adds(out, "  ");
		escape_terminal(out, path ? path : "", path ? strlen(path) : 0);
		strbuf_addf(out, ": ledger %s, layer %s\n", line_name(mismatch, "ledger"),
			    line_name(mismatch, "layer"));
	}
	if (number(container, "mismatches") > (long long)i)
		strbuf_addf(out, "  and %lld more\n",
			    number(container, "mismatches") - (long long)i);
}

static void print_container(const json_t *container, struct strbuf *out)
{
	const char *name = value_string(container, "name");
	const char *verdict = value_string(container, "verdict");
	const char *reason = value_string(container, "reason");

	escape_terminal(out, name ? name : "", name ? strlen(name) : 0);
	strbuf_addf(out, ": %s", verdict ? verdict : "?");
	if (reason) {
		strbuf_adds(out, ": ");
		escape_terminal(out, reason, strlen(reason));
		strbuf_addc(out, '\n');
		return;
	}
	if (number(container, "mismatches"))
		strbuf_addf(out, " in %lld", number(container, "mismatches"));
	strbuf_addf(out, " of %lld lines", number(container, "lines"));
	if (number(container, "wrong_totals"))
		strbuf_addf(out, ", %lld totals wrong", number(container, "wrong_totals"));
	if (number(container, "unsettled"))
		strbuf_addf(out, ", %lld never at rest", number(container, "unsettled"));
	if (number(container, "unlisted"))
		strbuf_addf(out, ", %lld past --max-files", number(container, "unlisted"));
	strbuf_addc(out, '\n');
	print_mismatches(container, out);
}

static int print_text(const json_t *all, int code)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	json_t *container;
	size_t i;

	json_array_foreach (all, i, container)
		print_container(container, &out);
	if (strbuf_failed(&out))
		return command_fail(-ENOMEM, "cannot print the answer");
	fwrite(strbuf_str(&out), 1, out.len, stdout);
	return command_finish(code);
}

static int print_json(json_t *all, int code)
{
	json_t *answer =
		json_pack("{s:s, s:O}", "schema", "driftwatch.verify/1", "containers", all);

	if (!answer)
		return command_fail(-ENOMEM, "cannot print the answer");
	code = output_json(answer, code);
	json_decref(answer);
	return code;
}

/* What was asked for by name must be verifiable; of all, what has no layer is passed over. */
static int exit_code(const struct verify_arguments *args, const json_t *all, int code)
{
	json_t *container;
	size_t i;

	json_array_foreach (all, i, container) {
		const char *verdict = value_string(container, "verdict");

		if (verdict && !strcmp(verdict, "mismatch"))
			return EXIT_CODE_DRIFT;
		if (verdict && !strcmp(verdict, "unknown") && args->references_len &&
		    code == EXIT_CODE_OK)
			code = EXIT_CODE_FAILURE;
	}
	return code;
}

static int run(const struct verify_arguments *args, bool as_json)
{
	json_t *all = json_array();
	struct session *session;
	int code;

	if (!all)
		return command_fail(-ENOMEM, "cannot start");
	code = session_open(args->options, SESSION_LAYERS, &session);
	if (code == EXIT_CODE_OK) {
		code = args->references_len ? verify_named(session, args, all)
					    : verify_every(session, all);
		code = exit_code(args, all, code);
		code = as_json ? print_json(all, code) : print_text(all, code);
		session_close(session);
	}
	json_decref(all);
	return code;
}

int command_verify(struct global_options *options, int argc, char **argv)
{
	static const struct argp_child children[] = {{&global_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		.parser = parse_argument,
		.args_doc = "[CONTAINER...]",
		.doc = "Compare the ledger of containers with their layers, of all by default.\v"
		       "Each layer is read anew, with other code than the ledger's. An entry that "
		       "differs is looked at again until it agrees or has stayed the same for a "
		       "while: only then it is a mismatch. It is shown, logged, counted in "
		       "driftwatch_ledger_mismatch_total, and read again.\n\n"
		       "The exit status is 0 when all are equal and 3 after a mismatch.\n\n"
		       "Formats: text, json.",
		.children = children,
	};
	static const char *const formats[] = {"text", "json", NULL};
	struct verify_arguments args = {.options = options};
	int format;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	format = global_output_index(options, formats);
	return format < 0 ? EXIT_CODE_USAGE : run(&args, format == 1);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tail.c - `driftwatch tail`: follow changes as they happen.
 */
#include "command/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "command/render_event.h"
#include "command/render_value.h"
#include "command/session.h"
#include "command/stop.h"
#include "ledger/event.h"

enum { KEY_PATH = 0x2000, KEY_TARGET, KEY_RAW, KEY_DURATION, KEY_EXEC_ONLY };

static const struct argp_option options_of_tail[] = {
	{"op", 'e', "LIST", 0, "Only these operations: write, create, unlink, rename, exec, ...",
	 0},
	{"path", KEY_PATH, "GLOB", 0, "Only paths that match; * crosses slashes", 0},
	{"target", KEY_TARGET, "LIST", 0, "layer (the default), volume, tmpfs, other, or all", 0},
	{"raw", KEY_RAW, NULL, 0, "A line per burst of writes, not only per change of state", 0},
	{NULL, 'n', "NUM", 0, "End after NUM events", 0},
	{"duration", KEY_DURATION, "TIME", 0, "End after this time, such as 30s or 5m", 0},
	{"exec-only", KEY_EXEC_ONLY, NULL, 0, "Only executions of files of the layer", 0},
	{0},
};

#define MAX_WORDS 32

/* What a list option holds: pointers into its own copy of the text, NULL-terminated. */
struct words {
	const char *words[MAX_WORDS + 1];
	size_t count;
};

struct tail_arguments {
	struct global_options *options;
	struct words ops, targets;
	const char **containers; /* NULL-terminated, borrowed from argv */
	size_t containers_len;
	const char *path_glob;
	bool raw;
	uint64_t max_events; /* 0: no end */
	uint64_t duration_ns;
};

/* --- arguments */

static bool add_word(struct words *list, const char *word)
{
	if (list->count == MAX_WORDS)
		return false;
	list->words[list->count++] = word;
	return true;
}

static bool add_op(struct words *ops, const char *name)
{
	enum dw_op op;

	return event_op_parse(name, &op) == 0 && add_word(ops, name);
}

static bool add_target(struct words *targets, const char *name)
{
	enum dw_target target;

	if (!strcmp(name, "all")) {
		for (int t = 0; t < DW_TARGET_MAX; t++) {
			if (!add_word(targets, event_target_name(t)))
				return false;
		}
		return true;
	}
	return event_target_parse(name, &target) == 0 && add_word(targets, name);
}

/* Cuts @list, which argv owns, at its commas. Returns the word that is wrong, or NULL. */
static const char *add_list(struct words *words, char *list,
			    bool (*add)(struct words *words, const char *word))
{
	char *word;

	while ((word = strsep(&list, ",")) != NULL) {
		if (!add(words, word))
			return word;
	}
	return NULL;
}

static void parse_list(struct words *words, char *list, struct argp_state *state, const char *what,
		       bool (*add)(struct words *words, const char *word))
{
	const char *wrong = add_list(words, list, add);
	auto_strbuf struct strbuf known = STRBUF_INIT;

	if (!wrong)
		return;
	for (int i = 0; what[0] == 'o' && i < DW_OP_MAX; i++) {
		if (i != DW_OP_INVALID)
			strbuf_addf(&known, "%s%s", known.len ? ", " : "", event_op_name(i));
	}
	argp_error(state, "unknown %s '%s'; there is %s", what, wrong,
		   known.len ? strbuf_str(&known) : "layer, volume, tmpfs, other, all");
}

static uint64_t parse_count(const char *text, struct argp_state *state)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n == 0)
		argp_error(state, "-n takes a number above 0, not '%s'", text);
	return n;
}

static error_t parse_argument(int key, char *arg, struct argp_state *state)
{
	struct tail_arguments *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->options;
		break;
	case 'e':
		parse_list(&args->ops, arg, state, "operation", add_op);
		break;
	case KEY_EXEC_ONLY:
		add_word(&args->ops, event_op_name(DW_OP_EXEC));
		break;
	case KEY_TARGET:
		parse_list(&args->targets, arg, state, "target", add_target);
		break;
	case KEY_PATH:
		args->path_glob = arg;
		break;
	case KEY_RAW:
		args->raw = true;
		break;
	case 'n':
		args->max_events = parse_count(arg, state);
		break;
	case KEY_DURATION:
		if (clock_parse_duration(arg, &args->duration_ns) || !args->duration_ns)
			argp_error(state, "--duration is a time such as 30s or 5m, not '%s'", arg);
		break;
	case ARGP_KEY_ARG:
		args->containers[args->containers_len++] = arg;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* --- lines */

struct printer {
	bool json;
	bool to_terminal;
	struct event_style style;
	uint64_t left; /* events until the end; 0: no end */
	struct strbuf line;
};

static bool is_change(const json_t *event)
{
	const char *type = value_string(event, "type");

	return type && (!strcmp(type, "drift") || !strcmp(type, "write"));
}

static void print_event(struct printer *p, const json_t *event, const char *line, size_t len)
{
	char *ascii = NULL;

	strbuf_reset(&p->line);
	if (p->json && p->to_terminal)
		ascii = json_dumps(event, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (ascii)
		strbuf_adds(&p->line, ascii);
	else if (p->json)
		strbuf_add(&p->line, line, len);
	else
		render_event(&p->line, event, &p->style);
	free(ascii);
	if (!p->line.len)
		return;
	strbuf_addc(&p->line, '\n');
	fwrite(strbuf_str(&p->line), 1, p->line.len, stdout);
	fflush(stdout);
}

static int on_line(const char *line, size_t len, void *arg)
{
	struct printer *p = arg;
	json_t *event;
	bool is_end;

	if (!len)
		return 0;
	event = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
	if (!event) {
		log_warning("the agent sent a line that is not JSON; it is not shown");
		return 0;
	}
	print_event(p, event, line, len);
	is_end = ferror(stdout) || (p->left && is_change(event) && --p->left == 0);
	json_decref(event);
	return is_end ? 1 : 0;
}

/* --- */

static int follow(struct tail_arguments *args, bool json)
{
	const struct session_events query = {
		.containers = args->containers,
		.ops = args->ops.words,
		.targets = args->targets.words,
		.path_glob = args->path_glob,
		.raw = args->raw,
	};
	struct printer printer = {
		.json = json,
		.to_terminal = isatty(STDOUT_FILENO),
		.style = {.color = global_use_color(args->options, STDOUT_FILENO),
			  .align = isatty(STDOUT_FILENO)},
		.left = args->max_events,
		.line = STRBUF_INIT,
	};
	struct session *session;
	struct stop *stop;
	int code, err;

	code = session_open(args->options, SESSION_KERNEL, &session);
	if (code != EXIT_CODE_OK)
		return code;
	err = stop_open(args->duration_ns, STDOUT_FILENO, &stop);
	if (err) {
		session_close(session);
		return command_fail(err, "cannot wait for signals");
	}
	code = session_events(session, &query, stop_fd(stop), on_line, &printer);
	stop_close(stop);
	session_close(session);
	strbuf_done(&printer.line);
	return command_finish(code);
}

int command_tail(struct global_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.options = options_of_tail,
		.parser = parse_argument,
		.args_doc = "[CONTAINER...]",
		.doc = "Follow changes as they happen, of all containers or of those named.\v"
		       "CONTAINER is an id, the beginning of one, a name, "
		       "namespace/pod[/container], or a glob, which also matches containers that "
		       "are yet to come.\n\n"
		       "ADD, MOD and DEL say how the path now differs from the image; ~ marks an "
		       "operation that was derived from the layer, not seen by a hook.\n\n"
		       "Ends with status 0 on Ctrl-C, SIGTERM, -n and --duration.\n\n"
		       "Formats: text, json.",
		.children = global_children,
	};
	static const char *const formats[] = {"text", "json", NULL};
	struct tail_arguments args = {.options = options};
	int format, code;

	args.containers = calloc((size_t)argc + 1, sizeof(*args.containers));
	if (!args.containers)
		return command_fail(-ENOMEM, "cannot start");
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	if (!args.targets.count)
		add_word(&args.targets, event_target_name(DW_TARGET_LAYER));
	format = global_output_index(options, formats);
	code = format < 0 ? EXIT_CODE_USAGE : follow(&args, format == 1);
	free(args.containers);
	return code;
}

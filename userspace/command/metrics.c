/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metrics.c - `driftwatch metrics`: one scrape to stdout, for the textfile collector.
 */
#include "command/command.h"

#include "command/session.h"

int command_metrics(struct global_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = global_parse_no_operand,
		.doc = "Print one Prometheus scrape, in text format 0.0.4.\v"
		       "With an agent these are its counters. Without one, counters start at 0 "
		       "with this command; start the agent to have counters that last.\n\n"
		       "Formats: text.",
		.children = global_children,
	};
	static const char *const formats[] = {"text", NULL};
	auto_strbuf struct strbuf scrape = STRBUF_INIT;
	struct session *session;
	int code;

	argp_parse(&argp, argc, argv, 0, NULL, options);
	if (global_output_index(options, formats) < 0)
		return EXIT_CODE_USAGE;

	code = session_open(options, SESSION_KERNEL, &session);
	if (code != EXIT_CODE_OK)
		return code;
	code = session_metrics(session, &scrape);
	if (code == EXIT_CODE_OK) {
		fwrite(strbuf_str(&scrape), 1, scrape.len, stdout);
		code = command_finish(code);
	}
	session_close(session);
	return code;
}

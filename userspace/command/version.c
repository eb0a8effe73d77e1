/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * version.c - `driftwatch version`: what this build is, as text or JSON.
 */
#include "command/command.h"

#include <stdio.h>

#include "base/version.h"

int command_version(struct global_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = global_parse_no_operand,
		.doc = "Print the version of driftwatch.\vFormats: text, json.",
		.children = global_children,
	};
	static const char *const formats[] = {"text", "json", NULL};
	const char *revision = version_revision();
	int format;

	argp_parse(&argp, argc, argv, 0, NULL, options);
	format = global_output_index(options, formats);
	if (format < 0)
		return EXIT_CODE_USAGE;

	if (format == 1)
		printf("{\"version\":\"%s\",\"revision\":\"%s\"}\n", version_string(), revision);
	else
		printf("driftwatch %s%s%s%s\n", version_string(), *revision ? " (" : "", revision,
		       *revision ? ")" : "");
	return command_finish(EXIT_CODE_OK);
}

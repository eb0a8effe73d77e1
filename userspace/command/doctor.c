/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * doctor.c - `driftwatch doctor`: what can be seen on this machine, and why not.
 */
#include "command/doctor.h"

#include <errno.h>
#include <unistd.h>

#include "command/output.h"

int command_doctor(struct global_options *options, int argc, char **argv)
{
	static const struct argp argp = {
		.parser = global_parse_no_operand,
		.doc = "Check what can be seen on this machine: kernel, hooks, runtimes, storage.\v"
		       "With an agent it tells what the agent sees; without one it loads the "
		       "kernel side briefly. Every finding says what to do about it.\n\n"
		       "Exit status: 0 when driftwatch works here, 4 when a permission is missing, "
		       "5 when the kernel lacks a feature.\n\nFormats: text, json.",
		.children = global_children,
	};
	static const char *const formats[] = {"text", "json", NULL};
	json_t *report;
	int format, code;

	argp_parse(&argp, argc, argv, 0, NULL, options);
	format = global_output_index(options, formats);
	if (format < 0)
		return EXIT_CODE_USAGE;

	report = doctor_collect(options);
	if (!report)
		return command_fail(-ENOMEM, "cannot examine this machine");
	code = doctor_judge(report);
	if (format == 1) {
		code = output_json(report, code);
	} else {
		doctor_print(report, global_use_color(options, STDOUT_FILENO), options->verbose);
		code = command_finish(code);
	}
	json_decref(report);
	return code;
}

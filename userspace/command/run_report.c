/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * run_report.c - what the command of `driftwatch run` changed, at its end.
 */
#include "command/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command/local.h"
#include "command/output.h"
#include "command/render_file.h"
#include "command/render_value.h"
#include "view/view.h"

static size_t count_changes(const json_t *files, const char *change)
{
	const char *one;
	size_t i, count = 0;
	json_t *file;

	json_array_foreach (files, i, file) {
		one = value_string(file, "change");
		count += one && !strcmp(one, change);
	}
	return count;
}

static int print_text(const struct global_options *options, const json_t *answer)
{
	const json_t *files = value_at(answer, "files");
	struct table_style style;

	output_warn_incomplete(answer);
	if (!json_array_size(files)) {
		puts("\nThe command changed no file.");
		return EXIT_CODE_OK;
	}
	printf("\nDrift: %zu added, %zu modified, %zu deleted\n", count_changes(files, "added"),
	       count_changes(files, "modified"), count_changes(files, "deleted"));
	style = output_style(options, TABLE_TEXT);
	return output_table(file_columns, files, &style, EXIT_CODE_OK);
}

int run_report_take(const struct run_watch *w, bool metrics, struct run_report *ret)
{
	struct engine *engine = run_watch_engine(w);
	const struct view_files_options wanted = {.probe = engine_probe(engine)};

	*ret = (struct run_report){0};
	ret->files = view_files(engine_ledger(engine), run_watch_container(w), &wanted);
	if (!ret->files) {
		log_error("cannot list what changed: out of memory");
		return -ENOMEM;
	}
	if (metrics && local_metrics(engine, &ret->scrape) != EXIT_CODE_OK)
		return -EIO;
	return 0;
}

void run_report_done(struct run_report *report)
{
	json_decref(report->files);
	strbuf_done(&report->scrape);
	*report = (struct run_report){0};
}

int run_report_print(const struct global_options *options, const struct run_report *report,
		     enum run_format format)
{
	int code;

	if (format == RUN_JSON)
		code = output_json(report->files, EXIT_CODE_OK);
	else
		code = print_text(options, report->files);
	if (code != EXIT_CODE_OK || !report->scrape.len)
		return code;
	if (format == RUN_TEXT)
		puts("\nThe counters, as a scrape of /metrics shows them:");
	fwrite(report->scrape.data, 1, report->scrape.len, stdout);
	return command_finish(EXIT_CODE_OK);
}

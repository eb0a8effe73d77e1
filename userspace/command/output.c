/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * output.c - stdout is a terminal or it is not; everything follows from that.
 */
#include "command/output.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "command/render_value.h"
#include "command/render_width.h"

struct table_style output_style(const struct global_options *options, enum table_format format)
{
	return (struct table_style){
		.format = format,
		.color = format != TABLE_CSV && global_use_color(options, STDOUT_FILENO),
		.to_terminal = isatty(STDOUT_FILENO),
		.width = terminal_width(STDOUT_FILENO),
		.now_ns = clock_wall_ns(),
	};
}

void output_warn_incomplete(const json_t *answer)
{
	const json_t *reasons = value_at(answer, "incomplete_reasons");
	const char *limits = value_string(answer, "limits");
	uint64_t unlisted = 0;
	auto_strbuf struct strbuf why = STRBUF_INIT;
	json_t *reason;
	size_t i;

	if (!value_is_false(answer, "complete"))
		return;
	json_array_foreach (reasons, i, reason) {
		if (json_is_string(reason))
			strbuf_addf(&why, "%s%s", why.len ? ", " : "", json_string_value(reason));
	}
	if (value_number(answer, "unlisted", &unlisted) && unlisted)
		strbuf_addf(&why,
			    "; %" PRIu64 " added files are counted but not listed "
			    "(--max-files, --max-files-total)",
			    unlisted);
	if (limits)
		strbuf_addf(&why, "%s%s", why.len ? "; " : "", limits);
	log_warning("this list may lack something%s%s", why.len ? ": " : "", strbuf_str(&why));
}

/* What failed on stdout itself is command_finish()'s to report. */
static int finish(int err, int code)
{
	if (err == -ENOMEM)
		return command_fail(err, "cannot print the answer");
	return command_finish(code);
}

int output_table(const struct table_column *columns, const json_t *rows,
		 const struct table_style *style, int code)
{
	return finish(table_print(columns, rows, style, stdout), code);
}

int output_json(const json_t *value, int code)
{
	return finish(render_json(value, isatty(STDOUT_FILENO)), code);
}

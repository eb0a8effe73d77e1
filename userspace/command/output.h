/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * output.h - a JSON answer onto stdout, as the person or program there needs it.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <jansson.h>

#include "command/command.h"
#include "command/render_table.h"

/* How tables look on this stdout. */
struct table_style output_style(const struct global_options *options, enum table_format format);

/* A warning on stderr when @answer (files) says that it is not complete, and why. */
void output_warn_incomplete(const json_t *answer);

/* Both return @code when all was printed, else a failure that has been logged. */
int output_table(const struct table_column *columns, const json_t *rows,
		 const struct table_style *style, int code);
int output_json(const json_t *value, int code);

#endif /* OUTPUT_H */

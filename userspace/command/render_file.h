/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_file.h - changed files (driftwatch.files/1) as people see them.
 */
#ifndef RENDER_FILE_H
#define RENDER_FILE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/strbuf.h"
#include "command/render_table.h"

/* The columns of files, for table_print(). */
extern const struct table_column file_columns[];

/* "comm[pid]" of a writer object, raw bytes; nothing when it is not known. */
void render_writer(struct strbuf *out, const json_t *writer);

/* "0:0" of @object's uid and gid; nothing when not known. */
void render_owner(struct strbuf *out, const json_t *object);

/* A regular file with an x bit that was added or modified. */
bool file_is_executable(const json_t *file);

#endif /* RENDER_FILE_H */

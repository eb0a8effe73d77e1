/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_value.h - values out of the JSON that the agent (or the same views
 * in-process) answers with, and their text forms.
 *
 * Whatever is absent or of another type reads as "not known": a command must
 * work with an agent that is older or younger than itself. @path is a key or
 * several joined by dots ("image.name").
 */
#ifndef RENDER_VALUE_H
#define RENDER_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

/* Borrowed; NULL when any step is missing. */
const json_t *value_at(const json_t *object, const char *path);

/* Borrowed; NULL when it is no string. */
const char *value_string(const json_t *object, const char *path);

/* An integer, or a string of digits (integers above 2^53). */
bool value_number(const json_t *object, const char *path, uint64_t *ret);

bool value_is_true(const json_t *object, const char *path);
bool value_is_false(const json_t *object, const char *path);

/*
 * The bytes of a name: <path>_b64 decoded where it is given, else the string at
 * @path. Appends nothing when there is neither, and returns false.
 */
bool value_bytes(const json_t *object, const char *path, struct strbuf *out);

/* RFC 3339 text at @path as nanoseconds since 1970; 0 when not known. */
uint64_t value_wall_ns(const json_t *object, const char *path);

/* 1024-based: "0", "512", "4.0Ki", "18.2Mi". */
void render_size(struct strbuf *out, uint64_t bytes);

/* "41d", "3h", as of @now_ns; "0s" when the instant lies in the future. */
void render_age(struct strbuf *out, uint64_t wall_ns, uint64_t now_ns);

/*
 * One object as its own line: compact for programs, indented for a person
 * (@pretty). 0, -ENOMEM, or -EIO when stdout fails.
 */
int render_json(const json_t *value, bool pretty);

#endif /* RENDER_VALUE_H */

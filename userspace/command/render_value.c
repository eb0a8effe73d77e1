/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_value.c - typed look-ups in JSON, and sizes and ages as people read them.
 */
#include "command/render_value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"

#define MAX_KEY 64

const json_t *value_at(const json_t *object, const char *path)
{
	char key[MAX_KEY];

	while (object) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		object = json_object_get(object, key);
		if (!path[len])
			return object;
		path += len + 1;
	}
	return NULL;
}

const char *value_string(const json_t *object, const char *path)
{
	return json_string_value(value_at(object, path));
}

static bool parse_digits(const char *text, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned digit = (unsigned char)*text - '0';

		if (digit > 9 || n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	return true;
}

bool value_number(const json_t *object, const char *path, uint64_t *ret)
{
	const json_t *value = value_at(object, path);

	if (json_is_string(value))
		return parse_digits(json_string_value(value), ret);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

bool value_is_true(const json_t *object, const char *path)
{
	return json_is_true(value_at(object, path));
}

bool value_is_false(const json_t *object, const char *path)
{
	return json_is_false(value_at(object, path));
}

bool value_bytes(const json_t *object, const char *path, struct strbuf *out)
{
	const json_t *text = value_at(object, path);
	auto_strbuf struct strbuf coded = STRBUF_INIT;
	size_t before = out->len;
	const json_t *base64;

	strbuf_addf(&coded, "%s_b64", path);
	base64 = value_at(object, strbuf_str(&coded));
	if (json_is_string(base64)) {
		if (!base64_decode(json_string_value(base64), json_string_length(base64), out))
			return true;
		if (!strbuf_failed(out))
			strbuf_truncate(out, before);
	}
	if (!json_is_string(text))
		return false;
	strbuf_add(out, json_string_value(text), json_string_length(text));
	return true;
}

uint64_t value_wall_ns(const json_t *object, const char *path)
{
	const char *text = value_string(object, path);
	uint64_t wall_ns = 0;

	if (!text || clock_parse_rfc3339(text, &wall_ns))
		return 0;
	return wall_ns;
}

void render_size(struct strbuf *out, uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	size_t unit = 0;
	uint64_t whole = bytes, rest = 0;

	if (bytes < 1024) {
		strbuf_addf(out, "%llu", (unsigned long long)bytes);
		return;
	}
	while (whole >= 1024 && unit < sizeof(units) - 1) {
		rest = whole % 1024;
		whole /= 1024;
		unit++;
	}
	strbuf_addf(out, "%llu.%llu%ci", (unsigned long long)whole,
		    (unsigned long long)(rest * 10 / 1024), units[unit - 1]);
}

void render_age(struct strbuf *out, uint64_t wall_ns, uint64_t now_ns)
{
	char text[32];

	clock_format_age(now_ns > wall_ns ? now_ns - wall_ns : 0, text, sizeof(text));
	strbuf_adds(out, text);
}

int render_json(const json_t *value, bool pretty)
{
	/* On a terminal, \uXXXX for what could turn the text around. */
	size_t flags = pretty ? JSON_INDENT(2) | JSON_ENSURE_ASCII : JSON_COMPACT;
	char *text = json_dumps(value, flags | JSON_ENCODE_ANY);
	int err = 0;

	if (!text)
		return -ENOMEM;
	if (puts(text) == EOF)
		err = -EIO;
	free(text);
	return err;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * config_value.c - one value of a setting, from text or from JSON, checked.
 */
#include "agent/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"

#define MAX_LIST 64

static void *field(struct config *c, const struct config_setting *setting)
{
	return (char *)c + setting->offset;
}

static const char *const kind_names[] = {
	[CONFIG_TEXT] = "a string",
	[CONFIG_LIST] = "a string or a list of strings",
	[CONFIG_FLAG] = "true or false",
	[CONFIG_COUNT] = "a whole number",
	[CONFIG_BYTES] = "a whole number, or a string such as \"64MiB\"",
	[CONFIG_DURATION] = "a number of seconds, or a string such as \"5m\"",
};

static int bad_text(const struct config_setting *setting, const char *text, struct strbuf *error)
{
	strbuf_addf(error, "must be %s, not \"",
		    setting->expects ? setting->expects : kind_names[setting->kind]);
	escape_terminal(error, text, strlen(text));
	strbuf_addc(error, '"');
	return -EINVAL;
}

static int set_string(char **at, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static int add_item(struct config_list *list, const char *text, struct strbuf *error)
{
	char **items;

	if (list->len == MAX_LIST) {
		strbuf_addf(error, "has more than %d values", MAX_LIST);
		return -EINVAL;
	}
	items = reallocarray(list->items, list->len + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->len] = strdup(text);
	if (!items[list->len])
		return -ENOMEM;
	list->len++;
	return 0;
}

static int set_number(struct config *c, const struct config_setting *setting, uint64_t value,
		      struct strbuf *error)
{
	uint64_t unit = setting->kind == CONFIG_DURATION ? NS_PER_SEC : 1;

	if (value < setting->min || value > setting->max) {
		strbuf_addf(error, "must be from %" PRIu64 " to %" PRIu64 "%s", setting->min / unit,
			    setting->max / unit, unit == 1 ? "" : " seconds");
		return -EINVAL;
	}
	*(uint64_t *)field(c, setting) = value;
	return 0;
}

/* "200000", "64MiB", "10k": powers of 1024 with or without "iB". */
static int parse_bytes(const char *text, uint64_t *ret)
{
	static const char units[] = "kmgt";
	unsigned long long value;
	unsigned shift = 0;
	const char *unit;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	unit = *end ? strchr(units, *end | 0x20) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		end++;
		if (!strncmp(end, "iB", 2))
			end += 2;
	}
	if (*end || value > UINT64_MAX >> shift)
		return -EINVAL;
	*ret = value << shift;
	return 0;
}

static int parse_count(const char *text, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789");

	if (!digits || text[digits])
		return -EINVAL;
	return parse_bytes(text, ret);
}

static int parse_number(const struct config_setting *setting, const char *text, uint64_t *ret)
{
	switch (setting->kind) {
	case CONFIG_DURATION:
		return clock_parse_duration(text, ret);
	case CONFIG_BYTES:
		return parse_bytes(text, ret);
	default:
		return parse_count(text, ret);
	}
}

int config_set_text(struct config *c, const struct config_setting *setting, const char *text,
		    struct strbuf *error)
{
	uint64_t number;

	switch (setting->kind) {
	case CONFIG_FLAG:
		*(bool *)field(c, setting) = true;
		return 0;
	case CONFIG_TEXT:
		if (setting->is_valid && !setting->is_valid(text))
			return bad_text(setting, text, error);
		return set_string(field(c, setting), text);
	case CONFIG_LIST:
		if (setting->is_valid && !setting->is_valid(text))
			return bad_text(setting, text, error);
		return add_item(field(c, setting), text, error);
	default:
		if (parse_number(setting, text, &number))
			return bad_text(setting, text, error);
		return set_number(c, setting, number, error);
	}
}

static int set_list(struct config *c, const struct config_setting *setting, const json_t *array,
		    struct strbuf *error)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *item = json_array_get(array, i);
		int err;

		if (!json_is_string(item)) {
			strbuf_adds(error, "must be a list of strings");
			return -EINVAL;
		}
		err = config_set_text(c, setting, json_string_value(item), error);
		if (err)
			return err;
	}
	return 0;
}

/* JSON has whole numbers with a sign; strings are for kinds that know units. */
static int set_json_number(struct config *c, const struct config_setting *setting,
			   const json_t *value, struct strbuf *error)
{
	uint64_t unit = setting->kind == CONFIG_DURATION ? NS_PER_SEC : 1;
	json_int_t number = json_integer_value(value);

	if (number < 0 || (uint64_t)number > UINT64_MAX / unit)
		return set_number(c, setting, UINT64_MAX, error);
	return set_number(c, setting, (uint64_t)number * unit, error);
}

static bool has_kind(const struct config_setting *setting, const json_t *value)
{
	switch (setting->kind) {
	case CONFIG_FLAG:
		return json_is_boolean(value);
	case CONFIG_TEXT:
		return json_is_string(value);
	case CONFIG_LIST:
		return json_is_string(value) || json_is_array(value);
	case CONFIG_COUNT:
		return json_is_integer(value);
	default:
		return json_is_integer(value) || json_is_string(value);
	}
}

int config_set_json(struct config *c, const struct config_setting *setting, const json_t *value,
		    struct strbuf *error)
{
	if (!has_kind(setting, value)) {
		strbuf_addf(error, "must be %s", kind_names[setting->kind]);
		return -EINVAL;
	}
	if (json_is_boolean(value)) {
		*(bool *)field(c, setting) = json_is_true(value);
		return 0;
	}
	if (json_is_array(value))
		return set_list(c, setting, value, error);
	if (json_is_integer(value))
		return set_json_number(c, setting, value, error);
	return config_set_text(c, setting, json_string_value(value), error);
}

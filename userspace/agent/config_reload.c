/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * config_reload.c - what a running agent may take over from a fresh configuration.
 */
#include "agent/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const void *field(const struct config *c, const struct config_setting *setting)
{
	return (const char *)c + setting->offset;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_list(const struct config_list *a, const struct config_list *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	}
	return true;
}

static bool is_same(const struct config *a, const struct config *b,
		    const struct config_setting *setting)
{
	const void *x = field(a, setting), *y = field(b, setting);

	switch (setting->kind) {
	case CONFIG_TEXT:
		return same_text(*(char *const *)x, *(char *const *)y);
	case CONFIG_LIST:
		return same_list(x, y);
	case CONFIG_FLAG:
		return *(const bool *)x == *(const bool *)y;
	default:
		return *(const uint64_t *)x == *(const uint64_t *)y;
	}
}

int config_needs_restart(const struct config *running, const struct config *fresh,
			 struct strbuf *out)
{
	int count = 0;

	for (size_t i = 0; i < config_settings_len; i++) {
		const struct config_setting *setting = &config_settings[i];

		if (setting->at_reload || is_same(running, fresh, setting))
			continue;
		if (count++)
			strbuf_adds(out, ", ");
		config_key(setting, out);
	}
	return count;
}

static int take_text(char **to, const char *from)
{
	char *copy = from ? strdup(from) : NULL;

	if (from && !copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

int config_take_reloadable(struct config *running, const struct config *fresh)
{
	for (size_t i = 0; i < config_settings_len; i++) {
		const struct config_setting *setting = &config_settings[i];
		void *to = (char *)running + setting->offset;
		const void *from = field(fresh, setting);

		if (!setting->at_reload)
			continue;
		if (setting->kind == CONFIG_TEXT) {
			if (take_text(to, *(char *const *)from))
				return -ENOMEM;
		} else if (setting->kind == CONFIG_FLAG) {
			*(bool *)to = *(const bool *)from;
		} else {
			*(uint64_t *)to = *(const uint64_t *)from;
		}
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mountinfo.c - the fields of a mountinfo line; overlay_options.c has the rest.
 */
#include "container/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEV_MAJOR_MAX 0xfff
#define DEV_MINOR_MAX 0xfffff

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3])) {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			if (*to)
				to++;
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* The next space-separated field; NULL when there is none. */
static char *next_field(char **at)
{
	char *field = *at, *space;

	if (!field || !*field)
		return NULL;
	space = strchr(field, ' ');
	if (space)
		*space++ = '\0';
	*at = space;
	return field;
}

static int parse_number(const char *text, unsigned long max, unsigned long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoul(text, &end, 10);
	return errno || end == text || *end || *text == '-' || *ret > max ? -EBADMSG : 0;
}

static int parse_dev(char *text, uint32_t *ret)
{
	unsigned long major, minor;
	char *colon = text ? strchr(text, ':') : NULL;

	if (!colon)
		return -EBADMSG;
	*colon = '\0';
	if (parse_number(text, DEV_MAJOR_MAX, &major) ||
	    parse_number(colon + 1, DEV_MINOR_MAX, &minor))
		return -EBADMSG;
	*ret = (uint32_t)(major << 20 | minor);
	return 0;
}

/* Skip the optional fields (shared:N master:N …) and their "-". */
static bool skip_optional(char **at)
{
	char *field;

	while ((field = next_field(at))) {
		if (!strcmp(field, "-"))
			return true;
	}
	return false;
}

int mountinfo_line_parse(char *line, struct mountinfo_line *ret)
{
	char *at = line, *id, *parent, *dev;
	struct mountinfo_line l = {0};
	unsigned long number;

	id = next_field(&at);
	parent = next_field(&at);
	dev = next_field(&at);
	l.root = next_field(&at);
	l.mount_point = next_field(&at);
	l.mount_options = next_field(&at);
	if (!l.mount_options || !skip_optional(&at))
		return -EBADMSG;
	l.type = next_field(&at);
	l.source = next_field(&at);
	l.super_options = next_field(&at);
	if (!l.type || !l.source)
		return -EBADMSG;
	/* An empty source leaves two spaces, an absent one shifts the options. */
	if (!l.super_options) {
		l.super_options = l.source;
		l.source = l.type + strlen(l.type);
	}
	if (parse_number(id, UINT32_MAX, &number))
		return -EBADMSG;
	l.mount_id = (unsigned)number;
	if (parse_number(parent, UINT32_MAX, &number) || parse_dev(dev, &l.dev))
		return -EBADMSG;
	l.parent_id = (unsigned)number;
	unescape(l.root);
	unescape(l.mount_point);
	*ret = l;
	return 0;
}

bool mountinfo_has_option(const char *options, const char *name)
{
	size_t len = strlen(name);
	const char *at = options;

	while (at && *at) {
		if (!strncmp(at, name, len) && (!at[len] || at[len] == ','))
			return true;
		at = strchr(at, ',');
		if (at)
			at++;
	}
	return false;
}

static int foreach_line(char *text, const char *only, mountinfo_fn fn, void *arg, unsigned *ret_bad)
{
	struct mountinfo_line line;
	char *next, *end;
	int err;

	for (; text && *text; text = next) {
		end = strchrnul(text, '\n');
		next = *end ? end + 1 : NULL;
		*end = '\0';
		if (!*text || (only && !strstr(text, only)))
			continue;
		if (mountinfo_line_parse(text, &line)) {
			if (ret_bad)
				(*ret_bad)++;
			continue;
		}
		if (only && strcmp(line.type, "overlay") != 0)
			continue;
		err = fn(&line, arg);
		if (err)
			return err;
	}
	return 0;
}

int mountinfo_foreach(char *text, mountinfo_fn fn, void *arg, unsigned *ret_bad)
{
	return foreach_line(text, NULL, fn, arg, ret_bad);
}

int mountinfo_foreach_overlay(char *text, mountinfo_fn fn, void *arg, unsigned *ret_bad)
{
	return foreach_line(text, " - overlay ", fn, arg, ret_bad);
}

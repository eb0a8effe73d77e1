/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * overlay_options.c - the super options of an overlay mount, as mountinfo shows them.
 *
 * Two escapings lie over each other: the kernel's octal one outside (space, tab,
 * newline, backslash, comma) and, of a mount(2) string, the caller's own backslashes
 * inside, in front of a colon, a comma or a backslash. Only "lowerdir+" of fsconfig(2)
 * has no inner ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "container/mountinfo.h"

#define LOWERS_MAX 1024 /* the kernel takes 500 */

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/*
 * One byte of the outer text. Returns how many characters it took. *ret_octal: it
 * was written as an escape, so it is no separator.
 */
static size_t outer_byte(const char *s, char *ret, bool *ret_octal)
{
	*ret_octal = s[0] == '\\' && is_octal(s[1]) && is_octal(s[2]) && is_octal(s[3]);
	*ret = *ret_octal ? (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0')) : s[0];
	return *ret_octal ? 4 : 1;
}

/* Cut the next option off @at: octal escapes undone, backslashes kept. */
static const char *next_option(const char *at, struct strbuf *option)
{
	bool octal, quoted = false;
	size_t taken;
	char c;

	strbuf_reset(option);
	while (*at) {
		taken = outer_byte(at, &c, &octal);
		at += taken;
		if (c == ',' && !octal && !quoted)
			break;
		quoted = c == '\\' && !quoted;
		if (c)
			strbuf_addc(option, c);
	}
	return at;
}

/* Append one path up to an unquoted ':' (or the end), backslashes undone. */
static const char *take_path(const char *at, bool colons_separate, struct strbuf *path)
{
	strbuf_reset(path);
	while (*at) {
		if (*at == ':' && colons_separate)
			break;
		if (*at == '\\' && at[1])
			at++;
		strbuf_addc(path, *at++);
	}
	return at;
}

static int set_path(const char *value, struct strbuf *path, char **ret)
{
	take_path(value, false, path);
	free(*ret);
	*ret = strdup(strbuf_str(path));
	return *ret && !strbuf_failed(path) ? 0 : -ENOMEM;
}

static int add_lower(struct container_overlay *overlay, const char *path)
{
	size_t n = overlay->lowers_len;
	char **grown;

	if (n >= LOWERS_MAX)
		return -E2BIG;
	if ((n & (n - 1)) == 0) {
		grown = reallocarray(overlay->lowers, n ? 2 * n : 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		overlay->lowers = grown;
	}
	overlay->lowers[n] = strdup(path);
	if (!overlay->lowers[n])
		return -ENOMEM;
	overlay->lowers_len++;
	return 0;
}

/* "a:b::c": after "::" come data-only layers, which no name of the merge comes from. */
static int add_lowers(struct container_overlay *overlay, const char *value, struct strbuf *path)
{
	int err;

	for (;;) {
		value = take_path(value, true, path);
		if (strbuf_failed(path))
			return -ENOMEM;
		if (path->len) {
			err = add_lower(overlay, strbuf_str(path));
			if (err)
				return err;
		}
		if (!*value)
			return 0;
		value++;
		if (*value == ':') {
			overlay->unsupported = true;
			return 0;
		}
	}
}

static bool take_value(const char *option, const char *key, const char **ret)
{
	size_t len = strlen(key);

	if (strncmp(option, key, len) != 0)
		return false;
	*ret = option + len;
	return true;
}

static int take_option(struct container_overlay *overlay, const char *option, struct strbuf *path)
{
	const char *value;

	if (take_value(option, "upperdir=", &value))
		return set_path(value, path, &overlay->upper);
	if (take_value(option, "workdir=", &value))
		return set_path(value, path, &overlay->work);
	if (take_value(option, "lowerdir=", &value))
		return add_lowers(overlay, value, path);
	if (take_value(option, "lowerdir+=", &value))
		return add_lower(overlay, value);
	if (!strcmp(option, "redirect_dir=on") || !strcmp(option, "metacopy=on") ||
	    take_value(option, "datadir+=", &value))
		overlay->unsupported = true;
	return 0;
}

int mountinfo_overlay_parse(const char *super_options, struct container_overlay *ret)
{
	auto_strbuf struct strbuf option = STRBUF_INIT, path = STRBUF_INIT;
	const char *at = super_options;
	int err = 0;

	*ret = (struct container_overlay){0};
	while (*at && !err) {
		at = next_option(at, &option);
		if (strbuf_failed(&option))
			return -ENOMEM;
		err = take_option(ret, strbuf_str(&option), &path);
	}
	if (err)
		return err;
	return ret->lowers_len ? 0 : -EBADMSG;
}

void mountinfo_overlay_done(struct container_overlay *overlay)
{
	free(overlay->upper);
	free(overlay->work);
	free(overlay->merged);
	for (size_t i = 0; i < overlay->lowers_len; i++)
		free(overlay->lowers[i]);
	free(overlay->lowers);
	*overlay = (struct container_overlay){0};
}

bool mountinfo_overlay_is_relative(const struct container_overlay *overlay)
{
	if (overlay->upper && *overlay->upper != '/')
		return true;
	return overlay->lowers_len && *overlay->lowers[0] != '/';
}

static int resolve(char **path, const char *home)
{
	char *joined;

	if (!*path || **path == '/')
		return 0;
	joined = file_join(home, *path);
	if (!joined)
		return -ENOMEM;
	free(*path);
	*path = joined;
	return 0;
}

int mountinfo_overlay_resolve(struct container_overlay *overlay, const char *home)
{
	int err = resolve(&overlay->upper, home);

	if (!err)
		err = resolve(&overlay->work, home);
	for (size_t i = 0; i < overlay->lowers_len && !err; i++)
		err = resolve(&overlay->lowers[i], home);
	return err;
}

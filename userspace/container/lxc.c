/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lxc.c - the containers of /var/lib/lxc, by their configuration.
 *
 *	<name>/config	lxc.rootfs.path = overlay:<lower>[:<lower>…]:<upper>
 *
 * The overlay itself is mounted inside the container's own mount namespace.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "container/source.h"

#define CONFIG_MAX (1u << 20)

static uint64_t lxc_stamp(struct source *s, const char *key)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	if (!source_is_name(key))
		return 0;
	return hostfs_stamp(s->fs, source_path(&path, s, key, "config", NULL), 0);
}

static int lxc_list(struct source *s, source_key_fn fn, void *arg)
{
	return hostfs_foreach_name(s->fs, s->root, fn, arg);
}

/* The value of the last "key = value" line. The caller frees it; NULL: none. */
static char *setting(const char *text, const char *key)
{
	const char *at, *end, *value;
	size_t len = strlen(key);
	char *found = NULL;

	for (at = text; *at; at = *end ? end + 1 : end) {
		end = strchrnul(at, '\n');
		value = at + strspn(at, " \t");
		if (strncmp(value, key, len) != 0)
			continue;
		value += len + strspn(value + len, " \t");
		if (*value != '=')
			continue;
		value++;
		value += strspn(value, " \t");
		if (value >= end)
			continue;
		free(found);
		found = strndup(value, (size_t)(end - value));
	}
	return found;
}

/* "overlay:/lower1:/lower2:/upper" or "overlayfs:…"; work lies beside the upper. */
static bool take_overlay(char *path, struct container *c)
{
	char *layers = strchr(path, ':') + 1, *upper = strrchr(layers, ':'), *slash, *at;
	size_t n = 0;

	if (!upper || upper[1] != '/')
		return true;
	*upper++ = '\0';
	slash = strrchr(upper, '/');
	c->overlay.upper = strdup(upper);
	if (!c->overlay.upper ||
	    asprintf(&c->overlay.work, "%.*s/work", (int)(slash - upper), upper) < 0) {
		c->overlay.work = NULL;
		return false;
	}
	for (at = layers; at; at = strchr(at + 1, ':'))
		n++;
	c->overlay.lowers = calloc(n, sizeof(*c->overlay.lowers));
	if (!c->overlay.lowers)
		return false;
	while ((at = strsep(&layers, ":"))) {
		if (*at == '/' && !source_set(&c->overlay.lowers[c->overlay.lowers_len++], at))
			return false;
	}
	return true;
}

static bool take_root(const char *text, struct container *c)
{
	auto_free char *path = setting(text, "lxc.rootfs.path");
	const char *dir;

	if (!path)
		path = setting(text, "lxc.rootfs"); /* before lxc 2.1 */
	if (!path)
		return true;
	if (!strncmp(path, "overlay:", 8) || !strncmp(path, "overlayfs:", 10))
		return take_overlay(path, c);
	dir = strncmp(path, "dir:", 4) ? path : path + 4;
	if (*dir == '/' && !source_set(&c->overlay.merged, dir))
		return false;
	return source_set(&c->storage_error, "its root is not an overlay: no upper directory");
}

static int lxc_read(struct source *s, const char *key, struct strbuf *why, struct container **ret)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;
	struct container *c;
	int err;

	if (!source_is_name(key))
		return -ENOENT;
	source_path(&path, s, key, "config", NULL);
	err = hostfs_read(s->fs, strbuf_str(&path), CONFIG_MAX, &text);
	if (err) {
		strbuf_addf(why, "%s: %s", strbuf_str(&path), strerror(-err));
		return err;
	}
	c = container_new(key, "lxc");
	if (!c || !source_set(&c->name, key) || !take_root(strbuf_str(&text), c)) {
		container_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

static void lxc_watches(struct source *s, const char *key, source_watch_fn fn, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	if (key)
		fn(source_path(&path, s, key, NULL), key, arg);
	else
		fn(s->root, "", arg);
}

const struct source_ops lxc_source_ops = {
	.kind = "lxc",
	.rank = RANK_RUNTIME,
	.list = lxc_list,
	.stamp = lxc_stamp,
	.read = lxc_read,
	.watches = lxc_watches,
};

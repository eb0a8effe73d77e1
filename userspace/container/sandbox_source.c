/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_source.c - the sandboxes of running `driftwatch run`, by their state files.
 *
 * Keys are the files' names, "<id>.json".
 */
#include <errno.h>
#include <string.h>

#include "container/sandbox_state.h"
#include "container/source.h"

#define STATE_MAX (1u << 20)

static bool is_state(const char *name)
{
	size_t len = strlen(name);

	return source_is_name(name) && len > strlen(".json") &&
	       !strcmp(name + len - strlen(".json"), ".json");
}

static uint64_t sandbox_stamp(struct source *s, const char *key)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	return is_state(key) ? hostfs_stamp(s->fs, source_path(&path, s, key, NULL), 0) : 0;
}

static int sandbox_list(struct source *s, source_key_fn fn, void *arg)
{
	return hostfs_foreach_name(s->fs, s->root, fn, arg);
}

static int sandbox_read(struct source *s, const char *key, struct strbuf *why,
			struct container **ret)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;
	int err;

	if (!is_state(key))
		return -ENOENT;
	err = hostfs_read(s->fs, source_path(&path, s, key, NULL), STATE_MAX, &text);
	if (!err)
		err = sandbox_state_parse(strbuf_str(&text), text.len, ret);
	if (err)
		strbuf_addf(why, "%s is not a sandbox's state", strbuf_str(&path));
	return err;
}

static void sandbox_watches(struct source *s, const char *key, source_watch_fn fn, void *arg)
{
	if (!key)
		fn(s->root, "", arg);
}

const struct source_ops sandbox_source_ops = {
	.kind = "driftwatch",
	.rank = RANK_RUNTIME,
	.list = sandbox_list,
	.stamp = sandbox_stamp,
	.read = sandbox_read,
	.watches = sandbox_watches,
};

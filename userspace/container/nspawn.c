/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nspawn.c - machines that systemd-machined knows: /run/systemd/machines/<name>.
 *
 * A file of KEY=VALUE lines (CLASS, LEADER, ROOT, …), there while the machine runs.
 * Links in that directory ("unit:…") lead to the same files and are passed over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "container/source.h"

#define FILE_MAX 65536

static bool is_machine(const char *name)
{
	return source_is_name(name) && !strchr(name, ':') && *name != '.';
}

static uint64_t nspawn_stamp(struct source *s, const char *key)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	return is_machine(key) ? hostfs_stamp(s->fs, source_path(&path, s, key, NULL), 0) : 0;
}

struct filter {
	source_key_fn fn;
	void *arg;
};

static int only_machines(const char *name, void *arg)
{
	const struct filter *filter = arg;

	return is_machine(name) ? filter->fn(name, filter->arg) : 0;
}

static int nspawn_list(struct source *s, source_key_fn fn, void *arg)
{
	return hostfs_foreach_name(s->fs, s->root, only_machines, &(struct filter){fn, arg});
}

/* The value of a KEY=VALUE line; NULL: none. The caller frees it. */
static char *value_of(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *at, *end;

	for (at = text; *at; at = *end ? end + 1 : end) {
		end = strchrnul(at, '\n');
		if (!strncmp(at, key, len) && at[len] == '=')
			return strndup(at + len + 1, (size_t)(end - at) - len - 1);
	}
	return NULL;
}

static int nspawn_read(struct source *s, const char *key, struct strbuf *why,
		       struct container **ret)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;
	auto_free char *leader = NULL, *class = NULL;
	struct container *c;
	long pid;
	int err;

	if (!is_machine(key))
		return -ENOENT;
	source_path(&path, s, key, NULL);
	err = hostfs_read(s->fs, strbuf_str(&path), FILE_MAX, &text);
	if (err) {
		strbuf_addf(why, "%s: %s", strbuf_str(&path), strerror(-err));
		return err;
	}
	class = value_of(strbuf_str(&text), "CLASS");
	leader = value_of(strbuf_str(&text), "LEADER");
	/* Virtual machines register too. */
	if (class && strcmp(class, "container") != 0)
		return -ENOENT;
	c = container_new(key, "nspawn");
	if (!c || !source_set(&c->name, key)) {
		container_free(c);
		return -ENOMEM;
	}
	pid = leader ? strtol(leader, NULL, 10) : 0;
	c->pid = pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
	*ret = c;
	return 0;
}

static void nspawn_watches(struct source *s, const char *key, source_watch_fn fn, void *arg)
{
	if (!key)
		fn(s->root, "", arg);
}

const struct source_ops nspawn_source_ops = {
	.kind = "nspawn",
	.rank = RANK_RUNTIME,
	.list = nspawn_list,
	.stamp = nspawn_stamp,
	.read = nspawn_read,
	.watches = nspawn_watches,
};

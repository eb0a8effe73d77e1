/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * containerd.c - the bundles of tasks that containerd runs, from its --state directory.
 *
 *	io.containerd.runtime.v2.task/<namespace>/<id>/config.json	OCI, CRI's annotations
 *	io.containerd.runtime.v2.task/<namespace>/<id>/init.pid
 *	io.containerd.runtime.v2.task/<namespace>/<id>/options.json	runc's own root
 *
 * A bundle exists while its task does. Keys are "<namespace>/<id>".
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "container/containerd_spec.h"
#include "container/source.h"

#define TASKS	     "io.containerd.runtime.v2.task"
#define PID_TEXT_MAX 32

struct listing {
	struct source *s;
	source_key_fn fn;
	void *arg;
	const char *space;
	struct strbuf key;
};

static int take_id(const char *name, void *arg)
{
	struct listing *l = arg;

	if (!source_is_name(name))
		return 0;
	strbuf_reset(&l->key);
	strbuf_addf(&l->key, "%s/%s", l->space, name);
	return strbuf_failed(&l->key) ? -ENOMEM : l->fn(strbuf_str(&l->key), l->arg);
}

static int take_space(const char *name, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct listing *l = arg;
	int err;

	l->space = name;
	err = hostfs_foreach_name(l->s->fs, source_path(&path, l->s, TASKS, name, NULL), take_id,
				  l);
	return err == -ENOENT || err == -ENOTDIR ? 0 : err;
}

static int containerd_list(struct source *s, source_key_fn fn, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct listing l = {.s = s, .fn = fn, .arg = arg};
	int err;

	err = hostfs_foreach_name(s->fs, source_path(&path, s, TASKS, NULL), take_space, &l);
	strbuf_done(&l.key);
	return err;
}

/* Split "<namespace>/<id>"; NULL when it is not of that form. The caller frees @ret_space. */
static const char *split(const char *key, char **ret_space)
{
	const char *slash = strchr(key, '/');

	if (!slash || slash == key || !source_is_name(slash + 1))
		return NULL;
	*ret_space = strndup(key, (size_t)(slash - key));
	return *ret_space && source_is_name(*ret_space) ? slash + 1 : NULL;
}

static uint64_t containerd_stamp(struct source *s, const char *key)
{
	static const char *const files[] = {"config.json", "init.pid", "options.json"};
	auto_strbuf struct strbuf path = STRBUF_INIT;
	uint64_t stamp = 0;

	if (!strchr(key, '/'))
		return 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		source_path(&path, s, TASKS, key, files[i], NULL);
		stamp = hostfs_stamp(s->fs, strbuf_str(&path), stamp);
	}
	return stamp;
}

static bool take_root(struct source *s, const char *key, const json_t *json, struct container *c)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	const char *root = json_text(json_object_get(json, "root"), "path");

	if (!root)
		return true;
	if (*root != '/')
		root = source_path(&path, s, TASKS, key, root, NULL);
	return source_set(&c->overlay.merged, root);
}

static pid_t read_pid(struct source *s, const char *key)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, text = STRBUF_INIT;
	long pid;

	source_path(&path, s, TASKS, key, "init.pid", NULL);
	if (hostfs_read(s->fs, strbuf_str(&path), PID_TEXT_MAX, &text))
		return 0;
	pid = strtol(strbuf_str(&text), NULL, 10);
	return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

/* Where runc keeps the state of this namespace's containers. */
static void discover_runc(struct source *s, const char *key, const char *space)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, why = STRBUF_INIT;
	const char *root = NULL;
	json_t *json = NULL;

	source_path(&path, s, TASKS, key, "options.json", NULL);
	if (!hostfs_read_json(s->fs, strbuf_str(&path), &why, &json))
		root = json_text(json, "root");
	strbuf_reset(&path);
	strbuf_addf(&path, "%s/%s", root && *root == '/' ? root : "/run/containerd/runc", space);
	json_decref(json);
	s->discover(s->discover_arg, "runc", strbuf_str(&path), "options of a containerd task");
}

static int containerd_read(struct source *s, const char *key, struct strbuf *why,
			   struct container **ret)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	auto_free char *space = NULL;
	const char *id = split(key, &space);
	struct container *c;
	json_t *json;
	bool ok, is_moby;
	int err;

	if (!id)
		return -ENOENT;
	source_path(&path, s, TASKS, key, "config.json", NULL);
	err = hostfs_read_json(s->fs, strbuf_str(&path), why, &json);
	if (err)
		return err;
	is_moby = !strcmp(space, "moby");
	c = container_new(id,
			  is_moby ? "docker" : (strcmp(space, "k8s.io") ? "containerd" : "cri"));
	ok = c && containerd_spec_take(json, c) && take_root(s, key, json, c) &&
	     (is_moby || c->name || c->pod || source_is_hex_id(id) || source_set(&c->name, id));
	if (ok)
		c->pid = read_pid(s, key);
	json_decref(json);
	if (!ok) {
		container_free(c);
		return -ENOMEM;
	}
	discover_runc(s, key, space);
	*ret = c;
	return 0;
}

struct watching {
	struct source *s;
	source_watch_fn fn;
	void *arg;
};

static int watch_space(const char *name, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, key = STRBUF_INIT;
	const struct watching *w = arg;

	strbuf_addf(&key, "%s/", name);
	w->fn(source_path(&path, w->s, TASKS, name, NULL), strbuf_str(&key), w->arg);
	return 0;
}

static void containerd_watches(struct source *s, const char *key, source_watch_fn fn, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct watching w = {s, fn, arg};

	if (key) {
		fn(source_path(&path, s, TASKS, key, NULL), key, arg);
		return;
	}
	source_path(&path, s, TASKS, NULL);
	fn(strbuf_str(&path), "", arg);
	hostfs_foreach_name(s->fs, strbuf_str(&path), watch_space, &w);
}

const struct source_ops containerd_source_ops = {
	.kind = "containerd",
	.rank = RANK_BUNDLE,
	.list = containerd_list,
	.stamp = containerd_stamp,
	.read = containerd_read,
	.watches = containerd_watches,
};

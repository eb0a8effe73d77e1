/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * oci_state.c - the state directories of runc and crun.
 *
 *	<root>/<id>/state.json	runc: pid, cgroup, root file system
 *	<root>/<id>/status	crun: the same, with config.json beside it
 *
 * The root file system named here is what makes a plain overlay mount a container.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "container/mountinfo.h"
#include "container/source.h"

#define CGROUP_MOUNT "/sys/fs/cgroup"

static uint64_t oci_stamp(struct source *s, const char *key)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	uint64_t stamp;

	if (!source_is_name(key))
		return 0;
	stamp = hostfs_stamp(s->fs, source_path(&path, s, key, "state.json", NULL), 0);
	return hostfs_stamp(s->fs, source_path(&path, s, key, "status", NULL), stamp);
}

static int oci_list(struct source *s, source_key_fn fn, void *arg)
{
	/* Also of directories without a state yet: they are watched until it is written. */
	return hostfs_foreach_name(s->fs, s->root, fn, arg);
}

static pid_t pid_of(const json_t *object, const char *key)
{
	json_int_t pid = json_integer_value(json_object_get(object, key));

	return pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static uint64_t time_of(const json_t *object, const char *key)
{
	const char *text = json_text(object, key);
	uint64_t ns;

	return text && !clock_parse_rfc3339(text, &ns) ? ns : 0;
}

/* "/sys/fs/cgroup/unified/docker/x" -> "/docker/x" */
static const char *without_mount(const char *path)
{
	if (!path || strncmp(path, CGROUP_MOUNT, strlen(CGROUP_MOUNT)) != 0)
		return NULL;
	path += strlen(CGROUP_MOUNT);
	if (!strncmp(path, "/unified/", strlen("/unified/")))
		path += strlen("/unified");
	return *path == '/' ? path : NULL;
}

/* The state is written when the root is set up, just before the command starts. */
static uint64_t started_of(const struct source *s, const char *path)
{
	struct stat st;

	return hostfs_stat(s->fs, path, &st) ? 0 : clock_of_timespec(&st.st_mtim);
}

static int read_runc(struct source *s, const char *key, struct strbuf *why, struct container **ret)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	json_t *json, *config;
	struct container *c;
	const char *rootfs;
	bool ok;
	int err;

	source_path(&path, s, key, "state.json", NULL);
	err = hostfs_read_json(s->fs, strbuf_str(&path), why, &json);
	if (err)
		return err;
	c = container_new(key, "runc");
	config = json_object_get(json, "config");
	rootfs = json_text(config, "rootfs");
	ok = c && source_set(&c->overlay.merged, rootfs && *rootfs == '/' ? rootfs : NULL) &&
	     source_set(&c->cgroup_path,
			without_mount(json_text(json_object_get(json, "cgroup_paths"), "")));
	if (ok) {
		c->pid = pid_of(json, "init_process_pid");
		c->started_wall_ns = started_of(s, strbuf_str(&path));
		c->created_wall_ns = time_of(json, "created");
		c->overlay.read_only = json_is_true(json_object_get(config, "readonlyfs"));
	}
	json_decref(json);
	*ret = ok ? c : container_free(c);
	return ok ? 0 : -ENOMEM;
}

/* crun keeps the root file system as the bundle names it: often relative to it. */
static int take_crun_root(const json_t *json, struct container *c)
{
	const char *rootfs = json_text(json, "rootfs"), *bundle = json_text(json, "bundle");

	if (!rootfs)
		return 0;
	if (*rootfs == '/')
		return source_set(&c->overlay.merged, rootfs) ? 0 : -ENOMEM;
	if (!bundle || *bundle != '/')
		return 0;
	c->overlay.merged = file_join(bundle, rootfs);
	return c->overlay.merged ? 0 : -ENOMEM;
}

static int read_crun(struct source *s, const char *key, struct strbuf *why, struct container **ret)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	const char *cgroup;
	struct container *c;
	json_t *json;
	bool ok;
	int err;

	source_path(&path, s, key, "status", NULL);
	err = hostfs_read_json(s->fs, strbuf_str(&path), why, &json);
	if (err)
		return err;
	c = container_new(key, "crun");
	cgroup = json_text(json, "cgroup-path");
	ok = c && !take_crun_root(json, c) &&
	     source_set(&c->cgroup_path, cgroup && *cgroup == '/' ? cgroup : NULL);
	if (ok) {
		c->pid = pid_of(json, "pid");
		c->started_wall_ns = started_of(s, strbuf_str(&path));
		c->created_wall_ns = time_of(json, "created");
	}
	json_decref(json);
	*ret = ok ? c : container_free(c);
	return ok ? 0 : -ENOMEM;
}

static int oci_read(struct source *s, const char *key, struct strbuf *why, struct container **ret)
{
	int err;

	if (!source_is_name(key))
		return -ENOENT;
	err = read_runc(s, key, why, ret);
	return err == -ENOENT ? read_crun(s, key, why, ret) : err;
}

static void oci_watches(struct source *s, const char *key, source_watch_fn fn, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	if (key)
		fn(source_path(&path, s, key, NULL), key, arg);
	else
		fn(s->root, "", arg);
}

const struct source_ops oci_source_ops = {
	.kind = "runc",
	.rank = RANK_OCI,
	.list = oci_list,
	.stamp = oci_stamp,
	.read = oci_read,
	.watches = oci_watches,
};

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_state.c - a sandbox as JSON, written for the agent and read by it.
 */
#include "container/sandbox_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/escape.h"
#include "base/file.h"

#define SCHEMA	  "driftwatch.sandbox/1"
#define FILE_MAX  (256u << 10)
#define ID_DIGITS 64

static void json_releasep(json_t **j)
{
	json_decref(*j);
}
#define auto_json auto_release(json_releasep)

/* --- writing; -1 like jansson, for all of these --- */

static json_t *base64_text(const char *text)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	base64_add(&out, text, strlen(text));
	return strbuf_failed(&out) ? NULL : json_string(strbuf_str(&out));
}

static int set_text(json_t *o, const char *key, const char *text)
{
	char key_b64[64];

	if (!text)
		return 0;
	if (utf8_is_valid(text, strlen(text)))
		return json_object_set_new(o, key, json_string(text));
	snprintf(key_b64, sizeof(key_b64), "%s_b64", key);
	return json_object_set_new(o, key_b64, base64_text(text));
}

static int set_time(json_t *o, const char *key, uint64_t wall_ns)
{
	char text[RFC3339_LEN];

	clock_format_rfc3339(wall_ns, text);
	return json_object_set_new(o, key, json_string(text));
}

static int set_lowers(json_t *o, const struct container_overlay *overlay)
{
	auto_json json_t *lowers = json_array();
	bool plain = true;
	int err = 0;

	for (size_t i = 0; i < overlay->lowers_len; i++)
		plain &= utf8_is_valid(overlay->lowers[i], strlen(overlay->lowers[i]));
	for (size_t i = 0; i < overlay->lowers_len && !err; i++)
		err = json_array_append_new(lowers, plain ? json_string(overlay->lowers[i])
							  : base64_text(overlay->lowers[i]));
	return err ? err : json_object_set(o, plain ? "lowers" : "lowers_b64", lowers);
}

static int set_cgroup(json_t *o, const struct container *c)
{
	char id[24];

	if (!c->cgroup_path || !c->cgroup_ids_len)
		return 0;
	snprintf(id, sizeof(id), "%llu", (unsigned long long)c->cgroup_ids[0]);
	return set_text(o, "cgroup_path", c->cgroup_path) | set_text(o, "cgroup_id", id);
}

static char *format_state(const struct container *c)
{
	auto_json json_t *o = json_object();
	int err;

	if (!o)
		return NULL;
	err = set_text(o, "schema", SCHEMA) | set_text(o, "id", c->id) |
	      set_text(o, "name", c->name) | set_text(o, "image", c->image) |
	      json_object_set_new(o, "pid", json_integer(c->pid)) |
	      set_time(o, "created", c->created_wall_ns) |
	      set_time(o, "started", c->started_wall_ns) | set_text(o, "upper", c->overlay.upper) |
	      set_text(o, "work", c->overlay.work) | set_text(o, "merged", c->overlay.merged) |
	      set_lowers(o, &c->overlay) |
	      json_object_set_new(o, "overlay_dev", json_integer(c->overlay.dev)) |
	      set_cgroup(o, c);
	return err ? NULL : json_dumps(o, JSON_INDENT(1));
}

int sandbox_state_write(const char *dir, const struct container *c)
{
	auto_free char *text = format_state(c), *name = NULL;
	auto_close int dirfd = -1;
	int err;

	if (!text)
		return -ENOMEM;
	err = file_make_dirs(dir, 0755);
	if (err)
		return err;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	if (asprintf(&name, "%s.json", c->id) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	return file_replace(dirfd, name, text, strlen(text));
}

void sandbox_state_remove(const char *dir, const char *id)
{
	auto_free char *path = NULL;

	if (asprintf(&path, "%s/%s.json", dir, id) < 0)
		path = NULL;
	if (path)
		unlink(path);
}

/* --- reading --- */

/* A copy of the text at @key, or at <key>_b64. NULL: absent or wrong. */
static char *get_text(const json_t *o, const char *key)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	const char *text = json_string_value(json_object_get(o, key));
	char key_b64[64];

	if (text)
		return strdup(text);
	snprintf(key_b64, sizeof(key_b64), "%s_b64", key);
	text = json_string_value(json_object_get(o, key_b64));
	if (!text || base64_decode(text, strlen(text), &out) || !out.len ||
	    memchr(out.data, 0, out.len))
		return NULL;
	return strbuf_take(&out);
}

static uint64_t get_time(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	uint64_t wall_ns;

	return text && !clock_parse_rfc3339(text, &wall_ns) ? wall_ns : 0;
}

static int get_lowers(const json_t *o, struct container_overlay *overlay)
{
	const json_t *lowers = json_object_get(o, "lowers");
	bool plain = lowers;
	size_t len;

	if (!plain)
		lowers = json_object_get(o, "lowers_b64");
	len = json_array_size(lowers);
	if (!len)
		return -EBADMSG;
	overlay->lowers = calloc(len, sizeof(*overlay->lowers));
	if (!overlay->lowers)
		return -ENOMEM;
	for (; overlay->lowers_len < len; overlay->lowers_len++) {
		auto_json json_t *one = json_pack("{sO}", plain ? "l" : "l_b64",
						  json_array_get(lowers, overlay->lowers_len));
		char *text = one ? get_text(one, "l") : NULL;

		if (!text || *text != '/') {
			free(text);
			return -EBADMSG;
		}
		overlay->lowers[overlay->lowers_len] = text;
	}
	return 0;
}

static int get_cgroup(const json_t *o, struct container *c)
{
	const char *id = json_string_value(json_object_get(o, "cgroup_id"));
	char *end;

	if (!id)
		return 0;
	c->cgroup_path = get_text(o, "cgroup_path");
	c->cgroup_ids = calloc(1, sizeof(*c->cgroup_ids));
	if (!c->cgroup_ids)
		return -ENOMEM;
	errno = 0;
	c->cgroup_ids[0] = strtoull(id, &end, 10);
	if (errno || *end || end == id || *id == '-' || !c->cgroup_path)
		return -EBADMSG;
	c->cgroup_ids_len = 1;
	return 0;
}

static bool is_id(const char *id)
{
	return id && strlen(id) == ID_DIGITS && strspn(id, "0123456789abcdef") == ID_DIGITS;
}

static int fill(const json_t *o, struct container *c)
{
	json_int_t pid = json_integer_value(json_object_get(o, "pid"));
	json_int_t dev = json_integer_value(json_object_get(o, "overlay_dev"));
	int err;

	if (pid <= 0 || pid > INT32_MAX || dev < 0 || dev > UINT32_MAX)
		return -EBADMSG;
	c->pid = (pid_t)pid;
	c->overlay.dev = (uint32_t)dev;
	c->state = CONTAINER_RUNNING;
	c->name = get_text(o, "name");
	c->image = get_text(o, "image");
	c->created_wall_ns = get_time(o, "created");
	c->started_wall_ns = get_time(o, "started");
	c->overlay.upper = get_text(o, "upper");
	c->overlay.work = get_text(o, "work");
	c->overlay.merged = get_text(o, "merged");
	if (!c->name || !c->overlay.upper || *c->overlay.upper != '/' || !c->overlay.work)
		return -EBADMSG;
	err = get_lowers(o, &c->overlay);
	return err ? err : get_cgroup(o, c);
}

int sandbox_state_parse(const char *text, size_t len, struct container **ret)
{
	auto_json json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *schema = json_string_value(json_object_get(o, "schema"));
	const char *id = json_string_value(json_object_get(o, "id"));
	struct container *c;
	int err;

	if (!schema || strcmp(schema, SCHEMA) != 0 || !is_id(id))
		return -EBADMSG;
	c = container_new(id, "driftwatch");
	if (!c)
		return -ENOMEM;
	err = fill(o, c);
	if (err) {
		container_free(c);
		return err;
	}
	*ret = c;
	return 0;
}

int sandbox_state_read(int dirfd, const char *name, struct container **ret)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	int err = file_read(dirfd, name, FILE_MAX, &text);

	return err ? err : sandbox_state_parse(strbuf_str(&text), text.len, ret);
}

bool sandbox_state_is_live(const struct container *c)
{
	struct stat st;
	char root[48];

	snprintf(root, sizeof(root), "/proc/%d/root/.", (int)c->pid);
	return stat(root, &st) == 0 && file_kernel_dev(st.st_dev) == c->overlay.dev;
}

static void sweep_one(int dirfd, const char *name)
{
	struct container *c;

	if (sandbox_state_read(dirfd, name, &c))
		return;
	if (!sandbox_state_is_live(c))
		unlinkat(dirfd, name, 0);
	container_free(c);
}

void sandbox_state_sweep(const char *dir)
{
	auto_closedir DIR *d = opendir(dir);
	const struct dirent *entry;
	size_t len;

	while (d && (entry = readdir(d))) {
		len = strlen(entry->d_name);
		if (len > 5 && !strcmp(entry->d_name + len - 5, ".json"))
			sweep_one(dirfd(d), entry->d_name);
	}
}

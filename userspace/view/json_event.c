/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json_event.c - one event: schema driftwatch.event/1.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "view/json.h"
#include "view/view.h"

static json_t *image(const struct container *meta)
{
	json_t *object = json_object();
	int err = 0;

	err |= view_set_text(object, "name", meta->image);
	err |= view_set_text(object, "id", meta->image_id);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *container_of_event(const struct event *event)
{
	const struct container *meta = event->container->meta;
	json_t *object = json_object();
	int err = 0;

	err |= view_set_text(object, "id", meta->id);
	err |= view_set_text(object, "name", container_label(meta));
	err |= view_set_text(object, "runtime", meta->runtime);
	err |= view_set_text(object, "state", container_state_name(meta->state));
	err |= view_set_new(object, "image", image(meta));
	err |= view_set_time(object, "created", meta->created_wall_ns);
	err |= view_set_time(object, "started", meta->started_wall_ns);
	err |= view_set_bool(object, "privileged", meta->privileged);
	err |= view_set_bool(object, "readonly_rootfs", meta->overlay.read_only);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *process(const struct event *event)
{
	const struct writer *w = event->writer;
	json_t *object;
	int err = 0;

	if (!w)
		return json_null();
	object = json_object();
	err |= view_set_u64(object, "pid", (uint64_t)w->tgid);
	err |= view_set_new(object, "vpid", w->vpid ? json_integer(w->vpid) : json_null());
	err |= view_set_u64(object, "ppid", (uint64_t)w->ppid);
	err |= view_set_bytes(object, "name", w->comm, strnlen(w->comm, DW_COMM_LEN));
	err |= view_set_text(object, "executable", w->executable);
	err |= view_set_u64(object, "uid", w->uid);
	err |= view_set_id(object, "cgroup_id", event->cgroup_id ? event->cgroup_id : w->cgroup_id);
	err |= view_set_bool(object, "runtime", w->is_runtime);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static bool is_executable(const struct event *event)
{
	return event->has_stat && S_ISREG(event->mode) && event->mode & 0111;
}

static int set_stat(json_t *file, const struct event *event)
{
	char mode[8];
	int err = 0;

	snprintf(mode, sizeof(mode), "%04o", event->mode & 07777);
	err |= view_set_id(file, "inode", event->ino);
	err |= view_set_new(file, "mode", json_string(mode));
	err |= view_set_u64(file, "uid", event->uid);
	err |= view_set_u64(file, "gid", event->gid);
	err |= view_set_u64(file, "size", event->size);
	err |= view_set_bool(file, "executable", is_executable(event));
	return err;
}

static json_t *file_of_event(const struct event *event)
{
	const char *change = ledger_verdict_name(event->change);
	json_t *file = json_object();
	int err = 0;

	if (event->path)
		err |= view_set_bytes(file, "path", event->path, event->path_len);
	else
		err |= view_set_new(file, "path", json_null());
	if (event->old_path)
		err |= view_set_bytes(file, "old_path", event->old_path, event->old_path_len);
	err |= view_set_text(file, "target", event_target_name(event->target));
	err |= view_set_text(file, "change", *change ? change : NULL);
	err |= view_set_bool(file, "runtime", event->is_runtime);
	if (event->has_stat)
		err |= set_stat(file, event);
	if (err) {
		json_decref(file);
		return NULL;
	}
	return file;
}

/* Why somebody should look at this event; most have no reason. */
static json_t *reasons_of(const struct event *event)
{
	json_t *reasons = json_array();
	int err = 0;

	if (event->type != EVENT_DRIFT && event->type != EVENT_WRITE)
		return reasons;
	if (event->target == DW_TARGET_OTHER)
		err |= json_array_append_new(reasons, json_string("outside-container"));
	if (event->target == DW_TARGET_LAYER && !event->is_runtime) {
		if (event->op == DW_OP_EXEC)
			err |= json_array_append_new(reasons, json_string("drifted-exec"));
		else if (is_executable(event) && event->change == TREE_ADDED)
			err |= json_array_append_new(reasons, json_string("new-executable"));
		else if (is_executable(event) && event->change == TREE_MODIFIED)
			err |= json_array_append_new(reasons, json_string("modified-executable"));
		if (event->has_stat && S_ISREG(event->mode) && event->mode & (S_ISUID | S_ISGID))
			err |= json_array_append_new(reasons, json_string("setuid"));
	}
	if (err) {
		json_decref(reasons);
		return NULL;
	}
	return reasons;
}

static const char *severity(const struct event *event, const json_t *reasons)
{
	if (event->type == EVENT_LOST)
		return "warning";
	if (!json_array_size(reasons))
		return "info";
	return event->op == DW_OP_EXEC || event->target == DW_TARGET_OTHER ? "critical" : "warning";
}

static int set_file_part(json_t *object, const struct event *event)
{
	int err = 0;

	err |= view_set_text(object, "op", event_op_name(event->op));
	err |= view_set_bool(object, "derived", event->derived);
	err |= view_set_new(object, "process", process(event));
	err |= view_set_new(object, "file", file_of_event(event));
	if (event->type == EVENT_WRITE)
		err |= view_set_u64(object, "count", event->count);
	if (event->type == EVENT_WRITE || event->bytes)
		err |= view_set_u64(object, "bytes", event->bytes);
	err |= view_set_bool(object, "truncated", event->path_truncated);
	return err;
}

json_t *view_event(const struct event *event, const char *node)
{
	json_t *object = json_object();
	json_t *reasons = reasons_of(event);
	int err = 0;

	err |= view_set_text(object, "schema", "driftwatch.event/1");
	err |= view_set_time(object, "time", event->wall_ns);
	err |= view_set_u64(object, "seq", event->seq);
	err |= view_set_text(object, "type", event_type_name(event->type));
	err |= view_set_text(object, "node", node);
	err |= view_set_text(object, "severity", severity(event, reasons));
	err |= view_set_new(object, "reasons", reasons);
	if (event->container) {
		err |= view_set_new(object, "container", container_of_event(event));
		err |= view_set_new(object, "k8s", view_k8s(event->container->meta));
	}
	if (event->type == EVENT_DRIFT || event->type == EVENT_WRITE)
		err |= set_file_part(object, event);
	if (event->type == EVENT_LOST) {
		err |= view_set_text(object, "reason", event->reason);
		err |= view_set_u64(object, "count", event->count);
	}
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

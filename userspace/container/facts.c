/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * facts.c - the rules by which the word of one source wins over another's.
 */
#include "container/facts.h"

#include <stdlib.h>
#include <string.h>

#include "container/source.h"

/* A copy of the first non-NULL string that @said has in @field. False: out of memory. */
#define TAKE_TEXT(in, c, field)                                               \
	({                                                                    \
		bool ok_ = true;                                              \
		for (size_t i_ = 0; i_ < (in)->said_len && !(c)->field; i_++) \
			ok_ = source_set(&(c)->field, (in)->said[i_]->field); \
		ok_;                                                          \
	})

#define TAKE_NUMBER(in, c, field)                                             \
	({                                                                    \
		for (size_t i_ = 0; i_ < (in)->said_len && !(c)->field; i_++) \
			(c)->field = (in)->said[i_]->field;                   \
	})

static bool is_known(const char *runtime)
{
	return runtime && strcmp(runtime, "unknown") != 0;
}

/* runc only runs what another runtime made, so a hint of that other one is better. */
static const char *runtime_of(const struct facts_input *in)
{
	const char *low_level = NULL, *runtime;

	for (size_t i = 0; i < in->said_len; i++) {
		runtime = in->said[i]->runtime;
		if (!is_known(runtime))
			continue;
		if (strcmp(runtime, "runc") != 0 && strcmp(runtime, "crun") != 0)
			return runtime;
		low_level = low_level ? low_level : runtime;
	}
	if (is_known(in->runtime_hint))
		return in->runtime_hint;
	if (low_level)
		return low_level;
	return in->before && in->before->runtime ? in->before->runtime : "unknown";
}

static bool take_identity(const struct facts_input *in, struct container *c)
{
	bool ok = TAKE_TEXT(in, c, name) && TAKE_TEXT(in, c, image) && TAKE_TEXT(in, c, image_id) &&
		  TAKE_TEXT(in, c, pod_namespace) && TAKE_TEXT(in, c, pod) &&
		  TAKE_TEXT(in, c, pod_uid) && TAKE_TEXT(in, c, pod_container) &&
		  TAKE_TEXT(in, c, storage_error);

	TAKE_NUMBER(in, c, is_sandbox);
	TAKE_NUMBER(in, c, created_wall_ns);
	TAKE_NUMBER(in, c, image_created_wall_ns);
	TAKE_NUMBER(in, c, restart_count);
	TAKE_NUMBER(in, c, privileged);
	return ok;
}

/* A container whose runtime's files are gone keeps the name it had. */
static bool keep_identity(const struct container *before, struct container *c)
{
	bool ok = (c->name || source_set(&c->name, before->name)) &&
		  (c->image || source_set(&c->image, before->image)) &&
		  (c->image_id || source_set(&c->image_id, before->image_id)) &&
		  (c->pod_namespace || source_set(&c->pod_namespace, before->pod_namespace)) &&
		  (c->pod || source_set(&c->pod, before->pod)) &&
		  (c->pod_uid || source_set(&c->pod_uid, before->pod_uid)) &&
		  (c->pod_container || source_set(&c->pod_container, before->pod_container));

	c->is_sandbox |= before->is_sandbox;
	c->privileged |= before->privileged;
	/* runc alone only knows of this run. */
	if (before->created_wall_ns &&
	    (!c->created_wall_ns || before->created_wall_ns < c->created_wall_ns))
		c->created_wall_ns = before->created_wall_ns;
	if (!c->image_created_wall_ns)
		c->image_created_wall_ns = before->image_created_wall_ns;
	return ok;
}

/* Upper, work and lowers belong together: all from the first who knows the upper. */
static const struct container_overlay *layer_of(const struct facts_input *in)
{
	for (size_t i = 0; i < in->said_len; i++) {
		if (in->said[i]->overlay.upper)
			return &in->said[i]->overlay;
	}
	if (in->mounted && in->mounted->upper)
		return in->mounted;
	if (in->task && in->task->overlay.upper)
		return &in->task->overlay;
	return in->before && in->before->overlay.upper ? &in->before->overlay : NULL;
}

static bool copy_layer(const struct container_overlay *from, struct container_overlay *to)
{
	if (!source_set(&to->upper, from->upper) || !source_set(&to->work, from->work))
		return false;
	to->is_whole = from->is_whole;
	if (!from->lowers_len)
		return true;
	to->lowers = calloc(from->lowers_len, sizeof(*to->lowers));
	if (!to->lowers)
		return false;
	for (; to->lowers_len < from->lowers_len; to->lowers_len++) {
		if (!source_set(&to->lowers[to->lowers_len], from->lowers[to->lowers_len]))
			return false;
	}
	return true;
}

static bool take_overlay(const struct facts_input *in, struct container *c)
{
	const struct container_overlay *layer = layer_of(in);
	bool task_rules = in->task && in->task_alive;

	if (layer && !copy_layer(layer, &c->overlay))
		return false;
	if (layer && c->storage_error) {
		free(c->storage_error); /* the mount told what the files could not */
		c->storage_error = NULL;
	}
	c->overlay.unsupported =
		(layer && layer->unsupported) || (in->mounted && in->mounted->unsupported);
	if (in->mounted) {
		c->overlay.dev = in->mounted->dev;
		if (!source_set(&c->overlay.merged, in->mounted->merged))
			return false;
	} else if (task_rules) {
		c->overlay.dev = in->task->overlay.dev;
	}
	if (task_rules)
		c->overlay.read_only = in->task->overlay.read_only;
	else
		TAKE_NUMBER(in, c, overlay.read_only);
	return true;
}

static bool has_ended_before(const struct facts_input *in)
{
	if (in->seen_exit_wall_ns)
		return true;
	for (size_t i = 0; i < in->said_len; i++) {
		if (in->said[i]->started_wall_ns || in->said[i]->pid)
			return true;
		/* podman only tells that it was to be started; after its end it is unmounted. */
		if (in->said[i]->state == CONTAINER_EXITED && !in->mounted)
			return true;
	}
	return in->task || (in->before && in->before->state != CONTAINER_CREATED);
}

/*
 * The runtime writes a new start down up to a second after it, so one before the
 * process began is of an earlier run. The process begins before its root is set up.
 */
static uint64_t started_of(const struct facts_input *in)
{
	uint64_t process = in->task ? in->task->started_wall_ns : 0;

	for (size_t i = 0; i < in->said_len; i++) {
		if (in->said[i]->started_wall_ns && in->said[i]->started_wall_ns >= process)
			return in->said[i]->started_wall_ns;
	}
	if (in->before && in->before->started_wall_ns > process)
		return in->before->started_wall_ns;
	return process;
}

static void take_state(const struct facts_input *in, struct container *c)
{
	bool alive = in->task_alive || in->cgroup_alive, paused = false;

	for (size_t i = 0; i < in->said_len; i++)
		paused |= in->said[i]->state == CONTAINER_PAUSED;
	if (alive)
		c->state = paused ? CONTAINER_PAUSED : CONTAINER_RUNNING;
	else
		c->state = has_ended_before(in) ? CONTAINER_EXITED : CONTAINER_CREATED;

	if (in->task && in->task_alive)
		c->pid = in->task->pid;
	c->started_wall_ns = started_of(in);
	if (c->state != CONTAINER_EXITED)
		return;
	TAKE_NUMBER(in, c, finished_wall_ns);
	/* Of a very short run docker notes the end before the start; older ones are stale. */
	if (c->finished_wall_ns < c->started_wall_ns && in->seen_exit_wall_ns)
		c->finished_wall_ns = in->seen_exit_wall_ns;
}

static const struct container_mount *find_mount(const struct facts_input *in, const char *path)
{
	for (size_t i = 0; i < in->said_len; i++) {
		for (size_t j = 0; j < in->said[i]->mounts_len; j++) {
			if (!strcmp(in->said[i]->mounts[j].destination, path))
				return &in->said[i]->mounts[j];
		}
	}
	return NULL;
}

static const struct container *mounts_of(const struct facts_input *in)
{
	if (in->task && in->task->mounts_len)
		return in->task;
	for (size_t i = 0; i < in->said_len; i++) {
		if (in->said[i]->mounts_len)
			return in->said[i];
	}
	return in->before;
}

static bool take_mounts(const struct facts_input *in, struct container *c)
{
	const struct container *from = mounts_of(in);
	const struct container_mount *said;
	struct container_mount *m;

	if (!from || !from->mounts_len)
		return true;
	c->mounts = calloc(from->mounts_len, sizeof(*c->mounts));
	if (!c->mounts)
		return false;
	while (c->mounts_len < from->mounts_len) {
		m = &c->mounts[c->mounts_len];
		*m = from->mounts[c->mounts_len];
		m->destination = m->source = NULL;
		said = find_mount(in, from->mounts[c->mounts_len].destination);
		if (said && said->kind == MOUNT_VOLUME)
			m->kind = MOUNT_VOLUME;
		if (!source_set(&m->destination, from->mounts[c->mounts_len].destination) ||
		    !source_set(&m->source, said && said->source
						    ? said->source
						    : from->mounts[c->mounts_len].source)) {
			c->mounts_len++;
			return false;
		}
		c->mounts_len++;
	}
	return true;
}

static bool take_cgroups(const struct facts_input *in, struct container *c)
{
	if (in->cgroup_ids_len) {
		c->cgroup_ids = calloc(in->cgroup_ids_len, sizeof(*c->cgroup_ids));
		if (!c->cgroup_ids)
			return false;
		memcpy(c->cgroup_ids, in->cgroup_ids, in->cgroup_ids_len * sizeof(*c->cgroup_ids));
		c->cgroup_ids_len = in->cgroup_ids_len;
	}
	if (c->state != CONTAINER_RUNNING && c->state != CONTAINER_PAUSED)
		return true;
	return source_set(&c->cgroup_path, in->cgroup_path);
}

struct container *facts_merge(const struct facts_input *in)
{
	struct container *c = container_new(in->id, runtime_of(in));

	if (!c)
		return NULL;
	if (!take_identity(in, c) || (in->before && !keep_identity(in->before, c)) ||
	    !take_overlay(in, c))
		return container_free(c);
	/* A short id is a name that somebody chose. */
	if (!c->name && !source_is_hex_id(c->id) && strncmp(c->id, "overlay-", 8) != 0 &&
	    !source_set(&c->name, c->id))
		return container_free(c);
	take_state(in, c);
	if (!take_mounts(in, c) || !take_cgroups(in, c))
		return container_free(c);
	return c;
}

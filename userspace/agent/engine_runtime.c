/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_runtime.c - which entries of a layer the runtime made, not the workload.
 *
 * A label, not a filter: they stay in the list. Three signs, as measured on Docker,
 * podman, containerd and CRI-O: the entry was made by a task that had joined the
 * container and not exec'd yet; it is an empty mount point; or it is one of the stubs
 * that are made between the creation of the layer and the start of the container.
 */
#include "agent/engine_internal.h"

#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

static bool is_stub(const struct tree_node_info *info)
{
	return S_ISDIR(info->st.st_mode) || (S_ISREG(info->st.st_mode) && !info->st.st_size);
}

static bool is_mount_point(const struct container *meta, const char *path)
{
	for (size_t i = 0; i < meta->mounts_len; i++)
		if (strcmp(meta->mounts[i].destination, path) == 0)
			return true;
	return false;
}

/* What runtimes fill in rather than leave empty, and what lies above their mount points. */
static bool is_known_name(const char *path)
{
	static const char *const names[] = {
		"/etc/hosts",  "/etc/hostname",	     "/etc/resolv.conf", "/etc/mtab", "/etc/group",
		"/etc/passwd", "/run/.containerenv", "/.dockerenv",	 NULL,
	};

	for (const char *const *name = names; *name; name++)
		if (strcmp(*name, path) == 0)
			return true;
	return false;
}

static bool is_before_start(const struct container *meta, const struct tree_node_info *info)
{
	return meta->created_wall_ns && meta->started_wall_ns && !meta->restart_count &&
	       info->first_wall_ns + NS_PER_SEC >= meta->created_wall_ns &&
	       info->first_wall_ns <= meta->started_wall_ns;
}

static bool is_by_runtime(const struct writers *writers, const struct tree_node_info *info)
{
	const struct writer *first = writers_get(writers, info->first_writer);
	const struct writer *last = writers_get(writers, info->last_writer);

	return first && first->is_runtime && (!last || last->is_runtime);
}

struct labelling {
	struct engine *engine;
	struct track *track;
};

static int label(const struct tree_line *line, void *arg)
{
	const struct labelling *l = arg;
	const struct container *meta = l->track->c->meta;
	struct tree_node_info info;
	struct tree_node *node;
	bool is_runtime;

	if (!line->node)
		return 0;
	tree_node_info(line->node, &info);
	if (info.verdict == TREE_NONE || info.is_whiteout)
		return 0;
	is_runtime = is_by_runtime(ledger_writers(l->engine->ledger), &info) ||
		     (is_stub(&info) && is_mount_point(meta, line->path)) ||
		     (is_before_start(meta, &info) &&
		      (is_stub(&info) || S_ISLNK(info.st.st_mode) || is_known_name(line->path)));
	if (is_runtime == info.is_runtime)
		return 0;
	node = tree_find_path(l->track->c->tree, line->path, line->path_len);
	if (node)
		tree_node_set_runtime(node, is_runtime);
	return 0;
}

void engine_label_runtime(struct engine *e, struct track *t)
{
	struct labelling l = {.engine = e, .track = t};

	if (!t->labels_due || !t->c->tree)
		return;
	t->labels_due = false;
	tree_foreach(t->c->tree, false, label, &l);
}

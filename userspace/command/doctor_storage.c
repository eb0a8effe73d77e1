/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * doctor_storage.c - runtimes, their storage roots, and the file systems of the
 * layers, as the registry finds them.
 */
#include "command/doctor.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "command/render_value.h"
#include "container/registry.h"
#include "view/view.h"

/* Not all of them stand in linux/magic.h. */
#define MAGIC_XFS  0x58465342
#define MAGIC_ZFS  0x2fc12fc1
#define MAGIC_FUSE 0x65735546
#define MAGIC_F2FS 0xf2f52010

static const char *fs_name(const char *host_root, const char *path)
{
	static const struct {
		long magic;
		const char *name;
	} known[] = {
		{EXT4_SUPER_MAGIC, "ext4"},   {MAGIC_XFS, "xfs"},
		{BTRFS_SUPER_MAGIC, "btrfs"}, {OVERLAYFS_SUPER_MAGIC, "overlay"},
		{TMPFS_MAGIC, "tmpfs"},	      {PROC_SUPER_MAGIC, "proc"},
		{MAGIC_ZFS, "zfs"},	      {MAGIC_FUSE, "fuse"},
		{NFS_SUPER_MAGIC, "nfs"},     {MAGIC_F2FS, "f2fs"},
	};
	auto_free char *full = file_join(host_root, path);
	struct statfs fs;

	if (!full || statfs(full, &fs))
		return NULL;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if ((unsigned)fs.f_type == (unsigned)known[i].magic)
			return known[i].name;
	}
	return "unknown";
}

static bool is_there(const char *host_root, const char *path)
{
	auto_free char *full = file_join(host_root, path);

	return full && access(full, F_OK) == 0;
}

struct collection {
	const char *host_root;
	json_t *sources;
	json_t *layers;	    /* name -> number, turned into a list at the end */
	json_t *unreadable; /* containers whose layer cannot be read */
	int err;	    /* the first thing that failed, or 0 */
};

static int set_text(json_t *object, const char *key, const char *text)
{
	return text ? view_set_bytes(object, key, text, strlen(text))
		    : json_object_set_new(object, key, json_null());
}

static void on_source(const struct registry_source *source, void *arg)
{
	struct collection *all = arg;
	const char *root = source->root ? source->root : "";
	json_t *object = json_object();
	int err = 0;

	err |= set_text(object, "kind", source->kind);
	err |= set_text(object, "root", root);
	err |= set_text(object, "fs", fs_name(all->host_root, root));
	err |= json_object_set_new(object, "exists", json_boolean(is_there(all->host_root, root)));
	err |= set_text(object, "found_by", source->found_by);
	err |= json_object_set_new(object, "readable", json_boolean(source->readable));
	err |= json_object_set_new(object, "containers", json_integer(source->containers));
	err |= json_object_set_new(object, "errors", json_integer((json_int_t)source->errors));
	err |= set_text(object, "last_error", source->last_error);
	err |= json_array_append_new(all->sources, object);
	all->err |= err;
}

static void note_unreadable(struct collection *all, const struct container *c, const char *why)
{
	json_t *object = json_object();

	all->err |= set_text(object, "container", container_label(c));
	all->err |= set_text(object, "error", why);
	all->err |= json_array_append_new(all->unreadable, object);
}

static void on_container(enum registry_change change, const struct container *c, void *arg)
{
	struct collection *all = arg;
	const char *fs = c->overlay.upper ? fs_name(all->host_root, c->overlay.upper) : NULL;
	json_t *count;

	if (change != REGISTRY_ADDED)
		return;
	if (c->storage_error)
		note_unreadable(all, c, c->storage_error);
	else if (c->overlay.unsupported)
		note_unreadable(all, c,
				"mounted with redirect_dir or metacopy: lists are not exact");
	if (!fs)
		return;
	count = json_object_get(all->layers, fs);
	all->err |=
		json_object_set_new(all->layers, fs, json_integer(json_integer_value(count) + 1));
}

static int layers_as_list(json_t *report, const json_t *layers)
{
	json_t *list = json_array(), *count;
	const char *fs;
	int err = 0;

	json_object_foreach ((json_t *)layers, fs, count) {
		json_t *object = json_object();

		err |= set_text(object, "fs", fs);
		err |= json_object_set(object, "containers", count);
		err |= json_array_append_new(list, object);
	}
	return err | json_object_set_new(report, "layers", list);
}

static int read_registry(struct collection *all, json_t *report)
{
	const struct registry_options options = {.host_root = all->host_root};
	struct registry *registry;
	int err = registry_open(&options, on_container, all, &registry);

	if (!err) {
		err = registry_scan(registry);
		registry_foreach_source(registry, on_source, all);
		registry_close(registry);
	}
	return err ? set_text(report, "storage_error", strerror(-err)) : 0;
}

int doctor_collect_storage(json_t *report, const struct global_options *options)
{
	struct collection all = {
		.host_root = options->host_root,
		.sources = json_array(),
		.layers = json_object(),
		.unreadable = json_array(),
	};

	all.err |= read_registry(&all, report);
	all.err |= json_object_set_new(report, "sources", all.sources);
	all.err |= json_object_set_new(report, "unreadable", all.unreadable);
	all.err |= layers_as_list(report, all.layers);
	json_decref(all.layers);
	return all.err ? -ENOMEM : 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json_files.c - the changed files of one container: schema driftwatch.files/1.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "view/files.h"
#include "view/json.h"

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "unknown";
	}
}

json_t *view_writer(const struct writer *writer)
{
	json_t *object;
	int err = 0;

	if (!writer)
		return json_null();
	object = json_object();
	if (!object)
		return NULL;
	err |= view_set_u64(object, "pid", (uint64_t)writer->tgid);
	if (writer->vpid)
		err |= view_set_u64(object, "vpid", (uint64_t)writer->vpid);
	else
		err |= view_set_new(object, "vpid", json_null());
	err |= view_set_u64(object, "uid", writer->uid);
	err |= view_set_bytes(object, "comm", writer->comm, strnlen(writer->comm, DW_COMM_LEN));
	err |= view_set_text(object, "executable", writer->executable);
	err |= view_set_bool(object, "runtime", writer->is_runtime);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static const char *depth_name(const struct view_file *file)
{
	if (file->verdict != TREE_NONE)
		return NULL;
	switch (file->info.depth) {
	case TREE_TOUCHED:
		return "touched";
	case TREE_TAMPERED:
		return "tampered";
	default:
		return "not_compared";
	}
}

/* A deleted file has nothing left to show but its name. */
static int set_inode(json_t *object, const struct view_file *file)
{
	static const char *const keys[] = {"type", "size", "mode", "uid", "gid", "inode"};
	const struct stat *st = &file->info.st;
	char mode[8];
	int err = 0;

	if (file->verdict == TREE_DELETED || !file->has_node) {
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			err |= view_set_new(object, keys[i], json_null());
		return err;
	}
	snprintf(mode, sizeof(mode), "%04o", (unsigned)st->st_mode & 07777);
	err |= view_set_new(object, "type", json_string(type_name(st->st_mode)));
	err |= view_set_u64(object, "size", (uint64_t)st->st_size);
	err |= view_set_new(object, "mode", json_string(mode));
	err |= view_set_u64(object, "uid", st->st_uid);
	err |= view_set_u64(object, "gid", st->st_gid);
	err |= view_set_id(object, "inode", st->st_ino);
	return err;
}

/* What scripts would else work out from mode, type and change. */
static int set_derived(json_t *object, const struct view_file *file)
{
	bool exists = file->has_node && file->verdict != TREE_DELETED;
	mode_t mode = exists ? file->info.st.st_mode : 0;
	bool regular = S_ISREG(mode);
	int err = 0;

	err |= view_set_bool(object, "executable", regular && mode & 0111);
	err |= view_set_bool(object, "setuid", regular && mode & S_ISUID);
	err |= view_set_bool(object, "setgid", regular && mode & S_ISGID);
	err |= view_set_bool(object, "runtime", file->info.is_runtime);
	err |= view_set_bool(object, "implied",
			     file->verdict == TREE_MODIFIED && file->has_node &&
				     file->info.verdict == TREE_NONE);
	return err;
}

static int set_history(json_t *object, const struct view_file *file, const struct writers *writers,
		       bool with_counts)
{
	const struct tree_node_info *info = &file->info;
	const struct writer *writer;
	int err = 0;

	if (with_counts || info->write_calls) {
		err |= view_set_u64(object, "written_bytes", info->written_bytes);
		err |= view_set_u64(object, "write_calls", info->write_calls);
	}
	err |= view_set_time(object, "first_change", info->first_wall_ns);
	err |= view_set_time(object, "last_change", info->last_wall_ns);
	/* One at a time: a pointer to a writer lasts until the next is asked for. */
	writer = writers_get(writers, info->first_writer);
	err |= view_set_new(object, "first_writer", view_writer(writer));
	writer = writers_get(writers, info->last_writer);
	err |= view_set_new(object, "last_writer", view_writer(writer));
	return err;
}

json_t *view_file(const struct view_file_list *list, const struct view_file *file,
		  const struct writers *writers, bool with_counts)
{
	const char *path = view_file_path(list, file);
	const char *change = ledger_verdict_name(file->verdict);
	const char *class = ledger_classify(path, file->path_len, file->verdict, &file->info);
	json_t *object = json_object();
	int err = 0;

	if (!object)
		return NULL;
	err |= view_set_bytes(object, "path", path, file->path_len);
	err |= view_set_text(object, "change", *change ? change : NULL);
	if (file->verdict == TREE_NONE)
		err |= view_set_text(object, "depth", depth_name(file));
	err |= view_set_text(object, "class", class);
	err |= view_set_text(object, "target", "layer");
	err |= set_inode(object, file);
	err |= set_derived(object, file);
	err |= set_history(object, file, writers, with_counts);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *view_files_head(const struct ledger_container *c, const struct probe *probe)
{
	json_t *object = json_object();
	int err = 0;

	if (!object)
		return NULL;
	err |= view_set_new(object, "schema", json_string("driftwatch.files/1"));
	err |= view_set_new(object, "container", view_container_seen(c, probe));
	err |= view_set_completeness(object, c);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

json_t *view_files(const struct ledger *l, const struct ledger_container *c,
		   const struct view_files_options *options)
{
	auto_file_list struct view_file_list list = VIEW_FILE_LIST_INIT;
	bool with_counts = view_sees(options->probe, c, PROBE_SEES_LAYER_WRITES);
	json_t *object = view_files_head(c, options->probe);
	json_t *files = json_array();
	int err = view_file_list_read(c, options, &list);

	for (size_t i = 0; !err && i < list.len; i++)
		err = json_array_append_new(
			files, view_file(&list, &list.files[i], ledger_writers(l), with_counts));
	err |= view_set_new(object, "files", files);
	if (err) {
		json_decref(object);
		return NULL;
	}
	return object;
}

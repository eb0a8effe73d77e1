/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * files.h - a container's changed files, copied out of its tree.
 *
 * The copy stays valid while the tree changes: the agent turns it into JSON piece by
 * piece, so that a layer of 100,000 changes does not hold up its loop.
 */
#ifndef VIEW_FILES_H
#define VIEW_FILES_H

#include <jansson.h>

#include "base/strbuf.h"
#include "view/view.h"

struct view_file {
	size_t path_at; /* in paths, NUL-terminated */
	size_t path_len;
	enum tree_verdict verdict; /* as listed; info.verdict is the node's own */
	bool has_node;		   /* false: beneath an opaque directory, nothing is left of it */
	bool is_dropped;
	struct tree_node_info info;
};

struct view_file_list {
	struct view_file *files;
	size_t len, size;
	struct strbuf paths;
};

#define VIEW_FILE_LIST_INIT \
	{                   \
		0           \
	}
#define auto_file_list auto_release(view_file_list_done)

/* Sorted by path bytes. 0 or -ENOMEM; free with view_file_list_done() in any case. */
int view_file_list_read(const struct ledger_container *c, const struct view_files_options *options,
			struct view_file_list *ret);
void view_file_list_done(struct view_file_list *list);

static inline const char *view_file_path(const struct view_file_list *list,
					 const struct view_file *file)
{
	return list->paths.data + file->path_at;
}

/* One element of "files". NULL: out of memory. */
json_t *view_file(const struct view_file_list *list, const struct view_file *file,
		  const struct writers *writers, bool with_counts);

/* Everything of driftwatch.files/1 but "files". NULL: out of memory. */
json_t *view_files_head(const struct ledger_container *c, const struct probe *probe);

/* {"pid":…,"vpid":…,…}, or null when nothing is known. NULL: out of memory. */
json_t *view_writer(const struct writer *writer);

#endif /* VIEW_FILES_H */

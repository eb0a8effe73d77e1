/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * files.c - collects and orders the lines that files and diff show.
 */
#include "view/files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct collect {
	struct view_file_list *list;
	bool no_runtime;
	bool dropped_any;
};

static struct view_file *grow(struct view_file_list *list)
{
	struct view_file *files;
	size_t size;

	if (list->len < list->size)
		return &list->files[list->len];
	size = list->size ? list->size * 2 : 64;
	files = reallocarray(list->files, size, sizeof(*files));
	if (!files)
		return NULL;
	list->files = files;
	list->size = size;
	return &files[list->len];
}

static int collect_line(const struct tree_line *line, void *arg)
{
	struct collect *collect = arg;
	struct view_file_list *list = collect->list;
	struct view_file *file = grow(list);

	if (!file)
		return -ENOMEM;
	*file = (struct view_file){
		.path_at = list->paths.len,
		.path_len = line->path_len,
		.verdict = line->verdict,
		.has_node = line->node != NULL,
		.info.verdict = line->verdict,
	};
	if (line->node)
		tree_node_info(line->node, &file->info);
	if (collect->no_runtime && file->info.is_runtime) {
		collect->dropped_any = true;
		return 0;
	}
	strbuf_add(&list->paths, line->path, line->path_len);
	strbuf_addc(&list->paths, '\0');
	list->len++;
	return strbuf_failed(&list->paths) ? -ENOMEM : 0;
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	if (order)
		return order;
	return (a_len > b_len) - (a_len < b_len);
}

static int compare_paths(const void *a, const void *b, void *paths)
{
	const struct view_file *x = a, *y = b;
	const char *bytes = paths;

	return compare_bytes(bytes + x->path_at, x->path_len, bytes + y->path_at, y->path_len);
}

/* A directory that is listed only because of what lies beneath it. */
static bool is_implied(const struct view_file *file)
{
	return file->verdict == TREE_MODIFIED && file->has_node && file->info.verdict == TREE_NONE;
}

/* Index of the first file whose path is not before @prefix. */
static size_t lower_bound(const struct view_file_list *list, const struct strbuf *prefix)
{
	size_t low = 0, high = list->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct view_file *file = &list->files[middle];

		if (compare_bytes(view_file_path(list, file), file->path_len, prefix->data,
				  prefix->len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int has_listed_beneath(const struct view_file_list *list, const struct view_file *dir)
{
	auto_strbuf struct strbuf prefix = STRBUF_INIT;

	strbuf_add(&prefix, view_file_path(list, dir), dir->path_len);
	strbuf_addc(&prefix, '/');
	if (strbuf_failed(&prefix))
		return -ENOMEM;
	for (size_t i = lower_bound(list, &prefix); i < list->len; i++) {
		const struct view_file *file = &list->files[i];

		if (file->path_len < prefix.len ||
		    memcmp(view_file_path(list, file), prefix.data, prefix.len) != 0)
			return 0;
		if (!file->is_dropped)
			return 1;
	}
	return 0;
}

/*
 * Where the runtime's files were left out, a directory that was listed for them alone
 * goes too. From the end, since what lies beneath a directory sorts behind it.
 */
static int drop_empty_implied(struct view_file_list *list)
{
	size_t kept = 0;

	for (size_t i = list->len; i-- > 0;) {
		int beneath;

		if (!is_implied(&list->files[i]))
			continue;
		beneath = has_listed_beneath(list, &list->files[i]);
		if (beneath < 0)
			return beneath;
		list->files[i].is_dropped = !beneath;
	}
	for (size_t i = 0; i < list->len; i++) {
		if (!list->files[i].is_dropped)
			list->files[kept++] = list->files[i];
	}
	list->len = kept;
	return 0;
}

int view_file_list_read(const struct ledger_container *c, const struct view_files_options *options,
			struct view_file_list *ret)
{
	struct collect collect = {.list = ret, .no_runtime = options->no_runtime};
	int err;

	if (!c->tree)
		return 0;
	err = tree_foreach(c->tree, options->all, collect_line, &collect);
	if (err)
		return err;
	if (ret->len)
		qsort_r(ret->files, ret->len, sizeof(*ret->files), compare_paths, ret->paths.data);
	return collect.dropped_any ? drop_empty_implied(ret) : 0;
}

void view_file_list_done(struct view_file_list *list)
{
	free(list->files);
	strbuf_done(&list->paths);
	*list = (struct view_file_list){0};
}

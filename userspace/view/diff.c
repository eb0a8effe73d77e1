/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * diff.c - docker diff's lines, raw, each ended by NUL.
 */
#include "view/view.h"

#include <errno.h>

#include "view/files.h"

int view_diff(const struct ledger_container *c, bool no_runtime, struct strbuf *out)
{
	const struct view_files_options options = {.no_runtime = no_runtime};
	auto_file_list struct view_file_list list = VIEW_FILE_LIST_INIT;
	int err = view_file_list_read(c, &options, &list);

	if (err)
		return err;
	for (size_t i = 0; i < list.len; i++) {
		const struct view_file *file = &list.files[i];

		strbuf_addc(out, tree_verdict_letter(file->verdict));
		strbuf_addc(out, ' ');
		strbuf_add(out, view_file_path(&list, file), file->path_len + 1);
	}
	return strbuf_failed(out) ? -ENOMEM : 0;
}

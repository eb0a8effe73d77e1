/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * doctor_sights.c - what the tier cannot see: what that costs, and what would see it.
 */
#include "command/doctor.h"

#include <string.h>

#include "base/strbuf.h"
#include "command/render_value.h"

struct sight_advice {
	const char *sight;
	const char *lost;
	const char *todo;
};

#define NOTHING_TO_DO "nothing to be done: there is no hook for it here"
#define NEEDS_FUNCTION_HOOKS                                                                    \
	"a kernel that lets BPF attach to functions sees all of that: fexit (x86-64 from 5.5, " \
	"arm64 from 6.0) or kprobes (CONFIG_KPROBES=y), not locked down"

static const struct sight_advice sight_advice[] = {
	{"layer_writes", "writes to layers are not counted", NEEDS_FUNCTION_HOOKS},
	{"volume_writes", "writes to volumes are not counted", NEEDS_FUNCTION_HOOKS},
	{"tmpfs_writes", "writes to tmpfs are not counted", NEEDS_FUNCTION_HOOKS},
	{"other_writes", "writes outside a container's mounts are not reported",
	 NEEDS_FUNCTION_HOOKS},
	{"writev", "writes by writev() are not counted", NEEDS_FUNCTION_HOOKS},
	{"splice", "writes by splice() and sendfile() are not counted", NEEDS_FUNCTION_HOOKS},
	{"copy_file_range", "writes by copy_file_range() are not counted", NEEDS_FUNCTION_HOOKS},
	{"reflink", "what copy_file_range() shares on xfs instead of copying is not counted",
	 NEEDS_FUNCTION_HOOKS},
	{"aio", "writes by AIO are not counted", NEEDS_FUNCTION_HOOKS},
	{"io_uring", "writes by io_uring are not counted", NEEDS_FUNCTION_HOOKS},
	{"uring_splice", "what io_uring splices is not counted", NEEDS_FUNCTION_HOOKS},
	{"direct_io", "direct writes (O_DIRECT) are not counted", NEEDS_FUNCTION_HOOKS},
	{"copy_up_bytes", "bytes that overlayfs copies up are not counted", NEEDS_FUNCTION_HOOKS},
	{"mmap_pages",
	 "pages written through shared mappings are not counted; lists show the files all the same",
	 NOTHING_TO_DO},
	{"dirty_ext4", "lists of layers on ext4 are not live, but as of a scan",
	 "a kernel with the tracepoints writeback_mark_inode_dirty and ext4_mark_inode_dirty"},
	{"dirty_ext4_xattr",
	 "capabilities and flags set on files of a layer show up with the next scan",
	 "a kernel with the tracepoint ext4_journal_start_inode (5.18 or later)"},
	{"dirty_xfs", "lists of layers on xfs are not live, but as of a scan",
	 "a kernel with the tracepoints of xfs"},
	{"create", "creations are told from the layer, not seen by a hook", NEEDS_FUNCTION_HOOKS},
	{"unlink", "removals are told from the layer, not seen by a hook", NEEDS_FUNCTION_HOOKS},
	{"rename", "renames are told from the layer, not seen by a hook", NEEDS_FUNCTION_HOOKS},
	{"link", "links are told from the layer, not seen by a hook", NEEDS_FUNCTION_HOOKS},
	{"attr",
	 "changes of mode, owner and attributes are told from the layer, not seen by a hook",
	 NEEDS_FUNCTION_HOOKS},
	{"truncate", "truncations are told from the layer, not seen by a hook",
	 NEEDS_FUNCTION_HOOKS},
	{"exec", "executions of files of a layer are not reported",
	 "a kernel with the tracepoint sched_process_exec"},
	{"cgroups", "containers are found by their mounts and state files only",
	 "a kernel with the tracepoints cgroup_mkdir and cgroup_rmdir, and a cgroup v2 hierarchy"},
};

/* One finding for all that the same remedy helps. */
static void judge_sights_of(json_t *report, const char *todo)
{
	const json_t *sees = value_at(report, "sees");
	auto_strbuf struct strbuf lost = STRBUF_INIT;

	for (size_t i = 0; i < sizeof(sight_advice) / sizeof(sight_advice[0]); i++) {
		const struct sight_advice *advice = &sight_advice[i];

		if (!strcmp(advice->todo, todo) && value_is_false(sees, advice->sight))
			strbuf_addf(&lost, "%s%s", lost.len ? "; " : "", advice->lost);
	}
	if (lost.len)
		doctor_add_finding(report, strcmp(todo, NOTHING_TO_DO) ? "warning" : "info", todo,
				   "%s", strbuf_str(&lost));
}

void doctor_judge_sights(json_t *report)
{
	for (size_t i = 0; i < sizeof(sight_advice) / sizeof(sight_advice[0]); i++) {
		bool is_first = true;

		for (size_t k = 0; k < i; k++)
			is_first &= strcmp(sight_advice[k].todo, sight_advice[i].todo) != 0;
		if (is_first)
			judge_sights_of(report, sight_advice[i].todo);
	}
}

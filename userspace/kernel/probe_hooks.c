/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_hooks.c - every program we may attach: where, for what, in which tier.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/probe_internal.h"

#define FEXIT	TIER_BIT(PROBE_TIER_VFS_FEXIT)
#define KPROBE	TIER_BIT(PROBE_TIER_VFS_KPROBE)
#define FS	TIER_BIT(PROBE_TIER_FS)
#define SYSCALL TIER_BIT(PROBE_TIER_SYSCALL)
#define NO_VFS	(FS | SYSCALL)		   /* where only file systems tell of names */
#define CALLS	(FEXIT | KPROBE | SYSCALL) /* where whole calls are seen */

#define FS_WRITES                                                                              \
	(SEES(LAYER_WRITES) | SEES(VOLUME_WRITES) | SEES(OTHER_WRITES) | SEES(COPY_UP_BYTES) | \
	 SEES(IO_URING) | SEES(URING_SPLICE) | WAYS_TO_WRITE)
#define CALL_WRITES                                                                           \
	(SEES(LAYER_WRITES) | SEES(VOLUME_WRITES) | SEES(OTHER_WRITES) | SEES(TMPFS_WRITES) | \
	 SEES(DIRECT_IO))

/* Before 5.15; 5.10 has the later tracepoint too, but writes do not come by there. */
#define OLD_IOMAP "btf_trace_iomap_apply"

/* clang-format off */
/* NOLINTBEGIN(bugprone-macro-parentheses): initialisers, and strings that are joined */
#define FN_HOOK(prog, where, what, tier, sight) \
	{ .program = prog, .name = where, .role = what, .tiers = tier, .sees = sight }
#define TP_HOOK(prog, event, what, where, sight) \
	{ .program = prog, .name = "tp_btf/" event, .btf = "btf_trace_" event, \
	  .role = what, .tiers = where, .sees = sight }
/* Where the event of io_uring's completions does not name the request. */
#define OLD_URING_HOOK(prog, where, tier) \
	{ .program = prog, .name = where, .btf = "btf_trace_io_uring_complete", .max_args = 5, \
	  .min_args = 4, .role = "writes of io_uring", .tiers = tier, .sees = SEES(IO_URING) }
#define XFS_HOOK(prog, event, what, where, sight) \
	{ .program = prog, .name = "tp_btf/" event, .btf = "btf_trace_" event, .module = "xfs", \
	  .role = what, .tiers = where, .sees = sight }
/* Since 5.15 a program can ask which system call it is in. */
#define REFLINK_HOOK(prog, event, sight) \
	{ .program = prog, .name = "tp_btf/" event, .btf = "btf_trace_" event, .module = "xfs", \
	  .unless = OLD_IOMAP, .role = "writes that share", .tiers = FS, .sees = sight }
/* NOLINTEND(bugprone-macro-parentheses) */
/* clang-format on */

_Static_assert(DW_TIER_SYSCALL == PROBE_TIER_SYSCALL, "the programs ask for it");

const struct hook_def hook_defs[] = {
	/* write_fs.bpf.c */
	TP_HOOK("on_ext4_da_write_end", "ext4_da_write_end", "layer writes", FS, FS_WRITES),
	TP_HOOK("on_ext4_write_end", "ext4_write_end", "layer writes", FS, FS_WRITES),
	TP_HOOK("on_ext4_journalled_write_end", "ext4_journalled_write_end", "layer writes", FS,
		FS_WRITES),
	{
		.program = "on_iomap_iter",
		.name = "tp_btf/iomap_iter",
		.btf = "btf_trace_iomap_iter",
		.unless = OLD_IOMAP,
		.role = "layer writes on xfs",
		.tiers = FS,
		.sees = FS_WRITES,
	},
	{
		.program = "on_iomap_iter_direct",
		.name = "tp_btf/iomap_iter",
		.btf = "btf_trace_iomap_iter",
		.unless = "btf_trace_iomap_dio_rw_begin",
		.unless_too = OLD_IOMAP,
		.role = "direct writes",
		.tiers = FS,
		.sees = SEES(DIRECT_IO),
	},
	REFLINK_HOOK("on_xfs_reflink", "xfs_reflink_remap_range", SEES(REFLINK)),
	REFLINK_HOOK("on_xfs_reflink_error", "xfs_reflink_remap_range_error", 0),
	TP_HOOK("on_uring_submit", "io_uring_submit_req", "calls of io_uring", FS, 0),
	TP_HOOK("on_uring_submit_old", "io_uring_submit_sqe", "calls of io_uring", FS, 0),
	TP_HOOK("on_uring_done", "io_uring_complete", "calls of io_uring", FS, 0),
	TP_HOOK("on_dio_begin", "iomap_dio_rw_begin", "direct writes", FS, 0),
	TP_HOOK("on_dio_complete", "iomap_dio_complete", "direct writes", FS, SEES(DIRECT_IO)),
	/* write_vfs.bpf.c */
	FN_HOOK("on_vfs_write", "fexit/vfs_write", "writes", FEXIT, CALL_WRITES),
	FN_HOOK("on_vfs_writev", "fexit/vfs_writev", "writes", FEXIT, SEES(WRITEV)),
	FN_HOOK("on_splice_write", "fexit/iter_file_splice_write", "writes", FEXIT,
		SEES(COPY_UP_BYTES) | SEES(SPLICE) | SEES(URING_SPLICE)),
	FN_HOOK("on_copy_begin", "fentry/vfs_copy_file_range", "writes", FEXIT, 0),
	FN_HOOK("on_copy_end", "fexit/vfs_copy_file_range", "writes", FEXIT,
		SEES(COPY_RANGE) | SEES(REFLINK)),
	FN_HOOK("on_aio_complete", "fentry/aio_complete_rw", "writes of AIO", FEXIT, SEES(AIO)),
	FN_HOOK("on_aio_complete_old", "fentry/aio_complete_rw", "writes of AIO", SYSCALL,
		SEES(AIO)),
	OLD_URING_HOOK("on_kiocb_done", "fentry/kiocb_done", FEXIT | SYSCALL),
	OLD_URING_HOOK("on_io_complete_rw", "fentry/io_complete_rw", FEXIT | SYSCALL),
	OLD_URING_HOOK("on_kprobe_kiocb_done", "kprobe/kiocb_done", KPROBE),
	OLD_URING_HOOK("on_kprobe_io_complete_rw", "kprobe/io_complete_rw", KPROBE),
	FN_HOOK("on_kretprobe_vfs_write", "kretprobe/vfs_write", "writes", KPROBE, CALL_WRITES),
	FN_HOOK("on_kprobe_vfs_write", "kprobe/vfs_write", "writes", KPROBE, 0),
	FN_HOOK("on_kretprobe_vfs_writev", "kretprobe/vfs_writev", "writes", KPROBE, SEES(WRITEV)),
	FN_HOOK("on_kprobe_vfs_writev", "kprobe/vfs_writev", "writes", KPROBE, 0),
	FN_HOOK("on_kretprobe_splice_write", "kretprobe/iter_file_splice_write", "writes", KPROBE,
		SEES(COPY_UP_BYTES) | SEES(SPLICE) | SEES(URING_SPLICE)),
	FN_HOOK("on_kprobe_splice_write", "kprobe/iter_file_splice_write", "writes", KPROBE, 0),
	FN_HOOK("on_kretprobe_copy", "kretprobe/vfs_copy_file_range", "writes", KPROBE,
		SEES(COPY_RANGE) | SEES(REFLINK)),
	FN_HOOK("on_kprobe_copy", "kprobe/vfs_copy_file_range", "writes", KPROBE, 0),
	FN_HOOK("on_kprobe_aio_complete", "kprobe/aio_complete_rw", "writes of AIO", KPROBE,
		SEES(AIO)),
	/* names_vfs.bpf.c */
	FN_HOOK("on_d_move", "fentry/d_move", "renames", FEXIT, SEES(RENAME)),
	FN_HOOK("on_d_exchange", "fentry/d_exchange", "renames", FEXIT, 0),
	FN_HOOK("on_kprobe_d_move", "kprobe/d_move", "renames", KPROBE, SEES(RENAME)),
	FN_HOOK("on_kprobe_d_exchange", "kprobe/d_exchange", "renames", KPROBE, 0),
	FN_HOOK("on_kprobe_d_delete", "kprobe/d_delete", "removals", KPROBE, SEES(UNLINK)),
	FN_HOOK("on_kretprobe_vfs_link", "kretprobe/vfs_link", "links", KPROBE, SEES(LINK)),
	FN_HOOK("on_kprobe_vfs_link", "kprobe/vfs_link", "links", KPROBE, 0),
	FN_HOOK("on_kretprobe_vfs_setxattr", "kretprobe/vfs_setxattr", "attributes", KPROBE, 0),
	FN_HOOK("on_kprobe_vfs_setxattr", "kprobe/vfs_setxattr", "attributes", KPROBE, 0),
	FN_HOOK("on_kretprobe_notify_change", "kretprobe/notify_change", "attributes", KPROBE,
		SEES(ATTR)),
	FN_HOOK("on_kprobe_notify_change", "kprobe/notify_change", "attributes", KPROBE, 0),
	FN_HOOK("on_vfs_link", "fexit/vfs_link", "links", FEXIT, SEES(LINK)),
	FN_HOOK("on_vfs_unlink", "fexit/vfs_unlink", "removals", FEXIT, SEES(UNLINK)),
	FN_HOOK("on_vfs_rmdir", "fexit/vfs_rmdir", "removals", FEXIT, 0),
	FN_HOOK("on_vfs_setxattr", "fexit/vfs_setxattr", "attributes", FEXIT, 0),
	FN_HOOK("on_notify_change", "fexit/notify_change", "attributes", FEXIT, SEES(ATTR)),
	/* write_syscall.bpf.c */
	{
		.program = "on_sys_exit",
		.name = "tp_btf/sys_exit",
		.btf = "btf_trace_sys_exit",
		.role = "writes",
		.tiers = SYSCALL,
		.sees = CALL_WRITES | WAYS_TO_WRITE | SEES(REFLINK),
	},
	{
		.program = "on_sys_exit_old",
		.name = "tp_btf/sys_exit",
		.btf = "btf_trace_sys_exit",
		.role = "writes",
		.tiers = SYSCALL,
		.sees = CALL_WRITES | WAYS_TO_WRITE | SEES(REFLINK),
	},
	{
		.program = "on_uring_complete",
		.name = "tp_btf/io_uring_complete",
		.btf = "btf_trace_io_uring_complete",
		.role = "writes of io_uring",
		.tiers = CALLS,
		.sees = SEES(IO_URING) | SEES(URING_SPLICE),
		.max_args = 3,
	},
	{
		.program = "on_uring_complete_old",
		.name = "tp_btf/io_uring_complete",
		.btf = "btf_trace_io_uring_complete",
		.role = "writes of io_uring",
		.tiers = CALLS,
		.sees = SEES(IO_URING) | SEES(URING_SPLICE),
		.min_args = 6, /* before 5.18 it does not say which request */
	},
	/* dirty.bpf.c */
	TP_HOOK("on_mark_inode_dirty", "writeback_mark_inode_dirty", "dirty inodes", ANY_TIER, 0),
	TP_HOOK("on_ext4_mark_inode_dirty", "ext4_mark_inode_dirty", "dirty inodes", ANY_TIER,
		SEES(DIRTY_EXT4)),
	TP_HOOK("on_ext4_journal_start", "ext4_journal_start_inode", "dirty inodes", ANY_TIER,
		SEES(DIRTY_EXT4_XATTR)),
	{
		.program = "on_xfs_iunlock",
		.name = "tp_btf/xfs_iunlock",
		.btf = "btf_trace_xfs_iunlock",
		.module = "xfs",
		.role = "dirty inodes",
		.tiers = ANY_TIER,
		.sees = SEES(DIRTY_XFS),
		.is_late = true, /* it runs for every read of every xfs */
	},
	/* create.bpf.c, remove.bpf.c, attr.bpf.c */
	TP_HOOK("on_ext4_allocate_inode", "ext4_allocate_inode", "creations", ANY_TIER,
		SEES(CREATE)),
	TP_HOOK("on_ext4_unlink", "ext4_unlink_exit", "removals", NO_VFS, SEES(UNLINK)),
	TP_HOOK("on_ext4_truncate", "ext4_truncate_enter", "truncations", ANY_TIER, SEES(TRUNCATE)),
	TP_HOOK("on_ext4_fallocate", "ext4_fallocate_enter", "truncations", ANY_TIER, 0),
	TP_HOOK("on_ext4_punch_hole", "ext4_punch_hole", "truncations", ANY_TIER, 0),
	TP_HOOK("on_ext4_zero_range", "ext4_zero_range", "truncations", ANY_TIER, 0),
	TP_HOOK("on_ext4_collapse_range", "ext4_collapse_range", "truncations", ANY_TIER, 0),
	TP_HOOK("on_ext4_insert_range", "ext4_insert_range", "truncations", ANY_TIER, 0),
	XFS_HOOK("on_xfs_create", "xfs_create", "creations", ANY_TIER, 0),
	XFS_HOOK("on_xfs_symlink", "xfs_symlink", "creations", ANY_TIER, 0),
	XFS_HOOK("on_xfs_remove", "xfs_remove", "removals", NO_VFS, 0),
	XFS_HOOK("on_xfs_rename", "xfs_rename", "renames", NO_VFS, 0),
	/* exec.bpf.c, cgroup.bpf.c */
	TP_HOOK("on_exec", "sched_process_exec", "executions", ANY_TIER, SEES(EXEC)),
	TP_HOOK("on_cgroup_mkdir", "cgroup_mkdir", "cgroups", ANY_TIER, SEES(CGROUPS)),
	TP_HOOK("on_cgroup_rmdir", "cgroup_rmdir", "cgroups", ANY_TIER, 0),
	TP_HOOK("on_cgroup_populated", "cgroup_notify_populated", "cgroups", ANY_TIER, 0),
	TP_HOOK("on_cgroup_attach_task", "cgroup_attach_task", "runtimes", ANY_TIER, 0),
};
const size_t hook_def_count = sizeof(hook_defs) / sizeof(hook_defs[0]);

static const char *const tier_names[PROBE_TIER_MAX] = {
	[PROBE_TIER_AUTO] = "auto",
	[PROBE_TIER_VFS_FEXIT] = "vfs-fexit",
	[PROBE_TIER_VFS_KPROBE] = "vfs-kprobe",
	[PROBE_TIER_FS] = "fs",
	[PROBE_TIER_SYSCALL] = "syscall",
};

static const char *const sight_names[PROBE_SEES_MAX] = {
	[PROBE_SEES_LAYER_WRITES] = "layer_writes",
	[PROBE_SEES_VOLUME_WRITES] = "volume_writes",
	[PROBE_SEES_TMPFS_WRITES] = "tmpfs_writes",
	[PROBE_SEES_OTHER_WRITES] = "other_writes",
	[PROBE_SEES_WRITEV] = "writev",
	[PROBE_SEES_SPLICE] = "splice",
	[PROBE_SEES_COPY_RANGE] = "copy_file_range",
	[PROBE_SEES_REFLINK] = "reflink",
	[PROBE_SEES_AIO] = "aio",
	[PROBE_SEES_IO_URING] = "io_uring",
	[PROBE_SEES_URING_SPLICE] = "uring_splice",
	[PROBE_SEES_DIRECT_IO] = "direct_io",
	[PROBE_SEES_COPY_UP_BYTES] = "copy_up_bytes",
	[PROBE_SEES_MMAP_PAGES] = "mmap_pages",
	[PROBE_SEES_DIRTY_EXT4] = "dirty_ext4",
	[PROBE_SEES_DIRTY_EXT4_XATTR] = "dirty_ext4_xattr",
	[PROBE_SEES_DIRTY_XFS] = "dirty_xfs",
	[PROBE_SEES_CREATE] = "create",
	[PROBE_SEES_UNLINK] = "unlink",
	[PROBE_SEES_RENAME] = "rename",
	[PROBE_SEES_LINK] = "link",
	[PROBE_SEES_ATTR] = "attr",
	[PROBE_SEES_TRUNCATE] = "truncate",
	[PROBE_SEES_EXEC] = "exec",
	[PROBE_SEES_CGROUPS] = "cgroups",
};

const char *probe_tier_name(enum probe_tier tier)
{
	return (unsigned)tier < PROBE_TIER_MAX ? tier_names[tier] : "unknown";
}

int probe_tier_parse(const char *text, enum probe_tier *ret)
{
	int i;

	for (i = 0; i < PROBE_TIER_MAX; i++)
		if (!strcmp(text, tier_names[i])) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

const char *probe_sight_name(enum probe_sight sight)
{
	return (unsigned)sight < PROBE_SEES_MAX ? sight_names[sight] : "unknown";
}

void probe_hooks_init(struct probe *p)
{
	size_t i;

	for (i = 0; i < hook_def_count; i++)
		p->hooks[i] = (struct hook){
			.def = &hook_defs[i],
			.public = {.name = hook_defs[i].name, .role = hook_defs[i].role},
			.prog_fd = -1,
		};
}

const char *probe_hook_kretprobe(const struct hook *h)
{
	static const char prefix[] = "kretprobe/";

	return strncmp(h->def->name, prefix, strlen(prefix)) != 0 ? NULL
								  : h->def->name + strlen(prefix);
}

bool probe_hook_is_left_out(const struct hook_def *def)
{
	const char *names = getenv("DRIFTWATCH_SKIP_HOOKS");
	size_t len = strlen(def->program), at;

	while (names && *names) {
		at = strcspn(names, ",");
		if (at == len && !strncmp(names, def->program, len))
			return true;
		names += at + (names[at] == ',');
	}
	return false;
}

void probe_hooks_note(struct hook *h, int error, const char *why_not)
{
	h->public.error = error;
	h->public.why_not = why_not;
}

void probe_foreach_hook(const struct probe *p, void (*fn)(const struct probe_hook *, void *),
			void *arg)
{
	size_t i;

	for (i = 0; i < hook_def_count; i++)
		fn(&p->hooks[i].public, arg);
}

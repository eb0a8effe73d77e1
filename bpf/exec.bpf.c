/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * exec.bpf.c - files of containers that are executed; unknown containers are sighted.
 *
 * Keyed by overlay inode, which both the file's first execution and user space
 * (stat through the container's mount) know.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "emit.bpf.h"
#include "layer.bpf.h"
#include "maps.bpf.h"
#include "task.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Returns how often this inode was executed, now included. */
static __always_inline __u64 exec_count(__u32 dev, __u64 ino)
{
	struct dw_inode key = {.ino = ino, .dev = dev};
	__u64 *n = bpf_map_lookup_elem(&execs, &key), one = 1;

	if (n) {
		count(n, 1);
		return 2;
	}
	bpf_map_update_elem(&execs, &key, &one, BPF_NOEXIST);
	return 1;
}

static __always_inline void exec_fill(struct op_info *op, struct inode *inode)
{
	struct task_struct *task = current_task();

	op->op = DW_OP_EXEC;
	op->target = DW_TARGET_LAYER;
	op->mode = inode->i_mode;
	op->ino = inode->i_ino;
	op->gen = inode->i_generation;
	op->dev = inode->i_sb->s_dev;
	op->cgroup_id = bpf_get_current_cgroup_id();
	op->writer = writer_of(task, task_state(task, true));
}

/* The interpreter was loaded; the script is known by the name it was called with only. */
static __always_inline void emit_script(const struct op_info *op, const char *filename)
{
	struct scratch *s = scratch_take();
	struct dw_op_record *r;
	long len;

	if (!s) {
		record_lost(op->container);
		return;
	}
	r = (struct dw_op_record *)s->record;
	record_fill(s, op);
	r->flags |= DW_RECORD_SCRIPT;
	r->ino = 0;
	r->gen = 0;
	r->mode = 0;
	len = bpf_probe_read_kernel_str(r->path, DW_PATH_MAX, filename);
	if (len > 0 && len <= DW_PATH_MAX) {
		r->path_len = len;
		ring_put(op->container, r, sizeof(*r) + len);
	}
	scratch_release(s);
}

/* The container whose root the task has, or whose layer the executable is in. */
static __always_inline dw_container_t exec_container(__u32 root_overlay, __u32 dev)
{
	dw_container_t *container = bpf_map_lookup_elem(&overlays, &dev);

	if (!container && root_overlay)
		container = bpf_map_lookup_elem(&overlays, &root_overlay);
	return container ? *container : 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct inode *inode = bprm->file->f_inode;
	__u32 overlay = task_root_overlay(current_task());
	struct op_info op = {};
	__u32 dev = inode->i_sb->s_dev;

	tasks_forget(); /* it is another writer now */
	if (overlay && !bpf_map_lookup_elem(&overlays, &overlay))
		emit_sight(overlay);
	op.container = exec_container(overlay, dev);
	if (!op.container)
		return 0;
	exec_fill(&op, inode);
	if (bprm->interp != bprm->filename)
		emit_script(&op, bprm->filename);
	if (inode->i_sb->s_magic != OVERLAYFS_SUPER_MAGIC)
		return 0;
	count_op(op.container, DW_OP_EXEC);
	if (exec_count(dev, op.ino) > 1)
		return 0;
	op.dentry = address_of(bprm->file->f_path.dentry);
	emit_op(&op);
	return 0;
}

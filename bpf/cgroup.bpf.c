/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroup.bpf.c - cgroups come and go: how containers announce themselves.
 *
 * Only of the v2 hierarchy; a container that lives 30 ms is known by this before
 * its first write.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "emit.bpf.h"
#include "maps.bpf.h"
#include "task.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline int on_cgroup(struct cgroup *cgroup, const char *path, __u16 op)
{
	struct dw_cgroup_record *r;
	struct scratch *s;
	long len;

	if (cgroup->root->hierarchy_id)
		return 0;
	s = scratch_take();
	if (!s) {
		record_lost(0);
		return 0;
	}
	r = (struct dw_cgroup_record *)s->record;
	r->type = DW_RECORD_CGROUP;
	r->op = op;
	r->flags = 0;
	r->boot_ns = bpf_ktime_get_boot_ns();
	r->cgroup_id = cgroup->kn->id;
	len = bpf_probe_read_kernel_str(r->path, DW_PATH_MAX, path);
	if (len > 0 && len <= DW_PATH_MAX) {
		if (len == DW_PATH_MAX)
			r->flags = DW_RECORD_PATH_TRUNCATED;
		r->path_len = len;
		ring_put(0, r, sizeof(*r) + len);
		urge(control_get());
	}
	scratch_release(s);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	struct dw_control *control = control_get();

	if (control) /* it may have the address of one that verdicts were made for */
		__sync_fetch_and_add(&control->epoch, 1);
	return on_cgroup(cgroup, path, DW_CGROUP_MKDIR);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	return on_cgroup(cgroup, path, DW_CGROUP_RMDIR);
}

/* Its last process has ended: the layer may be removed next. Of cgroup v1 too. */
SEC("tp_btf/cgroup_notify_populated")
int BPF_PROG(on_cgroup_populated, struct cgroup *cgroup, const char *path, int is_populated)
{
	if (!is_populated)
		urge(control_get());
	return 0;
}

/*
 * A task that was moved into its cgroup is the container runtime until it executes
 * something. All hierarchies: with a hybrid layout the runtime may use v1 only.
 */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_cgroup_attach_task, struct cgroup *cgroup, const char *path,
	     struct task_struct *task)
{
	struct dw_task *state = task_state(task, true);

	if (state) {
		state->joined = 1 + TASK_LOAD(task, self_exec_id);
		state->writer = 0;
	}
	tasks_forget();
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * task.bpf.h - the running task: its cgroup, its executable, its name as a writer.
 *
 * What every write needs of a task is loaded directly (TASK_LOAD), which costs
 * nothing when it runs; before 5.11 there is no typed pointer to the current task
 * and each load is a call. What only a first write needs is read with
 * BPF_CORE_READ: the verifier searches the kernel's BTF three times for every
 * pointer that is loaded directly, and that is most of the time of loading.
 */
#ifndef TASK_BPF_H
#define TASK_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"
#include "path.bpf.h"

#ifdef DW_OLD_KERNEL
#define TASK_LOAD(task, field, ...) BPF_CORE_READ(task, field, ##__VA_ARGS__)
#else
#define TASK_LOAD(task, field, ...) ___arrow(task, field, ##__VA_ARGS__)
#endif

#define CGROUP_DEPTH 24 /* levels of nested cgroups looked at */

static __always_inline struct task_struct *current_task(void)
{
#ifdef DW_OLD_KERNEL
	return (struct task_struct *)bpf_get_current_task();
#else
	return bpf_get_current_task_btf();
#endif
}

/* Helpers, and not fields: a helper costs less than a read by address. */
static __always_inline __u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

/* In the initial user namespace. */
static __always_inline __u32 current_uid(void)
{
	return bpf_get_current_uid_gid();
}

/* Kernel threads write pages back; io_uring's workers write for their process. */
static __always_inline bool is_kernel_thread(struct task_struct *task)
{
	return (TASK_LOAD(task, flags) & (PF_KTHREAD | PF_IO_WORKER)) == PF_KTHREAD;
}

/*
 * Its cgroup's address: nobody else has it until another cgroup is made, and then
 * cgroup.bpf.c voids all verdicts.
 */
static __always_inline __u64 task_cgroup(struct task_struct *task)
{
	return (__u64)TASK_LOAD(task, cgroups, dfl_cgrp);
}

static __always_inline __u64 task_cgroup_id(struct task_struct *task)
{
	return TASK_LOAD(task, cgroups, dfl_cgrp, kn, id);
}

/* s_dev of the overlay that is the root of @task, 0 when its root is something else. */
static __always_inline __u32 task_root_overlay(struct task_struct *task)
{
	if (BPF_CORE_READ(task, fs, root.dentry, d_sb, s_magic) != OVERLAYFS_SUPER_MAGIC)
		return 0;
	return BPF_CORE_READ(task, fs, root.dentry, d_sb, s_dev);
}

static __always_inline struct dw_task *task_state(struct task_struct *task, bool create)
{
#ifdef DW_OLD_KERNEL
	__u32 tid = BPF_CORE_READ(task, pid);
	struct dw_task *state = bpf_map_lookup_elem(&tasks, &tid);
	struct dw_task zero = {};

	if (state || !create)
		return state;
	bpf_map_update_elem(&tasks, &tid, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tasks, &tid);
#else
	return bpf_task_storage_get(&tasks, task, NULL,
				    create ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
#endif
}

/* The container of the running task by its cgroup or one above it; 0 when there is none. */
__weak __noinline __u32 current_container(void)
{
	struct task_struct *task = current_task();
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	struct cgroup_subsys_state *css;
	dw_container_t *container;
	__u64 id;
	int i;

	for (i = 0; i < CGROUP_DEPTH; i++) {
		id = BPF_CORE_READ(cgroup, kn, id);
		container = bpf_map_lookup_elem(&cgroups, &id);
		if (container)
			return *container;
		css = BPF_CORE_READ(cgroup, self.parent);
		if (!css)
			break;
		cgroup = BPF_CORE_READ(css, cgroup);
	}
	return 0;
}

/*
 * A number nobody had before: the time, in units no CPU allocates twice in, and
 * the CPU. Needs no counter that a restarted agent could set back.
 */
static __always_inline __u64 writer_new_id(void)
{
	__u64 id = bpf_ktime_get_boot_ns() >> 5 << 10 | (bpf_get_smp_processor_id() & 1023);

	return id & ~DW_MARK_BEGUN; /* of a machine that has been up for nine years */
}

static __always_inline bool is_runtime_comm(const char *comm)
{
	return comm[0] == 'r' && comm[1] == 'u' && comm[2] == 'n' && comm[3] == 'c' &&
	       comm[4] == ':' && comm[5] == '[';
}

/* The pid as the container sees it: in the innermost of the task's pid namespaces. */
static __always_inline __u32 task_vpid(struct task_struct *leader)
{
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	__u32 level = BPF_CORE_READ(pid, level);
	struct upid upid = {};

	bpf_probe_read_kernel(&upid, bpf_core_type_size(struct upid),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      (level & 31) * bpf_core_type_size(struct upid));
	return upid.nr;
}

static __always_inline void writer_describe(struct scratch *s, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct dw_task *state = task_state(task, false);
	struct dw_writer *w = &s->writer;
	__u32 off, len;

	__builtin_memset(w, 0, sizeof(*w));
	w->start_boot_ns = BPF_CORE_READ(leader, start_boottime);
	w->cgroup_id = bpf_get_current_cgroup_id();
	w->tgid = current_tgid();
	w->vpid = task_vpid(leader);
	w->ppid = BPF_CORE_READ(task, real_parent, tgid);
	w->uid = current_uid();
	bpf_get_current_comm(w->comm, sizeof(w->comm));
	if (is_runtime_comm(w->comm) ||
	    (state && state->joined == 1 + BPF_CORE_READ(task, self_exec_id)))
		w->flags |= DW_RECORD_RUNTIME;

	off = path_of_exe(s);
	w->flags |= s->flags & DW_RECORD_PATH_TRUNCATED;
	len = DW_PATH_MAX - off;
	if (len > DW_EXE_MAX) {
		w->flags |= DW_RECORD_PATH_TRUNCATED;
		off = DW_PATH_MAX - DW_EXE_MAX;
		len = DW_EXE_MAX;
	}
	w->exe_len = len;
	bpf_probe_read_kernel(w->exe, DW_EXE_MAX, &s->path[off & (DW_PATH_MAX - 1)]);
}

/* Name the running process in "writers". Returns its id, 1 when there is no room to compose. */
__weak __noinline __u64 writer_make(void)
{
	struct task_struct *task = current_task();
	struct scratch *s = scratch_take();
	__u64 id;

	if (!s)
		return 1;
	id = writer_new_id();
	writer_describe(s, task);
	bpf_map_update_elem(&writers, &id, &s->writer, BPF_ANY);
	scratch_release(s);
	return id;
}

/* The writer that @task is, made at its first write since it was born or exec'd. */
static __always_inline __u64 writer_of(struct task_struct *task, struct dw_task *state)
{
	__u64 exec_id = TASK_LOAD(task, self_exec_id);
	struct dw_task *leader;

	if (is_kernel_thread(task))
		return 0;
	if (!state)
		return 1;
	if (state->writer > 1 && state->exec_id == exec_id)
		return state->writer;

	leader = task_state(TASK_LOAD(task, group_leader), true);
	if (!leader)
		return 1;
	if (leader->writer <= 1 || leader->exec_id != exec_id) {
		leader->writer = writer_make();
		leader->exec_id = exec_id;
	}
	state->writer = leader->writer;
	state->exec_id = exec_id;
	return state->writer;
}

#endif /* TASK_BPF_H */

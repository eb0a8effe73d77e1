/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * emit.bpf.h - records for user space, and the count of those that were refused.
 *
 * A record is composed in scratch memory and put into the ring with only as many
 * path bytes as it has. Records tell of changes of state: never one per write.
 */
#ifndef EMIT_BPF_H
#define EMIT_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "layer.bpf.h"
#include "maps.bpf.h"
#include "path.bpf.h"
#include "task.bpf.h"

#define CPU_STEP  16 /* processors whose counters one call adds up */
#define CPU_STEPS 64 /* calls, at most */

/* What a record of an operation says; the rest is the running task's. */
struct op_info {
	__u16 op;
	__u16 flags;
	__u16 mode;
	dw_container_t container;
	__u32 target;
	__u32 dev;
	__u32 gen;
	__u64 ino;
	__u64 parent_ino;
	__u64 bytes;
	__u64 writer;
	__u64 cgroup_id;
	__u64 dir;     /* address of the directory's inode */
	__u64 dentry;  /* whose path; 0: no path */
	__u64 name;    /* address of a name in the directory .dentry, 0: .dentry itself */
	__u64 dentry2; /* the second path, likewise */
	__u64 name2;
	__u32 name_len;
	__u32 name2_len;
	__u64 root;    /* dentry the paths start at, 0 for the super block's root */
	bool is_async; /* the running task is not the writer */
};

static __always_inline struct dw_counters *counters_of(dw_container_t container)
{
	struct dw_cpu_counters *cpu = bpf_map_lookup_elem(&counters, &container);

	return cpu ? &cpu->all : NULL;
}

/* Programs nest (interrupts, preemption), so an addition is one instruction. */
static __always_inline void count(__u64 *counter, __u64 n)
{
	__sync_fetch_and_add(counter, n);
}

/* Writers that a slot remembers have to be looked at again: what holds of one has changed. */
static __always_inline void tasks_forget(void)
{
	struct dw_control *control = control_get();

	if (control)
		__sync_fetch_and_add(&control->task_seq, 1);
}

/*
 * What is in the rings is to be read now, whatever user space would wait for: a cgroup has
 * come or gone or lost its last process, somebody unknown writes, much of a ring is used.
 */
static __always_inline void urge(struct dw_control *control)
{
	__u64 word = 1;

	if (control && !*(volatile __u64 *)&control->is_urged && !exchange(&control->is_urged, 1))
		bpf_ringbuf_output(&urgent, &word, sizeof(word), 0);
}

/* Put @size bytes into "events"; a full ring is counted for @container. */
static __always_inline void ring_put(dw_container_t container, void *record, __u64 size)
{
	struct dw_counters *c = counters_of(container);
	struct dw_control *control = control_get();
	long err;

	asm volatile("" : "+r"(size));
	if (size > SCRATCH_RECORD_SIZE)
		return;
	err = bpf_ringbuf_output(&events, record, size, 0);
	if (control && bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > control->events_many)
		urge(control);
	if (!c)
		return;
	if (err)
		count(&c->records_lost, 1);
	else
		count(&c->records, 1);
}

static __always_inline void record_lost(dw_container_t container)
{
	struct dw_counters *c = counters_of(container);

	if (c)
		count(&c->records_lost, 1);
}

static __always_inline void record_add_totals(struct dw_op_record *r,
					      const struct dw_cpu_counters *c)
{
	r->total_calls += c->main[DW_TARGET_LAYER].calls + c->all.write_calls[DW_TARGET_LAYER];
	r->total_bytes += c->main[DW_TARGET_LAYER].bytes + c->all.write_bytes[DW_TARGET_LAYER];
}

#ifndef DW_OLD_KERNEL
/*
 * Add the layer's counters of CPU_STEP processors, from @cpu on, to the record in
 * scratch @which. Returns whether there may be more of them.
 */
__weak __noinline int totals_add(__u32 which, __u32 cpu)
{
	struct scratch *s = scratch_number(which);
	struct dw_cpu_counters *c;
	struct dw_op_record *r;
	int i;

	if (!s)
		return 0;
	r = (struct dw_op_record *)s->record;
	for (i = 0; i < CPU_STEP; i++) {
		dw_container_t container = r->container;

		c = bpf_map_lookup_percpu_elem(&counters, &container, cpu + i);
		if (!c)
			return 0;
		record_add_totals(r, c);
	}
	return 1;
}
#endif

/* Running totals of the container's layer: over all CPUs where the kernel can tell them. */
static __always_inline void record_totals(struct scratch *s, struct dw_op_record *r)
{
	dw_container_t container = r->container;
	struct dw_cpu_counters *c;

#ifndef DW_OLD_KERNEL
	__u32 step;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_map_lookup_percpu_elem)) {
		for (step = 0; step < CPU_STEPS; step++)
			if (!totals_add(s->busy, step * CPU_STEP))
				break;
		return;
	}
#endif
	c = bpf_map_lookup_elem(&counters, &container);
	if (c)
		record_add_totals(r, c);
	r->flags |= DW_RECORD_PARTIAL_TOTALS;
}

static __always_inline void record_task(struct dw_op_record *r, bool is_async)
{
	struct task_struct *task = current_task();
	struct dw_task *state;

	if (is_async)
		return;
	r->tgid = current_tgid();
	r->uid = current_uid();
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	state = task_state(task, false);
	if (is_runtime_comm(r->comm) ||
	    (state && state->joined == 1 + BPF_CORE_READ(task, self_exec_id)))
		r->flags |= DW_RECORD_RUNTIME;
}

static __always_inline void record_fill(struct scratch *s, const struct op_info *op)
{
	struct dw_op_record *r = (struct dw_op_record *)s->record;
	struct dw_control *control = control_get();

	__builtin_memset(r, 0, sizeof(*r));
	r->type = DW_RECORD_OP;
	r->op = op->op;
	r->flags = op->flags;
	r->mode = op->mode;
	r->container = op->container;
	r->target = op->target;
	r->boot_ns = bpf_ktime_get_boot_ns();
	r->writer = op->writer;
	r->cgroup_id = op->cgroup_id;
	r->ino = op->ino;
	r->parent_ino = op->parent_ino;
	r->bytes = op->bytes;
	r->dev = op->dev;
	r->gen = op->gen;
	record_task(r, op->is_async);
	if (control && control->is_heard) /* a cold cache line of each CPU */
		record_totals(s, r);
}

/*
 * The path that a walk left in @s at @off goes behind the record, @at bytes after
 * its header. Returns its length with the NUL.
 */
static __always_inline __u32 record_path(struct scratch *s, __u32 at, __u32 off)
{
	char *to = (char *)s->record + sizeof(struct dw_op_record);
	__u64 len = DW_PATH_MAX - off;

	/* Or the compiler checks one register and uses another. */
	asm volatile("" : "+r"(len), "+r"(off));
	if (len > DW_PATH_MAX || at > DW_PATH_MAX)
		return 0;
	bpf_probe_read_kernel(to + at, len, &s->path[off & (DW_PATH_MAX - 1)]);
	return len;
}

static __always_inline void count_path(struct dw_op_record *r, __u32 walk_flags)
{
	struct dw_counters *c;

	if (!(walk_flags & DW_RECORD_PATH_TRUNCATED))
		return;
	r->flags |= DW_RECORD_PATH_TRUNCATED;
	c = counters_of(r->container);
	if (c)
		count(&c->paths_truncated, 1);
}

/* Where the path starts, when that is the source of a volume. */
static __always_inline void record_root(struct dw_op_record *r, const struct op_info *op)
{
	struct dentry *root = (struct dentry *)op->root;

	if (op->target != DW_TARGET_VOLUME || !root)
		return;
	r->root_ino = BPF_CORE_READ(root, d_inode, i_ino);
	r->root_dev = op->dev;
}

/* One path of a record, @at bytes behind its header. Returns its length with the NUL. */
static __always_inline __u32 record_walk(struct scratch *s, __u32 at, __u64 dentry,
					 const void *name, __u32 name_len, __u64 root)
{
	__u32 len;

	path_begin(s);
	if (name)
		path_prepend_name(s, name, name_len);
	len = record_path(s, at, path_walk(s, dentry, root));
	count_path((struct dw_op_record *)s->record, s->flags);
	if (s->has_missed) /* moved away meanwhile: its path now says nothing of the layer */
		((struct dw_op_record *)s->record)->flags |= DW_RECORD_WORKDIR;
	return len;
}

static __always_inline void emit_op(const struct op_info *op)
{
	struct scratch *s = scratch_take();
	struct dw_op_record *r;
	__u32 len = 0, len2 = 0;

	if (!s) {
		record_lost(op->container);
		return;
	}
	r = (struct dw_op_record *)s->record;
	record_fill(s, op);
	record_root(r, op);
	if (op->dentry)
		len = record_walk(s, 0, op->dentry, (void *)op->name, op->name_len, op->root);
	else
		r->flags |= DW_RECORD_NO_PATH;
	if (op->dentry2)
		len2 = record_walk(s, len, op->dentry2, (void *)op->name2, op->name2_len, op->root);
	r->path_len = len;
	r->path2_len = len2;
	ring_put(op->container, r, sizeof(*r) + len + len2);
	scratch_release(s);
}

/* Count an operation on a file of a layer. */
static __always_inline void count_op(dw_container_t container, __u32 op)
{
	struct dw_counters *c = counters_of(container);

	if (c && op < DW_OP_MAX)
		count(&c->ops[op], 1);
}

/*
 * The running task's root is an overlay that nobody has registered: say so, once
 * per super block.
 */
static __always_inline void emit_sight(__u32 overlay_dev)
{
	struct dw_sight_record r = {};
	__u64 now;

	if (bpf_map_lookup_elem(&sights, &overlay_dev))
		return;
	now = bpf_ktime_get_boot_ns();
	if (bpf_map_update_elem(&sights, &overlay_dev, &now, BPF_NOEXIST))
		return;
	r.type = DW_RECORD_SIGHT;
	r.overlay_dev = overlay_dev;
	r.boot_ns = now;
	r.cgroup_id = bpf_get_current_cgroup_id();
	r.tgid = current_tgid();
	ring_put(0, &r, sizeof(r));
	urge(control_get());
}

#endif /* EMIT_BPF_H */

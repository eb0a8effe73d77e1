/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * calls.bpf.h - chunks of writes, put together to calls.
 *
 * Chunks come in the order they are written, and one that was cut short may come
 * again. What belongs to one call is told by the task's count of write calls
 * (ioac.syscw moves when a call ends), and by the position for those that do not
 * move it: splice, AIO, io_uring.
 */
#ifndef CALLS_BPF_H
#define CALLS_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "emit.bpf.h"

#if defined(__TARGET_ARCH_x86)
#define NR_write	    1
#define NR_pwrite64	    18
#define NR_io_submit	    209
#define NR_splice	    275
#define SYSCALL_NR(regs)    ((long)(regs)->orig_ax)
#define SYSCALL_COUNT(regs) ((__u64)(regs)->dx) /* of write and pwrite64 */
#else
#define NR_write	    64
#define NR_pwrite64	    68
#define NR_io_submit	    2
#define NR_splice	    76
#define SYSCALL_NR(regs)    ((long)(regs)->syscallno)
#define SYSCALL_COUNT(regs) ((__u64)(regs)->regs[2])
#endif

struct chunk {
	__u64 inode;
	__u64 syscw;
	__s64 pos;
	__u32 len;
	__u32 copied;
};

/*
 * Whether @chunk begins a call, given what the task did before. Once a chunk was cut
 * short, the call goes on anywhere from that chunk to the highest byte seen: what
 * the file system refused of it is tried again, in smaller pieces.
 */
static __always_inline bool chunk_begins_call(const struct dw_task *state,
					      const struct chunk *chunk)
{
	if (state->is_fresh || state->inode != chunk->inode || state->syscw != chunk->syscw)
		return true;
	if (state->is_short)
		return chunk->pos < state->pos || chunk->pos > state->pos_end;
	return chunk->pos != state->pos_end || (chunk->pos & (PAGE_SIZE - 1));
}

/* With what @task entered its system call; NULL where the kernel does not tell. */
static __always_inline struct pt_regs *syscall_regs(struct task_struct *task)
{
#ifndef DW_OLD_KERNEL
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return (struct pt_regs *)bpf_task_pt_regs(task);
#endif
	return NULL;
}

/* A chunk that follows another in a system call that can be several writes in a row. */
static __always_inline bool chunk_is_ambiguous(struct task_struct *task)
{
	struct pt_regs *regs = syscall_regs(task);
	long nr = regs ? SYSCALL_NR(regs) : -1;

	return nr == NR_splice || nr == NR_io_submit;
}

/*
 * Whether a chunk that was copied whole is a call by itself, when the task was between two
 * calls before it: a further chunk of a call begins where a page ends, and so would one that
 * follows it. Only of file systems that split calls at pages, and go on elsewhere only when
 * cut short.
 */
static __always_inline bool chunk_is_call(__s64 pos, __u32 len)
{
	return (!pos || pos & (PAGE_SIZE - 1)) && ((pos + len) & (PAGE_SIZE - 1));
}

/* Whether the running system call asked for those bytes, which @task wrote, and no others. */
static __always_inline bool chunk_is_whole_call(struct task_struct *task, __u64 bytes)
{
	struct pt_regs *regs = syscall_regs(task);
	long nr = regs ? SYSCALL_NR(regs) : -1;

	return (nr == NR_write || nr == NR_pwrite64) && SYSCALL_COUNT(regs) == bytes;
}

/* What follows may begin anywhere: no slot may remember the task as between two calls. */
static __always_inline void call_is_open(struct dw_task *state)
{
	state->is_short = 1;
	tasks_forget();
}

/* The first chunk of a call. Returns the bytes to count. */
static __always_inline __u64 call_begin(struct dw_task *state, const struct chunk *chunk)
{
	state->inode = chunk->inode;
	state->syscw = chunk->syscw;
	state->pos = chunk->pos;
	state->pos_end = chunk->pos + chunk->copied;
	state->is_fresh = 0;
	state->is_floor = 0;
	state->is_short = 0;
	if (chunk->copied < chunk->len)
		call_is_open(state);
	return chunk->copied;
}

/* A further one: only what lies beyond the highest byte seen is new. */
static __always_inline __u64 call_continue(struct dw_task *state, const struct chunk *chunk)
{
	__s64 end = chunk->pos + chunk->copied;
	__u64 bytes = 0;

	if (end > state->pos_end) {
		bytes = end - state->pos_end;
		state->pos_end = end;
	}
	state->pos = chunk->pos;
	if (chunk->copied < chunk->len)
		call_is_open(state);
	return bytes;
}

static __always_inline void count_floor(struct task_struct *task, struct dw_task *state,
					dw_container_t container)
{
	struct dw_counters *c;

	if (state->is_floor || !chunk_is_ambiguous(task))
		return;
	state->is_floor = 1;
	c = counters_of(container);
	if (c)
		count(&c->calls_floor, 1);
}

#endif /* CALLS_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * write_fs.bpf.c - writes, seen where the file system takes the bytes (tier fs).
 *
 * These tracepoints fire for each chunk of a call; calls.bpf.h puts the calls
 * together again.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "account.bpf.h"
#include "calls.bpf.h"
#include "steady.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline void chunk_count(struct task_struct *task, struct hold *h,
					const struct chunk *chunk)
{
	struct dw_task *state = task_state(task, true);
	__u64 bytes;
	bool begins;

	if (!state) { /* no memory, or in use below us: the call may be counted twice */
		count_lost_run();
		hold_add(h, 1, chunk->copied, 1);
		return;
	}
	begins = chunk_begins_call(state, chunk);
	if (begins) {
		bytes = call_begin(state, chunk);
	} else {
		bytes = call_continue(state, chunk);
		count_floor(task, state, h->container);
	}
	hold_add(h, begins, bytes, writer_of(task, state));
	if (!state->is_short)
		hold_note_task(h, task);
}

static __always_inline int on_chunk(struct inode *inode, __s64 pos, __u32 len, __u32 copied,
				    bool is_main)
{
	struct task_struct *task = current_task();
	struct chunk chunk = {.pos = pos, .len = len, .copied = copied};
	struct file_id file;
	struct hold h = {};

	if (!copied || !S_ISREG(inode->i_mode))
		return 0;
	file_id_load(inode, &file);
	if (!hold_file(&file, task, JUDGE_WALK, is_main, &h)) {
		count_lost_run();
		return 0;
	}
	if (h.verdict == DW_VERDICT_COPY_UP) {
		count_copy_up(h.container, copied);
	} else if (h.verdict != DW_VERDICT_NOBODY) {
		chunk.inode = file.inode;
		chunk.syscw = TASK_LOAD(task, ioac.syscw);
		chunk_count(task, &h, &chunk);
		if (h.is_first)
			emit_first_write(h.index, copied, false);
	}
	hold_done(&h);
	return 0;
}

/* Not inlined: its stack and its registers would be what a steady write pays for. */
static __noinline int BPF_PROG(on_main_chunk, struct inode *inode, __s64 pos, unsigned int len,
			       unsigned int copied)
{
	return on_chunk(inode, pos, len, copied, true);
}

/* Arguments: as on_main_chunk(). */
SEC("tp_btf/ext4_da_write_end")
int on_ext4_da_write_end(unsigned long long *ctx)
{
	return steady_chunk(ctx) ? 0 : on_main_chunk(ctx);
}

SEC("tp_btf/ext4_write_end")
int BPF_PROG(on_ext4_write_end, struct inode *inode, __s64 pos, unsigned int len,
	     unsigned int copied)
{
	return on_chunk(inode, pos, len, copied, false);
}

SEC("tp_btf/ext4_journalled_write_end")
int BPF_PROG(on_ext4_journalled_write_end, struct inode *inode, __s64 pos, unsigned int len,
	     unsigned int copied)
{
	return on_chunk(inode, pos, len, copied, false);
}

/* --- xfs, and whatever else writes through iomap --- */

/* fs/iomap: flags of an operation; macros, so not in BTF */
#define IOMAP_WRITE    (1 << 0)
#define IOMAP_DIRECT   (1 << 4)
#define IOMAP_NO_WRITE (1 << 1 | 1 << 2 | 1 << 3 | 1 << 7) /* zero, report, fault, unshare */

/* Bytes that the step before this one of @iter has written, and where. */
static __always_inline __s64 iomap_written(struct iomap_iter *iter, __s64 *ret_pos)
{
	struct iomap_iter___old *old = (void *)iter;
	__s64 bytes;

	if (bpf_core_field_exists(iter->iter_start_pos)) {
		*ret_pos = iter->iter_start_pos;
		return iter->pos - iter->iter_start_pos;
	}
	bytes = BPF_CORE_READ(old, processed);
	*ret_pos = iter->pos;
	return bytes;
}

/* Steps of one write go on each other wherever they end; a new write has to look. */
static __always_inline void steps_follow(bool follow)
{
	struct dw_task *state = task_state(current_task(), false);

	if (state)
		state->is_short = follow;
}

/* Fires before each step: the first of a write has no mapping yet. */
static __always_inline int on_step(struct iomap_iter *iter)
{
	__s64 bytes, pos;

	if (!iter->iomap.length) {
		steps_follow(false);
		return 0;
	}
	bytes = iomap_written(iter, &pos);
	if (bytes <= 0)
		return 0;
	on_chunk(iter->inode, pos, bytes, bytes, false);
	steps_follow(true);
	return 0;
}

SEC("tp_btf/iomap_iter")
int BPF_PROG(on_iomap_iter, struct iomap_iter *iter)
{
	if ((iter->flags & (IOMAP_WRITE | IOMAP_DIRECT | IOMAP_NO_WRITE)) != IOMAP_WRITE)
		return 0;
	return on_step(iter);
}

/* Before 6.6 there are no events of direct writes: what was submitted counts. */
SEC("tp_btf/iomap_iter")
int BPF_PROG(on_iomap_iter_direct, struct iomap_iter *iter)
{
	__u32 flags = iter->flags & (IOMAP_WRITE | IOMAP_DIRECT | IOMAP_NO_WRITE);

	if (flags != (IOMAP_WRITE | IOMAP_DIRECT))
		return 0;
	on_step(iter);
	tasks_forget(); /* the rest of a short one goes through the page cache */
	return 0;
}

/* --- io_uring: requests in a row look like one call; these tell them apart --- */

static __always_inline int next_chunk_begins_call(void)
{
	struct dw_task *state = task_state(current_task(), false);

	if (state)
		state->is_fresh = 1;
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_uring_submit)
{
	return next_chunk_begins_call();
}

SEC("tp_btf/io_uring_submit_sqe") /* its name before 6.3 */
int BPF_PROG(on_uring_submit_old)
{
	return next_chunk_begins_call();
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_uring_done)
{
	return next_chunk_begins_call();
}

/* --- O_DIRECT: may complete in an interrupt, so the beginning says who and where --- */

static __always_inline bool iter_is_source(struct iov_iter *iter)
{
	struct iov_iter___old *old = (void *)iter;

	if (bpf_core_field_exists(iter->data_source))
		return BPF_CORE_READ(iter, data_source);
	return BPF_CORE_READ(old, type) & 1;
}

SEC("tp_btf/iomap_dio_rw_begin")
int BPF_PROG(on_dio_begin, struct kiocb *iocb, struct iov_iter *iter)
{
	struct task_struct *task = current_task();
	__u64 key = (__u64)iocb;
	struct inode *inode = iocb->ki_filp->f_inode;
	struct dw_dio dio = {};
	struct hold h = {};
	struct file_id file;

	if (!S_ISREG(inode->i_mode) || !iter_is_source(iter))
		return 0;
	file_id_read(inode, &file);
	if (!hold_file(&file, task, JUDGE_WALK, false, &h)) {
		count_lost_run();
		return 0;
	}
	dio.verdict = h.verdict;
	dio.container = h.container;
	dio.target = h.target;
	if (!h.cell) {
		dio.overlay_dev = h.slot->overlay_dev;
		dio.root = h.slot->root;
	}
	hold_done(&h);
	if (dio.verdict == DW_VERDICT_NOBODY)
		return 0;
	dio.cgroup_id = task_cgroup_id(task);
	dio.is_async = !!iocb->ki_complete;
	dio.writer = writer_of(task, task_state(task, true));
	bpf_map_update_elem(&dios, &key, &dio, BPF_ANY);
	return 0;
}

/* The running task is somebody else: count what the beginning left us. */
static __always_inline void dio_count_async(struct inode *inode, const struct dw_dio *dio,
					    __u64 bytes)
{
	struct hold h = {};
	struct dw_slot *slot;
	struct file_id file;

	file_id_read(inode, &file);
	if (!slot_take(file.ino, &h)) {
		count_lost_run();
		return;
	}
	slot = h.slot;
	slot_empty(h.index);
	slot->cgroup_id = dio->cgroup_id;
	slot->verdict = dio->verdict;
	slot->container = dio->container;
	slot->target = dio->target;
	slot->overlay_dev = dio->overlay_dev;
	slot->root = dio->root;
	hold_claim(&h, &file, JUDGE_GIVEN);
	h.verdict = dio->verdict;
	h.container = dio->container;
	h.target = dio->target;
	if (h.verdict == DW_VERDICT_COPY_UP) {
		count_copy_up(h.container, bytes);
	} else {
		hold_add(&h, 1, bytes, dio->writer);
		if (h.is_first)
			emit_first_write(h.index, bytes, true);
	}
	hold_done(&h);
}

SEC("tp_btf/iomap_dio_complete")
int BPF_PROG(on_dio_complete, struct kiocb *iocb, int error, __s64 ret)
{
	struct inode *inode = iocb->ki_filp->f_inode;
	__u64 key = (__u64)iocb;
	struct dw_dio *found = bpf_map_lookup_elem(&dios, &key), dio;

	if (!found)
		return 0;
	dio = *found;
	bpf_map_delete_elem(&dios, &key);
	if (ret <= 0)
		return 0;
	if (dio.is_async) {
		dio_count_async(inode, &dio, ret);
		return 0;
	}
	on_chunk(inode, iocb->ki_pos - ret, ret, ret, false);
	steps_follow(true); /* the rest of a short one goes through the page cache */
	tasks_forget();
	return 0;
}

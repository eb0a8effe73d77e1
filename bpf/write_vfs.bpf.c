/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * write_vfs.bpf.c - writes, seen at the functions of the VFS (tiers vfs-fexit, vfs-kprobe).
 *
 * One function for each way to write, each with its result, together with the
 * io_uring completions of write_syscall.bpf.c. Spliced bytes of an overlay file are
 * seen at the file below it, since 5.11: its place tells the layer as well, and
 * tells a copy-up apart. Not seen: core dumps, nfsd, stores through mmap.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "calls.bpf.h"
#include "write_vfs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define IOCB_WRITE (1 << 18) /* include/linux/fs.h since 5.10; a macro, so not in BTF */

static __always_inline int on_written(struct file *file, long ret, bool is_main)
{
	struct inode *inode;

	if (ret <= 0)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	if (inode)
		count_write(inode, 1, ret, is_main);
	return 0;
}

/* --- copy_file_range() calls itself for the file below, and splices: count the outermost --- */

static __always_inline int copy_begins(void)
{
	struct dw_task *state = task_state(current_task(), true);

	if (state)
		state->copying++;
	else
		count_lost_run();
	return 0;
}

static __always_inline int copy_ends(struct file *out, long ret)
{
	struct dw_task *state = task_state(current_task(), false);

	if (!state || !state->copying)
		return 0;
	return --state->copying ? 0 : on_written(out, ret, false);
}

static __always_inline bool is_copying(void)
{
	struct dw_task *state = task_state(current_task(), false);

	return state && state->copying;
}

/* sendfile() splices a pipe full at a time: @pos_after tells which go together. */
static __always_inline int on_spliced(struct file *out, const __s64 *pos_after, long ret)
{
	struct task_struct *task = current_task();
	struct dw_task *state = task_state(task, true);
	struct inode *inode = BPF_CORE_READ(out, f_inode);
	struct chunk chunk = {.copied = ret, .len = ret};
	bool begins;

	if (!state && ret > 0)
		count_lost_run();
	if (!state || state->copying || ret <= 0 || !inode)
		return 0;
	bpf_probe_read_kernel(&chunk.pos, sizeof(chunk.pos), pos_after);
	chunk.pos -= ret;
	chunk.inode = (__u64)inode;
	chunk.syscw = TASK_LOAD(task, ioac.syscw);
	begins = chunk_begins_call(state, &chunk);
	if (begins)
		call_begin(state, &chunk);
	else
		call_continue(state, &chunk);
	count_write(inode, begins, ret, false);
	return 0;
}

/* The end of a read or a write that was queued: only the request says which. */
static __always_inline int on_aio_result(struct kiocb *iocb, long res)
{
	if (!(BPF_CORE_READ(iocb, ki_flags) & IOCB_WRITE))
		return 0;
	return on_written(BPF_CORE_READ(iocb, ki_filp), res, false);
}

/* --- tier vfs-fexit --- */

SEC("fexit/vfs_write")
int BPF_PROG(on_vfs_write, struct file *file, const char *buf, __u64 count, __s64 *pos, long ret)
{
	return on_written(file, ret, true);
}

SEC("fexit/vfs_writev")
int BPF_PROG(on_vfs_writev, struct file *file, const void *vec, unsigned long vlen, __s64 *pos,
	     int flags, long ret)
{
	return on_written(file, ret, false);
}

SEC("fexit/iter_file_splice_write")
int BPF_PROG(on_splice_write, void *pipe, struct file *out, __s64 *ppos, __u64 len,
	     unsigned int flags, long ret)
{
	const __s64 *pos_after;

	/* Old verifiers let nobody load a pointer to a number, but do not look at a copy. */
	bpf_probe_read_kernel(&pos_after, sizeof(pos_after), (const __u64 *)ctx + 2);
	return on_spliced(out, pos_after, ret);
}

SEC("fentry/vfs_copy_file_range")
int BPF_PROG(on_copy_begin)
{
	return copy_begins();
}

SEC("fexit/vfs_copy_file_range")
int BPF_PROG(on_copy_end, struct file *in, __s64 pos_in, struct file *out, __s64 pos_out, __u64 len,
	     unsigned int flags, long ret)
{
	return copy_ends(out, ret);
}

SEC("fentry/aio_complete_rw")
int BPF_PROG(on_aio_complete, struct kiocb *iocb, long res)
{
	return on_aio_result(iocb, res);
}

/* --- io_uring before 5.18, whose event does not say which request (and tier syscall) --- */

SEC("fentry/kiocb_done")
int BPF_PROG(on_kiocb_done, struct kiocb *iocb, long res)
{
	return on_aio_result(iocb, res);
}

/* When it was queued; kiocb_done() got an error then. */
SEC("fentry/io_complete_rw")
int BPF_PROG(on_io_complete_rw, struct kiocb *iocb, long res)
{
	return on_aio_result(iocb, res);
}

#ifdef DW_OLD_KERNEL /* whose system call event does not show it */
SEC("fentry/aio_complete_rw")
int BPF_PROG(on_aio_complete_old, struct kiocb *iocb, long res)
{
	return on_aio_result(iocb, res);
}
#endif

/* --- tier vfs-kprobe: the entry remembers the file for the return --- */

static __always_inline int remember_file(struct file *file)
{
	struct dw_task *state = task_state(current_task(), true);

	if (state)
		state->file = (__u64)file;
	else
		count_lost_run();
	return 0;
}

/* Of a function that never calls itself: a file still there means that a return was missed. */
static __always_inline int remember_file_alone(struct file *file)
{
	struct dw_task *state = task_state(current_task(), true);

	if (!state || state->file) /* before 6.7 nothing else tells */
		count_lost_run();
	if (state)
		state->file = (__u64)file;
	return 0;
}

static __always_inline struct file *remembered_file(void)
{
	struct dw_task *state = task_state(current_task(), false);
	struct file *file;

	if (!state)
		return NULL;
	file = (struct file *)state->file;
	state->file = 0;
	return file;
}

static __always_inline int remembered_file_written(long ret, bool is_main)
{
	struct file *file = remembered_file();

	return file ? on_written(file, ret, is_main) : 0;
}

SEC("kprobe/vfs_write")
int BPF_KPROBE(on_kprobe_vfs_write, struct file *file)
{
	return remember_file_alone(file);
}

SEC("kretprobe/vfs_write")
int BPF_KRETPROBE(on_kretprobe_vfs_write, long ret)
{
	return remembered_file_written(ret, true);
}

SEC("kprobe/vfs_writev")
int BPF_KPROBE(on_kprobe_vfs_writev, struct file *file)
{
	return remember_file_alone(file);
}

SEC("kretprobe/vfs_writev")
int BPF_KRETPROBE(on_kretprobe_vfs_writev, long ret)
{
	return remembered_file_written(ret, false);
}

SEC("kprobe/iter_file_splice_write")
int BPF_KPROBE(on_kprobe_splice_write, void *pipe, struct file *out, __s64 *ppos)
{
	struct dw_task *state;

	if (is_copying())
		return 0;
	remember_file(out);
	state = task_state(current_task(), false);
	if (state)
		state->ppos = (__u64)ppos;
	return 0;
}

SEC("kretprobe/iter_file_splice_write")
int BPF_KRETPROBE(on_kretprobe_splice_write, long ret)
{
	struct dw_task *state = task_state(current_task(), false);
	struct file *file;

	if (!state || state->copying)
		return 0;
	file = remembered_file();
	return file ? on_spliced(file, (__s64 *)state->ppos, ret) : 0;
}

SEC("kprobe/vfs_copy_file_range")
int BPF_KPROBE(on_kprobe_copy, struct file *in, __s64 pos_in, struct file *out)
{
	struct dw_task *state;

	copy_begins();
	state = task_state(current_task(), false);
	return state && state->copying == 1 ? remember_file(out) : 0;
}

SEC("kretprobe/vfs_copy_file_range")
int BPF_KRETPROBE(on_kretprobe_copy, long ret)
{
	struct dw_task *state = task_state(current_task(), false);
	struct file *out;

	if (!state)
		return 0;
	out = (struct file *)state->file;
	if (state->copying <= 1)
		state->file = 0;
	return copy_ends(out, ret);
}

SEC("kprobe/aio_complete_rw")
int BPF_KPROBE(on_kprobe_aio_complete, struct kiocb *iocb, long res)
{
	return on_aio_result(iocb, res);
}

SEC("kprobe/kiocb_done")
int BPF_KPROBE(on_kprobe_kiocb_done, struct kiocb *iocb, long res)
{
	return on_aio_result(iocb, res);
}

SEC("kprobe/io_complete_rw")
int BPF_KPROBE(on_kprobe_io_complete_rw, struct kiocb *iocb, long res)
{
	return on_aio_result(iocb, res);
}

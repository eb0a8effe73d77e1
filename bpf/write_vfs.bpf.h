/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * write_vfs.bpf.h - a write to the file that the task has open, with its result
 * (tiers vfs-* and syscall): never the file under an overlay.
 */
#ifndef WRITE_VFS_BPF_H
#define WRITE_VFS_BPF_H

#include "account.bpf.h"

/* @is_main as for hold_file(). */
static __always_inline void count_write_to(const struct file_id *file, __u64 calls, __u64 bytes,
					   bool is_main)
{
	struct task_struct *task = current_task();
	struct hold h = {};

	if (!S_ISREG(file->mode))
		return;
	if (!hold_file(file, task, JUDGE_SUPERBLOCK, is_main, &h)) {
		count_lost_run();
		return;
	}
	if (h.verdict == DW_VERDICT_COPY_UP) {
		count_copy_up(h.container, bytes);
	} else if (h.verdict != DW_VERDICT_NOBODY) {
		if (hold_knows_task(&h, task)) {
			hold_add_known(&h, calls, bytes);
		} else {
			hold_add(&h, calls, bytes, writer_of(task, task_state(task, true)));
			hold_note_task(&h, task);
		}
		if (h.verdict == DW_VERDICT_PROVISIONAL && h.target == DW_TARGET_LAYER)
			count_provisional(address_of((void *)file->inode), calls, bytes);
		if (h.is_first)
			emit_first_write(h.index, bytes, false);
	}
	hold_done(&h);
}

static __always_inline void count_write(struct inode *inode, __u64 calls, __u64 bytes, bool is_main)
{
	struct file_id file;

	file_id_read(inode, &file);
	count_write_to(&file, calls, bytes, is_main);
}

#endif /* WRITE_VFS_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * write_vfs.bpf.h - a write to the file that the task has open, with its result
 * (tiers vfs-* and syscall): never the file under an overlay.
 */
#ifndef WRITE_VFS_BPF_H
#define WRITE_VFS_BPF_H

#include "account.bpf.h"

static __always_inline void count_write(struct inode *inode, __u64 calls, __u64 bytes)
{
	struct task_struct *task = current_task();
	struct dw_task *state;
	struct file_id file;
	struct dw_slot *slot;
	__u32 index;
	bool is_first;

	file_id_read(inode, &file);
	if (!S_ISREG(file.mode))
		return;
	slot = slot_get(&file, task_cgroup_id(task), JUDGE_SUPERBLOCK, &index, &is_first);
	if (!slot) {
		count_lost_run();
		return;
	}
	if (slot->verdict == DW_VERDICT_COPY_UP) {
		count_copy_up(slot->container, bytes);
	} else if (slot->verdict != DW_VERDICT_NOBODY) {
		state = task_state(task, true);
		slot_add(slot, calls, bytes, writer_of(task, state));
		if (slot->verdict == DW_VERDICT_PROVISIONAL && slot->target == DW_TARGET_LAYER)
			count_provisional(inode, calls, bytes);
		if (is_first)
			emit_first_write(index, bytes, false);
	}
	slot_done(slot, index);
}

#endif /* WRITE_VFS_BPF_H */

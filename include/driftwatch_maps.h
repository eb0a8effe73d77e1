/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * driftwatch_maps.h - map values that only the BPF programs and userspace/kernel
 * know; everybody else sees driftwatch_abi.h and probe.h.
 *
 * They are pinned like the others, so a change of layout bumps DW_ABI_VERSION.
 */
#ifndef DRIFTWATCH_MAPS_H
#define DRIFTWATCH_MAPS_H

#include "driftwatch_abi.h"

/*
 * Per CPU, two halves of slots for the tier's main write program, direct-mapped by
 * inode: the program uses the one that control.half names, user space empties the
 * other. The kernel runs a program once at a time on a CPU, so they need no lock.
 * Then the same for all other programs, which may interrupt one another: spare ones
 * for who finds those held, and the one whose .busy is their lock.
 */
#define DW_SLOTS_CACHED	 256
#define DW_SLOTS_SPARE	 8
#define DW_SLOTS_OTHER	 (2 * DW_SLOTS_CACHED)
#define DW_SLOTS_SPARES	 (3 * DW_SLOTS_CACHED)
#define DW_SLOT_LOCK	 (DW_SLOTS_SPARES + DW_SLOTS_SPARE)
#define DW_SLOTS_PER_CPU (DW_SLOT_LOCK + 1)

/*
 * What stands before map "watched": all that is known of the inodes of like dw_inode_hash()
 * in one cache line. Whether one of them is in "watched", one is to be marked here, and,
 * for four bits together, the mark.
 */
#define DW_FILTER_SHIFT 44
#define DW_FILTER_BITS	(1u << (64 - DW_FILTER_SHIFT))
#define DW_FILTER_LINE	128 /* bits of each kind */
#define DW_FILTER_MARKS (DW_FILTER_LINE / (DW_FILTER_BITS / DW_SHARED_MARKS))
struct dw_filter {
	__u64 watched[DW_FILTER_LINE / 64];
	__u64 shared[DW_FILTER_LINE / 64];
	union {
		__u8 mark[DW_FILTER_MARKS]; /* 1 since one of them was dirtied */
		__u64 marks[DW_FILTER_MARKS / 8];
	};
};
_Static_assert(sizeof(struct dw_filter) == 64, "a cache line");

/* In map "dirty": a change may have begun that is made only after the mark is taken. */
#define DW_MARK_BEGUN (1ull << 63)

#define DW_BEGUN 256 /* places of control.begun */

/* What the walk said about a file. */
enum dw_verdict {
	DW_VERDICT_NONE = 0,	/* not looked at yet */
	DW_VERDICT_NOBODY,	/* no container's */
	DW_VERDICT_COUNTED,	/* of .container */
	DW_VERDICT_COPY_UP,	/* a file being copied up in the work directory of .container */
	DW_VERDICT_PROVISIONAL, /* of the container with super block .overlay_dev, not known yet */
};

/* How long a verdict holds. */
enum dw_lasting {
	DW_LASTS_NOT = 0,
	DW_LASTS_FOR_WRITER, /* for writers in the same cgroup, until the tick or the epoch */
	DW_LASTS_FOR_ALL,    /* for every writer, until then */
};

/*
 * A file as one CPU sees it: the verdict, and what was counted since the slot was
 * claimed and is not yet in its cell. The first cache line is read at each write,
 * the second written.
 */
struct dw_slot {
	union {
		__u64 seq;  /* of the main program's: odd while the slot changes its file */
		__u64 busy; /* of the spare ones and the lock; taken with an exchange */
	};
	__u64 ino; /* 0: the slot is empty */
	__u64 sb;  /* address of the super block of the file the task has open */
	__u32 gen;
	__u32 epoch;
	__u16 verdict;	   /* enum dw_verdict */
	__u16 lasting;	   /* enum dw_lasting */
	__u32 task_seq;	   /* of control, when .task was noted */
	__u64 holds_until; /* jiffies; 0: what it says is true of this write only */
	__u64 cgroup;	   /* address of the writer's */
	dw_container_t container;
	__u32 target;

	__u64 bytes;
	__u64 calls;
	__u64 last_writer;
	__u64 last_jiffies;
	__u64 task; /* address of the last writer that was between two calls; 0: none */
	__u64 task_start;
	__u64 syscw;
	__u32 challenger; /* who else wants the slot, and what it had counted then */
	__u32 pad;

	__u64 inode;	 /* its address, for the walk */
	__u64 cgroup_id; /* of the writer */
	__u64 claimed_boot_ns;
	__u64 first_writer;
	__u64 root; /* address of the dentry the path starts at, 0 for the super block's */
	__u32 dev;
	__u32 overlay_dev;
	__u32 sb_dev; /* of .sb: an overlay's, when .dev is the layer's */
	__u32 pad2;
	__u64 claimed_jiffies;
};
_Static_assert(sizeof(struct dw_slot) == 192, "three cache lines");

/*
 * A file that was written to, in map "cells": what was counted since user space took it.
 * One cache line: a write to a file that has no slot costs this one and that of its tags.
 */
struct dw_cell {
	__u64 ino; /* in the upper layer, with .dev and .gen; as in the slot */
	__u32 dev;
	__u32 gen;
	__u64 bytes;
	__u64 calls;
	__u64 last_writer;
	__u64 first_writer;
	__u32 owner; /* DW_CELL_OWNER() */
	union {
		__u32 judged_ticks; /* when it was found true of all writers; 0: it was not */
		__u32 overlay_dev;  /* of no container: super block of the writer's root */
	};
	__u32 first_ticks; /* jiffies, the lower half */
	__u32 last_ticks;
};
_Static_assert(sizeof(struct dw_cell) == 64, "a cache line");

/* The container, the target, and of the epoch when that was found enough to differ. */
#define DW_CELL_EPOCHS			 14
#define DW_CELL_OWNER(container, target) ((container) << 16 | (target) << DW_CELL_EPOCHS)
#define DW_CELL_EPOCH(epoch)		 ((epoch) & ((1u << DW_CELL_EPOCHS) - 1))
#define DW_CELL_CONTAINER(owner)	 ((owner) >> 16)
#define DW_CELL_TARGET(owner)		 ((owner) >> DW_CELL_EPOCHS & 3)

/*
 * Cells lie in buckets; a file's is in one of two: in its first, unless that is rather full
 * and the other emptier. Map "tags" has for each bucket what its cells are for: a part of the
 * file's hash, and a state.
 */
#define DW_BUCKET_CELLS 16
union dw_tags {
	__u32 tag[DW_BUCKET_CELLS]; /* 0: the cell is free */
	__u64 two[DW_BUCKET_CELLS / 2];
};
_Static_assert(sizeof(union dw_tags) == 64, "a cache line");
#define DW_TAG_STATE   3u
#define DW_TAG_FILLING 1u /* by a program */
#define DW_TAG_USED    2u
#define DW_TAG_LEAVING 3u /* user space is about to free it: programs do not find it any more */

/* The first cells of all buckets come first: those of neighbours lie side by side. */
#define DW_CELL_INDEX(bucket, number, buckets) ((number) * (buckets) + (bucket))

/* What user space tells the programs; one element. Its first cache line is read at each write. */
#define DW_TIER_SYSCALL 4 /* of enum probe_tier: no function of the kernel is hooked */

struct dw_control {
	__u32 epoch;		 /* bumped at each change of who is who: cached verdicts are void */
	__u32 task_seq;		 /* bumped when a task is amid something: none is remembered */
	__u32 half;		 /* of the main program's slots, 0 or 1 */
	__u32 dev_count;	 /* above DW_MAX_DEVS: too many to tell apart, all are known */
	__u64 set;		 /* drawn when the maps were made: which counters these are; and
				    the key of dw_inode_hash() */
	__u64 tick_ns;		 /* of jiffies */
	__u64 verdict_ticks;	 /* how long a verdict holds: files are moved */
	__u32 devs[DW_MAX_DEVS]; /* file systems with roots or watched inodes */
	__u32 tier;		 /* enum probe_tier, also for an agent that adopts the pins */
	__u32 links;		 /* how many there were to be pinned, for the same */
	__u32 buckets;		 /* of cells */
	__u32 bucket_step;	 /* 2^32 / .buckets: from an inode's bucket to the next one's */
	__u64 is_heard;		 /* somebody is told of each event */
	__u64 drains;		 /* of cells' counts: two for each, odd while one is under way */
	__u64 files_freed;	 /* of .files_started */
	__u64 misses_told;	 /* runs that were missed and that an agent has told of */
	__u64 events_many;	 /* bytes in the ring that are not to wait any longer */
	__u64 dirty_many;	 /* likewise */
	/* counted by the programs */
	__u64 lost_runs;      /* no slot was free: a write or an operation was not counted */
	__u64 files_started;  /* cells that were taken for a file */
	__u64 has_others;     /* some of them not in the file's first bucket, now or once */
	__u64 dirty_overflow; /* sum over containers */
	__u64 at_jiffies;     /* a moment of the last second in which a file was judged, */
	__u64 at_boot_ns;     /* by both clocks */
	__u64 is_urged;	      /* a record lies in "urgent"; cleared by who takes it */
	/*
	 * dw_inode_hash() of files of a layer whose attributes were about to change while
	 * nobody watched them yet, each where its hash puts it; cleared by who finds it.
	 */
	__u64 begun[DW_BEGUN];
};

/* Per task: the write call it is in, and its name as a writer. */
struct dw_task {
	__u64 inode;   /* address of the file the call writes to */
	__u64 syscw;   /* of the task when the call began */
	__s64 pos;     /* of the last chunk */
	__s64 pos_end; /* highest byte of the call so far, plus one */
	__u64 writer;  /* key of "writers", valid while .exec_id is the task's */
	__u64 exec_id;
	__u64 joined;  /* 1 + self_exec_id when the task was moved into its cgroup */
	__u8 is_short; /* a chunk of this call copied less than it meant to */
	__u8 is_fresh; /* the next chunk begins a call */
	__u8 is_floor; /* this call was counted in calls_floor */
	__u8 copying;  /* depth of vfs_copy_file_range() */
	__u8 naming;   /* vfs-kprobe: depth of functions that change a name or its attributes */
	__u8 pad;
	__u16 name_op; /* vfs-kprobe: what the outermost of them does, 0 when it is nothing told */
	__u64 file;    /* vfs-kprobe: struct file the function under way writes to */
	__u64 ppos;    /* vfs-kprobe: its pointer to the position */
	__u64 name;    /* vfs-kprobe: the dentry that .name_op is done to */
};
_Static_assert(sizeof(struct dw_task) == 88, "no holes");

/* Provisional totals by upper root (vfs and syscall tiers); super blocks' numbers are reused. */
struct dw_totals {
	__u64 calls;
	__u64 bytes;
};

/* Counters of one CPU: those of the tier's main write program apart, which adds without a lock. */
struct dw_cpu_counters {
	struct dw_totals main[DW_TARGET_MAX];
	struct dw_counters all;
};

/* O_DIRECT writes under way, by the address of their kiocb. */
struct dw_dio {
	__u64 writer;
	__u64 cgroup_id;
	__u64 root;
	__u32 verdict;
	dw_container_t container;
	__u32 target;
	__u32 overlay_dev;
	__u32 is_async;
	__u32 pad;
};

#endif /* DRIFTWATCH_MAPS_H */

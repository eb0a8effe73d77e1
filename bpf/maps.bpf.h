/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * maps.bpf.h - every map: who fills it, who reads it, what happens when it is full.
 *
 * The hook files are compiled one by one and linked with `bpftool gen object`;
 * __weak lets each of them carry this definition and the linker keep one. Sizes
 * are the defaults; probe_load.c sets what the caller asked for. All of them
 * live on under bpffs when the agent pins, so nothing is kept in .bss or .data.
 */
#ifndef MAPS_BPF_H
#define MAPS_BPF_H

#include <bpf/bpf_helpers.h>

#include "driftwatch_abi.h"
#include "driftwatch_maps.h"

/* --- records: filled by emit.bpf.h and dirty.bpf.c, drained by probe_drain() --- */

/* Full: the record is dropped and counted in records_lost of its container. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events __weak SEC(".maps");

/* Full: the mark in "dirty" stays, dirty_overflow counts, user space sweeps "dirty". */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 21);
} dirty_ring __weak SEC(".maps");

/* The others are to be read now: one record at most, see urge(). */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
} urgent __weak SEC(".maps");

/* --- who is who: filled by user space only --- */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct dw_control);
} control __weak SEC(".maps");

/* Upper and work directories, sources of volumes. Full: probe_set_root() says so. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct dw_inode);
	__type(value, struct dw_root);
} roots __weak SEC(".maps");

/* Cgroup ids of containers; tasks in their descendants belong to them too. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, dw_container_t);
} cgroups __weak SEC(".maps");

/* s_dev of the overlay super blocks of containers. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, dw_container_t);
} overlays __weak SEC(".maps");

/* --- the index of watched inodes: filled by probe_watch(), read by dirty.bpf.c --- */

/* Full: probe_watch() says so and the ledger falls back to scans. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct dw_inode);
	__type(value, struct dw_watch);
} watched __weak SEC(".maps");

/*
 * One bit per hash of a watched inode: what foreign inodes pay is this load. Marks of those
 * that have no slot make no record: user space looks when somebody asks.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DW_FILTER_BITS / DW_FILTER_LINE);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct dw_filter);
} filter __weak SEC(".maps");

/*
 * By slot of "watched": 0 clean, else who dirtied it, DW_MARK_BEGUN beside it or alone.
 * Exchanged, never replaced.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} dirty __weak SEC(".maps");

/* --- counts: filled by account.bpf.h, read by probe_counts.c --- */

/* By container; only ever added to. Element 0 is for records of nobody. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct dw_cpu_counters);
} counters __weak SEC(".maps");

/* The same, added by user space for what was counted before the container was known. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct dw_counters);
} added __weak SEC(".maps");

/*
 * Per file, in buckets of DW_BUCKET_CELLS: what the slots have spilled, and what is counted
 * here because the slot is another file's. User space takes the counts while programs add,
 * and frees cells. Full: files_unlisted counts; totals stay exact.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 122880);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct dw_cell);
} cells __weak SEC(".maps");

/* Which cell is for which file; an element for each bucket. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 122880 / DW_BUCKET_CELLS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, union dw_tags);
} tags __weak SEC(".maps");

#ifdef DW_OLD_KERNEL
/* Cells that a program is about to take: what is there already cannot be put again. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} claims __weak SEC(".maps");
#endif

/* Only there to be replaced: an update returns when no program runs that began before. */
struct turn_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
};
struct turn_inner turn_one __weak SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct turn_inner);
} turn __weak SEC(".maps");

/* In front of "cells": DW_SLOTS_PER_CPU for each possible CPU; the loader sizes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DW_SLOTS_PER_CPU);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct dw_slot);
} slots __weak SEC(".maps");

/* Who wrote; the oldest are forgotten (probe_read_writer() says -ENOENT). */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct dw_writer);
} writers __weak SEC(".maps");

/* Writes to overlays nobody has registered yet (vfs and syscall tiers). Full: lost_runs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct dw_inode); /* the upper root */
	__type(value, struct dw_totals);
} provisional __weak SEC(".maps");

/* Overlays of unknown containers that were reported. Evicted: reported once more. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32); /* s_dev */
	__type(value, __u64);
} sights __weak SEC(".maps");

/* Executions by overlay inode. Evicted: counted from zero, and recorded, again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct dw_inode);
	__type(value, __u64);
} execs __weak SEC(".maps");

/* O_DIRECT writes under way. Evicted: that write is not counted, calls_floor is. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64); /* address of the kiocb */
	__type(value, struct dw_dio);
} dios __weak SEC(".maps");

#ifdef DW_OLD_KERNEL
/* By thread; a reused id is recognised by the exec id only. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct dw_task);
} tasks __weak SEC(".maps");
#else
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct dw_task);
} tasks __weak SEC(".maps");
#endif

/* --- directories: where the way up from one ends, remembered by roots.bpf.h --- */

#define DIRS_COUNT 16 /* direct-mapped by the dentry's address */

struct dir_root {
	__u64 busy; /* by a program that looks at it or fills it */
	__u64 dir;  /* addresses of dentries */
	__u64 parent;
	__u64 root; /* as root_above() says */
	__u64 jiffies;
	__u32 epoch;
	__u32 dev;
	dw_container_t container; /* of struct dw_root, */
	__u32 kind;		  /* 0: there is none */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DIRS_COUNT);
	__type(key, __u32);
	__type(value, struct dir_root);
} dirs __weak SEC(".maps");

/* --- scratch: a program takes one of these for what its stack cannot hold --- */

#define SCRATCH_COUNT	    3
#define SCRATCH_PATH_SIZE   (DW_PATH_MAX + 256) /* room for one name past the end */
#define SCRATCH_RECORD_SIZE (sizeof(struct dw_op_record) + 4 * DW_PATH_MAX)

struct scratch {
	__u64 busy;
	__u32 flags;	  /* enum dw_record_flags, of the last walk */
	__u32 has_missed; /* it came to the super block's root, not where it was to stop */
	__u32 pad;
	__u32 off; /* where the path of the last walk starts */
	__u64 walk_dentry;
	__u64 walk_mount;
	char path[SCRATCH_PATH_SIZE]; /* a walk writes it from the end: [off, DW_PATH_MAX) */
	struct dw_writer writer;
	__u64 record[SCRATCH_RECORD_SIZE / 8]; /* struct dw_op_record and its paths */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_COUNT);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches __weak SEC(".maps");

#endif /* MAPS_BPF_H */

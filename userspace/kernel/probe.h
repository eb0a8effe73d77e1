/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe.h - the BPF programs, loaded and attached; the only way to the kernel side.
 *
 * Nobody else includes libbpf. A probe counts by itself from probe_open() on,
 * also while nobody drains it; what it should charge to whom is told with the
 * probe_set_* calls, before the layer is read (attach first, then scan).
 * Not thread-safe: one event loop owns it.
 */
#ifndef PROBE_H
#define PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "driftwatch_abi.h"

enum probe_tier {
	PROBE_TIER_AUTO,
	PROBE_TIER_VFS_FEXIT,
	PROBE_TIER_VFS_KPROBE,
	PROBE_TIER_FS,
	PROBE_TIER_SYSCALL,
	PROBE_TIER_MAX,
};

/* "vfs-fexit", "vfs-kprobe", "fs", "syscall", "auto". */
const char *probe_tier_name(enum probe_tier tier);
int probe_tier_parse(const char *text, enum probe_tier *ret); /* 0 or -EINVAL */

/* What a tier can see; a counter it cannot see must be absent, not 0. */
enum probe_sight {
	PROBE_SEES_LAYER_WRITES, /* on ext4 and xfs uppers in the fs tier, everywhere else in others
				  */
	PROBE_SEES_VOLUME_WRITES,
	PROBE_SEES_TMPFS_WRITES,
	PROBE_SEES_OTHER_WRITES,
	PROBE_SEES_WRITEV,
	PROBE_SEES_SPLICE, /* splice(), sendfile() */
	PROBE_SEES_COPY_RANGE,
	PROBE_SEES_REFLINK, /* what copy_file_range() shares with the source, copying nothing */
	PROBE_SEES_AIO,
	PROBE_SEES_IO_URING,
	PROBE_SEES_URING_SPLICE,
	PROBE_SEES_DIRECT_IO,
	PROBE_SEES_COPY_UP_BYTES,
	PROBE_SEES_MMAP_PAGES,
	PROBE_SEES_DIRTY_EXT4,	     /* live ledger on ext4 */
	PROBE_SEES_DIRTY_EXT4_XATTR, /* capabilities, flags of files already in the upper layer */
	PROBE_SEES_DIRTY_XFS,
	PROBE_SEES_CREATE,
	PROBE_SEES_UNLINK,
	PROBE_SEES_RENAME,
	PROBE_SEES_LINK,
	PROBE_SEES_ATTR, /* chmod, chown, utimes, xattr */
	PROBE_SEES_TRUNCATE,
	PROBE_SEES_EXEC,
	PROBE_SEES_CGROUPS,
	PROBE_SEES_MAX,
};
const char *probe_sight_name(enum probe_sight sight); /* "layer_writes", … */

struct probe_options {
	enum probe_tier tier;
	const char *pin_dir;	 /* directory on bpffs, made if missing; NULL: nothing is pinned */
	const char *btf_path;	 /* NULL: /sys/kernel/btf/vmlinux */
	const char *scratch_dir; /* for the self-test, see below; NULL: none is made */
	unsigned max_containers; /* 0: 1024 */
	unsigned max_watched;	 /* inodes; 0: 262144; rounded up to a power of two */
	unsigned max_files;	 /* files counted at once; 0: 122880 */
	size_t ring_bytes;	 /* of "events"; 0: 2 MiB; rounded up to a power of two */
	size_t dirty_ring_bytes; /* 0: 2 MiB */
};

struct probe;

/*
 * Load and attach. Hooks are tried one by one; a hook that is refused is noted
 * (probe_foreach_hook) and replaced where there is another.
 * With a scratch_dir they are tried: where the tier is chosen here, one that does not
 * see the self-test's write is left for the next.
 * With pins of an earlier agent in pin_dir (same ABI version) its maps and
 * programs are adopted and go on counting.
 * Returns 0, or
 *   -EPERM   missing capability (CAP_BPF, CAP_PERFMON)
 *   -ENOENT  no kernel BTF
 *   -EOPNOTSUPP  no tier (or not the forced one) can be attached
 *   -EEXIST  pins of another ABI version
 *   -EBUSY   another live agent holds pin_dir
 * and a sentence for the user in @error (may be NULL).
 */
int probe_open(const struct probe_options *options, struct strbuf *error, struct probe **ret);

/*
 * Detach, unpin, free. With @keep_pins the pinned programs go on counting.
 * Accepts NULL. Returns NULL.
 */
struct probe *probe_close(struct probe *p, bool keep_pins);

/* Remove the pins of a dead agent. Returns how many links were removed, or -errno. */
int probe_unpin(const char *pin_dir);

bool probe_was_adopted(const struct probe *p); /* pins of an earlier agent were taken over */
enum probe_tier probe_tier(const struct probe *p);
bool probe_sees(const struct probe *p, enum probe_sight sight);

/*
 * Some hooks run for all the machine does, or are for a module that may be loaded at any
 * time, and are attached only when a layer needs them: call this before the first
 * probe_watch() there. 0 when what shows @sight is attached, -EOPNOTSUPP when there is
 * nothing, or -errno; then it is not seen. A module is looked for once.
 */
int probe_want(struct probe *p, enum probe_sight sight);

struct probe_hook {
	const char *name; /* "tp_btf/ext4_da_write_end" */
	const char *role; /* "layer writes", "dirty inodes", … */
	bool attached;
	bool is_blind;	     /* attached, and did not see the self-test */
	int error;	     /* -errno of load or attach, 0 when attached or not tried */
	const char *why_not; /* NULL or "not in this tier", "not in BTF", … */
};
void probe_foreach_hook(const struct probe *p, void (*fn)(const struct probe_hook *, void *),
			void *arg);

/*
 * Whether the hooks see what is done to an overlay of our own in scratch_dir, which nobody
 * else sees and which is gone again: a write in each way that has a hook of its own. What
 * a blind hook shows is not seen from then on.
 */
enum probe_self_test {
	PROBE_SELF_TEST_NOT_RUN, /* not asked for, or it cannot be made here */
	PROBE_SELF_TEST_PASSED,
	PROBE_SELF_TEST_FAILED,
};
/* @ret_text (may be NULL): why it was not run, or which hooks are blind; "" else. */
enum probe_self_test probe_self_test_result(const struct probe *p, const char **ret_text);
const char *probe_self_test_name(enum probe_self_test result); /* "not_run", "passed", "failed" */

/* --- records --- */

/* Exactly one of these per call; @fn must copy what it keeps. */
struct probe_record {
	enum dw_record_type type;
	union {
		const struct dw_op_record *op;
		const struct dw_cgroup_record *cgroup;
		const struct dw_sight_record *sight;
		const struct dw_dirty_record *dirty;
	};
	const char *path; /* OP, CGROUP: "" when there is none; valid during the call only */
	size_t path_len;  /* without the NUL */
	const char *path2;
	size_t path2_len;
};
typedef void (*probe_record_fn)(const struct probe_record *record, void *arg);

/* Readable when records wait. Level-triggered. */
int probe_fd(const struct probe *p);
/* The same when they are urgent: urge() of the programs. Taken, not until after a drain. */
int probe_urgent_fd(const struct probe *p);
void probe_take_urge(struct probe *p);

/*
 * Hand out at most @max records, dirty ones first. Malformed ones are counted and
 * dropped. Returns how many were handed out.
 */
int probe_drain(struct probe *p, int max, probe_record_fn fn, void *arg);

/*
 * A point in the order of records. A drain may end before what was there when it began: at
 * @max, or at a record that a program on another processor is still filling.
 */
struct probe_moment {
	unsigned long ends[2]; /* of the rings */
};
void probe_note_moment(const struct probe *p, struct probe_moment *ret);
/* Was all handed out that was there then? */
bool probe_has_told(const struct probe *p, const struct probe_moment *then);

/* The decoder on its own, for tests and fuzzing. 0, -EBADMSG or -EPROTO. */
int probe_decode(const void *data, size_t size, struct probe_record *ret);

/* --- who is who: control, user space to kernel --- */

/*
 * Choose container slots with 1 <= slot <= max_containers. A slot that was used
 * before must not be used again while another is free.
 */
int probe_set_overlay(struct probe *p, uint32_t overlay_dev, dw_container_t c); /* s_dev */
int probe_set_root(struct probe *p, const struct dw_inode *inode, uint64_t generation,
		   dw_container_t c, enum dw_root_kind kind); /* .generation of struct dw_root */
/* Nothing happens when it is another's by now: numbers are used again. */
int probe_clear_overlay(struct probe *p, uint32_t overlay_dev, dw_container_t c);
int probe_clear_root(struct probe *p, const struct dw_inode *inode, dw_container_t c);
int probe_set_cgroup(struct probe *p, uint64_t cgroup_id, dw_container_t c);
int probe_clear_cgroup(struct probe *p, uint64_t cgroup_id);
/* Is somebody told of each event? Not after opening: records have no totals then. */
void probe_set_heard(struct probe *p, bool heard);

/* --- the index of watched inodes --- */

/*
 * Watch an inode; twice returns the same slot and counts. Insert before reading the inode's
 * state: then no change is missed. Returns the slot >= 0, or -ENOSPC when the index is full.
 */
long probe_watch(struct probe *p, uint32_t dev, uint64_t ino, dw_container_t c);

/*
 * About to watch these: with one system call for all of them, where there is room. Those of
 * the last call that nobody has asked probe_watch() for are let go of; so call it with none.
 */
void probe_watch_ahead(struct probe *p, uint32_t dev, const uint64_t *inos, size_t len,
		       dw_container_t c);
void probe_unwatch(struct probe *p, uint32_t dev, uint64_t ino, long slot);

/*
 * After adoption, what an earlier agent watched and set (overlays, roots, cgroups) still is.
 * Call this once everything has been watched and set again: the rest is dropped.
 */
void probe_forget_stale(struct probe *p);

/*
 * Watch an inode without a slot, for less: what is dirty is told by its hash, to who asks,
 * and by whom it was made so is not known. Never unwatched.
 */
void probe_watch_shared(struct probe *p, uint32_t dev, uint64_t ino);
uint64_t probe_hash_key(const struct probe *p); /* of dw_inode_hash() */

/*
 * Take the marks from *from on (0 at first) of all that was dirtied since they were taken
 * last, before verifying it: dw_inode_hash() >> DW_SHARED_SHIFT. Returns how many, fewer
 * than @size - 8 when there are no more; @size is at least 8.
 */
size_t probe_take_shared(struct probe *p, uint32_t *from, uint32_t *ret, size_t size);

/*
 * Take an inode's dirty mark, before verifying it. Returns the writer (map
 * "writers") that set it last, 0 when it was clean, 1 when dirty by nobody known.
 * @ret_begun may be NULL: whether the next look may come before a change that has begun. Of
 * an inode that has just been watched, probe_take_begun() knows also what began before.
 */
uint64_t probe_take_dirty(struct probe *p, long slot, bool *ret_begun);
bool probe_take_begun(struct probe *p, uint32_t dev, uint64_t ino, long slot);

/*
 * When the dirty ring has refused records: report every slot that is still
 * marked. Returns how many; 0 when nothing was refused since the last call.
 */
bool probe_dirty_overflowed(const struct probe *p); /* refused since the last sweep */
int probe_sweep_dirty(struct probe *p, void (*fn)(uint32_t dev, uint64_t ino, long slot, void *arg),
		      void *arg);

/* --- counts --- */

/* Sums over CPUs; cumulative since the map was made, never reset. 0 or -errno. */
int probe_read_counters(const struct probe *p, dw_container_t c, struct dw_counters *ret);

/*
 * The same of all containers that ever had a number, records of nobody (number 0)
 * included. 0, -ENOMEM or -errno.
 */
typedef void (*probe_counters_fn)(dw_container_t c, const struct dw_counters *counters, void *arg);
int probe_foreach_counters(const struct probe *p, probe_counters_fn fn, void *arg);

/* A file that was written to: inode number in the upper layer, kernel dev_t, i_generation. */
struct probe_file_key {
	uint64_t ino;
	uint32_t dev;
	uint32_t gen;
};

struct probe_file_counts {
	uint64_t bytes, calls; /* since they were taken last */
	uint64_t first_boot_ns, last_boot_ns;
	uint64_t first_writer, last_writer; /* keys of "writers" */
	dw_container_t container;	    /* 0: provisional, see .overlay_dev */
	uint32_t target;		    /* enum dw_target */
	uint32_t overlay_dev;		    /* provisional: super block of the writer's root */
};

/*
 * What is counted per file and not taken yet. The same file may be reported more than
 * once, by its cell and by each processor's slot: add the numbers up. 0 or -errno.
 */
typedef void (*probe_file_fn)(const struct probe_file_key *key,
			      const struct probe_file_counts *counts, void *arg);
int probe_foreach_file(const struct probe *p, probe_file_fn fn, void *arg);

/*
 * Take what the cells have counted: exactly once, and programs go on meanwhile. The files
 * stay known; counts that @fn does not want, it returns false, stay where they are. What
 * slots hold is not taken, and reported by probe_foreach_slot(); it comes into the cells in
 * time. 0 or -errno.
 */
typedef bool (*probe_take_fn)(const struct probe_file_key *key,
			      const struct probe_file_counts *counts, void *arg);
int probe_take_files(struct probe *p, probe_take_fn fn, void *arg);
int probe_foreach_slot(const struct probe *p, probe_file_fn fn, void *arg);

/*
 * The same, and the files are forgotten: all of them, and half of the slots emptied as
 * well, with probe_drain_files(); those that were not written to for longest, until half of
 * the cells are free, with probe_prune_files().
 */
int probe_drain_files(struct probe *p, probe_file_fn fn, void *arg);
int probe_prune_files(struct probe *p, probe_file_fn fn, void *arg);

/* Files with a cell, and how many there may be. Costs a load. */
uint64_t probe_files_used(const struct probe *p);
uint64_t probe_files_size(const struct probe *p);

/*
 * Which counters these are: @ret_set is another after the maps were made anew, @ret_drains
 * after aggregates were moved out (odd: a drain was cut short, some may still be there).
 * Numbers kept from another agent are of use only with the same set.
 */
void probe_counts_epoch(const struct probe *p, uint64_t *ret_set, uint64_t *ret_drains);

/* Times inode @overlay_dev/@ino (overlay numbers) was executed since first seen. 0 or -ENOENT. */
int probe_read_execs(const struct probe *p, uint32_t overlay_dev, uint64_t ino, uint64_t *ret);

/*
 * Writes counted before anybody knew whose they are, by the upper root of the overlay
 * (vfs and syscall tiers; super blocks' numbers are used again) or the root of the
 * writing task (fs tier: those stand in the per-file aggregates with container 0). Call
 * after probe_set_root: adds the provisional totals of @c's upper root to its counters
 * and forgets them, when counters are next read at the latest.
 */
int probe_adopt_provisional(struct probe *p, dw_container_t c);

/* Add to a container's counters what was counted elsewhere (provisional files). */
int probe_add_counts(struct probe *p, dw_container_t c, enum dw_target target, uint64_t calls,
		     uint64_t bytes);

/* 0 or -ENOENT when it was evicted. */
int probe_read_writer(const struct probe *p, uint64_t writer, struct dw_writer *ret);

/* --- health --- */

struct probe_health {
	uint64_t records_received;
	uint64_t records_malformed;
	uint64_t records_lost; /* sum over containers and of records of nobody */
	uint64_t records_lost_nobodys;
	uint64_t runs_missed; /* recursion_misses and nmissed of all programs */
	uint64_t detached;    /* hooks found detached from outside, attached again or not */
	uint64_t watched_used, watched_size;
	uint64_t files_used, files_size;
	uint64_t writers_size;
	uint64_t containers_used, containers_size;
	uint64_t map_bytes; /* kernel memory of all maps (memlock of fdinfo) */
};
int probe_read_health(const struct probe *p, struct probe_health *ret);

/*
 * Only what is wanted every second: .runs_missed, .detached, .records_lost_nobodys,
 * .files_used and .files_size.
 */
void probe_read_pulse(const struct probe *p, struct probe_health *ret);

/*
 * How many of @runs_missed no agent has told of yet; all count as told from now on, for
 * one that adopts the pins too.
 */
uint64_t probe_take_misses(struct probe *p, uint64_t runs_missed);

/* Find hooks that somebody detached, attach them again, count them in .detached. */
void probe_check_hooks(struct probe *p);

struct probe_program {
	const char *name;
	uint64_t missed;
	uint64_t runs;	       /* 0 unless kernel.bpf_stats_enabled */
	uint64_t run_ns;       /* likewise */
	unsigned instructions; /* as loaded, of the kernel's own kind; 0: not told */
};
void probe_foreach_program(const struct probe *p, void (*fn)(const struct probe_program *, void *),
			   void *arg);

/* --- for doctor: what this kernel offers, without loading anything for good --- */
struct probe_kernel {
	char release[65];
	bool has_btf;
	bool has_bpffs;
	bool can_load;	     /* CAP_BPF and CAP_PERFMON (or SYS_ADMIN) are there */
	bool has_trampoline; /* fexit loads and attaches */
	bool has_kprobe;
	bool has_task_storage;
	bool has_cgrp_storage;
	char lsm[256]; /* /sys/kernel/security/lsm, "" when unreadable */
};
int probe_examine_kernel(struct probe_kernel *ret);

/* "1.1", of the libbpf that runs. */
const char *probe_libbpf_version(void);

#endif /* PROBE_H */

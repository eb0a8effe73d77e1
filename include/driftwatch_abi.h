/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * driftwatch_abi.h - the records and map values the BPF programs and the
 * userspace loader share.
 *
 * This is the only header both sides include. It stands alone: fixed-width
 * types from <linux/types.h>, no kernel structs, no libc. Every struct is
 * padded by hand and pinned by a static assert, so a layout change is a
 * compile error on both sides and not a garbled path at run time.
 *
 * When a layout changes, bump DW_ABI_VERSION: the loader refuses maps pinned
 * by another version.
 */
#ifndef DRIFTWATCH_ABI_H
#define DRIFTWATCH_ABI_H

#include <linux/types.h>

#define DW_ABI_VERSION 11

#define DW_COMM_LEN 16	 /* TASK_COMM_LEN, NUL included */
#define DW_PATH_MAX 1024 /* bytes of one path in a record, NUL included */
#define DW_EXE_MAX  256	 /* bytes of a writer's executable path, NUL included */
#define DW_MAX_DEVS 16	 /* file systems of upper layers and volumes watched at once */

/*
 * A container's slot: the small number the loader gives it, index of its
 * counters. 0 is nobody.
 */
typedef __u32 dw_container_t;

/* Where a write landed. Only the layer is drift. */
enum dw_target {
	DW_TARGET_LAYER = 0,  /* the container's writable layer */
	DW_TARGET_VOLUME = 1, /* a volume or bind mount of the container */
	DW_TARGET_TMPFS = 2,  /* a tmpfs, /dev/shm, a memfd */
	DW_TARGET_OTHER = 3,  /* a host path outside the container's mounts */
	DW_TARGET_MAX,
};

/* What happened; names of the drift events, in DW_RECORD_OP and the counters. */
enum dw_op {
	DW_OP_INVALID = 0, /* a zeroed record is never a valid one */
	DW_OP_WRITE,	   /* first write to a file since its aggregate was started */
	DW_OP_CREATE,	   /* regular file */
	DW_OP_MKDIR,
	DW_OP_SYMLINK,
	DW_OP_MKNOD, /* device, fifo, socket */
	DW_OP_LINK,
	DW_OP_UNLINK,
	DW_OP_RMDIR,
	DW_OP_RENAME,
	DW_OP_TRUNCATE,
	DW_OP_FALLOCATE,
	DW_OP_CHMOD,
	DW_OP_CHOWN,
	DW_OP_UTIMES,
	DW_OP_XATTR,
	DW_OP_EXEC, /* a file of an overlay was executed */
	DW_OP_MAX,
};

/* First field of every ring record. */
enum dw_record_type {
	DW_RECORD_INVALID = 0,
	DW_RECORD_OP,	  /* struct dw_op_record: ring "events" */
	DW_RECORD_CGROUP, /* struct dw_cgroup_record: ring "events" */
	DW_RECORD_SIGHT,  /* struct dw_sight_record: ring "events" */
	DW_RECORD_DIRTY,  /* struct dw_dirty_record: ring "dirty_ring" */
};

enum dw_record_flags {
	DW_RECORD_PATH_TRUNCATED = 1u << 0, /* the path lost its leading components */
	DW_RECORD_NO_PATH = 1u << 1,	    /* the hook has no name: join by dev and ino */
	DW_RECORD_UNLINKED = 1u << 2,	    /* the file has no name any more (or never had) */
	DW_RECORD_RUNTIME = 1u << 3,	    /* the task joined the cgroup and has not exec'd */
	DW_RECORD_SCRIPT = 1u << 4,	    /* EXEC: path is the script's name as given to execve */
	DW_RECORD_WORKDIR = 1u << 5,	    /* CREATE in the overlay's work directory: copy-up or
					       creation over a whiteout; the ledger tells which */
	DW_RECORD_PRE_EFFECT = 1u << 6,	    /* DIRTY: the hook runs before the change is visible */
	DW_RECORD_PARTIAL_TOTALS = 1u << 7, /* totals are of this CPU only (old kernel) */
};

/*
 * One change of state, followed by path_len bytes of path and path2_len bytes
 * of the second path (the old name of a rename, the existing name of a link),
 * each NUL-terminated. Paths are absolute from the root they were walked to:
 * the container's root for the layer, root_dev/root_ino for a volume, the super
 * block's root otherwise.
 */
struct dw_op_record {
	__u16 type;  /* DW_RECORD_OP */
	__u16 op;    /* enum dw_op */
	__u16 flags; /* enum dw_record_flags */
	__u16 mode;  /* i_mode, 0 when unknown */
	dw_container_t container;
	__u32 target; /* enum dw_target */
	__u64 boot_ns;
	__u64 writer;	 /* key of map "writers", 0 unknown */
	__u64 cgroup_id; /* of the writing task */
	__u64 ino;
	__u64 parent_ino;  /* directory, where the hook has it; else 0 */
	__u64 root_ino;	   /* volume root the path starts at; else 0 */
	__u64 total_calls; /* running totals of the container's layer; 0 while nobody listens */
	__u64 total_bytes;
	__u64 bytes; /* WRITE: of this call so far */
	__u32 dev;   /* kernel dev_t of ino: major << 20 | minor */
	__u32 root_dev;
	__u32 gen; /* i_generation */
	__u32 tgid;
	__u32 uid; /* in the initial user namespace */
	__u16 path_len;
	__u16 path2_len;
	char comm[DW_COMM_LEN];
	char path[];
};
_Static_assert(sizeof(struct dw_op_record) == 128, "dw_op_record is ABI");

enum dw_cgroup_op { DW_CGROUP_MKDIR = 1, DW_CGROUP_RMDIR = 2 };

/* A cgroup of the v2 hierarchy appeared or went; path is root-relative. */
struct dw_cgroup_record {
	__u16 type; /* DW_RECORD_CGROUP */
	__u16 op;   /* enum dw_cgroup_op */
	__u16 flags;
	__u16 path_len;
	__u64 boot_ns;
	__u64 cgroup_id;
	char path[];
};
_Static_assert(sizeof(struct dw_cgroup_record) == 24, "dw_cgroup_record is ABI");

/*
 * A task whose root is an overlay that nobody has registered did an exec or a
 * write: the loader looks at /proc/<tgid>/mountinfo. Once per super block.
 */
struct dw_sight_record {
	__u16 type; /* DW_RECORD_SIGHT */
	__u16 pad;
	__u32 overlay_dev;
	__u64 boot_ns;
	__u64 cgroup_id;
	__u32 tgid;
	__u32 pad2;
};
_Static_assert(sizeof(struct dw_sight_record) == 32, "dw_sight_record is ABI");

/* A watched inode went from clean to dirty. */
struct dw_dirty_record {
	__u16 type;  /* DW_RECORD_DIRTY */
	__u16 flags; /* enum dw_record_flags */
	__u32 slot;  /* of map "dirty" */
	__u64 boot_ns;
	__u64 ino;
	__u64 writer; /* key of map "writers"; 0: a kernel thread */
	__u64 cgroup_id;
	__u32 dev;
	__u32 tgid;
	__u32 uid;
	char comm[DW_COMM_LEN];
	dw_container_t container; /* who had it watched first; the number may have passed on */
};
_Static_assert(sizeof(struct dw_dirty_record) == 72, "dw_dirty_record is ABI");

/* Who: value of LRU map "writers", keyed by a number that is never reused. */
struct dw_writer {
	__u64 start_boot_ns; /* of the process */
	__u64 cgroup_id;
	__u32 tgid; /* in the initial pid namespace */
	__u32 vpid; /* tgid as the container sees it */
	__u32 ppid;
	__u32 uid;
	__u32 flags;   /* enum dw_record_flags: RUNTIME, PATH_TRUNCATED */
	__u16 exe_len; /* NUL included; 0 for a kernel thread */
	__u16 pad;
	char comm[DW_COMM_LEN];
	char exe[DW_EXE_MAX]; /* executable, from the root of its own mount tree */
};
_Static_assert(sizeof(struct dw_writer) == 56 + DW_EXE_MAX, "dw_writer is ABI");

/* Key of "watched" (values: struct dw_watch). */
struct dw_inode {
	__u64 ino;
	__u32 dev;
	__u32 pad;
};
_Static_assert(sizeof(struct dw_inode) == 16, "dw_inode is ABI");

struct dw_watch {
	__u32 slot; /* index into "dirty" */
	dw_container_t container;
};
_Static_assert(sizeof(struct dw_watch) == 8, "dw_watch is ABI");

/* The uppermost bits count: .ino's mark in map "filter" is number hash >> DW_SHARED_SHIFT. */
static inline __u64 dw_inode_hash(__u64 key, __u32 dev, __u64 ino)
{
	return (ino ^ (__u64)dev << 32 ^ key) * 0x9E3779B97F4A7C15ull;
}
#define DW_SHARED_SHIFT 46
#define DW_SHARED_MARKS (1u << (64 - DW_SHARED_SHIFT))

/* What a directory (or a single bind-mounted file) is the root of: map "roots". */
enum dw_root_kind {
	DW_ROOT_UPPER = 1,  /* upper layer of .container */
	DW_ROOT_WORK = 2,   /* its work directory */
	DW_ROOT_VOLUME = 3, /* source of a volume; the container is the writer's */
};

struct dw_root {
	dw_container_t container; /* 0 for a volume */
	__u32 kind;		  /* enum dw_root_kind */
	__u64 generation;	  /* DW_HAS_GENERATION and the inode's; 0: unknown */
};
_Static_assert(sizeof(struct dw_root) == 16, "dw_root is ABI");

/* Tells an inode from an earlier one of its number: what was removed is nobody's root. */
#define DW_HAS_GENERATION (1ull << 32)

/* Per container: per-CPU map "counters", only ever added to. */
struct dw_counters {
	__u64 write_calls[DW_TARGET_MAX];
	__u64 write_bytes[DW_TARGET_MAX];
	__u64 ops[DW_OP_MAX]; /* on layer files, as far as the tier has hooks */
	__u64 copied_up_bytes;
	__u64 records;	      /* put into "events" */
	__u64 records_lost;   /* refused by a full ring */
	__u64 files_unlisted; /* writes not aggregated per file: map "cells" was full */
	__u64 paths_truncated;
	__u64 dirty_overflow; /* dirty marks whose record the full ring refused */
	__u64 calls_floor;    /* calls that may stand for several (splice, buffered AIO) */
};
_Static_assert(sizeof(struct dw_counters) == 8 * (4 + 4 + DW_OP_MAX + 7), "dw_counters is ABI");

#endif /* DRIFTWATCH_ABI_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_types.h - what a tree is made of, for tree_internal.h.
 */
#ifndef LEDGER_TREE_TYPES_H
#define LEDGER_TREE_TYPES_H

#include <sys/types.h>

#include "base/clock.h"
#include "ledger/tree.h"

#define TREE_FDS	      12    /* directories kept open while there is work */
#define TREE_OPTIONAL_WATCHES 8192  /* added non-directories with marks of their own */
#define TREE_GROWTH_LOOKS     2048  /* a second, that find nothing but that files were written to */
#define TREE_RESTING_MAX      16384 /* files not looked at until somebody asks */
#define TREE_QUIET_NS	      (500 * NS_PER_MSEC) /* of an unmounted layer, before names vanish */
#define TREE_BACKOFF_FACTOR   10		  /* a read of t is followed by 10 t without one */
#define TREE_BACKOFF_MAX_NS   (500 * NS_PER_MSEC)
#define TREE_RETRY_NS	      (100 * NS_PER_MSEC) /* of what could not be read */
#define TREE_BEGUN_NS	      (100 * NS_PER_MSEC) /* so long may what has begun take */
#define TREE_UNWATCHED_NS     (5 * NS_PER_SEC)	  /* between rescans of what is not watched */
#define TREE_RELIST_NS	      (10 * NS_PER_SEC)	  /* at most so often for names without a node */
#define TREE_FRESH_NS	      NS_PER_SEC	  /* work younger than this is not lag */

/* What is kept of statx. Seconds as tree_time_sec() has them. */
struct tree_stat {
	uint64_t ino;
	union {
		uint64_t size;
		uint64_t rdev; /* of devices: major << 20 | minor */
	};
	struct {
		int64_t mtime_sec : 40;
		int64_t ctime_sec : 40;
		uint64_t mtime_ns : 30;
		uint64_t ctime_ns : 30;
		uint64_t nlink : 32;
		uint64_t mode : 16;
	} __attribute__((packed));
	uint32_t uid, gid;
};

enum tree_node_flags {
	NODE_HAS_LOWER = 1u << 0,
	NODE_WHITEOUT = 1u << 1,
	NODE_STALE = 1u << 2,	 /* known to be wrong; its directory is queued */
	NODE_LIMBO = 1u << 3,	 /* top of a subtree whose name is gone */
	NODE_MOVED = 1u << 4,	 /* seen again elsewhere: its vanishing is not news */
	NODE_REPLACED = 1u << 5, /* its name lives on with another inode */
	NODE_RUNTIME = 1u << 6,
	NODE_INDEXED = 1u << 7,	   /* in the index of inodes */
	NODE_OPTIONAL = 1u << 8,   /* counted in optional_watches */
	NODE_WRITTEN = 1u << 9,	   /* contents to be compared again */
	NODE_COMPARING = 1u << 10, /* queued for comparison */
	NODE_COUNTED = 1u << 11,   /* in the totals, as it is */
	NODE_BYTES = 1u << 12,	   /* of its inode's names the one whose size is in the totals */
	NODE_GREW_ONCE = 1u << 13, /* found to have been written to, and nothing else, */
	NODE_GREW = 3u << 13,	   /* so many times in a row */
};

/* Names of an inode that has several. */
struct tree_names {
	struct tree_node *next, *prev;
};

/*
 * There may be a million of these: what only directories need is apart, and the name
 * begins where the other members end. Writers' numbers are handed out one by one.
 */
struct tree_node {
	struct tree_node *parent; /* NULL: the root */
	struct tree_names *names; /* before and after it; NULL: it is the only one */
	struct tree_work *work;	  /* queued, or NULL */
	struct tree_dir *dir;	  /* of directories */
	struct tree_stat st;
	uint64_t first_ns, last_ns;
	uint64_t birth_ns; /* of the inode, 0: the file system does not tell */
	uint64_t written_bytes;
	struct {
		uint64_t write_calls : 48;
		uint64_t first_writer : 40;
		uint64_t last_writer : 40;
	} __attribute__((packed));
	int32_t slot;	     /* of the watcher, in the first node of an inode; -1: not watched */
	uint32_t hash;	     /* of the name */
	uint32_t seen;	     /* by the read with this number */
	uint16_t capability; /* hash of security.capability, 0: none */
	uint16_t flags;	     /* enum tree_node_flags */
	uint8_t verdict : 4; /* enum tree_verdict */
	uint8_t depth : 4;   /* enum tree_depth */
	uint8_t name_len;
	char name[];
};

struct tree_dir {
	struct tree *tree;	  /* of the root only */
	struct layer_dir *lower;  /* what it is merged with; NULL: nothing */
	struct tree_node **slots; /* children, open addressing by hash of the name */
	uint32_t slots_len;
	uint32_t len;
	uint32_t cursor;      /* of the walk that passes through */
	uint32_t unlisted;    /* entries without a node, all of them A */
	uint32_t lines;	      /* children that are listed, or have something listed beneath */
	uint32_t bare;	      /* of .hidden: those no child has, each a D */
	uint64_t may_read_ns; /* CLOCK_MONOTONIC; not sooner, see trap 6 */
	char **hidden;	      /* sorted names of the image, of an opaque directory */
	size_t hidden_len;
	bool is_opaque; /* by its own mark or its parent's */
	bool has_xwhiteouts;
	bool is_unread;
};

enum tree_work_flags {
	WORK_STAT = 1u << 0,
	WORK_READ = 1u << 1,
	WORK_INITIAL = 1u << 2, /* part of the first scan */
	WORK_RESCAN = 1u << 3,	/* look at every entry, descend everywhere */
	WORK_LIMBO = 1u << 4,
	WORK_UNCOUNTED = 1u << 5, /* limbo: nothing of it is in the totals any more */
	WORK_FAILED = 1u << 6,	  /* could not be looked at the last time */
	WORK_RESTING = 1u << 7,	  /* waits for tree_wake(), in .resting */
	WORK_HELD = 1u << 8,	  /* its mark is to be taken before it is looked at */
};

/* A node that is queued, ready or delayed, or waits in limbo. */
struct tree_work {
	struct tree_node *node;
	struct tree_work *next, *prev; /* ready, limbo or resting */
	uint64_t queued_ns, due_ns;    /* CLOCK_MONOTONIC */
	uint64_t again_ns;	       /* stat once more then; 0: no */
	struct tree_cause cause;
	uint32_t heap_at; /* 1-based; 0: not delayed */
	uint32_t flags;	  /* enum tree_work_flags */
	uint32_t bits;	  /* limbo: RESCAN of what it reports */
};

struct tree_list {
	struct tree_work *first, *last;
	size_t len;
};

/* Nodes by inode: of each inode the first of its names. Open addressing. */
struct tree_shard {
	struct tree_node **nodes;
	uint32_t len, used;
};

/* So many, for that growing one of them does not take long. */
#define TREE_SHARDS 16

struct tree_open_dir {
	struct tree_node *node; /* NULL: free */
	uint64_t used;
	int fd;
};

/* The read in progress; .node is NULL when there is none. */
struct tree_reader {
	struct tree_node *node;
	struct tree_cause cause;
	unsigned flags; /* enum tree_work_flags */
	unsigned bits;	/* INITIAL or RESCAN for what it reports */
	int fd;
	uint32_t number;
	uint32_t seen; /* children seen */
	uint32_t unlisted;
	uint32_t sweep_at;
	uint64_t begun_ns, spent_ns, listed_ns;
	bool is_listed;	 /* all names read; now for those that were not among them */
	bool is_torn;	 /* something could not be settled: read again */
	bool has_failed; /* for a reason that time or a rename does not explain */
	bool is_ahead;	 /* inodes of this chunk were announced to the watcher */
	bool is_held;	 /* names are gone, but it is too early to believe that */
	char *buf;
	size_t len, at;
};

/* The comparison in progress. */
struct tree_compare {
	struct tree_node *node;
	int upper_fd, lower_fd;
	uint64_t offset;
	struct timespec ctime;
};

struct tree {
	struct tree_node *root;
	struct layer_stack *stack;
	struct tree_watcher watcher;
	struct tree_limits limits;
	tree_change_fn on_change;
	void *arg;
	char *upper; /* with the host root in front */
	int rootfd;
	uint32_t dev;
	uint64_t key[2];

	bool events_complete, user_xattr;
	uint64_t image_ns; /* wall clock; what is older is the image's. 0: there are lowers */
	const uint64_t *mounts_seen_ns;
	bool is_whole; /* the upper directory holds the image's files too */
	bool is_mounted, is_gone, is_scanned;
	bool has_unwatched; /* something essential: as of the last scan, whatever comes in */
	bool watch_failed;  /* for something essential, since the last rescan began */
	bool wants_rescan;  /* memory ran out somewhere: look at everything again */
	uint64_t quiet_ns;  /* while unmounted: nothing is read before */
	uint64_t rescan_ns; /* when wants_rescan may be granted */
	uint64_t rescan_begun_ns;
	uint64_t relist_ns; /* a rescan for what has no node or no watch is due; 0: none */

	struct tree_shard index[TREE_SHARDS];
	uint64_t nodes, optional_watches, unlisted;
	uint64_t hash_key;   /* of dw_inode_hash() */
	uint64_t shared_ino; /* was given a shared mark before it was looked at */
	bool has_shared;
	uint64_t growth_ns; /* when .growth_looks began to be counted */
	uint32_t growth_looks;
	uint64_t stale;

	struct tree_list ready, limbo, resting;
	struct tree_work **heap; /* delayed, by due_ns; [0] unused */
	size_t heap_len, heap_size;
	uint64_t initial_left, rescan_left; /* queued work of a scan */
	uint64_t failed_left;		    /* queued work that failed before */
	struct tree_reader reader;
	uint64_t *compares; /* inodes whose contents are to be compared, a queue */
	size_t compares_at, compares_len, compares_size; /* the last a power of two */
	struct tree_compare compare;
	struct tree_node *dropping; /* where the freeing of a limbo subtree stands */

	struct tree_open_dir open[TREE_FDS];
	uint64_t open_clock;
	uint32_t read_number;

	uint64_t scanned_wall_ns, last_change_wall_ns;
	uint64_t dir_reads, lstats, rescans, stales;
	struct tree_counts totals; /* kept by tree_count.c */
	uint64_t counted;	   /* how often something was counted anew */
};

#endif /* LEDGER_TREE_TYPES_H */

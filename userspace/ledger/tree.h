/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree.h - the upper layer of one container as a tree of nodes, kept equal to the disk.
 *
 * Design: shared knowledge "exactness", section 6. The tree mirrors every entry of
 * the upper directory; each entry's verdict (A, C, D or none) comes from stat of
 * the upper entry and a look-up in the lower layers, nothing else. Nothing is read
 * from disk to answer a query.
 *
 * Invariants:
 *  I1 an inode is watched before its state is read;
 *  I2 its dirty mark is taken before it is verified;
 *  I3 content is attributed to a node only through an fd opened step by step from
 *     the root, whose inode equals the node's at every step;
 *  I4 a node known to be wrong is stale, and its parent has a pending event or is
 *     queued again;
 *  I5 no event is an answer.
 *
 * All work is done in slices by tree_work(): a queue of directories to read and
 * inodes to verify. While the queue is not empty the tree is not settled.
 */
#ifndef LEDGER_TREE_H
#define LEDGER_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/strbuf.h"
#include "layer/stack.h"

struct tree;
struct tree_node;

/* How the tree tells the kernel what to watch; a test gives its own. */
struct tree_watcher {
	/*
	 * Returns a slot >= 0, or -ENOSPC: the inode is then only seen by scans. Sets
	 * *@ret_begun when it may be about to change: the look to come may come too early.
	 */
	long (*watch)(void *arg, uint32_t dev, uint64_t ino, bool *ret_begun);
	void (*unwatch)(void *arg, uint32_t dev, uint64_t ino, long slot);
	/*
	 * About to watch most of these inodes; none: what was not watched since is not going to
	 * be. May be NULL.
	 */
	void (*watch_ahead)(void *arg, uint32_t dev, const uint64_t *inos, size_t len);
	/*
	 * Of added files past so many: tree_mark_shared() is told of them, when somebody asks.
	 * May be NULL: then their sizes are as of the last scan.
	 */
	void (*watch_shared)(void *arg, uint32_t dev, uint64_t ino);
	/*
	 * Clear the mark of @slot: see tree_leave_marked(). Returns what .watch sets. May be
	 * NULL.
	 */
	bool (*take)(void *arg, long slot);
	void *arg;
	uint64_t hash_key; /* with .watch_shared: of dw_inode_hash() */
};

enum tree_verdict { TREE_NONE, TREE_ADDED, TREE_MODIFIED, TREE_DELETED };
char tree_verdict_letter(enum tree_verdict v); /* 'A', 'C', 'D', ' ' */

enum tree_depth { TREE_DEPTH_UNKNOWN, TREE_TOUCHED, TREE_TAMPERED, TREE_NOT_COMPARED };

/* Who and when; both may be 0. Attribution only. */
struct tree_cause {
	uint64_t writer;  /* the ledger's writer number, see ledger.h */
	uint64_t wall_ns; /* when the inode was marked dirty */
};

/* Bits of what changed in a node, for the ops derived from verified changes. */
enum tree_change_bits {
	TREE_CHANGE_APPEARED = 1u << 0, /* a new name */
	TREE_CHANGE_VANISHED = 1u << 1, /* the name is gone from the upper layer */
	TREE_CHANGE_WHITEOUT = 1u << 2, /* the name became (or is, on APPEARED) a whiteout */
	TREE_CHANGE_VERDICT = 1u << 3,	/* A, C, D or none changed */
	TREE_CHANGE_MODE = 1u << 4,
	TREE_CHANGE_OWNER = 1u << 5,
	TREE_CHANGE_SIZE = 1u << 6,
	TREE_CHANGE_MTIME = 1u << 7,
	TREE_CHANGE_CAPABILITY = 1u << 8,
	TREE_CHANGE_CTIME = 1u << 9,	/* alone: xattr or the like */
	TREE_CHANGE_RENAMED = 1u << 10, /* on APPEARED: same inode vanished at old_path just now */
	TREE_CHANGE_LINKED = 1u << 11,	/* on APPEARED: the inode has another name too */
	TREE_CHANGE_INITIAL = 1u << 12, /* found by the first scan: not news */
	TREE_CHANGE_OPAQUE = 1u << 13,	/* a directory became or ceased to be opaque */
	TREE_CHANGE_RESCAN = 1u << 14,	/* found by a scan, not by an event: cause unknown */
	TREE_CHANGE_SHRUNK = 1u << 15,	/* beside SIZE: smaller than before */
	TREE_CHANGE_NLINK = 1u << 16,	/* beside CTIME: another name of the inode came or went */
};

/* Whether @bits, of enum tree_change_bits, are those of a file written to, and no others. */
static inline bool tree_change_is_growth(unsigned bits)
{
	const unsigned written = TREE_CHANGE_SIZE | TREE_CHANGE_MTIME;

	return bits & written && !(bits & ~(written | TREE_CHANGE_CTIME));
}

struct tree_change {
	struct tree_node *node; /* already updated; for VANISHED the node as it was */
	unsigned bits;		/* enum tree_change_bits */
	enum tree_verdict before;
	const char *old_path; /* RENAMED, LINKED: absolute, else NULL */
	struct tree_cause cause;
};
typedef void (*tree_change_fn)(const struct tree_change *change, void *arg);

/* Nodes of all trees that share it. */
struct tree_total {
	uint64_t max; /* 0: none */
	uint64_t used;
};

/*
 * Past a maximum of files the counts stay exact and names are unlisted. Directories and
 * names of the image, which verdicts hang on, are kept up to twice as many.
 */
struct tree_limits {
	uint64_t max_files;	    /* nodes kept; 0: any number */
	uint64_t max_compare_bytes; /* per file, for touched and tampered */
	struct tree_total *total;   /* outlives the tree; NULL: none */
};

struct tree_options {
	const char *host_root;
	const char *upper;	   /* absolute host path */
	struct layer_stack *stack; /* owned by the tree from here on, also on failure */
	struct tree_watcher watcher;
	struct tree_limits limits;
	tree_change_fn on_change;
	void *arg;
	/*
	 * Of a whole upper directory without lowers: what is older is the image's. Removals
	 * are known from the first scan on. 0 otherwise.
	 */
	uint64_t image_wall_ns;
	/*
	 * CLOCK_MONOTONIC of the last look at what is mounted, or NULL. That names are gone is
	 * believed only after a look that came later: tree_set_mounted() may be due.
	 */
	const uint64_t *mounts_seen_ns;
	bool events_complete; /* false: file system without complete dirty events; rescans decide */
	const char *fs_type;  /* of the upper, for labels; may be NULL */
};

/*
 * Opens and watches the upper directory and queues the first scan; reads nothing
 * yet. 0, -ENOENT (no such upper), -ENOMEM or -errno.
 */
int tree_open(const struct tree_options *options, struct tree **ret);
struct tree *tree_free(struct tree *t); /* unwatches all; takes NULL, returns NULL */

/* The upper root's identity. */
uint32_t tree_dev(const struct tree *t);
uint64_t tree_root_ino(const struct tree *t);

/*
 * An inode was reported dirty (the caller has taken its mark). Queues it; unknown
 * inodes are ignored. @is_begun: its change may be still to come, so it is looked at once
 * more a moment later.
 */
void tree_mark(struct tree *t, uint64_t ino, const struct tree_cause *cause, bool is_begun);

/*
 * The same, of a mark that the caller has not taken: true when it is not to be, because
 * the file is written to all the time, and is looked at when tree_wake() says so.
 */
bool tree_leave_marked(struct tree *t, uint64_t ino, const struct tree_cause *cause);

/* Somebody asks: queues what tree_leave_marked() was true of. Returns how many. */
size_t tree_wake(struct tree *t);

/*
 * Some of the inodes whose dw_inode_hash() >> DW_SHARED_SHIFT is @mark were dirtied: queues
 * those that have no mark of their own. Returns how many. And: has it any such?
 */
size_t tree_mark_shared(struct tree *t, uint32_t mark);
bool tree_has_shared(const struct tree *t);

/* Queue a re-read of everything beneath the root. */
void tree_rescan(struct tree *t);

/* Names were left out, and many nodes have gone since: tree_work() plans a rescan. */
bool tree_could_list_more(const struct tree *t);

/* Queue a look at one path, its directory included: for names that are not known yet. */
void tree_reread(struct tree *t, const char *path, size_t len);

/*
 * The same for a path that was found to be wrong: it is watched anew, and what is
 * remembered of the lower layers is forgotten.
 */
void tree_distrust(struct tree *t, const char *path, size_t len);

/*
 * Work on the queue for at most @budget_ns (0: until it is empty or only delayed
 * work is left). Returns milliseconds until delayed work is due, 0 when more is due
 * now, -1 when the queue is empty.
 */
int tree_work(struct tree *t, uint64_t budget_ns);

bool tree_is_settled(const struct tree *t); /* nothing queued, nothing stale */
bool tree_is_complete(
	const struct tree *t); /* first scan done, settled but for fresh events, nothing unlisted */
bool tree_has_unwatched(const struct tree *t); /* some of it is only as of the last scan */
bool tree_has_unread(const struct tree *t);    /* some of it could not be looked at; tried again */
bool tree_is_scanning(const struct tree *t);   /* all of it is being read, or about to be */
/* Entries found so far, listed or not: the first scan's progress. Costs nothing. */
uint64_t tree_entries(const struct tree *t);
bool tree_is_gone(const struct tree *t); /* the upper root has been deleted: the tree is frozen */
uint64_t tree_as_of_wall_ns(
	const struct tree *t); /* end of the last full scan, or now when events are complete */

/*
 * The overlay is not mounted: removals may be the runtime deleting the layer. While
 * set, vanished names are held back until the layer is quiet for 500 ms and its root
 * still exists; if the root goes, the tree is frozen as it was before.
 */
void tree_set_mounted(struct tree *t, bool mounted);

/* The container is no more: keep the lines as they are, let go of disk and kernel. */
void tree_freeze(struct tree *t);

/* The inode of a file the kernel side names; first name when it has several. NULL: none. */
struct tree_node *tree_find_ino(struct tree *t, uint64_t ino);
struct tree_node *tree_find_path(struct tree *t, const char *path, size_t len);
/* The same, sooner: @ino is likely to be the inode of what is there. */
struct tree_node *tree_find_at(struct tree *t, uint64_t ino, const char *path, size_t len);

/* --- a node --- */
struct tree_node_info {
	enum tree_verdict verdict;
	enum tree_depth depth;
	bool is_whiteout;
	bool has_lower;	 /* the image has this name */
	bool is_runtime; /* made by the runtime, not the workload: class "runtime" */
	struct stat
		st; /* as of the last verification: mode, uid, gid, size, rdev, nlink, times, ino */
	uint64_t first_wall_ns,
		last_wall_ns;	/* of change; from the layer when older than the agent */
	uint64_t birth_wall_ns; /* of the inode; 0: not known */
	uint64_t first_writer, last_writer;  /* ledger writer numbers; 0 unknown */
	uint64_t written_bytes, write_calls; /* folded in from drained aggregates */
};
void tree_node_info(const struct tree_node *n, struct tree_node_info *ret);

/* Absolute path inside the container, raw bytes, appended to @out. */
void tree_node_path(const struct tree_node *n, struct strbuf *out);

/* Attribution and counts arriving from elsewhere. */
void tree_node_add_writes(struct tree_node *n, uint64_t bytes, uint64_t calls,
			  const struct tree_cause *first, const struct tree_cause *last);
/* Who really made the last change (@is_first: and the first); replaces what the directory told. */
void tree_node_set_cause(struct tree_node *n, bool is_first, const struct tree_cause *cause);
void tree_node_set_runtime(struct tree_node *n, bool is_runtime);

/* Type and mode of what the image has under this name; 0: nothing. May look it up on disk. */
unsigned tree_node_lower_mode(const struct tree_node *n);

/* --- the answer --- */
struct tree_line {
	enum tree_verdict verdict; /* TREE_NONE only with @all: touched, tampered */
	const char *path;	   /* NUL-terminated, valid during the call */
	size_t path_len;
	const struct tree_node *node; /* NULL for a D beneath an opaque directory */
};
typedef int (*tree_line_fn)(const struct tree_line *line, void *arg);

/*
 * docker diff's lines from memory, in depth-first order by name bytes (not yet sorted
 * by whole path). Implied `C dir` lines for ancestors included. With @all also entries
 * without a verdict that exist in the upper layer. Stops at non-zero and returns it.
 */
int tree_foreach(const struct tree *t, bool all, tree_line_fn fn, void *arg);

struct tree_counts {
	uint64_t added, modified, deleted; /* as tree_foreach would list them */
	uint64_t touched, tampered, not_compared;
	uint64_t bytes; /* sum of sizes of regular files in the upper layer, each inode once */
	uint64_t executables; /* A or C regular files with an x bit */
	uint64_t nodes, unlisted;
	uint64_t last_change_wall_ns;
	uint64_t dir_reads, lstats, rescans, stales; /* work done, for tests and metrics */
};
/* Costs nothing, unless a directory has just vanished with all that was in it. */
void tree_counts(struct tree *t, struct tree_counts *ret);

#endif /* LEDGER_TREE_H */

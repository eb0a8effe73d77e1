/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_internal.h - what the files of the tree share.
 *
 *	tree.c		life of a tree, marks, the questions about its state
 *	tree_node.c	nodes, and the names in a directory
 *	tree_index.c	nodes by inode, and what is watched
 *	tree_fd.c	directories opened step by step from the root, inode checked
 *	tree_queue.c	what is to be done, now or later
 *	tree_work.c	doing it, in slices
 *	tree_read.c	reading a directory
 *	tree_entry.c	a name that was not there before
 *	tree_opaque.c	what a directory hides
 *	tree_stat.c	the state and the verdict of one entry
 *	tree_update.c	a known node looked at again
 *	tree_rename.c	is this new name an inode we knew under another?
 *	tree_limbo.c	names that vanished, until they are reported and freed
 *	tree_depth.c	touched or tampered: comparing contents
 *	tree_count.c	totals and which directories have lines beneath them
 *	tree_print.c	the lines
 *	tree_audit.c	the lines against an independent scan
 *	tree_info.c	what others see of a node
 *
 * No recursion anywhere: a container nests as deep as it likes.
 */
#ifndef LEDGER_TREE_INTERNAL_H
#define LEDGER_TREE_INTERNAL_H

#include <sys/types.h>

#include "base/clock.h"
#include "ledger/tree.h"

#define TREE_FDS	      12		  /* directories kept open while there is work */
#define TREE_OPTIONAL_WATCHES 8192		  /* added non-directories watched per tree */
#define TREE_QUIET_NS	      (500 * NS_PER_MSEC) /* of an unmounted layer, before names vanish */
#define TREE_BACKOFF_FACTOR   10		  /* a read of t is followed by 10 t without one */
#define TREE_BACKOFF_MAX_NS   (500 * NS_PER_MSEC)
#define TREE_RETRY_NS	      (100 * NS_PER_MSEC) /* of what could not be read */
#define TREE_UNWATCHED_NS     (5 * NS_PER_SEC)	  /* between rescans of what is not watched */
#define TREE_RELIST_NS	      (10 * NS_PER_SEC)	  /* at most so often for names without a node */
#define TREE_FRESH_NS	      NS_PER_SEC	  /* work younger than this is not lag */

/* What is kept of statx. */
struct tree_stat {
	uint64_t ino;
	uint64_t size;
	int64_t mtime_sec, ctime_sec;
	uint32_t mtime_ns, ctime_ns;
	uint32_t uid, gid, rdev, nlink; /* rdev: major << 20 | minor */
	uint16_t mode;
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
};

/* About 170 bytes and the name; what only directories need is apart. */
struct tree_node {
	struct tree_node *parent;		 /* NULL: the root */
	struct tree_node *same_next, *same_prev; /* other names of the inode */
	struct tree_work *work;			 /* queued, or NULL */
	struct tree_dir *dir;			 /* of directories */
	struct tree_stat st;
	uint64_t first_ns, last_ns;
	uint64_t first_writer, last_writer;
	uint64_t written_bytes, write_calls;
	uint32_t hash;	     /* of the name */
	uint32_t seen;	     /* by the read with this number */
	uint32_t capability; /* hash of security.capability, 0: none */
	uint16_t flags;	     /* enum tree_node_flags */
	uint8_t verdict;     /* enum tree_verdict */
	uint8_t depth;	     /* enum tree_depth */
	uint8_t name_len;
	char name[];
};

struct tree_dir {
	struct tree *tree;	  /* of the root only */
	struct layer_dir *lower;  /* what it is merged with; NULL: nothing */
	struct tree_node **slots; /* children, open addressing by hash of the name */
	uint32_t slots_len;	  /* 0 or a power of two */
	uint32_t len;
	uint32_t cursor;      /* of the walk that passes through */
	uint32_t unlisted;    /* entries without a node, all of them A */
	uint64_t may_read_ns; /* CLOCK_MONOTONIC; not sooner, see trap 6 */
	char **hidden;	      /* sorted names of the image, of an opaque directory */
	size_t hidden_len;
	bool is_opaque; /* by its own mark or its parent's */
	bool has_xwhiteouts;
	bool is_unread;
	bool has_lines; /* of the last count: lines beneath it */
};

enum tree_work_flags {
	WORK_STAT = 1u << 0,
	WORK_READ = 1u << 1,
	WORK_INITIAL = 1u << 2, /* part of the first scan */
	WORK_RESCAN = 1u << 3,	/* look at every entry, descend everywhere */
	WORK_LIMBO = 1u << 4,
};

/* A node that is queued, ready or delayed, or waits in limbo. */
struct tree_work {
	struct tree_node *node;
	struct tree_work *next, *prev; /* ready or limbo */
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

/* Nodes by inode; one entry for all names of an inode. */
struct tree_ino {
	struct tree_node *first; /* NULL: free */
	int32_t slot;		 /* of the watcher, -1: not watched */
	uint32_t counted;	 /* in the count with this number */
};

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
	uint64_t begun_ns, spent_ns;
	bool is_listed; /* all names read; now for those that were not among them */
	bool is_torn;	/* something could not be settled: read again */
	bool is_held;	/* names are gone, but it is too early to believe that */
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

struct tree_count_cache {
	struct tree_counts counts;
	bool is_valid;
	uint32_t number;
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
	bool is_mounted, is_gone, is_scanned;
	bool has_unwatched; /* something essential: as of the last scan, whatever comes in */
	bool watch_failed;  /* for something essential, since the last rescan began */
	bool wants_rescan;  /* memory ran out somewhere: look at everything again */
	uint64_t quiet_ns;  /* while unmounted: nothing is read before */
	uint64_t rescan_ns; /* when wants_rescan may be granted */
	uint64_t rescan_begun_ns;
	uint64_t relist_ns; /* a rescan for what has no node or no watch is due; 0: none */

	struct tree_ino *inos;
	size_t inos_len, inos_used;
	uint64_t nodes, optional_watches, unlisted;
	uint64_t stale;

	struct tree_list ready, limbo;
	struct tree_work **heap; /* delayed, by due_ns; [0] unused */
	size_t heap_len, heap_size;
	uint64_t initial_left, rescan_left; /* queued work of a scan */
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
	struct tree_count_cache *count;
};

/* --- tree_node.c */
struct tree_node *node_new(struct tree *t, struct tree_node *parent, const char *name);
void node_free(struct tree *t, struct tree_node *n); /* childless; unlinks it everywhere */
struct tree_node *node_child(const struct tree *t, const struct tree_node *n, const char *name,
			     size_t len);
int node_link(struct tree_node *n);    /* into its parent's table */
void node_unlink(struct tree_node *n); /* out of it */
int node_make_dir(struct tree_node *n);
void node_free_dir(struct tree *t, struct tree_node *n); /* which has no children */
/* Some child, in a table that only loses entries. NULL: none is left. */
struct tree_node *node_any_child(struct tree_node *n);
bool node_is_live(const struct tree_node *n); /* reachable from the root */
static inline bool node_is_dir(const struct tree_node *n)
{
	return n->dir != NULL;
}

/* --- tree_index.c */
/* 1: its inode is watched from now on; 0: it was before, or is not; -ENOMEM. */
int index_add(struct tree *t, struct tree_node *n);
void index_remove(struct tree *t, struct tree_node *n);
/* Try again to watch an inode for which there was no room. */
void index_watch(struct tree *t, struct tree_node *n);
struct tree_ino *index_find(const struct tree *t, uint64_t ino);

/* --- tree_fd.c */
/* An fd for listing, borrowed until the next call of these; -errno when it is not there. */
int tree_dir_fd(struct tree *t, struct tree_node *n);
void tree_forget_fd(struct tree *t, const struct tree_node *n);
void tree_close_fds(struct tree *t);

/* --- tree_stat.c */
/* Stat the entry @name of @dirfd. 0 or -errno; *ret_btime_ns is 0 when unknown. */
int tree_stat_entry(struct tree *t, int dirfd, const char *name, struct tree_stat *ret,
		    uint64_t *ret_btime_ns);
void tree_stat_to_stat(const struct tree *t, const struct tree_stat *st, struct stat *ret);
static inline bool tree_same_file(const struct tree_stat *a, const struct tree_stat *b)
{
	return a->ino == b->ino && (a->mode & S_IFMT) == (b->mode & S_IFMT);
}
/* Put @st and what follows from it into @n. Returns enum tree_change_bits or -errno. */
int tree_judge(struct tree *t, struct tree_node *n, int dirfd, const struct tree_stat *st);
static inline uint64_t tree_ctime_ns(const struct tree_stat *st)
{
	return (uint64_t)st->ctime_sec * NS_PER_SEC + st->ctime_ns;
}

/* --- tree_update.c */
/* tree_judge() of a known node, and the report of what changed. 0 or -errno. */
int tree_update(struct tree *t, struct tree_node *n, int dirfd, const struct tree_stat *st,
		const struct tree_cause *cause, unsigned bits);
/* Stat a known node again through its directory: reports changes, or makes it stale. */
void tree_restat(struct tree *t, struct tree_node *n, int dirfd, const struct tree_cause *cause,
		 unsigned bits);
void tree_set_stale(struct tree *t, struct tree_node *n, bool is_stale);
void tree_report(struct tree *t, struct tree_change *change);

/* --- tree_read.c */
/* Takes over the flags of @w. */
void tree_read_begin(struct tree *t, const struct tree_work *w);
void tree_read_step(struct tree *t, uint64_t until_ns);
void tree_read_abort(struct tree *t);

/* --- tree_opaque.c */
/* Opaque or not, by the reader's directory and those above. 0 or -errno. */
int tree_read_marks(struct tree *t, struct tree_reader *r);

/* --- tree_entry.c */
/* Make, watch and report the node of a name just found. 0 or -errno. */
int tree_entry_new(struct tree *t, struct tree_reader *r, const char *name,
		   struct tree_node *replaces);

/* --- tree_rename.c */
/*
 * The node of the inode that @n, just found, has been elsewhere: TREE_CHANGE_RENAMED or
 * TREE_CHANGE_LINKED in *ret_bits. NULL: it is new.
 */
struct tree_node *tree_find_origin(struct tree *t, const struct tree_node *n, uint64_t btime_ns,
				   const struct tree_reader *r, unsigned *ret_bits);
/* The inode keeps its history under its new name. */
void tree_inherit(struct tree_node *n, const struct tree_node *origin);

/* --- tree_limbo.c */
/* Take the name @n out of the tree. 0, or -ENOMEM and nothing happened. */
int tree_vanish(struct tree *t, struct tree_node *n, const struct tree_reader *r);
/* Report and free what is in limbo until @until_ns. */
void tree_limbo_step(struct tree *t, uint64_t until_ns);

/* --- tree_queue.c */
/* Queue @n; @due_ns 0: now. Merges with what is queued. */
void queue_add(struct tree *t, struct tree_node *n, unsigned flags, const struct tree_cause *cause,
	       uint64_t due_ns);
void queue_again(struct tree_node *n, uint64_t at_ns); /* stat it once more then */
/* Take out what is due; its flags count as open until queue_done(). False: nothing is. */
bool queue_pop(struct tree *t, uint64_t now_ns, struct tree_work *ret);
void queue_done(struct tree *t, unsigned flags);
void queue_remove(struct tree *t, struct tree_work *w); /* unfinished; freed */
uint64_t queue_next_due(const struct tree *t);		/* 0: nothing is delayed */
void list_push(struct tree_list *l, struct tree_work *w, bool front);
void list_remove(struct tree_list *l, struct tree_work *w);

/* --- tree_depth.c */
void compare_add(struct tree *t, struct tree_node *n);
void compare_step(struct tree *t, uint64_t until_ns);
void compare_forget(struct tree *t, struct tree_node *n);
void compare_drop(struct tree *t); /* all of it */
bool tree_is_comparing(const struct tree *t);

/* --- tree_count.c */
void tree_count(const struct tree *t); /* fills the cache and has_lines, if needed */
static inline void tree_changed(struct tree *t)
{
	t->count->is_valid = false;
}

/* --- tree.c */
/* Of an unmounted layer: is it too early to believe that names have vanished? */
static inline bool tree_is_held(const struct tree *t, uint64_t now_ns)
{
	return !t->is_mounted && now_ns < t->quiet_ns;
}
bool tree_root_is_gone(const struct tree *t);
bool tree_root_is_in_place(const struct tree *t); /* at the path it was opened by */

#endif /* LEDGER_TREE_INTERNAL_H */

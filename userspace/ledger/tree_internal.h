/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_internal.h - what the files of the tree share.
 *
 *	tree_types.h	nodes, directories, the queue, the tree
 *	tree.c		life of a tree, marks, the questions about its state
 *	tree_node.c	nodes, and the names in a directory
 *	tree_index.c	nodes by inode, and what is watched
 *	tree_fd.c	directories opened step by step from the root, inode checked
 *	tree_queue.c	what is to be done, now or later
 *	tree_work.c	doing it, in slices
 *	tree_rest.c	not doing it, until somebody asks
 *	tree_read.c	reading a directory
 *	tree_entry.c	a name that was not there before
 *	tree_opaque.c	what a directory hides
 *	tree_stat.c	the state and the verdict of one entry
 *	tree_update.c	a known node looked at again
 *	tree_rename.c	is this new name an inode we knew under another?
 *	tree_limbo.c	names that vanished, until they are reported and freed
 *	tree_depth.c	touched or tampered: comparing contents
 *	tree_count.c	totals, kept with every change, and which directories have lines
 *	tree_print.c	the lines
 *	tree_reread.c	looking again without having been told to
 *	tree_info.c	what others see of a node
 *
 * No recursion anywhere: a container nests as deep as it likes.
 */
#ifndef LEDGER_TREE_INTERNAL_H
#define LEDGER_TREE_INTERNAL_H

#include "ledger/tree_types.h"

struct dirent64;

/* --- tree_node.c */
struct tree_node *node_new(struct tree *t, struct tree_node *parent, const char *name);
void node_free(struct tree *t, struct tree_node *n); /* childless; unlinks it everywhere */
struct tree_node *node_child(const struct tree *t, const struct tree_node *n, const char *name,
			     size_t len);
int node_link(struct tree *t, struct tree_node *n);    /* into its parent's table */
void node_unlink(struct tree *t, struct tree_node *n); /* out of it, if it is there */
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
/* Watch its inode anew: the watch it has may not be there any more. */
void index_rewatch(struct tree *t, struct tree_node *n);
/* An added file's mark of its own for a shared one, and back, where there is room. */
void index_give_up(struct tree *t, struct tree_node *n);
void index_take_back(struct tree *t, struct tree_node *n);
/* About to look at the name of @ino: if it is one for a shared mark, that is set up now. */
void index_expect(struct tree *t, uint64_t ino);
/* The first of the nodes of @ino. NULL: there is none. */
struct tree_node *index_find(const struct tree *t, uint64_t ino);
/* The next name of the inode. NULL: there is none. */
static inline struct tree_node *index_next(const struct tree_node *n)
{
	return n->names ? n->names->next : NULL;
}
static inline struct tree_node *index_prev(const struct tree_node *n)
{
	return n->names ? n->names->prev : NULL;
}
void index_unwatch_all(struct tree *t);
void index_free(struct tree *t);
/* The place in a table of @len that @hash, evenly spread over 32 bits, comes to. */
static inline uint32_t table_home(uint32_t hash, uint32_t len)
{
	return (uint32_t)((uint64_t)hash * len >> 32);
}
static inline uint32_t table_next(uint32_t at, uint32_t len)
{
	return at + 1 == len ? 0 : at + 1;
}
/* How far @at is behind @home, in a table that goes round. */
static inline uint32_t table_distance(uint32_t home, uint32_t at, uint32_t len)
{
	return at >= home ? at - home : at + len - home;
}

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
/* Seconds as struct tree_stat can hold them: to the year 19000, and what is later is then. */
static inline int64_t tree_time_sec(int64_t sec)
{
	const int64_t max = (1ll << 39) - 1;

	return sec > max ? max : sec < -max ? -max : sec;
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
/* False: not before somebody has looked at what is mounted. */
bool tree_read_step(struct tree *t, uint64_t until_ns);
void tree_read_abort(struct tree *t);

/* --- tree_opaque.c */
/* Opaque or not, by the reader's directory and those above. 0 or -errno. */
int tree_read_marks(struct tree *t, struct tree_reader *r);
/*
 * With options.image_wall_ns: was @name, just found, there when the container was made? And:
 * @n goes, remember that the image had its name. 0 or -ENOMEM.
 */
bool tree_is_of_image(const struct tree *t, const struct tree_reader *r, const char *name,
		      uint64_t btime_ns);
int tree_keep_name(struct tree *t, struct tree_node *n);
/* Is @name among the hidden ones? And: how many of these no child of @n has. */
bool tree_dir_hides(const struct tree_dir *d, const char *name);
uint32_t tree_bare_names(const struct tree *t, const struct tree_node *n);

/* --- tree_entry.c */
/* Make, watch and report the node of a name just listed. 0 or -errno. */
int tree_entry_new(struct tree *t, struct tree_reader *r, const struct dirent64 *listed,
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
/* The name has moved on or is gone, which raised its event. Other errors are failures. */
static inline bool tree_is_elsewhere(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP || err == -ESTALE;
}

static inline unsigned work_of_look(const struct tree_node *n)
{
	return WORK_STAT | (node_is_dir(n) ? (unsigned)WORK_READ : 0u);
}

/* Queue @n; @due_ns 0: now. Merges with what is queued. */
void queue_add(struct tree *t, struct tree_node *n, unsigned flags, const struct tree_cause *cause,
	       uint64_t due_ns);
/* Look once more at @at_ns, or TREE_BEGUN_NS from now, whatever look comes before. */
void queue_again(struct tree_node *n, uint64_t at_ns);
void queue_begun(struct tree *t, struct tree_node *n);
/* Take out what is due; its flags count as open until queue_done(). False: nothing is. */
bool queue_pop(struct tree *t, uint64_t now_ns, struct tree_work *ret);
/* Have @n wait for tree_wake(). False: it is queued for sooner, or too many do. */
bool rest_add(struct tree *t, struct tree_node *n, const struct tree_cause *cause);
void queue_done(struct tree *t, unsigned flags);
void queue_remove(struct tree *t, struct tree_work *w); /* unfinished; freed */
uint64_t queue_next_due(const struct tree *t);		/* 0: nothing is delayed */
void list_push(struct tree_list *l, struct tree_work *w, bool front);
void list_remove(struct tree_list *l, struct tree_work *w);

/* --- tree_rest.c */
/* Work with WORK_HELD is about to be done, or is dropped. */
bool rest_end(struct tree *t, struct tree_node *n); /* what .take returns */
void rest_disturb(struct tree *t, struct tree_node *n);
bool tree_is_being_written(const struct tree_node *n);

/* --- tree_depth.c */
void compare_add(struct tree *t, struct tree_node *n);
void compare_step(struct tree *t, uint64_t until_ns);
void compare_forget(struct tree *t, struct tree_node *n);
void compare_drop(struct tree *t); /* all of it */
bool tree_is_comparing(const struct tree *t);

/* --- tree_count.c */
/* A node as it was counted. */
struct tree_counted {
	bool is_counted, is_shown;
};
/*
 * Around every change of what is counted of a node (verdict, depth, state, .unlisted,
 * .hidden): out of the totals, and in again as it is then. They nest.
 */
struct tree_counted tree_count_out(struct tree *t, struct tree_node *n);
void tree_count_in(struct tree *t, struct tree_node *n, struct tree_counted before);
/* It has got its place in the tree, or has lost it. What is beneath it stays counted. */
void tree_count_linked(struct tree *t, struct tree_node *n);
void tree_count_unlinked(struct tree *t, struct tree_node *n);
/* Is something beneath it listed? That makes a directory C which is not listed itself. */
static inline bool node_has_lines(const struct tree_node *n)
{
	return n->dir && (n->dir->lines || n->dir->bare || n->dir->unlisted);
}
/*
 * Count its children afresh, .lines and .bare. Returns whether they were right, and makes
 * them so.
 */
bool tree_recount_dir(struct tree *t, struct tree_node *n);

/* --- tree.c */
/* Of an unmounted layer: is it too early to believe that names have vanished? */
static inline bool tree_is_held(const struct tree *t, uint64_t now_ns)
{
	return !t->is_mounted && now_ns < t->quiet_ns;
}
bool tree_root_is_gone(const struct tree *t);
bool tree_root_is_in_place(const struct tree *t); /* at the path it was opened by */

#endif /* LEDGER_TREE_INTERNAL_H */

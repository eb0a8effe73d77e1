/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_internal.h - what the parts of the engine share.
 *
 *	engine.c            open, close, subscribers
 *	engine_step.c       one turn, and turning until an answer is true
 *	engine_track.c      containers come, change, go: slots, trees, announcements
 *	engine_attach.c     what the kernel side is told about a container
 *	engine_watch.c      which inodes it is to watch
 *	engine_records.c    records of the kernel side, queued for one flush
 *	engine_flush.c      records and verified changes of a flush become events
 *	engine_relate.c     what the changes of one flush mean for each other
 *	engine_events.c     one record, or one verified change, as an event
 *	engine_explain.c    what records of the last moments explain
 *	engine_recall.c     the inodes they were of
 *	engine_derive.c     which operation a verified change stands for
 *	engine_counts.c     totals
 *	engine_fold.c	    per-file counts, bursts
 *	engine_execs.c      executions of drifted files
 *	engine_runtime.c    what the runtime made, not the workload
 *	engine_loss.c       loss found, counted, marked and healed
 *	engine_health.c     housekeeping, once a second
 *	engine_audit.c      ledgers compared with their layers, asked for or by the clock
 *	engine_state.c      saved for the next agent
 *
 * A flush: records are drained into a queue, dirty marks go to the trees, the trees
 * verify and report changes, and both lists together become events in order of time.
 */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include <string.h>
#include <uthash.h>

#include "agent/engine.h"
#include "agent/engine_recall.h"
#include "base/arena.h"
#include "base/clock.h"

#define ENGINE_MAX_QUEUED      16384		   /* records and changes of one flush */
#define ENGINE_MAX_SUBSCRIBERS 256		   /* streams and the run command */
#define ENGINE_MAX_TOLD	       65536		   /* names of the last moments */
#define ENGINE_MAX_EXECS       4096		   /* executed files remembered per container */
#define ENGINE_EXPLAIN_NS      (2 * NS_PER_SEC)	   /* a record explains a change this long */
#define ENGINE_COALESCE_MAX_NS (50 * NS_PER_MSEC)  /* a record waits so long at most */
#define ENGINE_UNHEARD_NS      (250 * NS_PER_MSEC) /* or so long, where nobody is told of it */
#define ENGINE_WORK_NS	       (4 * NS_PER_MSEC)   /* one step's reading of layers */
#define ENGINE_REUSE_SLACK_NS  (50 * NS_PER_MSEC)  /* a file born so much later is another one */

struct track;
struct engine_state;

/* A volume source shared by any number of containers. */
struct volume_root {
	struct dw_inode key;
	uint64_t generation; /* of struct dw_root */
	unsigned users;
	bool is_set; /* the probe knows it */
	UT_hash_handle hh;
};

/* A file somebody executed, by the overlay's numbers. */
struct executed {
	uint64_t ino;
	uint32_t overlay_dev;
	uint64_t seen; /* runs already counted or passed over */
	uint64_t own;  /* runs that are the image's own if, when all is told up to then, ... */
	struct probe_moment own_then; /* ... the file has still not drifted */
	char *path;
};

/* What the engine keeps about a container beside the ledger. */
struct track {
	struct engine *engine;
	struct ledger_container *c;
	uint32_t overlay_dev;	     /* as told to the probe; 0: none */
	struct dw_inode upper, work; /* as told to the probe; .ino 0: none */
	uint64_t *cgroup_ids;
	size_t cgroup_ids_len;
	struct dw_inode *volumes;
	size_t volumes_len;
	size_t untold;		   /* of the above: how many the probe had no room for */
	struct track *prev, *next; /* among the busy; .prev NULL: it is not */
	uint64_t work_due_ns;	   /* monotonic; 0: nothing queued; set by engine_want_work() */
	uint64_t visited;	   /* .work_round of the engine in which it was last found due */
	bool is_passed_over;	   /* the time of that round was up before its turn */
	uint64_t told_in;	   /* .flushes of the engine when its last change was queued */
	uint64_t last_rescan_ns;   /* monotonic */
	uint64_t rescan_due_ns;	   /* monotonic; 0: none wanted */
	unsigned rescan_reasons;   /* 1u << enum loss_reason: why one is wanted */
	struct dw_counters seen;   /* loss counters already reported */
	struct executed *execs;
	size_t execs_len;
	bool was_running;
	bool is_mounted; /* as told to the tree */
	bool is_own;
	bool labels_due; /* entries made by the runtime are to be labelled anew */
	bool first_scan_done;
	bool is_scanned;	      /* lists are as of scans, for want of complete events */
	uint64_t told_ns;	      /* monotonic; of the first scan's progress, 0: not yet */
	bool audit_wanted;	      /* somebody waits for a verification */
	uint64_t audit_due_ns;	      /* monotonic; of the next by the clock; 0: none */
	uint64_t audit_began_ns;      /* monotonic; of the last that is over */
	struct audit_result *audited; /* its result; NULL: none yet */
};

/* One queued record, with its paths, which belong to the flush: engine.texts. */
struct queued_op {
	struct dw_op_record record;
	const char *path;  /* NULL: none */
	const char *path2; /* NULL: none */
	size_t path_len, path2_len;
};

/* One queued change of a tree, copied out of the callback; its paths belong to the flush. */
struct queued_change {
	struct track *track;
	unsigned bits;
	enum tree_verdict before, after;
	bool lower_is_dir; /* of a whiteout: what it hides */
	struct tree_node_info info;
	const char *path;
	size_t path_len;
	const char *old_path; /* NULL: none */
	struct tree_cause cause;
	bool is_claimed;   /* told as part of another change */
	bool is_copied_up; /* a file of the image, under a name that is not the image's */
};

/* Operations the kernel side reported by name only, before they took effect. */
struct told_name {
	char *key; /* slot and path */
	unsigned ops;
	bool is_dir; /* what had the name last */
	uint64_t expires_ns;
	UT_hash_handle hh;
};

struct folded_key {
	struct probe_file_key file;
	dw_container_t container; /* 0: written before anybody knew whose overlay_dev is */
	uint32_t pad;
};

/* Numbers of a per-file aggregate already folded into its node. */
struct folded {
	struct folded_key key;
	uint64_t bytes, calls;
	uint64_t drained_bytes, drained_calls; /* moved out of the kernel, folded in or not */
	uint64_t first_boot_ns, last_boot_ns;
	uint64_t first_writer, last_writer; /* the kernel's numbers */
	uint32_t target;
	uint32_t overlay_dev;
	uint64_t new_bytes, new_calls; /* what the kernel holds, as it is being read */
	UT_hash_handle hh;
};

struct subscriber {
	int number;
	bool want_raw;
	event_fn fn;
	void *arg;
};

struct engine {
	struct engine_options options;
	struct tree_total files; /* listed, of all containers */
	struct probe *probe;
	struct registry *registry;
	struct ledger *ledger;
	int epoll_fd;
	bool probe_armed;	     /* probe_fd is in the epoll set */
	uint64_t flush_at_ns;	     /* monotonic; 0: no records wait */
	uint64_t coalesce_ns;	     /* so long may the next ones: the more come, the longer */
	uint64_t now_ns;	     /* monotonic, as of engine_look_at_clocks() */
	uint64_t wall_minus_boot_ns; /* likewise */
	uint64_t mounts_seen_ns;     /* monotonic; as of when the registry knows what is mounted */
	uint64_t housekeeping_ns;
	bool started, ready;
	bool keeps_pins; /* closing: the kernel side goes on counting */

	struct track **by_slot; /* [slots_len] */
	size_t slots_len;
	dw_container_t *free_slots; /* ring: the slot free for longest is taken first */
	size_t free_head, free_len;

	struct queued_op *ops;
	size_t ops_len;
	struct queued_change *changes;
	size_t changes_len;
	struct arena texts;	/* of the two above */
	uint64_t flushes;	/* of the two above, ever */
	uint64_t flush_held_ns; /* monotonic; since when they wait for the rest, 0: they do not */
	struct strbuf scratch;
	struct recall_table recalls;
	struct told_name *told;
	struct folded *folded;
	struct volume_root *volumes;

	struct subscriber subscribers[ENGINE_MAX_SUBSCRIBERS];
	size_t subscribers_len;
	int next_subscription;
	uint64_t next_seq;
	uint64_t next_burst_ns;
	uint64_t detached;	    /* programs detached from outside, as of the last look */
	uint64_t lost_nobodys;	    /* records lost that were of no container, likewise */
	bool wants_inventory;	    /* a look at all containers there are */
	uint64_t next_inventory_ns; /* monotonic: not before */
	uint64_t next_sweep_ns;	    /* monotonic: of the dirty marks, likewise */
	uint64_t shared_due_ns;	    /* monotonic: of the shared marks, for subscribers */
	uint64_t wake_due_ns;	    /* monotonic: of marks that were left set, likewise */
	bool is_asked;		    /* somebody waits: no mark is left set */
	uint64_t drained;	    /* counts of files, moved out of the kernel */
	uint64_t work_round;	    /* counts engine_work_on_trees() */
	size_t trees_due;	    /* in the last of these */
	struct track *busy;	    /* whose layer is to be read, now or later; those waited for */
	uint64_t worked, trimmed;   /* work_done() at the last look, and when memory was trimmed */
	size_t still_reading;	    /* containers whose first scan is not over */
	size_t removed_len;	    /* containers that are gone and still listed */
	struct engine_stats stats;
	struct engine_state *state; /* NULL: nothing is saved */

	struct audit *audit; /* the one that is running, of .auditing; NULL: none */
	struct track *auditing;
	uint64_t audit_began_ns, audit_step_ns; /* monotonic; the latter: its next step */
};

/* engine.c */
void engine_arm_probe(struct engine *e, bool on); /* in or out of the epoll set */
void engine_emit(struct engine *e, struct event *event);
static inline bool engine_has_subscriber(const struct engine *e)
{
	return e->subscribers_len != 0;
}
bool engine_has_raw_subscriber(const struct engine *e);

/* engine_step.c */
/* .now_ns is good enough for what is of this step, and so is the wall clock. */
void engine_look_at_clocks(struct engine *e);
static inline uint64_t engine_wall_of_boot(const struct engine *e, uint64_t boot_ns)
{
	return boot_ns ? boot_ns + e->wall_minus_boot_ns : 0;
}
/* What happened until now becomes marks. */
void engine_flush_now(struct engine *e, bool somebody_waits);

/* engine_work.c */
/*
 * A step looks at the busy only: those with work that is due now or later, those whose first
 * scan is not over, those whose verification somebody waits for. engine_rest() takes out
 * who is none of these.
 */
void engine_be_busy(struct track *t);
void engine_rest(struct track *t);
void engine_want_work(struct track *t, uint64_t due_ns); /* monotonic */
/*
 * Let the trees that are due work for @budget_ns in all. None waits for more than a share
 * of each other one. Returns whether some have more to do now.
 */
bool engine_work_on_trees(struct engine *e, uint64_t budget_ns);

/* engine_track.c */
int engine_init_slots(struct engine *e, size_t slots);
void engine_fill_slots(struct engine *e); /* once it is known which are reserved */
void engine_release_slot(struct engine *e, dw_container_t slot);
void engine_on_registry(enum registry_change change, const struct container *c, void *arg);
int engine_track(struct engine *e, const struct container *meta, struct ledger_container **ret);
void engine_forget(struct engine *e, struct track *t); /* retention is over */
struct track *engine_track_of_slot(const struct engine *e, dw_container_t slot);
/* Open the layer, if the container has one that is not open yet. */
void engine_open_tree(struct engine *e, struct track *t);

/* engine_attach.c */
void engine_attach(struct engine *e, struct track *t); /* again: what there was no room for */
void engine_detach(struct engine *e, struct track *t);

/* engine_watch.c */
struct tree_watcher engine_watcher(struct track *t);

/* engine_runtime.c */
void engine_label_runtime(struct engine *e, struct track *t); /* when it is due */

/* engine_records.c */
int engine_drain(struct engine *e);
uint64_t engine_writer(struct engine *e, uint64_t kernel_id, uint32_t tgid, uint32_t uid,
		       const char *comm, uint64_t cgroup_id, bool is_runtime);
/* When the dirty ring has refused records; unless @now, not often enough to be a burden. */
void engine_sweep_dirty(struct engine *e, bool now);

/* engine_sizes.c */
/* Somebody asks: what marks tell that were left where they are becomes work. */
void engine_take_left(struct engine *e);
/* The same of one layer's marks of its own. Returns how many inodes are to be looked at. */
size_t engine_wake(struct track *t);
/* For subscribers, who ask for nothing but are told of changes: when it is due. */
void engine_take_left_in_turn(struct engine *e, uint64_t now_ns);

/* engine_flush.c */
void engine_on_tree_change(const struct tree_change *change, void *track);
void engine_flush_events(struct engine *e);
/*
 * The same, but not in the midst of reading what has changed in a layer: what belongs
 * together is told together, unless that takes longer than a record may wait.
 */
void engine_flush_events_once_read(struct engine *e);
void engine_drop_queues(struct engine *e);
/* A copy of @text, or NULL, that lives as long as this flush. */
static inline const char *engine_keep_text(struct engine *e, const char *text)
{
	return text ? arena_copy(&e->texts, text, strlen(text)) : NULL;
}

/* engine_relate.c */
void engine_relate_changes(struct engine *e);

/* engine_events.c */
void engine_fill_stat(struct event *event, const struct tree_node_info *info);
void engine_emit_op(struct engine *e, struct track *t, const struct queued_op *q);
void engine_emit_derived(struct engine *e, const struct queued_change *c, enum dw_op op);

/* engine_explain.c: what the records of the last moments explain */
void engine_explain(struct engine *e, const struct dw_op_record *r);
void engine_explain_names(struct engine *e, uint32_t dev, uint64_t ino);
void engine_explain_creation(struct engine *e, const struct dw_op_record *r, const char *path);
/* Is what was told then of an earlier life of the inode's number? (Births are a tick's.) */
static inline bool engine_is_earlier(uint64_t told_wall_ns, uint64_t birth_wall_ns)
{
	return told_wall_ns + NS_PER_MSEC < birth_wall_ns;
}
/*
 * Of what was found to be born at @birth_wall_ns (0: not known): the records that say that its
 * number is used again may not have been read yet.
 */
void engine_forget_earlier(struct engine *e, uint32_t dev, uint64_t ino, uint64_t birth_wall_ns);
void engine_keep_origin(struct engine *e, uint32_t dev, uint64_t ino,
			const struct tree_cause *cause);
const struct tree_cause *engine_find_origin(const struct engine *e, uint32_t dev, uint64_t ino);
const char *engine_created_at(const struct engine *e, uint32_t dev, uint64_t ino);
unsigned engine_explained_ops(const struct engine *e, uint32_t dev, uint64_t ino);
/* The same by name. DW_OP_INVALID: nothing but that a directory had it. */
void engine_tell_name(struct engine *e, const struct track *t, const char *path, enum dw_op op);
struct told_name *engine_find_told(const struct engine *e, const struct track *t, const char *path);
void engine_keep_pending(struct engine *e, const struct dw_op_record *r);
/* Its .pending is a creation that waits for its name. NULL: none does. */
struct recall *engine_find_pending(const struct engine *e, uint32_t dev, uint64_t ino);
void engine_note_mark(struct engine *e, uint32_t dev, uint64_t ino, const struct tree_cause *cause);
const struct tree_cause *engine_find_mark(const struct engine *e, uint32_t dev, uint64_t ino);
void engine_expire(struct engine *e, uint64_t now_ns);

/* engine_derive.c */
#define ENGINE_NAMES_CHANGED (1u << 31) /* beside 1u << op: a name of the inode came or went */
/* The operation an unexplained change stands for; DW_OP_INVALID: none worth an event. */
enum dw_op engine_derive_op(const struct queued_change *change, unsigned explained_ops);

/* engine_fold.c */
/*
 * The same as engine_fold_files(), and the kernel's counts begin again at 0: what was taken
 * is to be saved soon.
 */
void engine_take_files(struct engine *e);
void engine_drain_files(struct engine *e);
/* Call it often: a file without a cell has no counts of its own. */
void engine_make_room_for_files(struct engine *e);
void engine_emit_bursts(struct engine *e);
/*
 * After @t's first scan and engine_fold_files(). Entries of the time before the container
 * was known hold their files back: moved out of the kernel once, later writes are listed
 * under the container.
 */
void engine_adopt_files(struct engine *e, const struct track *t);
void engine_forget_counts(struct engine *e, const struct track *t);

/* engine_execs.c */
void engine_note_exec(struct engine *e, struct track *t, const struct queued_op *op);
void engine_count_execs(struct engine *e, struct track *t);

/* engine_health.c */
void engine_housekeeping(struct engine *e, uint64_t now_ns);

/* engine_loss.c */
void engine_look_after(struct engine *e, struct track *t);
void engine_check_probe(struct engine *e);
void engine_request_rescan(struct track *t, enum loss_reason reason);
/* Count it, tell of it, mark the container until it is healed. */
void engine_report_loss(struct engine *e, struct track *t, enum loss_reason reason, uint64_t count);
/* An answer is about to be given: what is known of losses by now is in the marks. */
void engine_check_marks(struct track *t);

/* engine_audit.c */
void engine_audit_step(struct engine *e);
void engine_audit_plan(struct engine *e); /* once a second: whose turn it is by the clock */
void engine_audit_forget(struct engine *e, struct track *t);

#endif /* ENGINE_INTERNAL_H */

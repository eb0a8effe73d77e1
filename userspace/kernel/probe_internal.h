/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_internal.h - what the files of the probe share; nobody else includes it.
 */
#ifndef PROBE_INTERNAL_H
#define PROBE_INTERNAL_H

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "driftwatch_maps.h"
#include "kernel/probe.h"

enum probe_map {
	MAP_EVENTS,
	MAP_DIRTY_RING,
	MAP_URGENT,
	MAP_CONTROL,
	MAP_ROOTS,
	MAP_CGROUPS,
	MAP_OVERLAYS,
	MAP_WATCHED,
	MAP_FILTER,
	MAP_DIRTY,
	MAP_COUNTERS,
	MAP_ADDED,
	MAP_CELLS,
	MAP_TAGS,
	MAP_TURN_ONE,
	MAP_TURN,
	MAP_SLOTS,
	MAP_WRITERS,
	MAP_PROVISIONAL,
	MAP_EXECS,
	MAP_MAX,
};

#define TIER_BIT(tier) (1u << (tier))
#define ANY_TIER       (~0u)
#define SEES(sight)    (1u << PROBE_SEES_##sight)

/* Writes by calls of their own beside write(). */
#define WAYS_TO_WRITE (SEES(WRITEV) | SEES(SPLICE) | SEES(COPY_RANGE) | SEES(AIO))
#define ALL_WRITES                                                                       \
	(WAYS_TO_WRITE | SEES(LAYER_WRITES) | SEES(VOLUME_WRITES) | SEES(TMPFS_WRITES) | \
	 SEES(OTHER_WRITES) | SEES(DIRECT_IO))

/* One program that may be attached; the table is in probe_hooks.c. */
struct hook_def {
	const char *program; /* its name in the object */
	const char *name;    /* attach point as shown to people */
	const char *role;
	const char *btf;    /* "btf_trace_x", or the function, that must be in the kernel's BTF */
	const char *module; /* whose BTF has .btf: NULL the kernel's */
	unsigned tiers;	    /* TIER_BIT() of those that use it */
	unsigned sees;	    /* SEES() of what it shows */
	const char *unless; /* not where the kernel's BTF has this, */
	const char *unless_too;	     /* nor this */
	unsigned min_args, max_args; /* of the tracepoint, when variants differ; 0: any */
	bool is_late; /* taxes those who have no container: attached by probe_want() */
};

extern const struct hook_def hook_defs[];
extern const size_t hook_def_count;

struct hook {
	const struct hook_def *def;
	struct probe_hook public;
	struct bpf_link *link;
	int prog_fd; /* owned by the object, or by us when adopted from pins or loaded later */
	bool is_adopted;
	bool was_looked_for; /* by module_attach(): once is enough */
};

struct stale_node;
struct watch_node;

/* probe_watch.c */
/* By slot. */
struct watch_node {
	struct dw_inode key;
	uint32_t refs; /* 0: taken over from an earlier agent, not asked for again yet */
	uint32_t next; /* slot in the bucket, or in the queue of free ones; NO_SLOT: the last */
};

#define WATCH_AHEAD UINT32_MAX /* .refs of those of probe_watch_ahead(), not asked for yet */

struct watch_index {
	struct watch_node *nodes; /* by slot; .len of them are in use or free */
	uint32_t *buckets;	  /* first slot, by hash of the inode */
	uint32_t buckets_len;	  /* power of two */
	uint32_t free_head, free_tail, free_count;
	uint32_t len, size; /* .size: power of two */
	uint32_t used;
	uint64_t hash_key; /* of dw_inode_hash() */
	uint8_t *filter_refs;
	bool has_stale;	 /* nodes taken over from an earlier agent wait for their owner */
	bool is_shared;	 /* some inodes have shared marks */
	uint32_t *ahead; /* slots of the last probe_watch_ahead() */
	size_t ahead_len, ahead_size;
	dw_container_t ahead_container;
};

/* probe_ring.c */
struct ring {
	int fd; /* borrowed */
	size_t size;
	unsigned long *consumer, *producer; /* positions */
};

enum { RING_DIRTY, RING_EVENTS, RING_MAX };

struct probe {
	struct probe_options options;
	char *pin_dir;
	int lock_fd;
	enum probe_tier tier;
	bool was_adopted;
	bool is_old_kernel; /* before 5.13: opt_old.bpf.c is what is loaded */
	bool uses_cast;	    /* opt_cast.bpf.c is */
	bool cast_refused;
	unsigned sees;
	enum probe_self_test self_test;
	struct strbuf self_test_text;
	struct bpf_object *object;
	struct hook *hooks; /* hook_def_count of them */
	int maps[MAP_MAX];  /* descriptors of our own */
	unsigned cpus;
	struct dw_control *control;
	struct dw_filter *filter;
	uint64_t *dirty;
	struct dw_slot *slots;
	struct dw_counters *added;
	struct ring rings[RING_MAX];
	int rings_fd; /* epoll: some of them has records */
	struct ring urgent;
	struct watch_index watch;
	unsigned containers_seen;  /* one more than the highest slot named */
	struct dw_inode *uppers;   /* by container */
	struct dw_inode *adopting; /* by container: see probe_adopt_provisional() */
	struct stale_node *stale;  /* uthash */
	uint64_t overflow_seen;
	uint64_t detached; /* hooks that were detached from outside so far */
	uint64_t records_received;
	uint64_t records_malformed;
	/* of the probe_drain() under way */
	probe_record_fn fn;
	void *fn_arg;
	int fn_left;
};

/*
 * probe_load.c: load and attach the tier's programs. @vmlinux are the kernel's types, NULL
 * where it shows none. 0 or -errno, with a reason in @error.
 */
int probe_load(struct probe *p, enum probe_tier tier, struct btf *vmlinux, struct strbuf *error);
int probe_attach(struct probe *p, struct strbuf *error);
void probe_unload(struct probe *p);
/*
 * What @module brings and nobody has loaded, for the maps in use. 0, or -errno: -ENOENT when
 * there is nothing. The caller closes *@ret.
 */
int probe_load_module(struct probe *p, const char *module, struct bpf_object **ret);
const char *probe_map_name(enum probe_map map);
/* How many elements the options ask for; 0: as the program says. */
size_t probe_map_entries(const struct probe *p, enum probe_map map);

/* probe_choose.c */
struct hook *choose_hook_of(struct probe *p, const char *program);
/* Whether the kernel has a tracepoint, by the name of its type, or a function. */
bool choose_kernel_has(const struct btf *btf, const char *name);
/* Whether @h is for this kernel and the tier; why it is not is noted. */
bool choose_is_wanted(struct hook *h, enum probe_tier tier, struct btf *btf);

/* probe_late.c */
void probe_hook_defer(struct probe *p, struct hook *h, int prog_fd);

/* probe_module.c */
/* Attach what shows @sight and its module brings, if that came after the start. 0 or -errno. */
int module_attach(struct probe *p, enum probe_sight sight);
/* Let the programs of @object, not loaded yet, use the maps of those that run. 0 or -errno. */
int module_share_maps(const struct probe *p, struct bpf_object *object);

/* probe_kernel.c: tried, not guessed. @vmlinux NULL: the kernel shows no types. */
bool kernel_can_load(const struct btf *vmlinux);
bool kernel_has_trampoline(const struct btf *vmlinux);
bool kernel_has_kprobe(void);

/* Attach a hook whose link is gone, and pin it where the others are. 0 or -errno. */
int probe_attach_again(struct probe *p, struct hook *h);

/* probe_btf.c */
/*
 * Whether the kernel's enum @type names @name; this libbpf may be older than the kernel.
 * 1, 0, or -ENOENT: it has no such enum.
 */
int btf_has_enumerator(const struct btf *btf, const char *type, const char *name);
struct btf_stage {
	int ns_fd; /* the mount namespace to go back to, or -1 */
	int cwd_fd;
};
/*
 * Where the kernel does not show its types, let libbpf find those in @file (raw or in a
 * vmlinux; NULL: nothing is done) until btf_stage_leave(). 0 or -errno.
 */
int btf_stage_enter(const char *file, struct strbuf *error, struct btf_stage *ret);
void btf_stage_leave(struct btf_stage *s);

/* probe_kretprobe.c */
struct bpf_link *kretprobe_attach(const struct bpf_program *prog, const char *function);
void kretprobe_forget(const char *function);
/* Times the kernel did not run what is attached there (since 6.7: for want of room as well). */
uint64_t kretprobe_missed(const char *function);
/* The same, of the text of tracefs' kprobe_profile. */
uint64_t kretprobe_parse_missed(FILE *profile, const char *function);

/* probe_preempt.c */
bool kernel_preempts_itself(void);
/* Of debugfs' sched/preempt (NULL: not to be read), the kernel's arguments, and uname -v. */
bool preemption_is_full(const char *modes, const char *arguments, const char *version);

/* probe_hooks.c */
/* The function a hook "kretprobe/x" is for, NULL for other kinds. */
const char *probe_hook_kretprobe(const struct hook *h);
void probe_hooks_init(struct probe *p);
/* Its program is in $DRIFTWATCH_SKIP_HOOKS: how a test shows that it is needed. */
bool probe_hook_is_left_out(const struct hook_def *def);
void probe_hooks_note(struct hook *h, int error, const char *why_not);

/* probe_maps.c: those that are read or written without a system call. */
int maps_map(struct probe *p);
void maps_unmap(struct probe *p);
size_t maps_page_align(size_t n);

/* probe_watch.c */
struct watch_node *watched_find(const struct probe *p, const struct dw_inode *key);
/* A node that is in no map yet. 0 or -errno: there is no room. */
int watched_add(struct probe *p, const struct dw_inode *key, uint32_t refs, uint32_t *ret_slot);
void watched_drop(struct probe *p, struct watch_node *node);

/* probe_ring.c */
/* @data is valid during the call only. What is not 0 ends ring_consume(), which returns it. */
typedef int (*ring_fn)(void *arg, const void *data, size_t size);
/* The ring @fd of @size bytes, readable by way of @epoll_fd too, unless -1. 0 or -errno. */
int ring_open(int fd, size_t size, int epoll_fd, struct ring *ret);
/* Of one that is zeroed or was opened. */
void ring_close(struct ring *r);
/* All records, the oldest first. 0, what @fn returned, or -errno. */
int ring_consume(struct ring *r, ring_fn fn, void *arg);
void ring_skip(struct ring *r); /* all that was put there by now */
/* The end of what was put there by now; with ring_is_read_to(), that it was all handed out. */
unsigned long ring_end(const struct ring *r);
bool ring_is_read_to(const struct ring *r, unsigned long end);

/* probe_watch.c: p->dirty must be mapped before. */
int watch_init(struct probe *p);
void watch_done(struct probe *p);

/* probe_control.c: whoever writes who is who makes the cached verdicts void. */
int control_init(struct probe *p);
void control_add_dev(struct probe *p, uint32_t dev);
/* After adoption: note all that is set, and later drop what was not set again. */
int control_note_stale(struct probe *p);
void control_forget_stale(struct probe *p, bool from_maps);
void control_bump_epoch(struct probe *p);
/* Wait until no program runs that began before the call. */
void control_wait_for_programs(const struct probe *p);

/* probe_pins.c */
int pins_lock(struct probe *p, struct strbuf *error);
/*
 * Returns 0, -ENOENT: there is nothing to adopt, -ESTALE: other sizes or another tier,
 * -ENOLINK: programs that were attached are not any more.
 */
int pins_adopt(struct probe *p);
int pins_make(struct probe *p);
/* Pin a hook's link that was attached later. */
int pins_add_link(struct probe *p, const struct hook *h, int link_fd);
/* The link that was pinned so; NULL when it cannot be opened. */
struct bpf_link *pins_open_link(const struct probe *p, const struct hook *h);
void pins_remove(struct probe *p);
/* One hook's link, in place of what was pinned for it. 0 or -errno. */
int pins_replace_link(struct probe *p, const struct hook *h);
/* The same, but the directory stays: we hold its lock. */
void pins_remove_version(struct probe *p);

/* probe_selftest.c: @dir gets a directory for as long as it takes. */
void probe_self_test(struct probe *p, const char *dir);

/* probe_counts.c */
void counters_add(struct dw_counters *sum, const struct dw_cpu_counters *c);
/* Before counters are read: what probe_adopt_provisional() has put off. */
void counters_settle(const struct probe *p);

/* probe_cells.c */
int cells_foreach(const struct probe *p, probe_file_fn fn, void *arg);
/* Free those of container @c, whose counts nobody misses. 0 or -errno. */
int cells_free_of(struct probe *p, dw_container_t c);
/* Keep what an agent was about to free when it died. 0 or -errno. */
int cells_repair(struct probe *p);

/* probe_slots.c: let go of the slots that an agent held when it died. */
void slots_repair(struct probe *p);
/*
 * Report what the slots hold. With @empty they forget it; control.half must have been
 * turned, and the programs waited for.
 */
int slots_foreach(const struct probe *p, bool empty, probe_file_fn fn, void *arg);
/* Forget what slots hold for container @c. */
void slots_empty_of(struct probe *p, dw_container_t c);

#endif /* PROBE_INTERNAL_H */

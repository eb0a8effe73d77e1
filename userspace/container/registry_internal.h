/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_internal.h - the registry's state, shared by its own files only.
 *
 *	registry.c		the public calls, and when what is looked at
 *	registry_entries.c	containers: facts in, reports out
 *	registry_sources.c	runtimes' directories: found, read, watched
 *	registry_facts.c	what each source said
 *	registry_roots.c	the usual places of these directories
 *	registry_cgroups.c	cgroups of the v2 hierarchy
 *	registry_host.c		what the host has mounted
 *	registry_mounts.c	overlays that come and go
 *	registry_owners.c	whose they are, by their place
 *	registry_tasks.c	first processes
 *	registry_sights.c	processes in overlays that nobody owns
 *
 * An entry is a container, known or suspected. Facts are what one source says of it.
 * Whatever changes an entry calls entry_touch(); registry_flush() folds the facts
 * anew and reports what came of it.
 */
#ifndef REGISTRY_INTERNAL_H
#define REGISTRY_INTERNAL_H

#include <uthash.h>

#include "container/facts.h"
#include "container/hostfs.h"
#include "container/mount_ids.h"
#include "container/mount_table.h"
#include "container/overlay_owner.h"
#include "container/processes.h"
#include "container/registry.h"
#include "container/source.h"
#include "container/task.h"
#include "container/watch.h"

#define ENTRIES_MAX	   16384
#define CGROUPS_REMEMBERED 4096
#define SOURCES_MAX	   256
#define SAID_MAX	   8 /* facts of one container that are folded */
#define RETRY_STEPS	   5

struct entry;

struct facts {
	UT_hash_handle hh; /* by name */
	char *name;	   /* source's address and key */
	char *key;
	struct source *source; /* NULL: registry_add_own() */
	enum facts_rank rank;
	uint64_t stamp;
	bool is_seen;		/* in the current listing */
	bool is_suspect;	/* this stamp did not parse: once more, then it is an error */
	bool is_bad;		/* it did not again, and was counted */
	struct container *said; /* NULL while unreadable */
	struct entry *entry;
	struct facts *next; /* of the entry, most trusted first */
};

struct entry {
	UT_hash_handle hh; /* by id */
	char id[CONTAINER_ID_MAX];
	struct facts *facts;
	struct super *super;	  /* its mounted overlay */
	const char *runtime_hint; /* static string */
	bool is_own;

	pid_t hinted_pid;
	pid_t looked_pid; /* pid and start of what task describes */
	uint64_t looked_start;
	int pidfd;		/* of looked_pid while it is alive; -1: /proc has to be asked */
	struct container *task; /* kept after its end, for its mounts */
	bool task_alive;
	bool task_complete; /* its root had been entered when it was read */

	char *cgroup_path; /* its outermost cgroup */
	uint64_t cgroup_ids[FACTS_CGROUPS_MAX];
	size_t cgroup_ids_len;
	bool cgroup_alive;

	uint64_t seen_exit_wall_ns;
	uint64_t retry_at_ns; /* CLOCK_MONOTONIC; 0: nothing to retry */
	unsigned retry_step;
	bool is_touched;
	struct entry *next_touched;
	struct container *reported; /* as it was last reported; NULL: never */
};

/* A cgroup the kernel side told of, until its container is known. */
struct cgroup_seen {
	UT_hash_handle hh; /* by id */
	uint64_t id;
	char *path;
};

struct registry {
	struct hostfs fs;
	registry_fn fn;
	void *arg;
	struct watch *watch;
	struct processes *processes;
	struct source *sources;
	size_t sources_len;
	struct facts *facts;
	struct entry *entries;
	struct entry *touched;
	struct mount_table mounts;
	struct mount_ids *ids; /* NULL: mountinfo is all there is */
	struct host_mounts host;
	bool are_mounts_read; /* the last reading of mountinfo was whole */
	uint64_t mounts_read_ns, mounts_took_ns;
	uint64_t mounts_due_ns; /* to be read again; UINT64_MAX: nothing changed */
	uint64_t mount_errors;
	char *mount_error;
	struct cgroup_seen *cgroups;
	char *cgroup_root; /* host path of the v2 hierarchy; NULL: there is none */
	bool is_scanned;   /* registry_scan() was called: reporting is on */
	bool is_flushing;
	bool has_dead_mounts;
	int ends_fd;		/* epoll, of the entries' pidfds */
	uint64_t next_retry_ns; /* not later than any entry's; UINT64_MAX: none */
	uint64_t next_second_ns, next_full_ns, last_sight_ns;
	uint64_t refused; /* entries beyond ENTRIES_MAX */
};

/* --- registry_entries.c --- */
struct entry *entry_find(const struct registry *r, const char *id);
struct entry *entry_get(struct registry *r, const char *id); /* makes it; NULL: full, no memory */
void entry_touch(struct registry *r, struct entry *e);
void entry_free(struct registry *r, struct entry *e);
/* Look again soon, and up to RETRY_STEPS times ever later. */
void entry_retry(struct registry *r, struct entry *e);
/* What the runtimes' files say of @e, most trusted first. Returns how many. */
size_t entry_said(const struct entry *e, const struct container *ret[SAID_MAX]);
/* Report what came of all touched entries. */
void registry_flush(struct registry *r);

/* --- registry_facts.c --- */
struct facts *facts_find(const struct registry *r, const struct source *s, const char *key);
/* Takes @said over (also NULL: unreadable). 0 or -errno. */
int facts_put(struct registry *r, struct source *s, const char *key, enum facts_rank rank,
	      struct container *said, struct facts **ret);
void facts_drop(struct registry *r, struct facts *f);

/* --- registry_sources.c --- */
struct source *source_find(const struct registry *r, const char *kind, const char *root);
/* Add a root and read what is there. NULL: unknown kind, not there (yet), full. */
struct source *source_add(struct registry *r, const char *kind, const char *root,
			  const char *found_by);
void source_discovered(void *arg, const char *kind, const char *root, const char *found_by);
void source_refresh(struct registry *r, struct source *s, const char *key);
void source_look(struct registry *r, struct source *s); /* list and read all of it */
void sources_look(struct registry *r, bool all);	/* all, or those not readable so far */
/* After a full look: forget directories of runtimes that are gone. */
void sources_prune(struct registry *r);
void sources_refresh_id(struct registry *r, const char *id);
void sources_done(struct registry *r);

/* --- registry_roots.c --- */
void sources_add_defaults(struct registry *r, const struct registry_options *options);

/* --- registry_host.c --- */
/* Follow up what changed among the host's mounts; @force: read them all. 0 or -errno. */
int mounts_look(struct registry *r, bool force);
/* The host's own mounts, as of the last change. Never NULL. */
const struct host_mounts *registry_host_mounts(struct registry *r);

/* --- registry_mounts.c --- */
/* What becomes of an overlay that comes or goes. */
struct mount_table_events mounts_events(struct registry *r);
/* Give a mounted overlay to @e. */
void mounts_attach(struct registry *r, struct super *s, struct entry *e);
/* The files of @e name a root file system: take the overlay mounted there. */
void mounts_claim(struct registry *r, struct entry *e);
/* Where the files of @e say that its root file system is, NULL: they do not. */
const char *entry_rootfs(const struct entry *e);
/* Give @s to the container that has its upper directory. False: there is none. */
bool mounts_resolve_by_upper(struct registry *r, struct super *s);
/* Drop what only tasks saw that have ended. */
void mounts_drop_dead(struct registry *r);
/* Try again to find owners of candidates. */
void mounts_resolve_candidates(struct registry *r);

/* --- registry_owners.c: true when the container was found, and has @s now --- */
bool mounts_resolve_store(struct registry *r, struct super *s, const struct overlay_owner *owner);
bool mounts_resolve_task(struct registry *r, struct super *s, const struct overlay_owner *owner);
bool mounts_resolve_docker_id(struct registry *r, struct super *s,
			      const struct overlay_owner *owner);

/* --- registry_tasks.c --- */
/* Find the first process of @e, and read what is new of it. */
void task_update(struct registry *r, struct entry *e);
/* Its end shows without a look at /proc. And: has any of those ended? One call for all. */
bool task_is_watched(const struct entry *e);
bool tasks_have_ended(const struct registry *r);
/* Cgroup @path (as of one of its tasks) is the container's. */
void task_set_cgroup(struct registry *r, struct entry *e, const char *path, uint64_t cgroup_id);
void cgroup_find_root(struct registry *r);
void cgroup_forget_all(struct registry *r);
/* Is the cgroup of @e still there? */
void cgroup_check(struct registry *r, struct entry *e);

/* --- registry_sights.c --- */
/* A process whose root is an overlay: find or make its container. */
void task_sighted(struct registry *r, pid_t pid, uint32_t overlay_dev, uint64_t cgroup_id);

#endif /* REGISTRY_INTERNAL_H */

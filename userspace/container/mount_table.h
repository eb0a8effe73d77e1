/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mount_table.h - the overlay super blocks that exist, and where they are mounted.
 *
 * Compared with each new reading of mountinfo; says what came and what went. Super
 * blocks seen only from inside a container's mount namespace are kept too, until
 * their task is gone. Bounded: MOUNT_TABLE_MAX super blocks, the rest is counted.
 */
#ifndef MOUNT_TABLE_H
#define MOUNT_TABLE_H

#include <sys/types.h>
#include <uthash.h>

#include "container/container.h"
#include "container/host_mounts.h"

#define MOUNT_TABLE_MAX	 16384
#define MOUNT_POINTS_MAX 16 /* remembered per super block */
#define CHANGES_MAX	 64 /* in one look; of more, all super blocks are looked through */

struct entry;

struct super {
	UT_hash_handle hh; /* by dev */
	uint32_t dev;
	uint64_t options_hash;
	struct container_overlay overlay; /* merged: the first mount point; may be NULL */
	char *mount_points[MOUNT_POINTS_MAX];
	size_t mount_points_len;
	size_t points_known; /* how many of them the owner was asked about */
	unsigned tries;	     /* how often its owner was looked for */
	bool is_seen;
	bool is_ignored;     /* no container's: image building and unpacking */
	bool is_private;     /* not in the host's mountinfo; lives as long as @pid */
	pid_t pid;	     /* 0: that one has ended */
	struct entry *entry; /* the container it belongs to; NULL: a candidate */
};

struct mount_table {
	struct super *supers;
	uint64_t refused;	       /* super blocks beyond MOUNT_TABLE_MAX */
	uint64_t bad;		       /* lines and option strings that did not parse */
	uint32_t changed[CHANGES_MAX]; /* devices, until mount_table_settle() */
	unsigned changed_len;	       /* counts on */
};

struct mount_table_events {
	/* @s is new, or has a new mount point. */
	void (*on_mounted)(struct super *s, void *arg);
	/* @s is gone and is freed after the call. */
	void (*on_unmounted)(struct super *s, void *arg);
	void *arg;
};

void mount_table_done(struct mount_table *t);

/*
 * Compare with the text of the host's mountinfo, which is cut up, and append all its mounts
 * to @host, unless that is NULL. 0 or -ENOMEM.
 */
int mount_table_update(struct mount_table *t, char *text, const struct mount_table_events *events,
		       struct host_mounts *host);

/*
 * Change by change: first which are not mounted any more, then what is mounted now (other
 * lines than an overlay's are left alone; 0 or -ENOMEM). mount_table_settle() tells of it.
 */
void mount_table_lose(struct mount_table *t, uint32_t dev);
int mount_table_take(struct mount_table *t, const struct mountinfo_line *line,
		     const struct mount_table_events *events);
void mount_table_settle(struct mount_table *t, const struct mount_table_events *events);

bool mount_table_is_at(const struct super *s, const char *path);

/* The super block mounted with device @dev; NULL when unknown. */
struct super *mount_table_find(const struct mount_table *t, uint32_t dev);

/* The super block mounted at @path; NULL when there is none. */
struct super *mount_table_find_point(const struct mount_table *t, const char *path);

/*
 * Add one that only task @pid sees. Takes over what @overlay points to when it
 * returns non-NULL. NULL: out of memory or full.
 */
struct super *mount_table_add_private(struct mount_table *t, struct container_overlay *overlay,
				      pid_t pid);

/* Drop a private one. */
void mount_table_drop(struct mount_table *t, struct super *s,
		      const struct mount_table_events *events);

#endif /* MOUNT_TABLE_H */

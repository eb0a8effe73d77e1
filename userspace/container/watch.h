/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * watch.h - one epoll fd that wakes when mounts or state files change.
 *
 * inotify watches are bounded; what could not be watched is counted, and found by
 * the slow look instead.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "container/hostfs.h"
#include "container/source.h"

#define WATCHES_MAX 16384

struct watch;

/* 0 or -errno. */
int watch_open(const struct hostfs *fs, struct watch **ret);
struct watch *watch_close(struct watch *w); /* takes NULL, returns NULL */

int watch_fd(const struct watch *w);

/*
 * Watch a directory of @s. Events in it carry @key, or when @key is "" or ends in
 * '/', @key and the name of the entry. Watching again is cheap. 0 or -errno.
 */
int watch_add(struct watch *w, struct source *s, const char *path, const char *key);

/* Forget every watch of @s. */
void watch_forget_source(struct watch *w, const struct source *s);

struct watch_events {
	/* The files of @key changed; @is_new_name: it came from a directory of keys. */
	void (*on_key)(struct source *s, const char *key, bool is_new_name, void *arg);
	/* Events were dropped: everything may have changed. */
	void (*on_overflow)(void *arg);
	void *arg;
};

/* Deliver what inotify has, at most one buffer of it. Never blocks. 0 or -errno. */
int watch_process(struct watch *w, const struct watch_events *events);

/* True when the host's mounts changed since the last call, or may have. */
bool watch_mounts_changed(struct watch *w);

/* Append the host's mountinfo as it is now. 0 or -errno. */
int watch_read_mounts(struct watch *w, struct strbuf *out);

#endif /* WATCH_H */

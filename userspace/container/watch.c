/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * watch.c - inotify on state directories and POLLPRI on mountinfo.
 */
#include "container/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <uthash.h>

#include "base/file.h"
#include "base/log.h"

#define EVENT_BUFFER 65536
#define READ_CHUNK   65536
#define DIRECTORY_EVENTS \
	(IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_DELETE_SELF)

struct watched {
	UT_hash_handle hh;
	int wd;
	struct source *source;
	char *key;
};

struct watch {
	int epoll_fd, inotify_fd;
	/*
	 * Two descriptors of one file: polling consumes the change, and whoever polls
	 * the epoll fd from outside polls the first. The second is ours alone.
	 */
	int wake_fd, mounts_fd;
	bool cannot_poll; /* mountinfo is a plain file, as beneath a copied host root */
	struct watched *watched;
	bool has_refused; /* and said so */
};

static int add_to_epoll(struct watch *w, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_fds(const struct hostfs *fs, struct watch *w)
{
	int err;

	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->epoll_fd < 0 || w->inotify_fd < 0)
		return -errno;
	w->wake_fd = hostfs_open(fs, "/proc/1/mountinfo", O_RDONLY);
	w->mounts_fd = hostfs_open(fs, "/proc/1/mountinfo", O_RDONLY);
	if (w->wake_fd < 0 || w->mounts_fd < 0)
		return w->wake_fd < 0 ? w->wake_fd : w->mounts_fd;
	err = add_to_epoll(w, w->inotify_fd, EPOLLIN);
	if (err)
		return err;
	err = add_to_epoll(w, w->wake_fd, EPOLLPRI);
	w->cannot_poll = err == -EPERM;
	return w->cannot_poll ? 0 : err;
}

int watch_open(const struct hostfs *fs, struct watch **ret)
{
	struct watch *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->epoll_fd = w->inotify_fd = w->wake_fd = w->mounts_fd = -1;
	err = open_fds(fs, w);
	if (err) {
		watch_close(w);
		return err;
	}
	*ret = w;
	return 0;
}

static void forget(struct watch *w, struct watched *entry)
{
	HASH_DEL(w->watched, entry);
	free(entry->key);
	free(entry);
}

struct watch *watch_close(struct watch *w)
{
	struct watched *entry, *next;

	if (!w)
		return NULL;
	HASH_ITER (hh, w->watched, entry, next)
		forget(w, entry);
	cleanup_closep(&w->epoll_fd);
	cleanup_closep(&w->inotify_fd);
	cleanup_closep(&w->wake_fd);
	cleanup_closep(&w->mounts_fd);
	free(w);
	return NULL;
}

int watch_fd(const struct watch *w)
{
	return w->epoll_fd;
}

static int remember(struct watch *w, int wd, struct source *s, const char *key)
{
	struct watched *entry;

	HASH_FIND_INT(w->watched, &wd, entry);
	if (entry)
		return 0;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->wd = wd;
	entry->source = s;
	entry->key = strdup(key);
	if (!entry->key) {
		free(entry);
		return -ENOMEM;
	}
	HASH_ADD_INT(w->watched, wd, entry);
	return 0;
}

/* Not fatal: what is not watched is seen when everything is looked at again. */
static int refuse(struct watch *w, const char *path, int err)
{
	if (!w->has_refused)
		log_warning("%s cannot be watched: %s: changes of some containers show late", path,
			    strerror(-err));
	w->has_refused = true;
	return err;
}

int watch_add(struct watch *w, struct source *s, const char *path, const char *key)
{
	auto_free char *host_path = NULL;
	char link[64];
	auto_close int fd = -1;
	int wd;

	if (HASH_COUNT(w->watched) >= WATCHES_MAX)
		return refuse(w, path, -ENOSPC);
	/* inotify takes a path only; through the fd, links stay within the host root. */
	fd = hostfs_open(s->fs, path, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	wd = inotify_add_watch(w->inotify_fd, link, DIRECTORY_EVENTS);
	if (wd < 0)
		return refuse(w, path, -errno);
	return remember(w, wd, s, key);
}

void watch_forget_source(struct watch *w, const struct source *s)
{
	struct watched *entry, *next;

	HASH_ITER (hh, w->watched, entry, next) {
		if (entry->source != s)
			continue;
		inotify_rm_watch(w->inotify_fd, entry->wd);
		forget(w, entry);
	}
}

static void deliver(struct watch *w, const struct inotify_event *event,
		    const struct watch_events *events)
{
	auto_strbuf struct strbuf key = STRBUF_INIT;
	struct watched *entry;
	bool names_keys;
	size_t len;

	if (event->mask & IN_Q_OVERFLOW) {
		events->on_overflow(events->arg);
		return;
	}
	HASH_FIND_INT(w->watched, &event->wd, entry);
	if (!entry)
		return;
	len = strlen(entry->key);
	names_keys = !len || entry->key[len - 1] == '/';
	strbuf_adds(&key, entry->key);
	if (names_keys && event->len)
		strbuf_adds(&key, event->name);
	if (!strbuf_failed(&key) && !(names_keys && !event->len))
		events->on_key(entry->source, strbuf_str(&key), names_keys, events->arg);
	if (event->mask & IN_IGNORED)
		forget(w, entry);
}

int watch_process(struct watch *w, const struct watch_events *events)
{
	auto_free char *buffer = malloc(EVENT_BUFFER);
	const struct inotify_event *event;
	ssize_t n;

	if (!buffer)
		return -ENOMEM;
	n = read(w->inotify_fd, buffer, EVENT_BUFFER);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof(*event) + event->len)) {
		event = (const void *)(buffer + at);
		deliver(w, event, events);
	}
	return 0;
}

bool watch_mounts_changed(struct watch *w)
{
	struct pollfd p = {.fd = w->mounts_fd, .events = POLLPRI};

	return w->cannot_poll || (poll(&p, 1, 0) > 0 && p.revents & (POLLPRI | POLLERR));
}

int watch_read_mounts(struct watch *w, struct strbuf *out)
{
	char chunk[READ_CHUNK];
	size_t total = 0;
	ssize_t n;

	if (lseek(w->mounts_fd, 0, SEEK_SET) < 0)
		return -errno;
	for (;;) {
		n = read(w->mounts_fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return strbuf_failed(out) ? -ENOMEM : 0;
		total += (size_t)n;
		if (total > HOSTFS_PROC_MAX)
			return -EFBIG;
		strbuf_add(out, chunk, (size_t)n);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_remove.c - recursive removal by openat, depth bounded by flattening.
 */
#include "container/sandbox_remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define DEPTH_MAX 32 /* file descriptors held at once */
#define SLOW_NS	  (2 * NS_PER_SEC)

struct removal {
	int root_fd; /* where directories that lie too deep are moved to */
	dev_t dev;
	uint64_t nonce; /* makes names that the container cannot have taken */
	unsigned moved;
	uint64_t removed, started_ns, said_ns;
	int err; /* the first */
};

static void note_error(struct removal *r, int err)
{
	if (!r->err)
		r->err = err;
}

static void say_progress(struct removal *r)
{
	uint64_t now_ns;

	if (++r->removed % 4096)
		return;
	now_ns = clock_mono_ns();
	if (now_ns - r->said_ns < SLOW_NS)
		return;
	r->said_ns = now_ns;
	log_info("removing the layer: %llu entries so far", (unsigned long long)r->removed);
}

/* A subdirectory too deep to recurse into becomes one of the root, which is read again. */
static bool move_up(struct removal *r, int dirfd, const char *name)
{
	char to[64];

	snprintf(to, sizeof(to), ".driftwatch-%016llx-%u", (unsigned long long)r->nonce,
		 r->moved++);
	if (renameat(dirfd, name, r->root_fd, to) == 0)
		return true;
	note_error(r, -errno);
	return false;
}

static unsigned remove_content(struct removal *r, int dirfd, unsigned depth);

/* Returns 1 when the entry went from @dirfd, 0 when it stays. */
static unsigned remove_dir(struct removal *r, int dirfd, const char *name, unsigned depth)
{
	auto_close int fd = -1;
	struct stat st;

	if (depth >= DEPTH_MAX)
		return move_up(r, dirfd, name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		note_error(r, -errno);
		return 0;
	}
	if (st.st_dev != r->dev) {
		note_error(r, -EBUSY);
		return 0;
	}
	while (remove_content(r, fd, depth + 1))
		;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
		return 1;
	note_error(r, -errno);
	return 0;
}

static unsigned remove_entry(struct removal *r, int dirfd, const char *name, unsigned depth)
{
	say_progress(r);
	if (unlinkat(dirfd, name, 0) == 0)
		return 1;
	if (errno != EISDIR) {
		note_error(r, -errno);
		return 0;
	}
	return remove_dir(r, dirfd, name, depth);
}

/* One pass over a directory. Returns how many entries went: more may have come. */
static unsigned remove_content(struct removal *r, int dirfd, unsigned depth)
{
	auto_closedir DIR *dir = NULL;
	const struct dirent *entry;
	unsigned gone = 0;
	int fd = dup(dirfd);

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		note_error(r, -errno);
		if (fd >= 0)
			close(fd);
		return 0;
	}
	rewinddir(dir);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		gone += remove_entry(r, dirfd, entry->d_name, depth);
	}
	return gone;
}

int sandbox_remove_tree(int dirfd, const char *name)
{
	struct removal r = {.said_ns = clock_mono_ns()};
	auto_close int fd = -1;
	struct stat st;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -errno;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (getrandom(&r.nonce, sizeof(r.nonce), 0) != sizeof(r.nonce))
		return -EIO;
	r.root_fd = fd;
	r.dev = st.st_dev;
	while (remove_content(&r, fd, 0))
		;
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
		note_error(&r, -errno);
	return r.err;
}

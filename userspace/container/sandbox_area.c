/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_area.c - choosing, making, locking and removing the layer's directory.
 */
#include "container/sandbox_area.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "container/sandbox_remove.h"

#define AREA_PREFIX  "driftwatch-run-"
#define SWEEP_AGE_NS (60 * NS_PER_SEC)

static const char *const bases[] = {"/var/tmp", "/var/lib/driftwatch/run"};
#define BASE_COUNT (sizeof(bases) / sizeof(bases[0]))

/* How well a file system serves as upper layer: 2 watched live, 1 usable, 0 not. */
static int upper_quality(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return 0;
	switch ((unsigned long)fs.f_type) {
	case 0xef53:	 /* ext4 */
	case 0x58465342: /* xfs */
		return 2;
	case 0x9123683e: /* btrfs */
	case 0xf2f52010: /* f2fs */
	case 0x01021994: /* tmpfs */
		return 1;
	default: /* overlay, network and foreign ones are refused by overlayfs */
		return 0;
	}
}

static const char *choose_base(void)
{
	const char *best = NULL;
	int best_quality = 0, quality;

	for (size_t i = 0; i < BASE_COUNT && best_quality < 2; i++) {
		if (i > 0 && file_make_dirs(bases[i], 0700))
			continue;
		quality = upper_quality(bases[i]);
		if (quality > best_quality) {
			best_quality = quality;
			best = bases[i];
		}
	}
	return best;
}

static bool is_empty_dir(int fd)
{
	auto_closedir DIR *dir = NULL;
	const struct dirent *entry;
	int copy = dup(fd);

	dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return false;
	}
	return true;
}

static int open_area(const char *path, int *ret)
{
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

/* area->fd stays -1 until the directory is accepted: what it holds is not ours before. */
static int make_kept(const char *keep, struct strbuf *error, struct sandbox_area *area)
{
	auto_close int fd = -1;
	int err = -EEXIST;

	if (mkdir(keep, 0700) == 0)
		area->made = true;
	else if (errno != EEXIST)
		err = -errno;
	if (err == -EEXIST) {
		area->path = realpath(keep, NULL);
		err = area->path ? open_area(area->path, &fd) : -errno;
	}
	if (err || !area->path) {
		strbuf_addf(error, "cannot keep the layer in %s: %s", keep, strerror(-err));
		return err;
	}
	if (!is_empty_dir(fd)) {
		strbuf_addf(error,
			    "%s is not empty; name a new or an empty directory for the layer",
			    keep);
		return -ENOTEMPTY;
	}
	if (!upper_quality(area->path)) {
		strbuf_addf(error,
			    "the file system of %s cannot carry an overlay's writable layer; "
			    "use --keep with a directory on ext4 or xfs",
			    keep);
		return -EOPNOTSUPP;
	}
	area->fd = take_fd(&fd);
	area->keep = true;
	return 0;
}

static int make_private(struct strbuf *error, struct sandbox_area *area)
{
	const char *base = choose_base();
	int err;

	if (!base) {
		strbuf_addf(error,
			    "neither %s nor %s can carry an overlay's writable layer; "
			    "use --keep with a directory on ext4 or xfs",
			    bases[0], bases[1]);
		return -EOPNOTSUPP;
	}
	if (asprintf(&area->path, "%s/" AREA_PREFIX "XXXXXX", base) < 0) {
		area->path = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(area->path)) {
		err = -errno;
		strbuf_addf(error, "cannot make a directory in %s: %s", base, strerror(-err));
		free(area->path);
		area->path = NULL;
		return err;
	}
	area->made = true;
	err = open_area(area->path, &area->fd);
	if (err)
		return err;
	area->lock_fd = openat(area->fd, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (area->lock_fd < 0 || flock(area->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return 0;
}

/* The root of the overlay shows mode and owner of the upper root, not of the lower one. */
static int make_upper(const struct sandbox_area *area, const char *lower)
{
	struct stat st;

	if (stat(lower, &st) < 0)
		return -errno;
	if (mkdirat(area->fd, "upper", 0700) < 0 || mkdirat(area->fd, "work", 0700) < 0 ||
	    mkdirat(area->fd, "merged", 0700) < 0)
		return -errno;
	if (fchownat(area->fd, "upper", st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(area->fd, "upper", st.st_mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

static int fill_area(struct sandbox_area *area, const char *lower, struct strbuf *error)
{
	int err = make_upper(area, lower);

	if (err) {
		strbuf_addf(error, "cannot prepare the layer in %s: %s", area->path,
			    strerror(-err));
		return err;
	}
	area->upper = file_join(area->path, "upper");
	area->work = file_join(area->path, "work");
	area->merged = file_join(area->path, "merged");
	return area->upper && area->work && area->merged ? 0 : -ENOMEM;
}

int sandbox_area_make(const char *keep, const char *lower, struct strbuf *error,
		      struct sandbox_area *ret)
{
	struct sandbox_area area = SANDBOX_AREA_INIT;
	int err;

	err = keep ? make_kept(keep, error, &area) : make_private(error, &area);
	if (!err)
		err = fill_area(&area, lower, error);
	if (err) {
		area.keep = false;
		sandbox_area_done(&area);
		return err;
	}
	*ret = area;
	return 0;
}

static void remove_part(const struct sandbox_area *area, const char *name)
{
	int err = sandbox_remove_tree(area->fd, name);

	if (err)
		log_warning("cannot remove all of %s/%s: %s", area->path, name, strerror(-err));
}

void sandbox_area_done(struct sandbox_area *area)
{
	static const char *const parts[] = {"merged", "work", "upper", "lock"};

	for (size_t i = 0; area->fd >= 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!area->keep || strcmp(parts[i], "upper") != 0)
			remove_part(area, parts[i]);
	}
	if (area->fd >= 0)
		close(area->fd);
	if (area->path && area->made && !area->keep && rmdir(area->path) < 0)
		log_warning("cannot remove %s: %s", area->path, strerror(errno));
	if (area->lock_fd >= 0)
		close(area->lock_fd);
	free(area->path);
	free(area->upper);
	free(area->work);
	free(area->merged);
	*area = (struct sandbox_area)SANDBOX_AREA_INIT;
}

/*
 * Ours: a private directory of root's, with a lock that nobody holds. A young one may
 * be about to be locked.
 */
static void sweep_one(int base_fd, const char *base, const char *name)
{
	auto_close int fd = -1, lock_fd = -1;
	struct stat st;
	int err;

	fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 07777) != 0700)
		return;
	if (clock_wall_ns() < clock_of_timespec(&st.st_mtim) + SWEEP_AGE_NS)
		return;
	lock_fd = openat(fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (lock_fd < 0 || flock(lock_fd, LOCK_EX | LOCK_NB) < 0)
		return;
	err = sandbox_remove_tree(base_fd, name);
	if (err)
		log_warning("cannot remove the leftover %s/%s: %s", base, name, strerror(-err));
	else
		log_debug("removed the leftover %s/%s", base, name);
}

void sandbox_area_sweep(void)
{
	for (size_t i = 0; i < BASE_COUNT; i++) {
		auto_closedir DIR *dir = opendir(bases[i]);
		const struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			if (!strncmp(entry->d_name, AREA_PREFIX, strlen(AREA_PREFIX)))
				sweep_one(dirfd(dir), bases[i], entry->d_name);
		}
	}
}

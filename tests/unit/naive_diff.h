/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * naive_diff.h - docker diff as docker computes it: container view against image view.
 *
 * Knows nothing of layers. For small trees: it recurses and reads everything.
 */
#ifndef NAIVE_DIFF_H
#define NAIVE_DIFF_H

#include "layer_world.h"

struct naive {
	const char *image, *container;
	struct line_set lines;
};

static inline bool naive_same_capability(const char *a, const char *b)
{
	char va[64], vb[64];
	ssize_t na = lgetxattr(a, "security.capability", va, sizeof(va));
	ssize_t nb = lgetxattr(b, "security.capability", vb, sizeof(vb));

	if (na < 0 || nb < 0)
		return na < 0 && nb < 0;
	return na == nb && !memcmp(va, vb, (size_t)na);
}

static inline bool naive_same_time(struct timespec a, struct timespec b)
{
	if (a.tv_sec != b.tv_sec)
		return false;
	return a.tv_nsec == b.tv_nsec || !a.tv_nsec || !b.tv_nsec;
}

static inline bool naive_changed(const char *old_path, const struct stat *old, const char *new_path,
				 const struct stat *new)
{
	if (old->st_mode != new->st_mode || old->st_uid != new->st_uid ||
	    old->st_gid != new->st_gid || old->st_rdev != new->st_rdev)
		return true;
	if ((old->st_mode & S_IFDIR) != S_IFDIR &&
	    (!naive_same_time(old->st_mtim, new->st_mtim) || old->st_size != new->st_size))
		return true;
	return !naive_same_capability(old_path, new_path);
}

static inline void naive_add(struct naive *n, char verdict, const char *path)
{
	line_add(verdict, path, strlen(path), &n->lines);
}

/* Returns whether anything at or beneath @path was listed. @old_dir: the image has it. */
static inline bool naive_walk(struct naive *n, const char *path, bool old_dir)
{
	char new_path[4096], old_path[4096], sub[2048];
	bool any = false, listed, has_old;
	struct stat old, new;
	struct dirent *e;
	DIR *d;

	snprintf(new_path, sizeof(new_path), "%s%s", n->container, path);
	d = opendir(new_path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		snprintf(new_path, sizeof(new_path), "%s%s", n->container, sub);
		snprintf(old_path, sizeof(old_path), "%s%s", n->image, sub);
		assert_int_equal(lstat(new_path, &new), 0);
		has_old = old_dir && lstat(old_path, &old) == 0;
		listed = true;
		if (!has_old)
			naive_add(n, 'A', sub);
		else if (naive_changed(old_path, &old, new_path, &new))
			naive_add(n, 'C', sub);
		else
			listed = false;
		if (S_ISDIR(new.st_mode) && naive_walk(n, sub, has_old && S_ISDIR(old.st_mode)) &&
		    !listed) {
			naive_add(n, 'C', sub);
			listed = true;
		}
		any = any || listed;
	}
	closedir(d);
	if (!old_dir)
		return any;

	snprintf(old_path, sizeof(old_path), "%s%s", n->image, path);
	d = opendir(old_path);
	assert_non_null(d);
	while ((e = readdir(d))) {
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		snprintf(new_path, sizeof(new_path), "%s%s", n->container, sub);
		if (lstat(new_path, &new) < 0) {
			naive_add(n, 'D', sub);
			any = true;
		}
	}
	closedir(d);
	return any;
}

/* The caller frees the text. */
static inline char *naive_diff(const char *image, const char *container)
{
	struct naive n = {.image = image, .container = container};

	naive_walk(&n, "", true);
	return line_text(&n.lines);
}

#endif /* NAIVE_DIFF_H */

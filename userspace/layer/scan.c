/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scan.c - docker diff's answer from one walk over the upper layer, see scan.h.
 *
 * A list of directories is worked off; each is opened afresh from the upper root, so
 * depth costs no stack, no descriptors and no PATH_MAX. Whether an unchanged directory
 * has to be listed for what lies beneath it is known at the end.
 */
#include "layer/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "layer/beneath.h"
#include "layer/compare.h"
#include "layer/judge.h"

#define NO_PARENT SIZE_MAX

/* A directory of the upper layer. */
struct scan_dir {
	char *path; /* "" for the root, else with a leading slash */
	size_t parent;
	struct layer_dir *lower; /* what it is merged with; NULL: nothing */
	bool has_own_line, has_lines, is_opaque;
};

struct scan {
	int rootfd;
	struct scan_dir *dirs;
	size_t len, size;
	layer_scan_fn fn;
	void *arg;
	char implied; /* letter of lines that only what lies beneath asks for */

	/* of the directory being read */
	size_t at;
	struct layer_upper_dir upper;
	struct strbuf path;
	void *names; /* tsearch tree of what an opaque directory holds */
};

static void scan_done(struct scan *s)
{
	size_t i;

	for (i = 0; i < s->len; i++) {
		free(s->dirs[i].path);
		layer_dir_put(s->dirs[i].lower);
	}
	free(s->dirs);
	strbuf_done(&s->path);
	if (s->rootfd >= 0)
		close(s->rootfd);
}

/* Takes over @lower. */
static int add_dir(struct scan *s, const char *path, struct layer_dir *lower, bool has_own_line)
{
	struct scan_dir *bigger;
	size_t size;

	if (s->len == s->size) {
		size = s->size ? s->size * 2 : 64;
		bigger = reallocarray(s->dirs, size, sizeof(*bigger));
		if (!bigger)
			goto out_put;
		s->dirs = bigger;
		s->size = size;
	}
	s->dirs[s->len] = (struct scan_dir){
		.path = strdup(path),
		.parent = s->len ? s->at : NO_PARENT,
		.lower = lower,
		.has_own_line = has_own_line,
	};
	if (!s->dirs[s->len].path)
		goto out_put;
	s->len++;
	return 0;

out_put:
	layer_dir_put(lower);
	return -ENOMEM;
}

static int emit(struct scan *s, char verdict)
{
	size_t i;

	for (i = s->at; i != NO_PARENT && !s->dirs[i].has_lines; i = s->dirs[i].parent)
		s->dirs[i].has_lines = true;
	return s->fn(verdict, strbuf_str(&s->path), s->path.len, s->arg);
}

static int set_path(struct scan *s, const char *name)
{
	strbuf_reset(&s->path);
	strbuf_adds(&s->path, s->dirs[s->at].path);
	strbuf_addc(&s->path, '/');
	strbuf_adds(&s->path, name);
	return strbuf_failed(&s->path) ? -ENOMEM : 0;
}

static int descend(struct scan *s, const char *name, const struct layer_entry *lower, bool listed)
{
	struct layer_dir *below = NULL;

	if (lower && S_ISDIR(lower->st.st_mode)) {
		below = layer_dir_open(s->dirs[s->at].lower, name);
		if (!below)
			return -errno;
	}
	return add_dir(s, strbuf_str(&s->path), below, listed);
}

static int tell_progress(struct scan *s)
{
	if (s->implied == 'C')
		return 0;
	return s->fn(' ', strbuf_str(&s->path), s->path.len, s->arg);
}

static int scan_entry(struct scan *s, const char *name)
{
	struct layer_entry entry, *lower = NULL;
	struct stat st;
	int verdict, err;

	if (fstatat(s->upper.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (s->dirs[s->at].lower) {
		err = layer_dir_lookup(s->dirs[s->at].lower, name, &entry);
		if (err && err != -ENOENT)
			return err;
		lower = err ? NULL : &entry;
	}

	err = set_path(s, name);
	verdict = err ? err : layer_judge(&s->upper, name, &st, lower);
	if (verdict < 0)
		return verdict == -ENOENT ? 0 : verdict;
	if (S_ISDIR(st.st_mode)) {
		err = descend(s, name, lower, verdict != ' ');
		if (err)
			return err;
	}
	if (verdict != ' ')
		return emit(s, (char)verdict);
	return S_ISDIR(st.st_mode) ? tell_progress(s) : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int remember_name(struct scan *s, const char *name)
{
	char *copy;

	if (!s->dirs[s->at].is_opaque)
		return 0;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	if (!tsearch(copy, &s->names, by_name)) {
		free(copy);
		return -ENOMEM;
	}
	return 0;
}

/* A name of the image that an opaque directory hides. */
static int scan_hidden(const char *name, void *arg)
{
	struct scan *s = arg;
	int err;

	if (tfind(name, &s->names, by_name))
		return 0;
	err = set_path(s, name);
	return err ? err : emit(s, 'D');
}

static int scan_names(struct scan *s, DIR *d)
{
	struct dirent *e;
	int err;

	while ((errno = 0, e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		err = remember_name(s, e->d_name);
		if (!err)
			err = scan_entry(s, e->d_name);
		if (err)
			return err;
	}
	if (errno)
		return -errno;
	if (!s->dirs[s->at].is_opaque)
		return 0;
	return layer_dir_foreach(s->dirs[s->at].lower, scan_hidden, s);
}

static int scan_dir(struct scan *s, size_t at)
{
	const char *path = s->dirs[at].path;
	auto_closedir DIR *d = NULL;
	size_t parent = s->dirs[at].parent;
	int fd, err;

	s->at = at;
	fd = beneath_open(s->rootfd, *path ? path + 1 : "", O_RDONLY | O_DIRECTORY);
	if (fd < 0) /* gone or replaced while we were elsewhere */
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? 0 : fd;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}

	/* Beneath an opaque directory nothing is merged, whether marked again or not. */
	s->upper.fd = fd;
	s->upper.lower = s->dirs[at].lower;
	s->upper.marks = s->upper.is_whole ? 0 : layer_dir_marks(fd, s->upper.user_xattr);
	s->dirs[at].is_opaque = s->dirs[at].lower &&
				(s->upper.is_whole || (at && (s->upper.marks & LAYER_OPAQUE)) ||
				 (parent != NO_PARENT && s->dirs[parent].is_opaque));
	err = scan_names(s, d);
	tdestroy(s->names, free);
	s->names = NULL;
	return err;
}

static int emit_implied(struct scan *s)
{
	size_t i;
	int err;

	for (i = 1; i < s->len; i++) {
		if (!s->dirs[i].has_lines || s->dirs[i].has_own_line)
			continue;
		err = s->fn(s->implied, s->dirs[i].path, strlen(s->dirs[i].path), s->arg);
		if (err)
			return err;
	}
	return 0;
}

static int scan(struct scan *s, const char *host_root, const char *upper, struct layer_stack *stack)
{
	auto_free char *path = file_join(host_root, upper);
	size_t at;
	int err;

	if (!path)
		return -ENOMEM;
	if (layer_stack_is_whole(stack) && !layer_dir_has_layers(layer_stack_root(stack)))
		return -EOPNOTSUPP;
	s->rootfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->rootfd < 0)
		return -errno;
	s->upper.user_xattr = layer_uses_user_xattr(s->rootfd);
	s->upper.is_whole = layer_stack_is_whole(stack);

	err = add_dir(s, "", layer_dir_get(layer_stack_root(stack)), false);
	for (at = 0; at < s->len && !err; at++)
		err = scan_dir(s, at);
	return err ? err : emit_implied(s);
}

int layer_scan(const char *host_root, const char *upper, struct layer_stack *stack,
	       layer_scan_fn fn, void *arg)
{
	auto_release(scan_done) struct scan s = {
		.rootfd = -1, .fn = fn, .arg = arg, .implied = 'C'};

	return scan(&s, host_root, upper, stack);
}

int layer_scan_telling(const char *host_root, const char *upper, struct layer_stack *stack,
		       layer_scan_fn fn, void *arg)
{
	auto_release(scan_done) struct scan s = {
		.rootfd = -1, .fn = fn, .arg = arg, .implied = LAYER_SCAN_IMPLIED};

	return scan(&s, host_root, upper, stack);
}

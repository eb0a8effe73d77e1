/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * look.c - one path of a layer, step by step from its root, see look.h.
 */
#include "layer/look.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/beneath.h"
#include "layer/compare.h"
#include "layer/judge.h"

/* Where the look stands. */
struct place {
	struct layer_upper_dir dir;
	bool is_opaque;
};

int layer_looker_open(const char *upper, struct layer_stack *stack, struct layer_looker *ret)
{
	int fd = beneath_open_dir(AT_FDCWD, upper);

	if (fd < 0)
		return fd;
	*ret = (struct layer_looker){
		.rootfd = fd,
		.user_xattr = layer_uses_user_xattr(fd),
		.stack = stack,
	};
	return 0;
}

void layer_looker_done(struct layer_looker *l)
{
	if (l->rootfd >= 0)
		close(l->rootfd);
	l->rootfd = -1;
}

static void place_done(struct place *p)
{
	if (p->dir.fd >= 0)
		close(p->dir.fd);
	layer_dir_put(p->dir.lower);
}

static void read_marks(struct place *p)
{
	p->dir.marks = p->dir.is_whole ? 0 : layer_dir_marks(p->dir.fd, p->dir.user_xattr);
}

static int place_at_root(const struct layer_looker *l, struct place *ret)
{
	int fd = beneath_open_dir(l->rootfd, ".");

	if (fd < 0)
		return fd;
	ret->dir = (struct layer_upper_dir){
		.fd = fd,
		.user_xattr = l->user_xattr,
		.lower = layer_dir_get(layer_stack_root(l->stack)),
	};
	ret->dir.is_whole = ret->is_opaque = layer_stack_is_whole(l->stack);
	read_marks(ret);
	return 0;
}

/* Into a directory of the upper layer. 0 or -errno, and then still where it was. */
static int step_into(struct place *p, const char *name)
{
	auto_close int fd = beneath_open_dir(p->dir.fd, name);
	struct layer_dir *lower = NULL;

	if (fd < 0)
		return fd;
	if (p->dir.lower) {
		lower = layer_dir_open(p->dir.lower, name);
		if (!lower && errno != ENOENT)
			return -errno;
	}
	close(p->dir.fd);
	layer_dir_put(p->dir.lower);
	p->dir.fd = take_fd(&fd);
	p->dir.lower = lower;
	read_marks(p);
	/* Beneath an opaque directory nothing is merged, whether marked again or not. */
	p->is_opaque = lower && (p->is_opaque || (p->dir.marks & LAYER_OPAQUE));
	return 0;
}

static void set_evidence(struct layer_look *ret, const struct stat *st)
{
	ret->ino = st->st_ino;
	ret->ctime = st->st_ctim;
}

static int look_nowhere(const struct place *p, struct layer_look *ret)
{
	struct stat st;

	if (fstat(p->dir.fd, &st) < 0)
		return -errno;
	ret->verdict = ' ';
	set_evidence(ret, &st);
	return 0;
}

static int look_at(const struct place *p, const char *name, struct layer_look *ret)
{
	struct layer_entry entry, *lower = NULL;
	struct stat st;
	int err, verdict;

	if (p->dir.lower) {
		err = layer_dir_lookup(p->dir.lower, name, &entry);
		if (err && err != -ENOENT)
			return err;
		lower = err ? NULL : &entry;
	}
	if (fstatat(p->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return -errno;
		err = look_nowhere(p, ret);
		if (!err && p->is_opaque && lower)
			ret->verdict = 'D';
		return err;
	}
	verdict = layer_judge(&p->dir, name, &st, lower);
	if (verdict < 0)
		return verdict;
	ret->verdict = (char)verdict;
	set_evidence(ret, &st);
	return 0;
}

static bool is_elsewhere(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP;
}

int layer_look(const struct layer_looker *l, const char *path, struct layer_look *ret)
{
	auto_release(place_done) struct place p = {.dir = {.fd = -1}};
	auto_free char *copy = strdup(path);
	char *name, *next;
	int err;

	if (!copy)
		return -ENOMEM;
	err = place_at_root(l, &p);
	for (name = copy + strspn(copy, "/"); !err; name = next) {
		next = name + strcspn(name, "/");
		if (!*next)
			return look_at(&p, name, ret);
		*next++ = '\0';
		err = step_into(&p, name);
		if (is_elsewhere(err))
			return look_nowhere(&p, ret);
	}
	return err;
}

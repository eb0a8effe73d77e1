/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_read.c - reading a directory, in slices.
 *
 * First its names: known ones are kept, checked or replaced, new ones enter. Then the
 * children that were not among the names vanish. Whatever changes meanwhile raises
 * another event, because the directory is watched and its mark was taken before.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/beneath.h"
#include "ledger/tree_internal.h"

#define READ_BYTES     32768
#define LEAST_ENTRY    24 /* bytes of a name of one byte, in what getdents64() returns */
#define STEPS_PER_LOOK 8  /* entries between two looks at the clock */

static void reader_done(struct tree *t)
{
	struct tree_reader *r = &t->reader;

	if (r->is_ahead)
		t->watcher.watch_ahead(t->watcher.arg, t->dev, NULL, 0);
	queue_done(t, r->flags);
	if (r->fd >= 0)
		close(r->fd);
	free(r->buf);
	*r = (struct tree_reader){.fd = -1};
}

void tree_read_abort(struct tree *t)
{
	if (t->reader.node)
		reader_done(t);
}

static int open_reader(struct tree *t, struct tree_reader *r)
{
	int fd = tree_dir_fd(t, r->node);

	if (fd < 0)
		return fd;
	/* Not the kept fd itself: the position in a directory belongs to the fd. */
	r->fd = beneath_open_dir(fd, ".");
	if (r->fd < 0)
		return r->fd;
	r->buf = malloc(READ_BYTES);
	return r->buf ? tree_read_marks(t, r) : -ENOMEM;
}

/* The directory is not where the tree has it, or cannot be read now. */
static void begin_failed(struct tree *t, int err)
{
	struct tree_node *n = t->reader.node;
	unsigned flags = t->reader.flags | WORK_READ;
	struct tree_cause cause = t->reader.cause;

	flags &= ~(unsigned)WORK_FAILED;
	if (tree_is_elsewhere(err) && n->parent) {
		tree_set_stale(t, n, true);
		queue_add(t, n->parent, WORK_READ | (flags & (WORK_INITIAL | WORK_RESCAN)), &cause,
			  clock_mono_ns() + TREE_RETRY_NS);
	} else {
		queue_add(t, n, flags | WORK_FAILED, &cause, clock_mono_ns() + TREE_RETRY_NS);
	}
	reader_done(t);
}

void tree_read_begin(struct tree *t, const struct tree_work *w)
{
	uint64_t start_ns = clock_mono_ns();
	int err;

	t->reader = (struct tree_reader){
		.node = w->node,
		.cause = w->cause,
		.flags = w->flags,
		.bits = (w->flags & WORK_INITIAL ? TREE_CHANGE_INITIAL : 0u) |
			(w->flags & WORK_RESCAN ? TREE_CHANGE_RESCAN : 0u),
		.fd = -1,
		.begun_ns = start_ns,
		.number = ++t->read_number,
	};
	t->dir_reads++;
	tree_set_stale(t, w->node, false);
	err = open_reader(t, &t->reader);
	t->reader.spent_ns = clock_mono_ns() - start_ns;
	if (err)
		begin_failed(t, err);
}

/* The name has, or may have, another inode than the node. */
static int check_replaced(struct tree *t, struct tree_reader *r, struct tree_node *c,
			  const struct dirent64 *e)
{
	struct tree_stat st;
	int err;

	err = tree_stat_entry(t, r->fd, c->name, &st, NULL);
	if (!err && !tree_same_file(&st, &c->st))
		return tree_entry_new(t, r, e, c);
	if (!err)
		err = tree_update(t, c, r->fd, &st, &r->cause, r->bits);
	if (err == -ENOENT)
		return err;
	c->seen = r->number;
	r->seen++;
	return err;
}

static int check_known(struct tree *t, struct tree_reader *r, struct tree_node *c,
		       const struct dirent64 *e)
{
	bool is_stale = c->flags & NODE_STALE;

	if (c->seen == r->number)
		return 0; /* listed twice while it was renamed */
	if (e->d_ino != c->st.ino || e->d_type != IFTODT(c->st.mode))
		return check_replaced(t, r, c, e);

	c->seen = r->number;
	r->seen++;
	if (r->flags & WORK_RESCAN) {
		index_watch(t, c);
		tree_restat(t, c, r->fd, &r->cause, r->bits);
		if (node_is_dir(c))
			queue_add(t, c, WORK_READ | WORK_RESCAN, &r->cause, 0);
	} else if (is_stale || (!node_is_dir(c) && c->verdict != TREE_ADDED)) {
		/* Same name, same inode number: still not surely the same file (trap 2). */
		tree_restat(t, c, r->fd, &r->cause, r->bits);
	}
	return 0;
}

static void read_name(struct tree *t, struct tree_reader *r, const struct dirent64 *e)
{
	size_t len = strlen(e->d_name);
	struct tree_node *c;
	int err;

	if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
		return;
	c = node_child(t, r->node, e->d_name, len);
	err = c ? check_known(t, r, c, e) : tree_entry_new(t, r, e, NULL);
	if (!err || err == -ENOENT)
		return; /* a name that is gone again has raised its event */
	r->is_torn = true;
	r->has_failed |= !tree_is_elsewhere(err);
	if (err == -ENOMEM)
		t->wants_rescan = true;
	/* What cannot be judged now is not gone. */
	if (c && c->seen != r->number) {
		c->seen = r->number;
		r->seen++;
	}
}

static bool is_to_be_watched(const struct tree *t, const struct dirent64 *e)
{
	return e->d_type != DT_CHR && e->d_type != DT_UNKNOWN && strcmp(e->d_name, ".") != 0 &&
	       strcmp(e->d_name, "..") != 0 && !index_find(t, e->d_ino);
}

/* The new ones of the chunk: all at once, before any of them is looked at (I1). */
static void watch_ahead(struct tree *t, struct tree_reader *r)
{
	uint64_t left = TREE_OPTIONAL_WATCHES - t->optional_watches;
	uint64_t inos[READ_BYTES / LEAST_ENTRY];
	const struct dirent64 *e;
	size_t at, len = 0;

	for (at = 0; at < r->len && len < sizeof(inos) / sizeof(*inos); at += e->d_reclen) {
		e = (const struct dirent64 *)(r->buf + at);
		if (!is_to_be_watched(t, e) || (e->d_type != DT_DIR && !left))
			continue;
		left -= e->d_type != DT_DIR;
		inos[len++] = e->d_ino;
	}
	t->watcher.watch_ahead(t->watcher.arg, t->dev, inos, len);
	r->is_ahead = true;
}

/* Returns false when all names have been read. */
static bool next_chunk(struct tree *t, struct tree_reader *r)
{
	ssize_t n = getdents64(r->fd, r->buf, READ_BYTES);

	if (n < 0) {
		r->is_torn = r->has_failed = true;
		r->seen = r->node->dir->len; /* nothing may vanish for what was not read */
	}
	r->at = 0;
	r->len = n > 0 ? (size_t)n : 0;
	if (n > 0 && t->watcher.watch_ahead)
		watch_ahead(t, r);
	return n > 0;
}

static void list_step(struct tree *t, struct tree_reader *r)
{
	const struct dirent64 *e;

	if (r->at == r->len && !next_chunk(t, r)) {
		r->is_listed = true;
		r->listed_ns = clock_mono_ns();
		return;
	}
	e = (const struct dirent64 *)(r->buf + r->at);
	r->at += e->d_reclen;
	read_name(t, r, e);
}

/*
 * A runtime unmounts a layer and removes it at once, and may have done so before the names
 * were read: then it is not the container that has removed what was not among them.
 */
static bool awaits_mounts(const struct tree *t)
{
	const struct tree_reader *r = &t->reader;

	return t->mounts_seen_ns && r->is_listed && r->seen < r->node->dir->len &&
	       *t->mounts_seen_ns <= r->listed_ns;
}

/* Returns false when there is nothing more to sweep. */
static bool sweep_step(struct tree *t, struct tree_reader *r)
{
	struct tree_dir *d = r->node->dir;
	struct tree_node *c;

	if (r->seen >= d->len || r->sweep_at >= d->slots_len)
		return false;
	if (tree_is_held(t, clock_mono_ns())) {
		r->is_held = true;
		return false;
	}
	c = d->slots[r->sweep_at];
	/* Taking one out moves others into its slot, so that one is looked at again. */
	if (!c || c->seen == r->number)
		r->sweep_at++;
	else if (tree_vanish(t, c, r))
		return false;
	return true;
}

static void finish(struct tree *t, struct tree_reader *r)
{
	struct tree_node *n = r->node;
	uint64_t now_ns = clock_mono_ns(), rest_ns = r->spent_ns * TREE_BACKOFF_FACTOR;
	unsigned again = WORK_READ | (r->flags & (WORK_INITIAL | WORK_RESCAN));
	struct tree_counted before;

	if (rest_ns > TREE_BACKOFF_MAX_NS)
		rest_ns = TREE_BACKOFF_MAX_NS;
	n->dir->may_read_ns = now_ns + rest_ns;
	n->dir->is_unread = false;
	t->unlisted += (uint64_t)r->unlisted - n->dir->unlisted;
	before = tree_count_out(t, n);
	n->dir->unlisted = r->unlisted;
	tree_count_in(t, n, before);

	/* A scan is not over while something in it has to be read once more. */
	if (rest_ns < TREE_RETRY_NS)
		rest_ns = TREE_RETRY_NS;
	if (r->is_torn)
		queue_add(t, n, again | (r->has_failed ? (unsigned)WORK_FAILED : 0u), &r->cause,
			  now_ns + rest_ns);
	else if (r->is_held)
		queue_add(t, n, WORK_READ, &r->cause, t->quiet_ns);
	reader_done(t);
}

bool tree_read_step(struct tree *t, uint64_t until_ns)
{
	struct tree_reader *r = &t->reader;
	uint64_t start_ns = clock_mono_ns(), now_ns;
	bool is_done = false;
	int steps = 1, left; /* the least budget is for one */

	if (awaits_mounts(t))
		return false;
	do {
		for (left = steps; left && !is_done; left--) {
			if (!r->is_listed)
				list_step(t, r);
			else if (awaits_mounts(t))
				break;
			else
				is_done = !sweep_step(t, r);
		}
		steps = STEPS_PER_LOOK;
		now_ns = clock_mono_ns();
	} while (!is_done && !awaits_mounts(t) && now_ns < until_ns);
	r->spent_ns += now_ns - start_ns;
	if (is_done)
		finish(t, r);
	return true;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_relate.c - what the changes of one flush mean for each other.
 *
 * One operation can change several entries: a rename takes a name here and gives one
 * there, a file of the image is copied up before it is renamed or linked, a directory
 * takes all beneath it along. Each operation is to be told once.
 */
#include "agent/engine_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NEARBY 64 /* the changes of one operation lie this close to each other */

struct nearby {
	size_t first, last;
};

static struct nearby nearby(const struct engine *e, size_t i)
{
	return (struct nearby){
		.first = i > NEARBY ? i - NEARBY : 0,
		.last = i + NEARBY < e->changes_len ? i + NEARBY : e->changes_len,
	};
}

static bool is_at(const struct queued_change *c, const struct track *t, const char *path)
{
	return c->track == t && c->path && path && strcmp(c->path, path) == 0;
}

static bool is_new_whiteout(const struct queued_change *c)
{
	return c->info.is_whiteout && c->bits & (TREE_CHANGE_APPEARED | TREE_CHANGE_WHITEOUT);
}

static void set_origin(struct queued_change *c, unsigned bit, const char *old_path)
{
	c->old_path = old_path;
	c->bits &= ~(unsigned)(TREE_CHANGE_RENAMED | TREE_CHANGE_LINKED);
	c->bits |= bit;
}

static uint64_t time_between(const struct queued_change *a, const struct queued_change *b)
{
	return a->cause.wall_ns < b->cause.wall_ns ? b->cause.wall_ns - a->cause.wall_ns
						   : a->cause.wall_ns - b->cause.wall_ns;
}

static size_t name_at(const struct queued_change *c)
{
	const char *slash = memrchr(c->path, '/', c->path_len);

	return slash ? (size_t)(slash - c->path) : 0;
}

/* Was it renamed within its directory (2), or did it keep its last name (1)? */
static int likeness(const struct queued_change *new, const struct queued_change *old)
{
	size_t new_at = name_at(new), old_at = name_at(old);

	if (new_at == old_at && memcmp(new->path, old->path, new_at) == 0)
		return 2;
	return strcmp(new->path + new_at, old->path + old_at) == 0;
}

/*
 * Of the files of the image that have gone in this flush, the one that @c was, most likely:
 * what was renamed changed both directories at once. NULL: none has.
 */
static struct queued_change *find_whited_out(struct engine *e, size_t i)
{
	struct queued_change *c = &e->changes[i], *best = NULL;
	struct nearby n = nearby(e, i);

	for (size_t k = n.first; k < n.last; k++) {
		struct queued_change *other = &e->changes[k];
		int better;

		if (other->track != c->track || !other->path || other->is_claimed ||
		    !is_new_whiteout(other) || other->lower_is_dir != S_ISDIR(c->info.st.st_mode))
			continue;
		better = best ? likeness(c, other) - likeness(c, best) : 1;
		if (better > 0 || (!better && time_between(c, other) < time_between(c, best)))
			best = other;
	}
	return best;
}

static struct queued_change *find_copied_up(struct engine *e, size_t i)
{
	const struct queued_change *c = &e->changes[i];
	struct nearby n = nearby(e, i);

	for (size_t k = n.first; k < n.last; k++) {
		struct queued_change *other = &e->changes[k];

		if (k != i && other->track == c->track && other->path && !other->is_claimed &&
		    other->info.st.st_ino == c->info.st.st_ino && other->info.has_lower)
			return other;
	}
	return NULL;
}

/* A copied-up file of the image at a new name: linked there, or renamed. */
static void relate_copied_up(struct engine *e, size_t i, uint32_t dev)
{
	struct queued_change *c = &e->changes[i], *other;
	struct recall *p = engine_find_pending(e, dev, c->info.st.st_ino);

	if (!p || !c->path || !(p->pending->flags & DW_RECORD_WORKDIR))
		return;
	c->is_copied_up = true;
	if (c->info.st.st_nlink > 1 && !S_ISDIR(c->info.st.st_mode))
		set_origin(c, TREE_CHANGE_LINKED, NULL);
	other = find_copied_up(e, i);
	if (other) {
		set_origin(c, TREE_CHANGE_LINKED, other->path);
		other->bits &= ~(unsigned)TREE_CHANGE_LINKED;
		return;
	}
	other = c->bits & TREE_CHANGE_LINKED ? NULL : find_whited_out(e, i);
	if (other) {
		set_origin(c, TREE_CHANGE_RENAMED, other->path);
		other->is_claimed = true;
	}
}

/* The old name of a rename, or of one of several names that moved, is not told apart. */
static void claim_old_name(struct engine *e, size_t i)
{
	struct queued_change *c = &e->changes[i];
	struct nearby n = nearby(e, i);

	for (size_t k = n.first; k < n.last; k++) {
		struct queued_change *gone = &e->changes[k];

		if (k == i || !is_at(gone, c->track, c->old_path))
			continue;
		if (is_new_whiteout(gone))
			gone->is_claimed = true;
		if (!(gone->bits & TREE_CHANGE_VANISHED) ||
		    gone->info.st.st_ino != c->info.st.st_ino)
			continue;
		gone->is_claimed = true;
		set_origin(c, TREE_CHANGE_RENAMED, gone->path);
		return;
	}
}

/* Something else has taken the name: that is told, not the end of what was there. */
static bool is_replaced(const struct engine *e, size_t i)
{
	const struct queued_change *gone = &e->changes[i];
	struct nearby n = nearby(e, i);

	for (size_t k = n.first; k < n.last; k++)
		if (k != i && e->changes[k].bits & TREE_CHANGE_APPEARED &&
		    is_at(&e->changes[k], gone->track, gone->path))
			return true;
	return false;
}

/* Beneath @dir as before: path and old path differ from its own by the same tail. */
static bool went_along(const struct queued_change *c, const struct queued_change *dir)
{
	size_t new_len = dir->path_len, old_len = strlen(dir->old_path);

	return c->path_len > new_len && c->path[new_len] == '/' &&
	       memcmp(c->path, dir->path, new_len) == 0 &&
	       strncmp(c->old_path, dir->old_path, old_len) == 0 &&
	       strcmp(c->old_path + old_len, c->path + new_len) == 0;
}

/* The first of a moved tree is its top: the rest follows it in the list. */
static void claim_moved_trees(struct engine *e)
{
	const struct queued_change *dir = NULL;

	for (size_t i = 0; i < e->changes_len; i++) {
		struct queued_change *c = &e->changes[i];

		if (!(c->bits & TREE_CHANGE_RENAMED) || !c->path || !c->old_path)
			continue;
		if (dir && dir->track == c->track && went_along(c, dir))
			c->is_claimed = true;
		else if (S_ISDIR(c->info.st.st_mode))
			dir = c;
	}
}

void engine_relate_changes(struct engine *e)
{
	const unsigned names = TREE_CHANGE_RENAMED | TREE_CHANGE_LINKED | TREE_CHANGE_VANISHED;

	for (size_t i = 0; i < e->changes_len; i++) {
		struct queued_change *c = &e->changes[i];
		uint32_t dev = c->track->c->tree ? tree_dev(c->track->c->tree) : 0;

		if (c->bits & TREE_CHANGE_APPEARED)
			engine_forget_earlier(e, dev, c->info.st.st_ino, c->info.birth_wall_ns);
		if (c->bits & TREE_CHANGE_APPEARED && c->after == TREE_ADDED && !c->old_path)
			relate_copied_up(e, i, dev);
		if (c->bits & names)
			engine_explain_names(e, dev, c->info.st.st_ino);
		if (c->old_path && !c->is_claimed)
			claim_old_name(e, i);
	}
	for (size_t i = 0; i < e->changes_len; i++)
		if (e->changes[i].bits & TREE_CHANGE_VANISHED && e->changes[i].path &&
		    is_replaced(e, i))
			e->changes[i].is_claimed = true;
	claim_moved_trees(e);
}

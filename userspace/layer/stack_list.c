/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stack_list.c - all names of a merged lower directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "layer/beneath.h"
#include "layer/stack_internal.h"

/* Names one after the other in .text, and where each begins. */
struct listing {
	struct strbuf text;
	struct seen {
		size_t at;
		uint32_t part;
		bool is_hidden;
	} * seen;
	size_t len, size;
};

static void listing_done(struct listing *l)
{
	strbuf_done(&l->text);
	free(l->seen);
}

static int add_name(struct listing *l, const char *name, size_t part, bool is_hidden)
{
	size_t size;
	void *bigger;

	if (l->len == l->size) {
		size = l->size ? l->size * 2 : 64;
		bigger = reallocarray(l->seen, size, sizeof(*l->seen));
		if (!bigger)
			return -ENOMEM;
		l->seen = bigger;
		l->size = size;
	}
	l->seen[l->len++] = (struct seen){l->text.len, (uint32_t)part, is_hidden};
	strbuf_add(&l->text, name, strlen(name) + 1);
	return strbuf_failed(&l->text) ? -ENOMEM : 0;
}

/* Could this entry hide a name? Only then is it worth a stat. */
static bool may_hide(const struct layer_part *p, const struct dirent *e)
{
	return e->d_type == DT_CHR || e->d_type == DT_UNKNOWN ||
	       (e->d_type == DT_REG && p->has_xwhiteouts);
}

static int list_part(struct layer_dir *dir, size_t part, struct listing *l)
{
	auto_closedir DIR *d = NULL;
	struct dirent *e;
	struct stat st;
	int fd, answer, err;

	fd = stack_part_fd(dir, part);
	if (fd < 0)
		return fd;
	fd = beneath_open_dir(fd, ".");
	if (fd < 0)
		return fd;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}

	while ((errno = 0, e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		answer = PART_PRESENT;
		if (may_hide(&dir->parts[part], e))
			answer = stack_part_lookup(dir, part, e->d_name, &st);
		if (answer < 0)
			return answer;
		err = answer == PART_ABSENT ? 0
					    : add_name(l, e->d_name, part, answer == PART_HIDDEN);
		if (err)
			return err;
	}
	return -errno;
}

/* By name, and for one name the topmost layer first. */
static int order(const void *a, const void *b, void *text)
{
	const struct seen *x = a, *y = b;
	int by_name = strcmp((char *)text + x->at, (char *)text + y->at);

	return by_name ? by_name : (x->part > y->part) - (x->part < y->part);
}

int layer_dir_foreach(struct layer_dir *dir, int (*fn)(const char *name, void *arg), void *arg)
{
	auto_release(listing_done) struct listing l = {.text = STRBUF_INIT};
	const char *name, *last = NULL;
	size_t i;
	int err;

	for (i = 0; i < dir->parts_len; i++) {
		err = list_part(dir, i, &l);
		if (err)
			return err;
	}
	if (!l.len)
		return 0;

	qsort_r(l.seen, l.len, sizeof(*l.seen), order, l.text.data);
	for (i = 0; i < l.len; i++) {
		name = l.text.data + l.seen[i].at;
		if (last && !strcmp(last, name))
			continue; /* a layer above has decided */
		last = name;
		if (l.seen[i].is_hidden)
			continue;
		err = fn(name, arg);
		if (err)
			return err;
	}
	return 0;
}

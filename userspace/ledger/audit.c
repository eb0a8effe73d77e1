/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * audit.c - an audit's way from the first line to its result, see audit.h.
 */
#include "ledger/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ledger/audit_internal.h"

#define WAIT_MS 20 /* for the tree's own scan */
#define POLL_MS 2  /* for the thread */

void audit_result_done(struct audit_result *r)
{
	while (r->listed_len)
		free(r->listed[--r->listed_len].path);
	free(r->listed);
	*r = (struct audit_result){0};
}

static int copy_options(struct audit *a, const struct audit_options *o)
{
	char **lowers = calloc(o->lowers_len + 1, sizeof(*lowers));
	size_t i;

	a->options = *o;
	a->options.lowers = lowers;
	a->options.lowers_len = 0;
	a->options.host_root = strdup(o->host_root ? o->host_root : "");
	if (!lowers || !a->options.host_root)
		return -ENOMEM;
	for (i = 0; i < o->lowers_len; i++) {
		lowers[i] = strdup(o->lowers[i]);
		if (!lowers[i])
			return -ENOMEM;
		a->options.lowers_len++;
	}
	return 0;
}

int audit_begin(struct tree *t, const struct audit_options *options, struct audit **ret)
{
	struct audit *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return -ENOMEM;
	a->tree = t;
	a->result.began_wall_ns = clock_wall_ns();
	err = copy_options(a, options);
	if (err) {
		audit_end(a);
		return err;
	}
	*ret = a;
	return 0;
}

struct audit *audit_end(struct audit *a)
{
	if (!a)
		return NULL;
	audit_reader_end(a->reader);
	audit_suspects_done(a);
	while (a->dirs_len)
		free(a->dirs[--a->dirs_len].path);
	free(a->dirs);
	free(a->block);
	while (a->options.lowers_len)
		free(a->options.lowers[--a->options.lowers_len]);
	free((void *)a->options.lowers);
	free((char *)a->options.host_root);
	audit_result_done(&a->result);
	free(a);
	return NULL;
}

bool audit_is_looking(const struct audit *a)
{
	return a->state == AUDIT_LOOKING;
}

uint64_t audit_lines(const struct audit *a)
{
	return a->result.lines;
}

void audit_take_result(struct audit *a, struct audit_result *ret)
{
	*ret = a->result;
	a->result = (struct audit_result){0};
}

static int finish(struct audit *a, int err)
{
	a->state = AUDIT_OVER;
	a->result.error = err;
	a->result.ended_wall_ns = clock_wall_ns();
	return -1;
}

bool audit_is_possible(const struct tree *t)
{
	return t->is_gone || (t->is_scanned && !t->wants_rescan && !t->rescan_left);
}

/* A tree that is scanning is not to be compared, but soon will be. */
static int wait_for_tree(struct audit *a)
{
	struct tree *t = a->tree;
	const struct audit_reader_options options = {
		.upper = t->upper,
		.host_root = a->options.host_root,
		.lowers = a->options.lowers,
		.lowers_len = a->options.lowers_len,
		.is_urgent = a->options.is_urgent,
		.is_whole = t->is_whole,
	};
	int err;

	if (!audit_is_possible(t))
		return WAIT_MS;
	a->is_live = t->events_complete && !t->has_unwatched;
	a->number = ++t->read_number;
	err = audit_reader_begin(&options, &a->reader);
	if (err)
		return finish(a, err);
	a->state = AUDIT_READING;
	return POLL_MS;
}

static int read_on(struct audit *a, uint64_t until_ns)
{
	int over = audit_compare_step(a, until_ns);

	if (over < 0)
		return finish(a, over);
	if (!over)
		return clock_mono_ns() < until_ns ? POLL_MS : 0;
	/* Another directory may have been read than the one the tree holds. */
	if (!tree_root_is_in_place(a->tree))
		return finish(a, -ESTALE);
	over = audit_sweep_begin(a);
	if (over < 0)
		return finish(a, over);
	a->state = AUDIT_SWEEPING;
	return 0;
}

static int sweep_on(struct audit *a, uint64_t until_ns)
{
	int over = audit_sweep_step(a, until_ns);

	if (over < 0)
		return finish(a, over);
	if (over) {
		a->state = AUDIT_LOOKING;
		a->looking_ns = clock_mono_ns();
	}
	return 0;
}

int audit_step(struct audit *a, uint64_t budget_ns, bool is_sound)
{
	uint64_t until_ns = clock_mono_ns() + budget_ns;
	int ms = -1;

	if (a->tree->is_gone && a->state != AUDIT_OVER)
		return finish(a, -ENOENT);
	switch (a->state) {
	case AUDIT_WAITING:
		return wait_for_tree(a);
	case AUDIT_READING:
		return read_on(a, until_ns);
	case AUDIT_SWEEPING:
		return sweep_on(a, until_ns);
	case AUDIT_LOOKING:
		ms = audit_suspect_step(a, is_sound);
		return ms < 0 ? finish(a, 0) : ms;
	case AUDIT_OVER:
		break;
	}
	return -1;
}

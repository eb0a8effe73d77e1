/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * audit_suspect.c - what differed between tree and layer, until it is known why.
 *
 * The thread looks at the path, then the tree is told of everything that happened until
 * then, then both are compared. A layer that changes shows another inode or ctime, and
 * the waiting begins anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ledger/audit_internal.h"

#define AGAIN_NS   (50 * NS_PER_MSEC) /* between two looks at what moves */
#define REPEATS	   4		      /* looks while CONFIRM_NS pass */
#define CONFIRM_NS (1500 * NS_PER_MSEC)
#define GIVE_UP_NS (10 * NS_PER_SEC)
#define POLL_MS	   2

int audit_suspect_add(struct audit *a, const char *path, size_t len)
{
	size_t size = a->suspects_size ? a->suspects_size * 2 : 16;
	struct suspect **bigger, *s;

	if (a->suspects_len == SUSPECTS_MAX) {
		a->result.unsettled++;
		return 0;
	}
	if (a->suspects_len == a->suspects_size) {
		bigger = reallocarray(a->suspects, size, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		a->suspects = bigger;
		a->suspects_size = size;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->task.path = strndup(path, len);
	if (!s->task.path) {
		free(s);
		return -ENOMEM;
	}
	a->suspects[a->suspects_len++] = s;
	if (!a->is_live)
		tree_reread(a->tree, path, len);
	return 0;
}

static void suspect_free(struct suspect *s)
{
	free((char *)s->task.path);
	free(s);
}

void audit_suspects_done(struct audit *a)
{
	while (a->suspects_len)
		suspect_free(a->suspects[--a->suspects_len]);
	free(a->suspects);
	free(a->tasks);
	a->suspects = NULL;
	a->tasks = NULL;
}

/* --- what became of a look */

static enum tree_verdict verdict_of(char letter)
{
	switch (letter) {
	case 'A':
		return TREE_ADDED;
	case 'C':
		return TREE_MODIFIED;
	case 'D':
		return TREE_DELETED;
	default:
		return TREE_NONE;
	}
}

static bool is_pending(const struct tree *t, const struct tree_node *n)
{
	return n->work || (n->flags & NODE_STALE) || t->reader.node == n;
}

/* Has the tree anything to do for the path, or for a directory above it? */
static bool is_pending_at(struct tree *t, const char *path)
{
	const struct tree_node *n = t->root;
	const char *end = path;

	if (t->wants_rescan || t->rescan_left || t->initial_left)
		return true;
	while (n && !is_pending(t, n) && *end) {
		end += strcspn(end + 1, "/") + 1;
		n = tree_find_path(t, path, (size_t)(end - path));
	}
	return n && is_pending(t, n);
}

static bool is_same_look(const struct layer_look *x, const struct layer_look *y)
{
	return x->verdict == y->verdict && x->ino == y->ino && x->ctime.tv_sec == y->ctime.tv_sec &&
	       x->ctime.tv_nsec == y->ctime.tv_nsec;
}

void audit_list_mismatch(struct audit_result *r, const char *path, enum tree_verdict ledger,
			 enum tree_verdict layer)
{
	struct audit_mismatch *bigger;
	char *copy;

	r->mismatches++;
	if (r->listed_len == AUDIT_LISTED)
		return;
	bigger = reallocarray(r->listed, r->listed_len + 1, sizeof(*bigger));
	if (!bigger)
		return;
	r->listed = bigger;
	copy = strdup(path);
	if (!copy)
		return;
	r->listed[r->listed_len++] = (struct audit_mismatch){
		.path = copy,
		.path_len = strlen(copy),
		.ledger = ledger,
		.layer = layer,
	};
}

/* It differs. True when that is no passing state: a mismatch. */
static bool has_lasted(const struct audit *a, struct suspect *s, enum tree_verdict ledger,
		       bool is_sound)
{
	uint64_t confirm_ns = a->options.confirm_ns ? a->options.confirm_ns : CONFIRM_NS;
	uint64_t now_ns = clock_mono_ns();

	s->due_ns = now_ns + confirm_ns / REPEATS;
	if (!s->first_ns || !is_sound || s->first_ledger != ledger ||
	    !is_same_look(&s->first, &s->task.look)) {
		s->first = s->task.look;
		s->first_ledger = ledger;
		s->first_ns = now_ns;
		return false;
	}
	return now_ns - s->first_ns >= confirm_ns;
}

/* False: the suspect is done with. */
static bool is_kept(struct audit *a, struct suspect *s, bool is_sound)
{
	struct tree *t = a->tree;
	size_t len = strlen(s->task.path);
	enum tree_verdict ledger;
	struct tree_node *n;

	s->is_at_work = false;
	ledger = audit_ledger_verdict(a, s->task.path, &n);
	if (!s->task.err && tree_verdict_letter(ledger) == s->task.look.verdict)
		return false;
	if (s->task.err || is_pending_at(t, s->task.path)) {
		s->first_ns = 0;
		s->due_ns = clock_mono_ns() + AGAIN_NS;
		return true;
	}
	if (!has_lasted(a, s, ledger, is_sound)) {
		if (!a->is_live)
			tree_reread(t, s->task.path, len);
		return true;
	}
	audit_list_mismatch(&a->result, s->task.path, s->first_ledger,
			    verdict_of(s->first.verdict));
	tree_distrust(t, s->task.path, len);
	return false;
}

static void take_looks(struct audit *a, bool is_sound)
{
	size_t kept = 0, i;

	for (i = 0; i < a->suspects_len; i++) {
		if (!a->suspects[i]->is_at_work || is_kept(a, a->suspects[i], is_sound))
			a->suspects[kept++] = a->suspects[i];
		else
			suspect_free(a->suspects[i]);
	}
	a->suspects_len = kept;
	a->tasks_len = 0;
	a->is_looked = false;
}

/* Give the thread all that is due. Returns milliseconds until something is. */
static int give_tasks(struct audit *a)
{
	uint64_t now_ns = clock_mono_ns(), next_ns = UINT64_MAX;
	size_t i;

	free(a->tasks);
	a->tasks = calloc(a->suspects_len, sizeof(struct audit_task *));
	if (!a->tasks)
		return POLL_MS;
	for (i = 0; i < a->suspects_len; i++) {
		struct suspect *s = a->suspects[i];

		if (s->due_ns < next_ns)
			next_ns = s->due_ns;
		if (s->due_ns > now_ns)
			continue;
		s->is_at_work = true;
		a->tasks[a->tasks_len++] = &s->task;
	}
	if (!a->tasks_len)
		return (int)((next_ns - now_ns) / NS_PER_MSEC) + 1;
	audit_reader_look(a->reader, a->tasks, a->tasks_len);
	return POLL_MS;
}

int audit_suspect_step(struct audit *a, bool is_sound)
{
	uint64_t give_up_ns = a->options.give_up_ns ? a->options.give_up_ns : GIVE_UP_NS;

	if (a->tasks_len && !audit_reader_is_done(a->reader))
		return POLL_MS;
	/* The tree was told of what came before this call, not of what came before the look. */
	if (a->tasks_len && !a->is_looked) {
		a->is_looked = true;
		return 0;
	}
	if (a->tasks_len)
		take_looks(a, is_sound);
	if (!a->suspects_len)
		return -1;
	if (clock_mono_ns() - a->looking_ns < give_up_ns)
		return give_tasks(a);
	a->result.unsettled += a->suspects_len;
	return -1;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_queue.c - what is to be done: a list of what is ready, a heap of what is due later.
 *
 * A node is queued at most once, so the queue is bounded by the nodes; more marks
 * merge into what is there.
 */
#include <stdlib.h>

#include "ledger/tree_internal.h"

void list_push(struct tree_list *l, struct tree_work *w, bool front)
{
	w->prev = front ? NULL : l->last;
	w->next = front ? l->first : NULL;
	*(w->prev ? &w->prev->next : &l->first) = w;
	*(w->next ? &w->next->prev : &l->last) = w;
	l->len++;
}

void list_remove(struct tree_list *l, struct tree_work *w)
{
	*(w->prev ? &w->prev->next : &l->first) = w->next;
	*(w->next ? &w->next->prev : &l->last) = w->prev;
	w->next = w->prev = NULL;
	l->len--;
}

static void heap_put(struct tree *t, uint32_t at, struct tree_work *w)
{
	t->heap[at] = w;
	w->heap_at = at;
}

static void sift_up(struct tree *t, struct tree_work *w)
{
	uint32_t at = w->heap_at;

	for (; at > 1 && t->heap[at / 2]->due_ns > w->due_ns; at /= 2)
		heap_put(t, at, t->heap[at / 2]);
	heap_put(t, at, w);
}

static void sift_down(struct tree *t, struct tree_work *w)
{
	uint32_t at = w->heap_at, child;

	while ((child = at * 2) <= t->heap_len) {
		if (child < t->heap_len && t->heap[child + 1]->due_ns < t->heap[child]->due_ns)
			child++;
		if (t->heap[child]->due_ns >= w->due_ns)
			break;
		heap_put(t, at, t->heap[child]);
		at = child;
	}
	heap_put(t, at, w);
}

static bool heap_add(struct tree *t, struct tree_work *w)
{
	size_t size = t->heap_size ? t->heap_size * 2 : 16;
	struct tree_work **bigger;

	if (t->heap_len + 2 > t->heap_size) {
		bigger = reallocarray(t->heap, size, sizeof(struct tree_work *));
		if (!bigger)
			return false;
		t->heap = bigger;
		t->heap_size = size;
	}
	heap_put(t, (uint32_t)++t->heap_len, w);
	sift_up(t, w);
	return true;
}

static void heap_remove(struct tree *t, struct tree_work *w)
{
	struct tree_work *last = t->heap[t->heap_len--];
	uint32_t at = w->heap_at;

	w->heap_at = 0;
	if (last == w)
		return;
	heap_put(t, at, last);
	sift_up(t, last);
	sift_down(t, last);
}

/* Into the list or, when it is for later, the heap. */
static void enqueue(struct tree *t, struct tree_work *w, bool front)
{
	if (w->due_ns && heap_add(t, w))
		return;
	w->due_ns = 0;
	list_push(&t->ready, w, front);
}

static void dequeue(struct tree *t, struct tree_work *w)
{
	if (w->heap_at)
		heap_remove(t, w);
	else if (w->flags & WORK_RESTING)
		list_remove(&t->resting, w);
	else
		list_remove(w->flags & WORK_LIMBO ? &t->limbo : &t->ready, w);
}

static void add_flags(struct tree *t, struct tree_work *w, unsigned flags)
{
	unsigned new = flags & ~w->flags;

	t->initial_left += !!(new &WORK_INITIAL);
	t->rescan_left += !!(new &WORK_RESCAN);
	t->failed_left += !!(new &WORK_FAILED);
	w->flags |= flags;
}

void queue_done(struct tree *t, unsigned flags)
{
	t->failed_left -= !!(flags & WORK_FAILED);
	/* What it led to was queued before it is done, so 0 is the end of the scan. */
	if ((flags & WORK_INITIAL) && --t->initial_left == 0 && !t->is_gone) {
		t->is_scanned = true;
		t->scanned_wall_ns = clock_wall_ns();
	}
	if ((flags & WORK_RESCAN) && --t->rescan_left == 0 && !t->is_gone) {
		t->scanned_wall_ns = clock_wall_ns();
		t->has_unwatched = t->watch_failed;
	}
}

void queue_remove(struct tree *t, struct tree_work *w)
{
	struct tree_node *held = w->flags & WORK_HELD ? w->node : NULL;

	dequeue(t, w);
	queue_done(t, w->flags);
	w->node->work = NULL;
	free(w);
	if (held)
		rest_end(t, held);
}

static void merge_cause(struct tree_cause *into, const struct tree_cause *cause)
{
	if (cause->writer)
		into->writer = cause->writer;
	if (cause->wall_ns > into->wall_ns)
		into->wall_ns = cause->wall_ns;
}

bool rest_add(struct tree *t, struct tree_node *n, const struct tree_cause *cause)
{
	struct tree_work *w = n->work;

	if (w && !(w->flags & WORK_RESTING))
		return false;
	if (!w && t->resting.len < TREE_RESTING_MAX) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return false;
		*w = (struct tree_work){.node = n, .flags = WORK_STAT | WORK_RESTING | WORK_HELD};
		n->work = w;
		list_push(&t->resting, w, false);
	}
	if (w)
		merge_cause(&w->cause, cause);
	return w;
}

static void rouse(struct tree *t, struct tree_work *w, uint64_t now_ns, uint64_t due_ns)
{
	dequeue(t, w);
	w->flags &= ~(uint32_t)WORK_RESTING;
	w->queued_ns = now_ns;
	w->due_ns = due_ns;
	enqueue(t, w, false);
}

void queue_add(struct tree *t, struct tree_node *n, unsigned flags, const struct tree_cause *cause,
	       uint64_t due_ns)
{
	uint64_t now_ns = clock_mono_ns();
	struct tree_work *w = n->work;

	if (due_ns <= now_ns)
		due_ns = 0;
	if (w && (w->flags & WORK_LIMBO))
		return;
	if (w && (w->flags & WORK_RESTING))
		rouse(t, w, now_ns, due_ns);
	if (w && w->heap_at && w->due_ns > due_ns) {
		dequeue(t, w);
		w->due_ns = due_ns;
		enqueue(t, w, false);
	}
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w) {
			t->wants_rescan = true;
			return;
		}
		*w = (struct tree_work){.node = n, .queued_ns = now_ns, .due_ns = due_ns};
		n->work = w;
		/* New directories first: depth first needs the fewest opens. */
		enqueue(t, w, node_is_dir(n) && n->dir->is_unread);
	}
	add_flags(t, w, flags);
	merge_cause(&w->cause, cause);
}

void queue_again(struct tree_node *n, uint64_t at_ns)
{
	if (n->work && !(n->work->flags & WORK_LIMBO) && n->work->again_ns < at_ns)
		n->work->again_ns = at_ns;
}

void queue_begun(struct tree *t, struct tree_node *n)
{
	uint64_t at_ns = clock_mono_ns() + TREE_BEGUN_NS;

	if (!n->work)
		queue_add(t, n, work_of_look(n), &(struct tree_cause){0}, at_ns);
	queue_again(n, at_ns);
}

bool queue_pop(struct tree *t, uint64_t now_ns, struct tree_work *ret)
{
	struct tree_work *w;

	while (t->heap_len && t->heap[1]->due_ns <= now_ns) {
		w = t->heap[1];
		heap_remove(t, w);
		w->due_ns = 0;
		list_push(&t->ready, w, false);
	}
	w = t->ready.first;
	if (!w)
		return false;
	list_remove(&t->ready, w);
	*ret = *w;
	w->node->work = NULL;
	free(w);
	return true;
}

uint64_t queue_next_due(const struct tree *t)
{
	return t->heap_len ? t->heap[1]->due_ns : 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_print.c - the lines of docker diff, from memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ledger/tree_internal.h"

/* A name to be printed: a node, or a name that an opaque directory hides. */
struct item {
	const char *name;
	struct tree_node *node; /* NULL: hidden */
};

/* A directory being printed. */
struct frame {
	struct item *items;
	size_t len, at;
	size_t path_len; /* of the directory */
};

struct printer {
	const struct tree *t;
	struct frame *frames;
	size_t len, size;
	struct strbuf path;
	bool all;
};

static void printer_done(struct printer *p)
{
	while (p->len)
		free(p->frames[--p->len].items);
	free(p->frames);
	strbuf_done(&p->path);
}

char tree_verdict_letter(enum tree_verdict v)
{
	switch (v) {
	case TREE_ADDED:
		return 'A';
	case TREE_MODIFIED:
		return 'C';
	case TREE_DELETED:
		return 'D';
	case TREE_NONE:
		break;
	}
	return ' ';
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static struct item *sorted_items(const struct tree *t, const struct tree_node *n, size_t *ret_len)
{
	const struct tree_dir *d = n->dir;
	struct item *items = calloc(d->len + d->hidden_len + 1, sizeof(*items));
	size_t len = 0, i;

	if (!items)
		return NULL;
	for (i = 0; i < d->slots_len; i++) {
		if (d->slots[i])
			items[len++] = (struct item){d->slots[i]->name, d->slots[i]};
	}
	for (i = 0; i < d->hidden_len; i++) {
		if (!node_child(t, n, d->hidden[i], strlen(d->hidden[i])))
			items[len++] = (struct item){d->hidden[i], NULL};
	}
	qsort(items, len, sizeof(*items), by_name);
	*ret_len = len;
	return items;
}

static int enter(struct printer *p, const struct tree_node *n)
{
	size_t size = p->size ? p->size * 2 : 16;
	struct frame *f;

	if (p->len == p->size) {
		f = reallocarray(p->frames, size, sizeof(*f));
		if (!f)
			return -ENOMEM;
		p->frames = f;
		p->size = size;
	}
	f = &p->frames[p->len];
	*f = (struct frame){.path_len = p->path.len};
	f->items = sorted_items(p->t, n, &f->len);
	if (!f->items)
		return -ENOMEM;
	p->len++;
	return 0;
}

static enum tree_verdict verdict_of(const struct item *i)
{
	if (!i->node)
		return TREE_DELETED;
	if (i->node->verdict == TREE_NONE && node_has_lines(i->node))
		return TREE_MODIFIED;
	return (enum tree_verdict)i->node->verdict;
}

/* Equal to the image's: of interest where it takes a copy-up to be there. */
static bool is_shown(const struct printer *p, const struct item *i)
{
	return p->all && (!p->t->is_whole || i->node->depth != TREE_DEPTH_UNKNOWN);
}

static int print_item(struct printer *p, const struct item *i, tree_line_fn fn, void *arg)
{
	struct tree_line line = {.verdict = verdict_of(i), .node = i->node};

	strbuf_addc(&p->path, '/');
	strbuf_adds(&p->path, i->name);
	if (strbuf_failed(&p->path))
		return -ENOMEM;
	if (line.verdict == TREE_NONE && !is_shown(p, i))
		return 0;
	line.path = strbuf_str(&p->path);
	line.path_len = p->path.len;
	return fn(&line, arg);
}

/* Without lines beneath, a directory need not be walked. */
static bool is_entered(const struct printer *p, const struct item *i)
{
	return i->node && i->node->dir && (p->all || node_has_lines(i->node));
}

int tree_foreach(const struct tree *t, bool all, tree_line_fn fn, void *arg)
{
	auto_release(printer_done) struct printer p = {.t = t, .path = STRBUF_INIT, .all = all};
	const struct item *i;
	struct frame *f;
	int err;

	err = enter(&p, t->root);
	while (!err && p.len) {
		f = &p.frames[p.len - 1];
		if (f->at == f->len) {
			free(f->items);
			p.len--;
			continue;
		}
		i = &f->items[f->at++];
		strbuf_truncate(&p.path, f->path_len);
		err = print_item(&p, i, fn, arg);
		if (!err && is_entered(&p, i))
			err = enter(&p, i->node);
	}
	return err;
}

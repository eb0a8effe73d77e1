/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * audit_compare.c - lines of the layer against nodes of the tree, and the reverse.
 *
 * First every line the thread found is looked up in the tree and its node marked as seen.
 * Then the tree is swept for nodes with a line that were not seen. Neither tells what is
 * wrong: both move on meanwhile. They only name suspects.
 *
 * A directory that is listed only for what lies beneath it has no line to be looked at on
 * disk. Lines beneath being compared, it is right when it counts them right: that is
 * checked when all beneath it was swept, and is no matter of time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "layer/scan.h"
#include "ledger/audit_internal.h"

/* --- lines of the layer */

enum tree_verdict audit_ledger_verdict(const struct audit *a, const char *path,
				       struct tree_node **ret_node)
{
	const char *name = strrchr(path, '/') + 1;
	struct tree_node *n = tree_find_path(a->tree, path, strlen(path));

	*ret_node = n;
	if (n)
		return (enum tree_verdict)n->verdict;
	n = tree_find_path(a->tree, path, (size_t)(name - path - 1));
	return n && n->dir && tree_dir_hides(n->dir, name) ? TREE_DELETED : TREE_NONE;
}

/* Beneath a directory some of whose names have no node. */
static bool is_unlisted(const struct audit *a, const char *path)
{
	size_t len = strlen(path);
	struct tree_node *n = NULL;

	if (!a->tree->unlisted)
		return false;
	while (len && !n) {
		while (len && path[len - 1] != '/')
			len--;
		len -= len > 0;
		n = tree_find_path(a->tree, path, len);
	}
	return n && n->dir && n->dir->unlisted;
}

/* A read of its directory that is under way counts on .seen: it will look at it itself. */
static void set_seen(const struct audit *a, struct tree_node *n)
{
	if (n->parent && n->parent != a->tree->reader.node)
		n->seen = a->number;
}

static int compare_line(struct audit *a, char letter, const char *path)
{
	struct tree_node *n;
	enum tree_verdict ledger;

	a->result.lines++;
	if (letter == LAYER_SCAN_IMPLIED)
		return 0;
	ledger = audit_ledger_verdict(a, path, &n);
	if (n)
		set_seen(a, n);
	if (tree_verdict_letter(ledger) == letter)
		return 0;
	if (!n && letter == 'A' && is_unlisted(a, path)) {
		a->result.unlisted++;
		return 0;
	}
	return audit_suspect_add(a, path, strlen(path));
}

static int compare_block(struct audit *a, uint64_t until_ns)
{
	const char *line;
	int err = 0;

	while (!err && a->at < a->block_len && clock_mono_ns() < until_ns) {
		line = a->block + a->at;
		a->at += strlen(line) + 1;
		err = compare_line(a, line[0], line + 1);
	}
	return err;
}

int audit_compare_step(struct audit *a, uint64_t until_ns)
{
	int found = 1, err = 0;

	while (!err && clock_mono_ns() < until_ns) {
		if (a->at == a->block_len) {
			free(a->block);
			a->block = NULL;
			a->at = a->block_len = 0;
			found = audit_reader_take(a->reader, &a->block, &a->block_len);
			if (found <= 0)
				return found == -ENODATA ? 1 : found;
		}
		err = compare_block(a, until_ns);
	}
	return err;
}

/* --- nodes of the tree */

static int push_path(struct audit *a, const char *path, bool is_left)
{
	size_t size = a->dirs_size ? a->dirs_size * 2 : 64;
	struct swept_dir *bigger;
	char *copy;

	if (a->dirs_len == a->dirs_size) {
		bigger = reallocarray(a->dirs, size, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		a->dirs = bigger;
		a->dirs_size = size;
	}
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	a->dirs[a->dirs_len++] = (struct swept_dir){copy, is_left};
	return 0;
}

static int push_dir(struct audit *a, const struct tree_node *n)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	tree_node_path(n, &path);
	return strbuf_failed(&path) ? -ENOMEM : push_path(a, strbuf_str(&path), false);
}

static enum tree_verdict shown_verdict(const struct tree_node *n)
{
	return n->verdict == TREE_NONE && node_has_lines(n) ? TREE_MODIFIED
							    : (enum tree_verdict)n->verdict;
}

static void check_implied(struct audit *a, const char *path, struct tree_node *n)
{
	enum tree_verdict before = shown_verdict(n);

	if (!tree_recount_dir(a->tree, n) && n->parent && shown_verdict(n) != before)
		audit_list_mismatch(&a->result, path, before, shown_verdict(n));
	audit_totals_add_dir(a, n);
}

static int suspect_name(struct audit *a, const char *dir, const char *name)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/%s", dir, name);
	return strbuf_failed(&path) ? -ENOMEM : audit_suspect_add(a, path.data, path.len);
}

static bool was_seen(const struct audit *a, const struct tree_node *n)
{
	return (int32_t)(n->seen - a->number) >= 0;
}

static int sweep_node(struct audit *a, const char *dir, struct tree_node *n)
{
	int err = 0;

	audit_totals_add(a, n);
	if (n->verdict != TREE_NONE && !was_seen(a, n))
		err = suspect_name(a, dir, n->name);
	return !err && n->dir ? push_dir(a, n) : err;
}

static int sweep_dir(struct audit *a, const char *path, const struct tree_node *n)
{
	const struct tree_dir *d = n->dir;
	int err = push_path(a, path, true);
	size_t i;

	for (i = 0; i < d->slots_len && !err; i++)
		err = d->slots[i] ? sweep_node(a, path, d->slots[i]) : 0;
	/* Lines without a node cannot be marked: each is looked at. */
	for (i = 0; i < d->hidden_len && !err; i++) {
		if (!node_child(a->tree, n, d->hidden[i], strlen(d->hidden[i])))
			err = suspect_name(a, path, d->hidden[i]);
	}
	return err;
}

int audit_sweep_begin(struct audit *a)
{
	audit_totals_begin(a);
	return push_path(a, "", false);
}

int audit_sweep_step(struct audit *a, uint64_t until_ns)
{
	struct tree_node *n;
	int err = 0;

	while (a->dirs_len && !err && clock_mono_ns() < until_ns) {
		struct swept_dir at = a->dirs[--a->dirs_len];
		auto_free char *path = at.path;

		n = tree_find_path(a->tree, path, strlen(path));
		if (n && n->dir && at.is_left)
			check_implied(a, path, n);
		else if (n && n->dir)
			err = sweep_dir(a, path, n);
	}
	if (err || a->dirs_len)
		return err;
	audit_totals_end(a);
	return 1;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_audit.c - the tree's lines against those of a scan by other code.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "layer/scan.h"
#include "ledger/tree_internal.h"

#define REPORTED 8 /* differing lines that are spelled out */

struct lines {
	char **text; /* "A /path" */
	size_t len, size;
};

static void lines_done(struct lines *l)
{
	while (l->len)
		free(l->text[--l->len]);
	free(l->text);
}

static int add_line(char letter, const char *path, size_t len, void *arg)
{
	struct lines *l = arg;
	size_t size = l->size ? l->size * 2 : 64;
	char **bigger, *text;

	if (l->len == l->size) {
		bigger = reallocarray(l->text, size, sizeof(char *));
		if (!bigger)
			return -ENOMEM;
		l->text = bigger;
		l->size = size;
	}
	text = malloc(len + 3);
	if (!text)
		return -ENOMEM;
	text[0] = letter;
	text[1] = ' ';
	memcpy(text + 2, path, len);
	text[len + 2] = '\0';
	l->text[l->len++] = text;
	return 0;
}

static int add_tree_line(const struct tree_line *line, void *arg)
{
	return add_line(tree_verdict_letter(line->verdict), line->path, line->path_len, arg);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct lines *l)
{
	if (l->len)
		qsort(l->text, l->len, sizeof(char *), by_text);
}

static void note(struct strbuf *report, const char *who, const char *line, int nth)
{
	if (!report || nth > REPORTED)
		return;
	strbuf_addf(report, "%s: ", who);
	escape_terminal(report, line, strlen(line));
	strbuf_addc(report, '\n');
}

static int compare(const struct lines *tree, const struct lines *disk, struct strbuf *report)
{
	size_t i = 0, j = 0;
	int order, differing = 0;

	while (i < tree->len || j < disk->len) {
		if (i == tree->len)
			order = 1;
		else if (j == disk->len)
			order = -1;
		else
			order = strcmp(tree->text[i], disk->text[j]);
		if (order < 0)
			note(report, "only in the ledger", tree->text[i], ++differing);
		else if (order > 0)
			note(report, "only on disk", disk->text[j], ++differing);
		i += order <= 0;
		j += order >= 0;
		if (differing == INT_MAX)
			break;
	}
	return differing;
}

int tree_verify(struct tree *t, struct strbuf *report)
{
	auto_release(lines_done) struct lines tree = {0};
	auto_release(lines_done) struct lines disk = {0};
	int err;

	if (t->is_gone)
		return -ENOENT;
	err = tree_foreach(t, false, add_tree_line, &tree);
	if (!err)
		err = layer_scan(NULL, t->upper, t->stack, add_line, &disk);
	if (err)
		return err;
	sort(&tree);
	sort(&disk);
	return compare(&tree, &disk, report);
}

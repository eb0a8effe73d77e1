/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tree_info.c - what others see of a node, and tell it.
 */
#include <errno.h>
#include <string.h>

#include "ledger/tree_internal.h"

static struct tree *tree_of(const struct tree_node *n)
{
	while (n->parent)
		n = n->parent;
	return n->dir->tree;
}

static enum tree_depth depth_of(const struct tree_node *n)
{
	bool is_quiet_dir = n->parent && n->dir && n->verdict == TREE_NONE && !node_has_lines(n);

	return is_quiet_dir ? TREE_TOUCHED : (enum tree_depth)n->depth;
}

void tree_node_info(const struct tree_node *n, struct tree_node_info *ret)
{
	*ret = (struct tree_node_info){
		.verdict = (enum tree_verdict)n->verdict,
		.depth = depth_of(n),
		.is_whiteout = n->flags & NODE_WHITEOUT,
		.has_lower = n->flags & NODE_HAS_LOWER,
		.is_runtime = n->flags & NODE_RUNTIME,
		.first_wall_ns = n->first_ns,
		.last_wall_ns = n->last_ns,
		.birth_wall_ns = n->birth_ns,
		.first_writer = n->first_writer,
		.last_writer = n->last_writer,
		.written_bytes = n->written_bytes,
		.write_calls = n->write_calls,
	};
	tree_stat_to_stat(tree_of(n), &n->st, &ret->st);
}

void tree_node_path(const struct tree_node *n, struct strbuf *out)
{
	static const char slashes[] = "////////////////////////////////";
	const struct tree_node *at;
	size_t len = 0, end;

	for (at = n; at->parent; at = at->parent)
		len += at->name_len + 1u;
	if (!len) {
		strbuf_addc(out, '/');
		return;
	}
	/* Room for it in one go, then filled from the end: the way leads upwards. */
	for (end = len; end > sizeof(slashes) - 1; end -= sizeof(slashes) - 1)
		strbuf_add(out, slashes, sizeof(slashes) - 1);
	strbuf_add(out, slashes, end);
	if (strbuf_failed(out))
		return;
	for (at = n, end = out->len; at->parent; at = at->parent) {
		memcpy(out->data + end - at->name_len, at->name, at->name_len);
		end -= at->name_len + 1u;
	}
}

static void take_first(struct tree_node *n, const struct tree_cause *first)
{
	if (!first)
		return;
	if (first->wall_ns && (!n->first_ns || first->wall_ns < n->first_ns))
		n->first_ns = first->wall_ns;
	if (first->writer && !n->first_writer)
		n->first_writer = first->writer;
}

static void take_last(struct tree_node *n, const struct tree_cause *last)
{
	if (!last)
		return;
	if (last->wall_ns > n->last_ns)
		n->last_ns = last->wall_ns;
	if (last->writer)
		n->last_writer = last->writer;
}

void tree_node_add_writes(struct tree_node *n, uint64_t bytes, uint64_t calls,
			  const struct tree_cause *first, const struct tree_cause *last)
{
	struct tree *t = tree_of(n);
	struct tree_counted before;

	n->written_bytes += bytes;
	n->write_calls += calls;
	take_first(n, first);
	take_last(n, last);
	if (n->last_ns > t->last_change_wall_ns)
		t->last_change_wall_ns = n->last_ns;
	/* Written to, yet equal by stat: what is in it has to be compared, with what there is. */
	if (bytes && !t->image_ns && n->verdict == TREE_NONE && (n->flags & NODE_HAS_LOWER) &&
	    S_ISREG(n->st.mode) && !(n->flags & NODE_WHITEOUT)) {
		before = tree_count_out(t, n);
		compare_add(t, n);
		tree_count_in(t, n, before);
	}
}

void tree_node_set_cause(struct tree_node *n, bool is_first, const struct tree_cause *cause)
{
	n->last_writer = cause->writer;
	n->last_ns = cause->wall_ns;
	if (!is_first)
		return;
	n->first_writer = cause->writer;
	n->first_ns = cause->wall_ns;
}

void tree_node_set_runtime(struct tree_node *n, bool is_runtime)
{
	if (is_runtime)
		n->flags |= NODE_RUNTIME;
	else
		n->flags &= (uint16_t)~NODE_RUNTIME;
}

unsigned tree_node_lower_mode(const struct tree_node *n)
{
	struct layer_dir *lower = n->parent ? n->parent->dir->lower : NULL;
	struct layer_entry entry;

	if (!lower || layer_dir_lookup(lower, n->name, &entry))
		return 0;
	return entry.st.st_mode;
}

struct tree_node *tree_find_ino(struct tree *t, uint64_t ino)
{
	struct tree_node *n;

	for (n = index_find(t, ino); n; n = index_next(n)) {
		if (node_is_live(n))
			return n;
	}
	return NULL;
}

struct tree_node *tree_find_path(struct tree *t, const char *path, size_t len)
{
	struct tree_node *n = t->root;
	const char *end = path + len, *slash;

	while (n && path < end) {
		slash = memchr(path, '/', (size_t)(end - path));
		if (!slash)
			slash = end;
		if (slash > path)
			n = node_child(t, n, path, (size_t)(slash - path));
		path = slash + 1;
	}
	return n;
}

/* From the end, where most paths differ; nothing is hashed. */
static bool is_at(const struct tree_node *n, const char *path, size_t len)
{
	for (; n->parent && !(n->flags & NODE_LIMBO); n = n->parent) {
		if (len <= n->name_len ||
		    memcmp(path + len - n->name_len, n->name, n->name_len) != 0)
			return false;
		len -= n->name_len + 1u;
		if (path[len] != '/')
			return false;
	}
	return !n->parent && !len;
}

struct tree_node *tree_find_at(struct tree *t, uint64_t ino, const char *path, size_t len)
{
	struct tree_node *n = index_find(t, ino);

	return n && is_at(n, path, len) ? n : tree_find_path(t, path, len);
}

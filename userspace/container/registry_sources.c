/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_sources.c - the runtimes' directories: found, listed, read, watched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "container/registry_internal.h"

#define MISSES_MAX 4 /* full looks before a root that a command line told is dropped */

static const struct source_ops *const all_ops[] = {
	&docker_source_ops,	&podman_source_ops,
	&containerd_source_ops, &oci_source_ops,
	&lxc_source_ops,	&nspawn_source_ops,
	&sandbox_source_ops,	&containerd_store_source_ops,
};

static const struct source_ops *ops_of(const char *kind)
{
	if (!strcmp(kind, "crun"))
		kind = "runc";
	if (!strcmp(kind, "cri-o") || !strcmp(kind, "crio"))
		kind = "podman";
	for (size_t i = 0; i < sizeof(all_ops) / sizeof(all_ops[0]); i++) {
		if (!strcmp(all_ops[i]->kind, kind))
			return all_ops[i];
	}
	return NULL;
}

static void fail(struct source *s, const char *sentence)
{
	s->errors++;
	source_set(&s->last_error, sentence);
}

struct source *source_find(const struct registry *r, const char *kind, const char *root)
{
	const struct source_ops *ops = ops_of(kind);
	struct source *s;

	for (s = r->sources; s; s = s->next) {
		if (s->ops == ops && !strcmp(s->root, root))
			return s;
	}
	return NULL;
}

static struct source *source_new(struct registry *r, const struct source_ops *ops, char *root,
				 const char *found_by)
{
	struct source *s = calloc(1, sizeof(*s)), **at = &r->sources;

	if (!s)
		return NULL;
	s->ops = ops;
	s->fs = &r->fs;
	s->is_kept = !strcmp(found_by, "default") || !strcmp(found_by, "option");
	s->discover = source_discovered;
	s->discover_arg = r;
	s->found_by = strdup(found_by);
	if (!s->found_by) {
		free(s);
		return NULL;
	}
	s->root = root;
	while (*at)
		at = &(*at)->next;
	*at = s;
	r->sources_len++;
	return s;
}

/* userns-remap puts everything one directory deeper: <root>/<uid>.<gid>. */
static int add_remapped(const char *name, void *arg)
{
	const struct source *s = arg;
	auto_strbuf struct strbuf path = STRBUF_INIT;
	size_t digits = strspn(name, "0123456789");

	if (!digits || name[digits] != '.' || !name[digits + 1] ||
	    name[digits + 1 + strspn(name + digits + 1, "0123456789")])
		return 0;
	s->discover(s->discover_arg, "docker", source_path(&path, s, name, NULL), s->found_by);
	return 0;
}

struct source *source_add(struct registry *r, const char *kind, const char *root,
			  const char *found_by)
{
	const struct source_ops *ops = ops_of(kind);
	char *canonical = ops ? hostfs_canonical(&r->fs, root) : NULL;
	struct source *s;

	if (!ops || r->sources_len >= SOURCES_MAX) {
		free(canonical);
		return NULL;
	}
	if (!canonical)
		canonical = strdup(root); /* not there yet: looked for again */
	s = canonical ? source_find(r, kind, canonical) : NULL;
	if (s || !canonical) {
		free(canonical);
		return s;
	}
	s = source_new(r, ops, canonical, found_by);
	if (!s) {
		free(canonical);
		return NULL;
	}
	source_look(r, s);
	if (ops == &docker_source_ops)
		hostfs_foreach_name(&r->fs, s->root, add_remapped, s);
	return s;
}

void source_discovered(void *arg, const char *kind, const char *root, const char *found_by)
{
	source_add(arg, kind, root, found_by);
}

static void add_watch(const char *path, const char *key, void *arg)
{
	struct source *s = arg;
	struct registry *r = s->discover_arg;

	watch_add(r->watch, s, path, key);
}

/* An unreadable file is tried again before it is called an error, and counted once. */
static void refresh_failed(struct registry *r, struct source *s, const char *key, uint64_t stamp,
			   const struct strbuf *why)
{
	struct facts *f = facts_find(r, s, key);

	if (!f && facts_put(r, s, key, s->ops->rank, NULL, &f))
		return;
	f->is_bad = f->is_suspect && f->stamp == stamp;
	f->is_suspect = !f->is_bad;
	if (f->is_bad) {
		fail(s, why->len ? strbuf_str((struct strbuf *)why) : "a state file is unreadable");
	}
	f->stamp = stamp;
	f->is_seen = true;
	if (f->entry && f->is_suspect)
		entry_retry(r, f->entry);
}

static void refresh(struct registry *r, struct source *s, const char *key, bool is_there)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	struct facts *f = facts_find(r, s, key);
	struct container *said = NULL;
	uint64_t stamp;
	int err;

	/* Watched before it is read; one that is only asked for may not exist at all. */
	if (!f && is_there)
		s->ops->watches(s, key, add_watch, s);
	stamp = s->ops->stamp(s, key);
	if (!f && stamp && !is_there) {
		s->ops->watches(s, key, add_watch, s);
		stamp = s->ops->stamp(s, key);
	}
	if (f && stamp && f->stamp == stamp && !f->is_suspect) {
		f->is_seen = true;
		return;
	}
	err = stamp ? s->ops->read(s, key, &why, &said) : -ENOENT;
	if (err == -ENOENT) {
		if (f)
			facts_drop(r, f);
		return;
	}
	if (err) {
		refresh_failed(r, s, key, stamp, &why);
		return;
	}
	if (facts_put(r, s, key, s->ops->rank, said, &f))
		return;
	f->stamp = stamp;
	f->is_seen = true;
	f->is_bad = f->is_suspect = false;
	f->entry->retry_step = 0;
	mounts_claim(r, f->entry);
	task_update(r, f->entry);
}

void source_refresh(struct registry *r, struct source *s, const char *key)
{
	refresh(r, s, key, true);
}

static int look_at_key(const char *key, void *arg)
{
	struct source *s = arg;

	source_refresh(s->discover_arg, s, key);
	return 0;
}

/* The facts of all sources are walked, so not for one that has none: most of them. */
static void mark_unseen(struct registry *r, struct source *s)
{
	struct facts *f, *next;

	if (!s->containers)
		return;
	HASH_ITER (hh, r->facts, f, next) {
		if (f->source == s)
			f->is_seen = false;
	}
}

static void drop_unseen(struct registry *r, struct source *s)
{
	struct facts *f, *next;

	if (!s->containers)
		return;
	HASH_ITER (hh, r->facts, f, next) {
		if (f->source == s && !f->is_seen)
			facts_drop(r, f);
	}
}

void source_look(struct registry *r, struct source *s)
{
	char *canonical;
	int err;

	if (!s->readable) {
		canonical = hostfs_canonical(&r->fs, s->root);
		if (canonical && strcmp(canonical, s->root) != 0 &&
		    !source_find(r, s->ops->kind, canonical))
			source_set(&s->root, canonical);
		free(canonical);
	}
	s->ops->watches(s, NULL, add_watch, s);
	mark_unseen(r, s);
	err = s->ops->list(s, look_at_key, s);
	if (err == -EAGAIN) {
		s->looked_stamp = 0; /* it was being written; in a second again */
		return;
	}
	if (err && err != -ENOENT && s->readable) {
		fail(s, strerror(-err));
		return; /* what was known stays until it can be read again */
	}
	s->readable = !err;
	drop_unseen(r, s);
}

static bool is_changed(struct source *s)
{
	uint64_t stamp = s->ops->root_stamp ? s->ops->root_stamp(s) : s->looked_stamp;
	bool changed = stamp != s->looked_stamp;

	s->looked_stamp = stamp;
	return changed;
}

/* Of most places where a runtime may have its state nothing is ever seen. */
static bool is_there(const struct source *s)
{
	struct stat st;

	return !hostfs_stat(s->fs, s->root, &st);
}

void sources_look(struct registry *r, bool all)
{
	for (struct source *s = r->sources; s; s = s->next) {
		if (all || (s->readable ? is_changed(s) : is_there(s)))
			source_look(r, s);
	}
}

static void source_free(struct registry *r, struct source *s)
{
	watch_forget_source(r->watch, s);
	if (s->ops->done)
		s->ops->done(s);
	free(s->root);
	free(s->found_by);
	free(s->last_error);
	free(s);
	r->sources_len--;
}

void sources_prune(struct registry *r)
{
	struct source **at = &r->sources, *s;

	while ((s = *at)) {
		s->misses = s->readable || s->containers || s->is_kept ? 0 : s->misses + 1;
		if (s->misses < MISSES_MAX) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		source_free(r, s);
	}
}

void sources_refresh_id(struct registry *r, const char *id)
{
	struct entry *e = entry_find(r, id);
	struct facts *f, *next;

	for (f = e ? e->facts : NULL; f; f = next) {
		next = f->next;
		if (f->source)
			source_refresh(r, f->source, f->key);
	}
	for (struct source *s = r->sources; s; s = s->next) {
		if (s->readable && !facts_find(r, s, id))
			refresh(r, s, id, false);
	}
}

void sources_done(struct registry *r)
{
	struct source *s, *next;

	for (s = r->sources; s; s = next) {
		next = s->next;
		source_free(r, s);
	}
	r->sources = NULL;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_facts.c - what each source said, and of whom.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "container/registry_internal.h"

static char *facts_name(const struct source *s, const char *key)
{
	struct strbuf name = STRBUF_INIT;

	strbuf_addf(&name, "%p %s", (const void *)s, key);
	return strbuf_take(&name);
}

struct facts *facts_find(const struct registry *r, const struct source *s, const char *key)
{
	auto_free char *name = facts_name(s, key);
	struct facts *f = NULL;

	if (name)
		HASH_FIND_STR(r->facts, name, f);
	return f;
}

static struct facts *facts_new(struct registry *r, struct source *s, const char *key,
			       enum facts_rank rank)
{
	struct facts *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->source = s;
	f->rank = rank;
	f->name = facts_name(s, key);
	f->key = strdup(key);
	if (!f->name || !f->key) {
		free(f->name);
		free(f->key);
		free(f);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, r->facts, f->name, strlen(f->name), f);
	if (s)
		s->containers++;
	return f;
}

static void unlink_from_entry(struct registry *r, struct facts *f)
{
	struct facts **at;

	if (!f->entry)
		return;
	for (at = &f->entry->facts; *at; at = &(*at)->next) {
		if (*at != f)
			continue;
		*at = f->next;
		break;
	}
	entry_touch(r, f->entry);
	f->entry = NULL;
	f->next = NULL;
}

static void link_to_entry(struct registry *r, struct facts *f, struct entry *e)
{
	struct facts **at = &e->facts;

	while (*at && (*at)->rank <= f->rank)
		at = &(*at)->next;
	f->next = *at;
	*at = f;
	f->entry = e;
	entry_touch(r, e);
}

/* Device and inode of the volumes, while the container is not running yet. */
static void identify_mounts(struct registry *r, struct container *said)
{
	const struct host_mounts *host = said->mounts_len ? registry_host_mounts(r) : NULL;

	for (size_t i = 0; i < said->mounts_len; i++) {
		struct container_mount *m = &said->mounts[i];
		auto_close int fd = -1;

		if (!m->source || m->root_ino || host_mounts_is_remote(host, m->source))
			continue;
		fd = hostfs_open(&r->fs, m->source, O_PATH);
		if (fd >= 0 && !hostfs_identify(fd, &m->dev, &m->root_ino))
			m->generation = file_generation(fd);
	}
}

/* Two containers of one name: ctr's in another namespace, runc's in another root. */
static bool conflicts(const struct entry *e, const struct source *s, const char *key,
		      const struct container *said)
{
	const char *merged = said->overlay.merged;

	for (const struct facts *f = e->facts; f; f = f->next) {
		if (!f->source || !s || !f->said)
			continue;
		if (f->source->ops == s->ops && (f->source != s || strcmp(f->key, key) != 0))
			return true;
		if (strchr(f->key, '/') && strchr(key, '/') && strcmp(f->key, key) != 0)
			return true;
		if (merged && f->said->overlay.merged &&
		    strcmp(merged, f->said->overlay.merged) != 0)
			return true;
	}
	return false;
}

/* Where a name is taken, its namespace or runc's root goes in front: "other.c1". */
static struct entry *entry_by_long_name(struct registry *r, const struct source *s, const char *key)
{
	const char *slash = strrchr(s->root, '/');
	char id[CONTAINER_ID_MAX];
	char *at;
	int n;

	if (strchr(key, '/'))
		n = snprintf(id, sizeof(id), "%s", key);
	else
		n = snprintf(id, sizeof(id), "%s.%s", slash ? slash + 1 : "", key);
	if (n < 0 || (size_t)n >= sizeof(id))
		return NULL;
	at = strchr(id, '/');
	if (at)
		*at = '.';
	return entry_get(r, id);
}

static struct entry *entry_for(struct registry *r, const struct facts *f, const struct source *s,
			       const char *key, const struct container *said)
{
	struct entry *e;

	if (f && f->entry)
		return f->entry;
	e = entry_get(r, said->id);
	if (!e || source_is_hex_id(said->id) || !conflicts(e, s, key, said))
		return e;
	return entry_by_long_name(r, s, key);
}

int facts_put(struct registry *r, struct source *s, const char *key, enum facts_rank rank,
	      struct container *said, struct facts **ret)
{
	struct facts *f = facts_find(r, s, key);
	struct entry *e = said ? entry_for(r, f, s, key, said) : NULL;

	if (said && !e) {
		container_free(said);
		return -ENOSPC;
	}
	if (!f)
		f = facts_new(r, s, key, rank);
	if (!f) {
		container_free(said);
		return -ENOMEM;
	}
	if (said) {
		identify_mounts(r, said);
		container_free(f->said);
		f->said = said;
		if (f->entry != e) {
			unlink_from_entry(r, f);
			link_to_entry(r, f, e);
		}
		entry_touch(r, e);
	}
	if (ret)
		*ret = f;
	return 0;
}

void facts_drop(struct registry *r, struct facts *f)
{
	unlink_from_entry(r, f);
	HASH_DEL(r->facts, f);
	if (f->source && f->source->containers)
		f->source->containers--;
	container_free(f->said);
	free(f->name);
	free(f->key);
	free(f);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * filter.c - by container, op, target and path.
 *
 * What is not about a file (a container came, records were lost) passes unless op or
 * path was asked for; losses pass always, or a client could not know what it lacks.
 */
#include "agent/filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"

#define CACHE_NS NS_PER_SEC

static int refuse(struct strbuf *error, const char *what, const char *value)
{
	strbuf_addf(error, "unknown %s '", what);
	escape_terminal(error, value, strlen(value));
	strbuf_addc(error, '\'');
	return -EINVAL;
}

static int add_reference(struct filter *f, const char *value, struct strbuf *error)
{
	char *copy;

	if (f->references_len == FILTER_MAX_REFERENCES) {
		strbuf_addf(error, "more than %d containers", FILTER_MAX_REFERENCES);
		return -EINVAL;
	}
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	f->references[f->references_len++] = copy;
	return 0;
}

static int set_target(struct filter *f, const char *value, struct strbuf *error)
{
	enum dw_target target;

	if (!strcmp(value, "all")) {
		f->targets = (1u << DW_TARGET_MAX) - 1;
		return 0;
	}
	if (event_target_parse(value, &target))
		return refuse(error, "target", value);
	f->targets |= 1u << target;
	return 0;
}

int filter_set(struct filter *f, const char *key, const char *value, struct strbuf *error)
{
	enum dw_op op;

	if (!strcmp(key, "container"))
		return add_reference(f, value, error);
	if (!strcmp(key, "target"))
		return set_target(f, value, error);
	if (!strcmp(key, "raw")) {
		f->raw = strcmp(value, "0") != 0;
		return 0;
	}
	if (!strcmp(key, "path")) {
		free(f->path_glob);
		f->path_glob = strdup(value);
		return f->path_glob ? 0 : -ENOMEM;
	}
	if (strcmp(key, "op") != 0)
		return refuse(error, "parameter", key);
	if (event_op_parse(value, &op))
		return refuse(error, "op", value);
	f->ops |= 1ull << op;
	return 0;
}

int filter_check(const struct filter *f, const struct ledger *l, struct strbuf *error)
{
	for (size_t i = 0; i < f->references_len; i++) {
		int n;

		if (strpbrk(f->references[i], "*?["))
			continue;
		n = ledger_resolve(l, f->references[i], true, NULL, NULL, error);
		if (n != 1)
			return n ? -ENOTUNIQ : -ENOENT;
	}
	return 0;
}

static uint64_t add_hash(uint64_t hash, const char *text)
{
	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211ull; /* FNV-1a */
	return (hash ^ 0xff) * 1099511628211ull;
}

static uint64_t fingerprint(const struct ledger_container *c)
{
	uint64_t hash = 14695981039346656037ull;

	hash = add_hash(hash, c->meta->id);
	hash = add_hash(hash, c->meta->name);
	hash = add_hash(hash, c->meta->pod_namespace);
	hash = add_hash(hash, c->meta->pod);
	hash = add_hash(hash, c->meta->pod_container);
	return hash ? hash : 1;
}

struct search {
	const struct ledger_container *wanted;
	bool is_found;
};

static void compare(struct ledger_container *c, void *arg)
{
	struct search *search = arg;

	search->is_found |= c == search->wanted;
}

static bool is_referenced(const struct filter *f, const struct ledger *l,
			  const struct ledger_container *c)
{
	struct search search = {.wanted = c};

	for (size_t i = 0; i < f->references_len && !search.is_found; i++) {
		auto_strbuf struct strbuf unused = STRBUF_INIT;

		ledger_resolve(l, f->references[i], false, compare, &search, &unused);
	}
	return search.is_found;
}

/*
 * Resolving looks at every container, which is too much for every event: the verdict
 * is remembered until a name of the container changes, for a second at most.
 */
static bool allows_container(struct filter *f, const struct ledger *l,
			     const struct ledger_container *c)
{
	uint64_t now = clock_mono_ns();
	struct filter_verdict *verdict;
	uint64_t hash;

	if (!f->references_len || !c)
		return true;
	if (now >= f->cache_until_ns) {
		memset(f->cache, 0, sizeof(f->cache));
		f->cache_until_ns = now + CACHE_NS;
	}
	hash = fingerprint(c);
	verdict = &f->cache[hash % FILTER_CACHE];
	if (verdict->fingerprint != hash) {
		verdict->fingerprint = hash;
		verdict->is_wanted = is_referenced(f, l, c);
	}
	return verdict->is_wanted;
}

bool filter_allows(struct filter *f, const struct ledger *l, const struct event *event)
{
	if (!allows_container(f, l, event->container))
		return false;
	if (event->type == EVENT_LOST)
		return true;
	if (event->type != EVENT_DRIFT && event->type != EVENT_WRITE)
		return !f->ops && !f->path_glob;
	/* Bursts stand for the writes then. */
	if (f->raw && event->type == EVENT_DRIFT && event->op == DW_OP_WRITE)
		return false;
	if (f->ops && !(f->ops & 1ull << event->op))
		return false;
	if (f->targets && !(f->targets & 1u << event->target))
		return false;
	return !f->path_glob || fnmatch(f->path_glob, event->path ? event->path : "", 0) == 0;
}

void filter_done(struct filter *f)
{
	for (size_t i = 0; i < f->references_len; i++)
		free(f->references[i]);
	free(f->path_glob);
	f->references_len = 0;
	f->path_glob = NULL;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * resolve.c - from what a person typed to containers.
 *
 * Ways of naming are tried from the most to the least exact, and the first that
 * matches anything decides: full id, exact name or namespace/pod[/container], glob,
 * id prefix. Among equals, containers that still exist win over removed ones.
 */
#include "ledger/ledger.h"

#include <fnmatch.h>
#include <string.h>

#include "base/escape.h"

#define MAX_CANDIDATES 8
#define MIN_PREFIX     1

enum way { WAY_ID, WAY_NAME, WAY_GLOB, WAY_PREFIX, WAY_MAX };

struct search {
	const char *reference;
	size_t len;
	enum way way;
	bool removed; /* look at removed ones (else at the others) */
	void (*fn)(struct ledger_container *c, void *arg);
	void *arg;
	int matches;
	struct strbuf candidates;
};

/* "namespace/pod/container", "namespace/pod", or "" where there is no pod. */
static void pod_name(const struct container *m, bool with_container, struct strbuf *out)
{
	strbuf_reset(out);
	if (!m->pod)
		return;
	strbuf_addf(out, "%s/%s", m->pod_namespace ? m->pod_namespace : "default", m->pod);
	if (with_container && m->pod_container)
		strbuf_addf(out, "/%s", m->pod_container);
}

static bool same_name(const struct container *m, const char *reference, bool glob)
{
	auto_strbuf struct strbuf full = STRBUF_INIT, pod = STRBUF_INIT;
	const char *const names[] = {m->name, m->pod_container, NULL};

	pod_name(m, true, &full);
	pod_name(m, false, &pod);
	for (size_t i = 0; i < 4; i++) {
		const char *name = i < 2 ? names[i] : strbuf_str(i == 2 ? &full : &pod);

		if (!name || !*name)
			continue;
		if (glob ? fnmatch(reference, name, 0) == 0 : strcmp(reference, name) == 0)
			return true;
	}
	return false;
}

static bool matches(const struct search *s, const struct container *m)
{
	const char *reference = s->reference;

	/* A pod's pause container shares the pod's name; it is asked for by id only. */
	if (m->is_sandbox && (s->way == WAY_NAME || s->way == WAY_GLOB))
		return false;
	if (*reference == '/' && s->way != WAY_ID) /* docker prints names with a slash */
		reference++;
	switch (s->way) {
	case WAY_ID:
		return strcmp(m->id, reference) == 0;
	case WAY_NAME:
		return same_name(m, reference, false);
	case WAY_GLOB:
		return strpbrk(reference, "*?[") &&
		       (same_name(m, reference, true) || fnmatch(reference, m->id, 0) == 0);
	case WAY_PREFIX:
		return s->len >= MIN_PREFIX && strncmp(m->id, reference, strlen(reference)) == 0;
	case WAY_MAX:
		break;
	}
	return false;
}

static void add_candidate(struct search *s, const struct container *m)
{
	const char *label = container_label(m);

	if (s->matches > MAX_CANDIDATES)
		return;
	strbuf_adds(&s->candidates, s->candidates.len ? ", " : "");
	escape_terminal(&s->candidates, label, strlen(label));
	strbuf_adds(&s->candidates, " (");
	escape_terminal(&s->candidates, m->id, strnlen(m->id, 12));
	strbuf_addc(&s->candidates, ')');
}

static int look(struct ledger_container *c, void *arg)
{
	struct search *s = arg;

	if ((c->removed_wall_ns != 0) != s->removed || !matches(s, c->meta))
		return 0;
	s->matches++;
	add_candidate(s, c->meta);
	if (s->fn)
		s->fn(c, s->arg);
	return 0;
}

static int list_any(struct ledger_container *c, void *arg)
{
	struct search *s = arg;

	if (c->meta->is_sandbox)
		return 0;
	s->matches++;
	add_candidate(s, c->meta);
	return 0;
}

static void explain_none(const struct ledger *l, struct search *s, struct strbuf *error)
{
	strbuf_adds(error, "no such container: ");
	escape_terminal(error, s->reference, s->len);
	ledger_foreach(l, list_any, s);
	if (s->matches)
		strbuf_addf(error, "; there is %s%s", strbuf_str(&s->candidates),
			    s->matches > MAX_CANDIDATES ? ", …" : "");
	else
		strbuf_adds(error, "; no container is known");
	s->matches = 0;
}

/* Count first, so that nothing is handed out when the answer is an error. */
static int count_matches(const struct ledger *l, struct search *s)
{
	for (s->way = 0; s->way < WAY_MAX; s->way++) {
		for (int removed = 0; removed < 2; removed++) {
			s->removed = removed;
			ledger_foreach(l, look, s);
			if (s->matches)
				return s->matches;
		}
	}
	return 0;
}

int ledger_resolve(const struct ledger *l, const char *reference, bool want_one,
		   void (*fn)(struct ledger_container *c, void *arg), void *arg,
		   struct strbuf *error)
{
	struct search s = {.reference = reference, .len = strlen(reference)};
	int n = count_matches(l, &s);

	if (n == 0) {
		explain_none(l, &s, error);
	} else if (n > 1 && want_one) {
		strbuf_adds(error, "ambiguous container: ");
		escape_terminal(error, reference, s.len);
		strbuf_addf(error, " is any of %s%s", strbuf_str(&s.candidates),
			    n > MAX_CANDIDATES ? ", …" : "");
	} else {
		s.fn = fn;
		s.arg = arg;
		ledger_foreach(l, look, &s);
	}
	strbuf_done(&s.candidates);
	return n;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * filter.h - which events a client of /api/v1/events asked for.
 */
#ifndef AGENT_FILTER_H
#define AGENT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "ledger/event.h"
#include "ledger/ledger.h"

#define FILTER_MAX_REFERENCES 64
#define FILTER_CACHE	      256 /* containers whose verdict is remembered */

struct filter_verdict {
	uint64_t fingerprint; /* of everything a reference can match; 0: free */
	bool is_wanted;
};

struct filter {
	char *references[FILTER_MAX_REFERENCES];
	size_t references_len;
	char *path_glob;  /* NULL: any */
	uint64_t ops;	  /* 1u << enum dw_op; 0: all */
	unsigned targets; /* 1u << enum dw_target; 0: all */
	bool raw;
	uint64_t cache_until_ns; /* monotonic */
	struct filter_verdict cache[FILTER_CACHE];
};

/* One parameter of the query. 0, or -EINVAL with a sentence in @error, or -ENOMEM. */
int filter_set(struct filter *f, const char *key, const char *value, struct strbuf *error);

/*
 * Check the references against what is known: a glob may match nothing yet, anything
 * else names a container. 0, -ENOENT or -ENOTUNIQ, with a sentence in @error.
 */
int filter_check(const struct filter *f, const struct ledger *l, struct strbuf *error);

bool filter_allows(struct filter *f, const struct ledger *l, const struct event *event);

void filter_done(struct filter *f);

#endif /* AGENT_FILTER_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metrics_text.h - the two exposition formats, written family by family.
 *
 *	metrics_family(m, "driftwatch_map_entries", METRIC_GAUGE, "Entries in use");
 *	metrics_u64(m, labels, 12);
 *
 * Family names are without _total and _info: the suffix of a sample and the name in
 * the family's header follow from type and format. A family without samples leaves
 * no trace.
 */
#ifndef VIEW_METRICS_TEXT_H
#define VIEW_METRICS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_INFO };

struct metrics {
	struct strbuf *out; /* NULL: samples are only counted */
	bool openmetrics;
	uint64_t series;
	/* the family at hand */
	const char *name, *help;
	enum metric_type type;
	bool has_header;
};

/* Strings are literals of ours: neither name nor help is escaped. */
void metrics_family(struct metrics *m, const char *name, enum metric_type type, const char *help);

/* @labels: as metrics_label() made them, NULL for none. */
void metrics_u64(struct metrics *m, const struct strbuf *labels, uint64_t value);

/* With one label more; @value_name is one of our own words. */
void metrics_u64_by(struct metrics *m, const struct strbuf *labels, const char *key,
		    const char *value_name, uint64_t value);

/* Nanoseconds shown as seconds. */
void metrics_seconds(struct metrics *m, const struct strbuf *labels, uint64_t ns);

/* Append key="value" (and a comma before it), the value escaped; NULL is "". */
void metrics_label(struct strbuf *labels, const char *key, const char *value);

void metrics_end(struct metrics *m);

#endif /* VIEW_METRICS_TEXT_H */

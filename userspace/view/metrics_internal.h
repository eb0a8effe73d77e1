/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metrics_internal.h - what the parts of a scrape share.
 *
 *	metrics.c            one scrape: containers, their labels, the cap, the order
 *	metrics_container.c  families with one or more series per container
 *	metrics_node.c       kernel side, registry, ledger, configuration
 *	metrics_process.c    process_*
 *	metrics_text.c       the formats
 */
#ifndef VIEW_METRICS_INTERNAL_H
#define VIEW_METRICS_INTERNAL_H

#include "view/metrics_text.h"
#include "view/view.h"

struct scraped_container {
	const struct ledger_container *c;
	const struct probe *probe;
	struct tree_counts counts; /* zero without a tree */
	size_t id_len;		   /* bytes of the id in the label: unique on this node */
	struct strbuf labels;	   /* container_id, namespace, pod, container */
	struct strbuf info_labels; /* and those of the info metric */
};

struct scrape {
	const struct view_metrics_input *input;
	struct scraped_container *containers; /* in order of first sight */
	size_t len, size;
	size_t shown;		    /* the first of them have series */
	uint64_t dropped_series;    /* of those past the cap */
	uint64_t slotless_series;   /* counters of containers that got no slot */
	uint64_t rescans[LOSS_MAX]; /* of the containers that are still known */
};

/* Every series of one container, for counting. */
uint64_t metrics_count_container(const struct scraped_container *s);

/* Series a container without a slot lacks. */
uint64_t metrics_count_missing(const struct scraped_container *s);

void metrics_add_containers(struct metrics *m, const struct scrape *scrape);
void metrics_add_node(struct metrics *m, const struct scrape *scrape);
void metrics_add_process(struct metrics *m);

#endif /* VIEW_METRICS_INTERNAL_H */

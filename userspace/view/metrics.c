/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metrics.c - one scrape: who has series, by what labels, within the cap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"
#include "view/metrics_internal.h"

#define SHORT_ID	   12
#define DEFAULT_MAX_SERIES 200000

/*
 * A pause container holds a pod together and writes nothing: it has series only
 * once it did otherwise.
 */
static bool is_silent_sandbox(const struct ledger_container *c)
{
	return c->meta->is_sandbox && !c->counters.write_calls[DW_TARGET_LAYER] &&
	       !c->new_executable_runs;
}

static int collect(struct ledger_container *c, void *arg)
{
	struct scrape *scrape = arg;
	struct scraped_container *s;

	for (int i = 0; i < LOSS_MAX; i++)
		scrape->rescans[i] += c->rescans[i];
	if (is_silent_sandbox(c))
		return 0;
	if (scrape->len == scrape->size)
		return -ENOMEM; /* more than ledger_count() said */
	s = &scrape->containers[scrape->len++];
	*s = (struct scraped_container){.c = c, .probe = scrape->input->probe};
	if (c->tree)
		tree_counts(c->tree, &s->counts);
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const struct scraped_container *const *x = a, *const *y = b;

	return strcmp((*x)->c->meta->id, (*y)->c->meta->id);
}

static size_t common_prefix(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

/* Twelve bytes of the id, or as many as tell it from every other one. */
static int choose_id_lengths(struct scrape *scrape)
{
	auto_free struct scraped_container **sorted = calloc(scrape->len + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < scrape->len; i++) {
		sorted[i] = &scrape->containers[i];
		sorted[i]->id_len = SHORT_ID;
	}
	qsort(sorted, scrape->len, sizeof(struct scraped_container *), compare_ids);
	for (size_t i = 1; i < scrape->len; i++) {
		size_t same = common_prefix(sorted[i - 1]->c->meta->id, sorted[i]->c->meta->id);

		for (size_t k = i - 1; k <= i; k++) {
			if (sorted[k]->id_len < same + 1)
				sorted[k]->id_len = same + 1;
		}
	}
	return 0;
}

static void make_labels(struct scraped_container *s)
{
	auto_strbuf struct strbuf id = STRBUF_INIT;
	const struct container *meta = s->c->meta;

	/* Unlike U+FFFD for each bad byte, this keeps different ids different. */
	escape_terminal(&id, meta->id, strnlen(meta->id, s->id_len));
	metrics_label(&s->labels, "container_id", strbuf_str(&id));
	metrics_label(&s->labels, "namespace", meta->pod_namespace);
	metrics_label(&s->labels, "pod", meta->pod);
	metrics_label(&s->labels, "container", container_label(meta));

	strbuf_add(&s->info_labels, s->labels.data, s->labels.len);
	metrics_label(&s->info_labels, "image", meta->image);
	metrics_label(&s->info_labels, "image_id", meta->image_id);
	metrics_label(&s->info_labels, "runtime", meta->runtime);
	metrics_label(&s->info_labels, "uid", meta->pod_uid);
	metrics_label(&s->info_labels, "container_name", meta->name);
}

/* The first containers that fit the cap have series; the others are counted. */
static void apply_cap(struct scrape *scrape)
{
	uint64_t max = scrape->input->max_series ? scrape->input->max_series : DEFAULT_MAX_SERIES;
	uint64_t total = 0;

	for (size_t i = 0; i < scrape->len; i++) {
		uint64_t series = metrics_count_container(&scrape->containers[i]);

		scrape->slotless_series += metrics_count_missing(&scrape->containers[i]);
		if (scrape->shown < i || total + series > max) {
			scrape->dropped_series += series;
			continue;
		}
		total += series;
		scrape->shown++;
	}
}

struct census_row {
	const char *runtime;
	uint64_t states[CONTAINER_REMOVED + 1];
};

#define MAX_RUNTIMES 32

/* How many containers per runtime and state; running and exited also when there are none. */
static void add_census(struct metrics *m, const struct scrape *scrape)
{
	struct census_row rows[MAX_RUNTIMES];
	size_t len = 0;

	for (size_t i = 0; i < scrape->len; i++) {
		const struct container *meta = scrape->containers[i].c->meta;
		const char *runtime = meta->runtime ? meta->runtime : "unknown";
		size_t r = 0;

		while (r < len && strcmp(rows[r].runtime, runtime) != 0)
			r++;
		if (r == MAX_RUNTIMES)
			continue;
		if (r == len)
			rows[len++] = (struct census_row){.runtime = runtime};
		rows[r].states[meta->state]++;
	}
	metrics_family(m, "driftwatch_containers", METRIC_GAUGE, "Containers that are tracked");
	for (size_t r = 0; r < len; r++) {
		auto_strbuf struct strbuf labels = STRBUF_INIT;

		metrics_label(&labels, "runtime", rows[r].runtime);
		for (int s = 0; s <= CONTAINER_REMOVED; s++) {
			if (rows[r].states[s] || s == CONTAINER_RUNNING || s == CONTAINER_EXITED)
				metrics_u64_by(m, &labels, "state", container_state_name(s),
					       rows[r].states[s]);
		}
	}
}

static int read_containers(struct scrape *scrape)
{
	int err;

	scrape->size = ledger_count(scrape->input->ledger);
	scrape->containers = calloc(scrape->size + 1, sizeof(*scrape->containers));
	if (!scrape->containers)
		return -ENOMEM;
	err = ledger_foreach(scrape->input->ledger, collect, scrape);
	if (!err)
		err = choose_id_lengths(scrape);
	if (err)
		return err;
	for (size_t i = 0; i < scrape->len; i++)
		make_labels(&scrape->containers[i]);
	apply_cap(scrape);
	return 0;
}

static bool labels_failed(const struct scrape *scrape)
{
	for (size_t i = 0; i < scrape->len; i++) {
		if (strbuf_failed(&scrape->containers[i].labels) ||
		    strbuf_failed(&scrape->containers[i].info_labels))
			return true;
	}
	return false;
}

int view_metrics(const struct view_metrics_input *input, bool openmetrics, struct strbuf *out)
{
	struct scrape scrape = {.input = input};
	struct metrics m = {.out = out, .openmetrics = openmetrics};
	int err = read_containers(&scrape);

	if (!err && labels_failed(&scrape))
		err = -ENOMEM;
	if (!err) {
		metrics_add_node(&m, &scrape);
		add_census(&m, &scrape);
		metrics_add_containers(&m, &scrape);
		metrics_add_process(&m);
		metrics_end(&m);
	}
	for (size_t i = 0; i < scrape.len; i++) {
		strbuf_done(&scrape.containers[i].labels);
		strbuf_done(&scrape.containers[i].info_labels);
	}
	free(scrape.containers);
	if (!err && strbuf_failed(out))
		err = -ENOMEM;
	return err;
}

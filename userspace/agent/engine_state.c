/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_state.c - what an earlier agent left: attribution and counts of files.
 */
#include "agent/engine_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define MAX_STATE_BYTES (512ull << 20)

char *engine_state_path(const struct engine *e, const char *name)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/%s", e->state->dir, name);
	return strbuf_take(&path);
}

void engine_state_set_aside(const char *path, const char *why)
{
	auto_strbuf struct strbuf bad = STRBUF_INIT;

	strbuf_addf(&bad, "%s.bad", path);
	if (rename(path, strbuf_str(&bad)) == 0)
		log_warning("%s: %s: set aside as %s", path, why, strbuf_str(&bad));
	else
		log_warning("%s: %s, and it cannot be renamed: %s", path, why, strerror(errno));
}

/* --- open --- */

static void drop_container(struct engine_state *s, struct remembered_container *c)
{
	HASH_DEL(s->containers, c);
	for (size_t i = 0; i < c->files_len; i++)
		free(c->files[i].path);
	free(c->files);
	free(c->id);
	free(c);
}

static void drop_containers(struct engine_state *s)
{
	struct remembered_container *c, *next;

	HASH_ITER (hh, s->containers, c, next)
		drop_container(s, c);
}

static void drop_folded(struct engine *e)
{
	struct folded *f, *next;

	HASH_ITER (hh, e->folded, f, next) {
		HASH_DEL(e->folded, f);
		free(f);
	}
}

static void load_ledger(struct engine *e)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	auto_free char *path = engine_state_path(e, "ledger.ndjson");
	int err = path ? file_read(AT_FDCWD, path, MAX_STATE_BYTES, &text) : -ENOMEM;

	if (!err)
		err = engine_state_load(e, strbuf_str(&text), text.len);
	if (!err)
		return;
	drop_containers(e->state); /* half of a ledger is none */
	drop_folded(e);
	e->state->has_lost_flush = e->state->counts_continue && e->state->drains;
	if (err == -ENOENT)
		return;
	if (err == -EBADMSG)
		engine_state_set_aside(path, "not a saved ledger of this version, or damaged");
	else if (err == -EFBIG)
		engine_state_set_aside(path, "too large to be a saved ledger");
	log_warning("cannot use %s: %s: times and writers of earlier changes come from the layers",
		    path ? path : "ledger.ndjson", strerror(-err));
}

int engine_state_open(struct engine *e, struct strbuf *error)
{
	const char *dir = e->options.state_dir;
	int err;

	if (!dir)
		return 0;
	e->state = calloc(1, sizeof(*e->state));
	if (!e->state)
		return -ENOMEM;
	e->state->slots_fd = -1;
	e->state->dir = strdup(dir);
	e->state->next_save_ns = clock_mono_ns() + ENGINE_SAVE_EVERY_NS;
	err = e->state->dir ? file_make_dirs(dir, 0750) : -ENOMEM;
	if (!err)
		err = engine_slots_open(e);
	if (err) {
		strbuf_addf(
			error,
			"cannot use the state directory %s: %s (choose another with --state-dir)",
			dir, strerror(-err));
		return err;
	}
	load_ledger(e);
	return 0;
}

/* --- after the first scan, and at the end --- */

/*
 * Losses the kernel counts it counts on: those of before were told of already. The
 * others start at 0 with each agent.
 */
static void restore_losses(struct track *t, const struct remembered_container *r, bool counts)
{
	static const struct {
		enum loss_reason reason;
		size_t seen; /* in struct dw_counters */
	} of_kernel[] = {
		{LOSS_RING_FULL, offsetof(struct dw_counters, records_lost)},
		{LOSS_DIRTY_FULL, offsetof(struct dw_counters, dirty_overflow)},
		{LOSS_FILES_FULL, offsetof(struct dw_counters, files_unlisted)},
		{LOSS_PATH, offsetof(struct dw_counters, paths_truncated)},
	};

	for (size_t i = 0; i < LOSS_MAX; i++) {
		t->c->lost[i] += r->lost[i];
		t->c->rescans[i] += r->rescans[i];
	}
	for (size_t i = 0; counts && i < sizeof(of_kernel) / sizeof(of_kernel[0]); i++) {
		enum loss_reason reason = of_kernel[i].reason;
		__u64 *seen = (__u64 *)((char *)&t->seen + of_kernel[i].seen);

		if (*seen >= r->lost[reason])
			t->c->lost[reason] -= r->lost[reason];
		else
			*seen = r->lost[reason];
	}
}

/* Known before, and not counted in between, or what was counted per file died with an agent. */
static bool has_gap(const struct engine *e, const struct track *t,
		    const struct remembered_container *r)
{
	if (!e->probe || !e->state)
		return false;
	if (!e->state->counts_continue)
		return r || engine_state_was_known(e, t->c->meta->id);
	return e->state->has_lost_flush && t->c->seen_wall_ns < e->stats.started_wall_ns;
}

/* The same file: not another one that has its name and its inode number by now. */
static bool is_remembered(const struct remembered_file *f, const struct tree_node_info *info)
{
	return info->st.st_ino == f->ino &&
	       info->birth_wall_ns <= f->last.wall_ns + ENGINE_REUSE_SLACK_NS;
}

void engine_state_restore(struct engine *e, struct track *t)
{
	bool counts = e->state && e->state->counts_continue;
	struct remembered_container *r = NULL;

	if (e->state)
		HASH_FIND_STR(e->state->containers, t->c->meta->id, r);
	if (has_gap(e, t, r))
		engine_report_loss(e, t, LOSS_GAP, 1);
	if (!r)
		return;
	for (size_t i = 0; t->c->tree && i < r->files_len; i++) {
		const struct remembered_file *f = &r->files[i];
		struct tree_node *node = tree_find_path(t->c->tree, f->path, f->path_len);
		struct tree_node_info info;

		if (!node)
			continue;
		tree_node_info(node, &info);
		if (is_remembered(f, &info))
			tree_node_add_writes(node, counts ? f->bytes : 0, counts ? f->calls : 0,
					     &f->first, &f->last);
	}
	t->c->new_executable_runs += counts ? r->new_executable_runs : 0;
	restore_losses(t, r, counts);
	drop_container(e->state, r);
}

void engine_state_close(struct engine *e)
{
	if (!e->state)
		return;
	if (e->started)
		engine_state_save(e, true);
	drop_containers(e->state);
	engine_slots_close(e->state);
	free(e->state->dir);
	free(e->state);
	e->state = NULL;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_state.c - what an earlier agent left: whose counters are whose, attribution.
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
#define MAX_SLOTS_BYTES (16ull << 20)

char *engine_state_path(const struct engine *e, const char *name)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/%s", e->state->dir, name);
	return strbuf_take(&path);
}

static void set_aside(const char *path, const char *why)
{
	auto_strbuf struct strbuf bad = STRBUF_INIT;

	strbuf_addf(&bad, "%s.bad", path);
	if (rename(path, strbuf_str(&bad)) == 0)
		log_warning("%s: %s: set aside as %s; times and writers of earlier changes come "
			    "from the layers",
			    path, why, strbuf_str(&bad));
	else
		log_warning("%s: %s, and it cannot be renamed: %s", path, why, strerror(errno));
}

/* --- slots --- */

static json_t *counters_to_json(const struct dw_counters *c)
{
	const __u64 *numbers = (const __u64 *)c;
	json_t *array = json_array();

	for (size_t i = 0; i < sizeof(*c) / sizeof(*numbers); i++)
		json_array_append_new(array, json_integer((json_int_t)numbers[i]));
	return array;
}

static bool counters_from_json(json_t *array, struct dw_counters *ret)
{
	__u64 *numbers = (__u64 *)ret;
	size_t len = sizeof(*ret) / sizeof(*numbers);

	if (json_array_size(array) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		numbers[i] = (__u64)json_integer_value(json_array_get(array, i));
	return true;
}

static void drop_slot(struct engine_state *s, struct remembered_slot *r)
{
	HASH_DEL(s->slots, r);
	free(r->id);
	free(r);
}

/* Later lines win: a slot has one owner, and an owner one slot. */
static void remember_slot(struct engine *e, json_t *line)
{
	const char *id = json_string_value(json_object_get(line, "id"));
	json_int_t slot = json_integer_value(json_object_get(line, "slot"));
	struct remembered_slot *r, *next;
	struct dw_counters base;

	if (!id || slot < 1 || slot >= (json_int_t)e->slots_len ||
	    !counters_from_json(json_object_get(line, "base"), &base))
		return;
	HASH_ITER (hh, e->state->slots, r, next)
		if (r->slot == (dw_container_t)slot || strcmp(r->id, id) == 0)
			drop_slot(e->state, r);
	r = calloc(1, sizeof(*r));
	if (!r)
		return;
	r->id = strdup(id);
	r->slot = (dw_container_t)slot;
	r->base = base;
	r->seen_wall_ns = (uint64_t)json_integer_value(json_object_get(line, "seen"));
	if (r->id)
		HASH_ADD_KEYPTR(hh, e->state->slots, r->id, strlen(r->id), r);
	else
		free(r);
}

static void load_slots(struct engine *e, const char *path)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	char *line, *rest;

	if (file_read(AT_FDCWD, path, MAX_SLOTS_BYTES, &text) || !text.len)
		return;
	for (rest = text.data; (line = strsep(&rest, "\n"));) {
		json_t *object = json_loads(line, 0, NULL);

		if (object) /* a line cut short by a kill is no line */
			remember_slot(e, object);
		json_decref(object);
	}
}

void engine_state_note_slot(struct engine *e, const struct track *t)
{
	const struct ledger_container *c = t->c;
	json_t *line;
	char *text;

	if (!e->state || e->state->slots_fd < 0 || !c->slot)
		return;
	line = json_pack("{s:s, s:I, s:I, s:o}", "id", c->meta->id, "slot", (json_int_t)c->slot,
			 "seen", (json_int_t)c->seen_wall_ns, "base",
			 counters_to_json(&c->counters_base));
	text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	if (text && dprintf(e->state->slots_fd, "%s\n", text) < 0)
		log_warning("%s/slots.ndjson: %s: counters of new containers will not survive the "
			    "agent",
			    e->state->dir, strerror(errno));
	free(text);
	json_decref(line);
}

dw_container_t engine_state_take_slot(struct engine *e, const char *id,
				      struct dw_counters *ret_base, uint64_t *ret_seen_wall_ns)
{
	struct remembered_slot *r = NULL;
	dw_container_t slot;

	if (e->state)
		HASH_FIND_STR(e->state->slots, id, r);
	if (!r)
		return 0;
	slot = r->slot;
	*ret_base = r->base;
	*ret_seen_wall_ns = r->seen_wall_ns;
	drop_slot(e->state, r);
	return slot;
}

bool engine_state_is_reserved(const struct engine *e, dw_container_t slot)
{
	struct remembered_slot *r, *next;

	if (!e->state)
		return false;
	HASH_ITER (hh, e->state->slots, r, next)
		if (r->slot == slot)
			return true;
	return false;
}

void engine_state_release_slots(struct engine *e, void (*fn)(struct engine *e, dw_container_t slot))
{
	struct remembered_slot *r, *next;

	if (!e->state)
		return;
	HASH_ITER (hh, e->state->slots, r, next) {
		fn(e, r->slot);
		drop_slot(e->state, r);
	}
}

/* --- open --- */

static int open_slots(struct engine *e)
{
	auto_free char *path = engine_state_path(e, "slots.ndjson");

	if (!path)
		return -ENOMEM;
	if (e->state->counts_continue)
		load_slots(e, path);
	/* Owners of totals that died with their programs mean nothing any more. */
	e->state->slots_fd = open(path,
				  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
					  (e->state->counts_continue ? 0 : O_TRUNC),
				  0600);
	return e->state->slots_fd < 0 ? -errno : 0;
}

static void load_ledger(struct engine *e)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	auto_free char *path = engine_state_path(e, "ledger.ndjson");
	int err = path ? file_read(AT_FDCWD, path, MAX_STATE_BYTES, &text) : -ENOMEM;

	if (err == -ENOENT)
		return;
	if (!err)
		err = engine_state_load(e, strbuf_str(&text), text.len);
	if (err == -EBADMSG)
		set_aside(path, "not a saved ledger of this version, or damaged");
	else if (err)
		log_warning("cannot read %s: %s: times and writers of earlier changes come from "
			    "the layers",
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
	e->state->counts_continue = e->probe && probe_was_adopted(e->probe);
	e->state->next_save_ns = clock_mono_ns() + ENGINE_SAVE_EVERY_NS;
	err = e->state->dir ? file_make_dirs(dir, 0750) : -ENOMEM;
	if (!err)
		err = open_slots(e);
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

static void drop_container(struct engine_state *s, struct remembered_container *c)
{
	HASH_DEL(s->containers, c);
	for (size_t i = 0; i < c->files_len; i++)
		free(c->files[i].path);
	free(c->files);
	free(c->id);
	free(c);
}

void engine_state_restore(struct engine *e, struct track *t)
{
	struct remembered_container *r = NULL;

	if (e->state)
		HASH_FIND_STR(e->state->containers, t->c->meta->id, r);
	if (!r)
		return;
	for (size_t i = 0; t->c->tree && i < r->files_len; i++) {
		const struct remembered_file *f = &r->files[i];
		struct tree_node *node = tree_find_path(t->c->tree, f->path, f->path_len);
		bool counts = e->state->counts_continue;
		struct tree_node_info info;

		if (!node)
			continue;
		tree_node_info(node, &info);
		if (info.st.st_ino == f->ino)
			tree_node_add_writes(node, counts ? f->bytes : 0, counts ? f->calls : 0,
					     &f->first, &f->last);
	}
	t->c->new_executable_runs += e->state->counts_continue ? r->new_executable_runs : 0;
	for (int i = 0; i < LOSS_MAX; i++) {
		t->c->lost[i] += r->lost[i];
		t->c->rescans[i] += r->rescans[i];
	}
	drop_container(e->state, r);
}

void engine_state_close(struct engine *e)
{
	struct remembered_container *c, *next_c;
	struct remembered_slot *r, *next_r;

	if (!e->state)
		return;
	if (e->started)
		engine_state_save(e, true);
	HASH_ITER (hh, e->state->containers, c, next_c)
		drop_container(e->state, c);
	HASH_ITER (hh, e->state->slots, r, next_r)
		drop_slot(e->state, r);
	if (e->state->slots_fd >= 0)
		close(e->state->slots_fd);
	free(e->state->dir);
	free(e->state);
	e->state = NULL;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_slots.c - whose counters are whose, written down at once: slots.ndjson.
 *
 * A line per container that got a slot, appended; the first line names the set of
 * counters the slots are of. The file is written anew when it is opened, when most of
 * its lines are of containers that are no more, and behind a line that did not fit the disk.
 */
#include "agent/engine_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

#define SCHEMA		"driftwatch.slots/1"
#define MAX_SLOTS_BYTES (64ull << 20)
#define STALE_LINES	1024 /* beside twice as many as there are slots */

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

/* --- reading --- */

/* Later lines win: a slot has one owner, and an owner one slot. */
static int remember_slot(struct engine *e, json_t *line)
{
	const char *id = json_string_value(json_object_get(line, "id"));
	json_int_t slot = json_integer_value(json_object_get(line, "slot"));
	struct remembered_slot *r, *next;
	struct dw_counters base;

	if (!id || slot < 1 || slot >= (json_int_t)e->slots_len ||
	    !counters_from_json(json_object_get(line, "base"), &base))
		return -EBADMSG;
	HASH_ITER (hh, e->state->slots, r, next)
		if (r->slot == (dw_container_t)slot || strcmp(r->id, id) == 0)
			drop_slot(e->state, r);
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->id = strdup(id);
	r->slot = (dw_container_t)slot;
	r->base = base;
	r->seen_wall_ns = (uint64_t)json_integer_value(json_object_get(line, "seen"));
	if (r->id)
		HASH_ADD_KEYPTR(hh, e->state->slots, r->id, strlen(r->id), r);
	else
		free(r);
	return 0;
}

static bool is_header(struct engine *e, json_t *line)
{
	const char *schema = json_string_value(json_object_get(line, "schema"));
	const char *set = json_string_value(json_object_get(line, "set"));

	if (!schema || !set || strcmp(schema, SCHEMA) != 0)
		return false;
	e->state->counts_continue = !strcmp(set, e->state->set);
	return true;
}

/* Returns -EBADMSG when it is foreign, or damaged before its last line. */
static int read_slots(struct engine *e, char *text)
{
	bool has_header = false;
	int err = 0;
	char *line;

	while (!err && (line = strsep(&text, "\n"))) {
		json_t *object = json_loads(line, 0, NULL);

		if (!object) /* cut short by a kill, or what follows the last newline */
			err = text ? -EBADMSG : 0;
		else if (!has_header)
			has_header = is_header(e, object);
		else
			err = remember_slot(e, object);
		if (object && !has_header)
			err = -EBADMSG;
		json_decref(object);
	}
	return has_header ? err : -EBADMSG;
}

static void forget_slots(struct engine_state *s)
{
	struct remembered_slot *r, *next;

	HASH_ITER (hh, s->slots, r, next)
		drop_slot(s, r);
}

static void load_slots(struct engine *e, const char *path)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	int err = file_read(AT_FDCWD, path, MAX_SLOTS_BYTES, &text);

	if (!err)
		err = text.len ? read_slots(e, text.data) : -EBADMSG;
	if (!err || err == -ENOENT)
		return;
	forget_slots(e->state);
	e->state->counts_continue = false;
	engine_state_set_aside(path, err == -EFBIG ? "too large to be ours"
						   : "not written by this version, or damaged");
}

/* Owners of counters that are gone: for them there was a gap. */
static void make_earlier(struct engine_state *s)
{
	s->earlier = s->slots;
	s->slots = NULL;
}

bool engine_state_was_known(const struct engine *e, const char *id)
{
	struct remembered_slot *r = NULL;

	if (e->state)
		HASH_FIND_STR(e->state->earlier, id, r);
	return r;
}

/* --- writing --- */

static int add_slot(struct strbuf *out, const char *id, dw_container_t slot, uint64_t seen_wall_ns,
		    const struct dw_counters *base)
{
	json_t *line = json_pack("{s:s, s:I, s:I, s:o}", "id", id, "slot", (json_int_t)slot, "seen",
				 (json_int_t)seen_wall_ns, "base", counters_to_json(base));
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	json_decref(line);
	if (!text)
		return -ENOMEM;
	strbuf_addf(out, "%s\n", text);
	free(text);
	return strbuf_failed(out) ? -ENOMEM : 0;
}

static int add_track(struct strbuf *out, const struct track *t)
{
	const struct ledger_container *c = t->c;

	return add_slot(out, c->meta->id, c->slot, c->seen_wall_ns, &c->counters_base);
}

/* All that is known, in place of what was there; then open for more. */
static int write_anew(struct engine *e)
{
	auto_free char *path = engine_state_path(e, "slots.ndjson");
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct engine_state *s = e->state;
	struct remembered_slot *r, *next;
	int err = path ? 0 : -ENOMEM;

	strbuf_addf(&out, "{\"schema\":\"" SCHEMA "\",\"set\":\"%s\"}\n", s->set);
	s->slot_lines = 0;
	HASH_ITER (hh, s->slots, r, next) {
		err = err ?: add_slot(&out, r->id, r->slot, r->seen_wall_ns, &r->base);
		s->slot_lines++;
	}
	for (size_t i = 1; i < e->slots_len && !err; i++) {
		if (!e->by_slot[i])
			continue;
		err = add_track(&out, e->by_slot[i]);
		s->slot_lines++;
	}
	if (!err)
		err = file_replace(AT_FDCWD, path, out.data, out.len);
	if (err)
		return err;
	if (s->slots_fd >= 0)
		close(s->slots_fd);
	s->slots_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	return s->slots_fd < 0 ? -errno : 0;
}

static int append_slot(struct engine *e, const struct track *t)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	int err = add_track(&out, t);

	if (err)
		return err;
	if (write(e->state->slots_fd, out.data, out.len) != (ssize_t)out.len)
		return errno ? -errno : -ENOSPC;
	e->state->slot_lines++;
	return 0;
}

void engine_state_note_slot(struct engine *e, const struct track *t)
{
	int err;

	if (!e->state || e->state->slots_fd < 0 || !t->c->slot)
		return;
	errno = 0;
	if (e->state->is_cut || e->state->slot_lines > 2 * e->slots_len + STALE_LINES)
		err = write_anew(e);
	else
		err = append_slot(e, t);
	e->state->is_cut = err;
	if (err)
		log_warning("%s/slots.ndjson: %s: counters of new containers will not survive the "
			    "agent",
			    e->state->dir, strerror(-err));
}

/* --- owners that have not shown up again --- */

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

/* --- open and close --- */

int engine_slots_open(struct engine *e)
{
	auto_free char *path = engine_state_path(e, "slots.ndjson");
	struct engine_state *s = e->state;
	uint64_t set = 0;

	if (!path)
		return -ENOMEM;
	if (e->probe)
		probe_counts_epoch(e->probe, &set, &s->drains);
	snprintf(s->set, sizeof(s->set), "%016" PRIx64, set);
	load_slots(e, path);
	if (!e->probe || !probe_was_adopted(e->probe))
		s->counts_continue = false;
	if (!s->counts_continue)
		make_earlier(s);
	if (e->probe && probe_was_adopted(e->probe) && !s->counts_continue) {
		log_warning("totals of containers begin again: nothing tells which counters are "
			    "whose");
		probe_forget_stale(e->probe); /* what the programs were told is of them */
	}
	return write_anew(e);
}

void engine_slots_close(struct engine_state *s)
{
	forget_slots(s);
	s->slots = s->earlier;
	s->earlier = NULL;
	forget_slots(s);
	if (s->slots_fd >= 0)
		close(s->slots_fd);
	s->slots_fd = -1;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_state_load.c - the saved ledger, read back.
 *
 * Nothing in it is trusted further than its type: names are bytes in base64, numbers
 * become attribution, and every file is checked against the layer before use.
 */
#include "agent/engine_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"

/* Numbers of writers are new in each run. */
struct renumbered {
	json_int_t old;
	uint64_t number;
	UT_hash_handle hh;
};

struct loading {
	struct engine *engine;
	struct renumbered *writers;
	struct remembered_container *container; /* the one being read */
	bool has_header, has_end;
	bool has_same_counts; /* the kernel's per-file counts are those it was saved with */
};

static int64_t integer(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static int decode(json_t *text, struct strbuf *out)
{
	return json_is_string(text)
		       ? base64_decode(json_string_value(text), json_string_length(text), out)
		       : -EINVAL;
}

static uint64_t renumber(const struct loading *l, json_int_t old)
{
	struct renumbered *r;

	HASH_FIND(hh, l->writers, &old, sizeof(old), r);
	return r ? r->number : 0;
}

static int load_writer(struct loading *l, json_t *line)
{
	auto_strbuf struct strbuf comm = STRBUF_INIT, exe = STRBUF_INIT;
	json_int_t old = integer(line, "writer");
	struct renumbered *r;
	struct writer w = {0};

	if (renumber(l, old))
		return 0;
	if (decode(json_object_get(line, "comm"), &comm) ||
	    decode(json_object_get(line, "exe"), &exe))
		return -EBADMSG;
	w.tgid = (pid_t)integer(line, "tgid");
	w.vpid = (pid_t)integer(line, "vpid");
	w.ppid = (pid_t)integer(line, "ppid");
	w.uid = (uid_t)integer(line, "uid");
	w.start_boot_ns = (uint64_t)integer(line, "start");
	w.is_runtime = json_is_true(json_object_get(line, "runtime"));
	if (comm.len)
		memcpy(w.comm, comm.data, comm.len < DW_COMM_LEN ? comm.len : DW_COMM_LEN - 1);
	w.executable = exe.len ? exe.data : NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->old = old;
	r->number = writers_add(ledger_writers(l->engine->ledger), 0, &w);
	HASH_ADD(hh, l->writers, old, sizeof(r->old), r);
	return 0;
}

static void load_numbers(json_t *array, uint64_t *ret, size_t len)
{
	for (size_t i = 0; i < len && i < json_array_size(array); i++)
		ret[i] = (uint64_t)json_integer_value(json_array_get(array, i));
}

static int load_container(struct loading *l, json_t *line)
{
	const char *id = json_string_value(json_object_get(line, "container"));
	struct remembered_container *c;

	if (!id || !*id)
		return -EBADMSG;
	HASH_FIND_STR(l->engine->state->containers, id, c);
	if (c)
		return -EBADMSG;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->id = strdup(id);
	if (!c->id) {
		free(c);
		return -ENOMEM;
	}
	c->seen_wall_ns = (uint64_t)integer(line, "seen");
	c->new_executable_runs = (uint64_t)integer(line, "runs");
	load_numbers(json_object_get(line, "lost"), c->lost, LOSS_MAX);
	load_numbers(json_object_get(line, "rescans"), c->rescans, LOSS_MAX);
	HASH_ADD_KEYPTR(hh, l->engine->state->containers, c->id, strlen(c->id), c);
	l->container = c;
	return 0;
}

static struct remembered_file *next_file(struct remembered_container *c)
{
	if (c->files_len == c->files_size) {
		size_t size = c->files_size ? c->files_size * 2 : 64;
		struct remembered_file *bigger = realloc(c->files, size * sizeof(*bigger));

		if (!bigger)
			return NULL;
		c->files = bigger;
		c->files_size = size;
	}
	return &c->files[c->files_len];
}

static int load_file(struct loading *l, json_t *line)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	json_t *n = json_object_get(line, "n");
	struct remembered_file *f;
	uint64_t v[7] = {0};

	if (!l->container || json_array_size(n) != 7 ||
	    decode(json_object_get(line, "path"), &path))
		return -EBADMSG;
	if (!path.len || memchr(path.data, '\0', path.len))
		return -EBADMSG;
	load_numbers(n, v, 7);
	f = next_file(l->container);
	if (!f)
		return -ENOMEM;
	*f = (struct remembered_file){
		.path_len = path.len,
		.ino = v[0],
		.first = {.wall_ns = v[1], .writer = renumber(l, (json_int_t)v[3])},
		.last = {.wall_ns = v[2], .writer = renumber(l, (json_int_t)v[4])},
		.bytes = v[5],
		.calls = v[6],
	};
	f->path = strbuf_take(&path);
	l->container->files_len++;
	return 0;
}

static int load_folded(struct loading *l, json_t *array)
{
	struct folded *f;
	uint64_t v[6] = {0};

	if (json_array_size(array) != 6)
		return -EBADMSG;
	if (!l->has_same_counts)
		return 0; /* the kernel counts from 0 again */
	load_numbers(array, v, 6);
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->key.file = (struct probe_file_key){v[0], (uint32_t)v[1], (uint32_t)v[2]};
	f->key.container = (dw_container_t)v[5];
	f->bytes = v[3];
	f->calls = v[4];
	HASH_ADD(hh, l->engine->folded, key, sizeof(f->key), f);
	return 0;
}

/*
 * What the earlier agent took of the kernel's counts after it saved is lost. What it had
 * folded in of a file without taking it is still there, and not to be counted twice; should
 * it have been taken meanwhile after all, then as much less is counted.
 */
static int load_header(struct loading *l, json_t *line)
{
	const char *schema = json_string_value(json_object_get(line, "schema"));
	const char *set = json_string_value(json_object_get(line, "set"));
	uint64_t drains = (uint64_t)integer(line, "drains");
	struct engine_state *s = l->engine->state;

	if (!schema || !set || strcmp(schema, ENGINE_STATE_SCHEMA) != 0)
		return -EBADMSG;
	if (strcmp(set, s->set) != 0)
		s->counts_continue = false;
	s->has_lost_flush = s->counts_continue && drains != s->drains;
	l->has_same_counts = s->counts_continue;
	l->has_header = true;
	return 0;
}

static int load_line(struct loading *l, json_t *line)
{
	if (!l->has_header)
		return load_header(l, line);
	if (json_object_get(line, "writer"))
		return load_writer(l, line);
	if (json_object_get(line, "container"))
		return load_container(l, line);
	if (json_object_get(line, "path"))
		return load_file(l, line);
	if (json_object_get(line, "folded"))
		return load_folded(l, json_object_get(line, "folded"));
	l->has_end = json_is_true(json_object_get(line, "end"));
	return l->has_end ? 0 : -EBADMSG;
}

int engine_state_load(struct engine *e, const char *bytes, size_t len)
{
	struct loading l = {.engine = e};
	struct renumbered *r, *next;
	int err = 0;

	while (len && !err && !l.has_end) {
		const char *end = memchr(bytes, '\n', len);
		size_t n = end ? (size_t)(end - bytes) : len;
		json_t *line = json_loadb(bytes, n, 0, NULL);

		err = line ? load_line(&l, line) : -EBADMSG;
		json_decref(line);
		bytes += end ? n + 1 : n;
		len -= end ? n + 1 : n;
	}
	HASH_ITER (hh, l.writers, r, next) {
		HASH_DEL(l.writers, r);
		free(r);
	}
	return err ? err : l.has_end ? 0 : -EBADMSG;
}

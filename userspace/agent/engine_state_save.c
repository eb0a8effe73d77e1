/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_state_save.c - the ledger's attribution and counts, written.
 *
 * One JSON object a line: a header, writers, then each container followed by its
 * files, the kernel's totals behind the counts, and an end mark.
 */
#include "agent/engine_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/file.h"
#include "base/log.h"

#define SAVE_SHARE 50 /* saving takes at most one part in so many */
#define SAVER_NICE 10

struct saving {
	struct engine *engine;
	struct strbuf *out;
};

static void add_line(struct strbuf *out, json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	if (text) {
		strbuf_adds(out, text);
		strbuf_addc(out, '\n');
	} else {
		out->failed = true;
	}
	free(text);
	json_decref(line);
}

static json_t *base64_json(const char *bytes, size_t len)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	base64_add(&text, bytes, len);
	return json_string(strbuf_str(&text));
}

static json_t *numbers_json(const uint64_t *numbers, size_t len)
{
	json_t *array = json_array();

	for (size_t i = 0; i < len; i++)
		json_array_append_new(array, json_integer((json_int_t)numbers[i]));
	return array;
}

static void save_writer(uint64_t number, const struct writer *w, void *arg)
{
	struct saving *s = arg;

	add_line(s->out, json_pack("{s:I, s:i, s:i, s:i, s:I, s:I, s:o, s:o, s:b}", "writer",
				   (json_int_t)number, "tgid", (int)w->tgid, "vpid", (int)w->vpid,
				   "ppid", (int)w->ppid, "uid", (json_int_t)w->uid, "start",
				   (json_int_t)w->start_boot_ns, "comm",
				   base64_json(w->comm, strnlen(w->comm, DW_COMM_LEN)), "exe",
				   base64_json(w->executable ? w->executable : "",
					       w->executable ? strlen(w->executable) : 0),
				   "runtime", w->is_runtime));
}

/* Written without jansson: there may be a million of them. */
static int save_file(const struct tree_line *line, void *arg)
{
	struct strbuf *out = ((struct saving *)arg)->out;
	struct tree_node_info i;

	if (!line->node)
		return 0;
	tree_node_info(line->node, &i);
	/* What the layer itself tells the next agent. */
	if (!i.first_writer && !i.last_writer && !i.write_calls &&
	    i.first_wall_ns == i.birth_wall_ns)
		return 0;
	strbuf_adds(out, "{\"path\":\"");
	base64_add(out, line->path, line->path_len);
	strbuf_addf(out,
		    "\",\"n\":[%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
		    ",%" PRId64 "]}\n",
		    (int64_t)i.st.st_ino, (int64_t)i.first_wall_ns, (int64_t)i.last_wall_ns,
		    (int64_t)i.first_writer, (int64_t)i.last_writer, (int64_t)i.written_bytes,
		    (int64_t)i.write_calls);
	return 0;
}

static int save_container(struct ledger_container *c, void *arg)
{
	struct saving *s = arg;

	if (!c->tree || c->removed_wall_ns)
		return 0;
	add_line(s->out,
		 json_pack("{s:s, s:I, s:I, s:o, s:o}", "container", c->meta->id, "seen",
			   (json_int_t)c->seen_wall_ns, "runs", (json_int_t)c->new_executable_runs,
			   "lost", numbers_json(c->lost, LOSS_MAX), "rescans",
			   numbers_json(c->rescans, LOSS_MAX)));
	tree_foreach(c->tree, true, save_file, s);
	return 0;
}

static void save_folded(struct saving *s)
{
	struct folded *f, *next;

	/* Counts that wait for their node were moved out of the kernel: they go with us. */
	HASH_ITER (hh, s->engine->folded, f, next)
		if (f->bytes > f->drained_bytes)
			add_line(s->out,
				 json_pack("{s:[I,I,I,I,I,I]}", "folded",
					   (json_int_t)f->key.file.ino, (json_int_t)f->key.file.dev,
					   (json_int_t)f->key.file.gen,
					   (json_int_t)(f->bytes - f->drained_bytes),
					   (json_int_t)(f->calls - f->drained_calls),
					   (json_int_t)f->key.container));
}

static void add_header(const struct saving *s)
{
	const struct engine_state *state = s->engine->state;

	add_line(s->out, json_pack("{s:s, s:I, s:s, s:I}", "schema", ENGINE_STATE_SCHEMA, "saved",
				   (json_int_t)clock_wall_ns(), "set", state->set, "drains",
				   (json_int_t)state->saved_drains));
}

/* Everything as text into the state file. 0 or -errno. */
static int write_ledger(struct engine *e)
{
	auto_free char *path = engine_state_path(e, "ledger.ndjson");
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct saving s = {.engine = e, .out = &out};

	add_header(&s);
	writers_foreach(ledger_writers(e->ledger), save_writer, &s);
	ledger_foreach(e->ledger, save_container, &s);
	save_folded(&s);
	add_line(&out, json_pack("{s:b}", "end", 1));
	if (strbuf_failed(&out) || !path)
		return -ENOMEM;
	return file_replace(AT_FDCWD, path, out.data, out.len);
}

static int report(int err)
{
	if (err)
		log_warning("cannot save the ledger in the state directory: %s", strerror(-err));
	return err;
}

/*
 * A copy of this process writes the file: turning a large ledger into text takes seconds,
 * and so does fsync on a disk that others keep busy, while records want to be read. It
 * holds nothing of ours open (a layer's root would keep its file system mounted), and
 * does not outlive us: it would replace what the next agent saves.
 */
static pid_t start_saver(struct engine *e)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	setpriority(PRIO_PROCESS, 0, SAVER_NICE);
	_exit(-write_ledger(e));
}

/* Take the end of the saver. False while it runs and is not to be waited for. */
static bool saver_ended(struct engine_state *state, bool wait)
{
	struct rusage used;
	uint64_t cpu_ns;
	pid_t pid;
	int status;

	if (!state->saver)
		return true;
	do
		pid = wait4(state->saver, &status, wait ? 0 : WNOHANG, &used);
	while (pid < 0 && errno == EINTR);
	if (!pid)
		return false;
	state->saver = 0;
	if (pid < 0)
		return true;
	if (report(WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR))
		state->events_saved = UINT64_MAX; /* there is something to save */
	cpu_ns = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * NS_PER_SEC +
		 (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
	state->earliest_save_ns = clock_mono_ns() + cpu_ns * SAVE_SHARE;
	if (state->next_save_ns < state->earliest_save_ns)
		state->next_save_ns = state->earliest_save_ns;
	return true;
}

void engine_state_save_soon(struct engine *e)
{
	if (!e->state)
		return;
	e->state->next_save_ns = e->state->earliest_save_ns;
	e->state->events_saved = UINT64_MAX;
}

int engine_state_save(struct engine *e, bool now)
{
	uint64_t start = clock_mono_ns(), set;

	if (!e->state || !saver_ended(e->state, now) || (!now && start < e->state->next_save_ns))
		return 0;
	e->state->next_save_ns = start + ENGINE_SAVE_EVERY_NS;
	if (!now && e->state->events_saved == e->stats.events)
		return 0;
	engine_take_files(e); /* counts and the totals they come from are saved as one */
	if (e->probe)
		probe_counts_epoch(e->probe, &set, &e->state->saved_drains);
	e->state->events_saved = e->stats.events;
	if (!now) {
		e->state->saver = start_saver(e);
		if (e->state->saver > 0)
			return 0;
		e->state->saver = 0; /* no process to be had: then it takes the time it takes */
	}
	return report(write_ledger(e));
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * processes.c - which processes are new, and which of them are runtimes.
 */
#include "container/processes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/clock.h"
#include "container/process_roots.h"
#include "container/task.h"

#define PROCESSES_MAX 65536
#define YOUNG_NS      (5 * NS_PER_SEC) /* a process may yet become dockerd by exec */

struct process {
	UT_hash_handle hh;
	pid_t pid;
	uint64_t first_ns;
	bool is_seen, is_runtime;
};

struct processes {
	struct hostfs *fs;
	struct processes_events events;
	struct process *known;
	uint64_t last_pid;
	uint64_t young_until_ns;
	bool all;
};

struct processes *processes_new(struct hostfs *fs, const struct processes_events *events)
{
	struct processes *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->fs = fs;
	p->events = *events;
	return p;
}

struct processes *processes_free(struct processes *p)
{
	struct process *known, *next;

	if (!p)
		return NULL;
	HASH_ITER (hh, p->known, known, next) {
		HASH_DEL(p->known, known);
		free(known);
	}
	free(p);
	return NULL;
}

void processes_read_command_line(const struct processes *p, pid_t pid, const char *comm,
				 const char *argv, size_t len)
{
	struct process_roots roots = {
		.fs = p->fs,
		.discover = p->events.discover,
		.arg = p->events.arg,
		.pid = pid,
		.comm = comm,
		.argv = argv,
		.argv_len = len,
	};

	process_roots_find(&roots);
}

static void look_at_runtime(struct processes *p, struct process *process, const char *comm)
{
	auto_strbuf struct strbuf argv = STRBUF_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cmdline", process->pid);
	if (hostfs_read(p->fs, path, HOSTFS_SMALL_MAX, &argv) || !argv.len)
		return;
	process->is_runtime = true;
	processes_read_command_line(p, process->pid, comm, argv.data, argv.len);
}

static void look_at(struct processes *p, struct process *process, bool is_new)
{
	auto_strbuf struct strbuf comm = STRBUF_INIT;
	uint32_t root_dev;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", process->pid);
	if (hostfs_read(p->fs, path, HOSTFS_SMALL_MAX, &comm) || !comm.len)
		return;
	if (comm.data[comm.len - 1] == '\n')
		strbuf_truncate(&comm, comm.len - 1);
	if (process_roots_is_runtime(strbuf_str(&comm)) && (!process->is_runtime || p->all))
		look_at_runtime(p, process, strbuf_str(&comm));
	if ((is_new || p->all) && !task_root_dev(p->fs, process->pid, &root_dev))
		p->events.on_process(process->pid, root_dev, p->events.arg);
}

static struct process *remember(struct processes *p, pid_t pid, uint64_t now)
{
	struct process *process;

	if (HASH_COUNT(p->known) >= PROCESSES_MAX)
		return NULL;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	process->first_ns = now;
	HASH_ADD_INT(p->known, pid, process);
	return process;
}

static int take_name(const char *name, void *arg)
{
	struct processes *p = arg;
	uint64_t now = clock_mono_ns();
	struct process *process;
	bool is_new;
	char *end;
	long pid = strtol(name, &end, 10);

	if (*end || pid <= 0 || pid > INT32_MAX)
		return 0;
	HASH_FIND_INT(p->known, &(pid_t){(pid_t)pid}, process);
	is_new = !process;
	if (is_new)
		process = remember(p, (pid_t)pid, now);
	if (!process)
		return 0;
	process->is_seen = true;
	if (is_new)
		p->young_until_ns = now + YOUNG_NS;
	/* Once more after it grew old, should it have exec'd late. */
	if (is_new || p->all || now - process->first_ns < YOUNG_NS + NS_PER_SEC)
		look_at(p, process, is_new);
	return 0;
}

/* The last pid given out tells for nothing that no process was started since. */
static bool is_quiet(struct processes *p)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	const char *space;
	uint64_t last;

	/* Beneath a host root, /proc may be of another pid namespace than ours. */
	if (*p->fs->root || hostfs_read(p->fs, "/proc/loadavg", HOSTFS_SMALL_MAX, &text))
		return false;
	space = strrchr(strbuf_str(&text), ' ');
	if (!space)
		return false;
	last = strtoull(space + 1, NULL, 10);
	if (last == p->last_pid && clock_mono_ns() > p->young_until_ns + NS_PER_SEC)
		return true;
	p->last_pid = last;
	return false;
}

int processes_look(struct processes *p, bool all)
{
	struct process *process, *next;
	int err;

	if (is_quiet(p) && !all)
		return 0;
	p->all = all;
	HASH_ITER (hh, p->known, process, next)
		process->is_seen = false;
	err = hostfs_foreach_name(p->fs, "/proc", take_name, p);
	if (err)
		return err;
	HASH_ITER (hh, p->known, process, next) {
		if (process->is_seen)
			continue;
		HASH_DEL(p->known, process);
		free(process);
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * processes.c - which processes are new, and which of them are runtimes.
 */
#include "container/processes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "container/process_roots.h"
#include "container/task.h"

#define PROCESSES_MAX 65536
#define YOUNG_NS      (5 * NS_PER_SEC)	  /* a process may yet become dockerd by exec */
#define INFANT_NS     (300 * NS_PER_MSEC) /* until then it is looked at each time */
#define RANGE_MAX     256 /* numbers given out meanwhile that are tried one by one */
#define SETTLE_NS     (100 * NS_PER_MSEC) /* a number is given out before its process shows */

struct process {
	UT_hash_handle hh;
	pid_t pid;
	uint64_t first_ns;
	uint64_t looked_ns;
	bool is_seen, is_runtime;
	struct process *prev, *next; /* among the young */
};

struct processes {
	struct hostfs *fs;
	struct processes_events events;
	struct process *known;
	struct process *young; /* may be looked at again */
	/* The last numbers given out, at the last look and at one that long before. */
	struct given {
		uint64_t pid, ns;
	} last, settled;
	size_t listed; /* known at the last listing */
	bool all;
};

static void grow_old(struct processes *p, struct process *process)
{
	DL_DELETE(p->young, process);
	process->prev = NULL;
}

static void forget(struct processes *p, struct process *process)
{
	if (process->prev)
		grow_old(p, process);
	HASH_DEL(p->known, process);
	free(process);
}

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
	HASH_ITER (hh, p->known, known, next)
		forget(p, known);
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

/* False: it has ended. */
static bool look_at(struct processes *p, struct process *process, bool is_new)
{
	auto_strbuf struct strbuf comm = STRBUF_INIT;
	uint32_t root_dev;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", process->pid);
	if (hostfs_read(p->fs, path, HOSTFS_SMALL_MAX, &comm) || !comm.len)
		return false;
	if (comm.data[comm.len - 1] == '\n')
		strbuf_truncate(&comm, comm.len - 1);
	if (process_roots_is_runtime(strbuf_str(&comm)) && (!process->is_runtime || p->all))
		look_at_runtime(p, process, strbuf_str(&comm));
	if ((is_new || p->all) && !task_root_dev(p->fs, process->pid, &root_dev))
		p->events.on_process(process->pid, root_dev, p->events.arg);
	return true;
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
	DL_APPEND(p->young, process);
	HASH_ADD_INT(p->known, pid, process);
	return process;
}

static void look(struct processes *p, struct process *process, bool is_new, uint64_t now)
{
	process->looked_ns = now;
	if (!look_at(p, process, is_new))
		forget(p, process);
}

/* Given out again since the look that is settled; also when these began anew meanwhile. */
static bool is_given_again(const struct processes *p, const struct process *process)
{
	uint64_t pid = (uint64_t)process->pid, from = p->settled.pid, to = p->last.pid;

	if (!from || process->first_ns >= p->settled.ns)
		return false;
	return to >= from ? pid > from && pid <= to : pid > from || pid <= to;
}

static void take_pid(struct processes *p, pid_t pid, uint64_t now)
{
	struct process *process;
	bool is_new;

	HASH_FIND_INT(p->known, &pid, process);
	if (process && is_given_again(p, process)) {
		forget(p, process);
		process = NULL;
	}
	is_new = !process;
	if (is_new)
		process = remember(p, pid, now);
	if (!process)
		return;
	process->is_seen = true;
	if (is_new || p->all)
		look(p, process, is_new, now);
}

static int take_name(const char *name, void *arg)
{
	char *end;
	long pid = strtol(name, &end, 10);

	if (!*end && pid > 0 && pid <= INT32_MAX)
		take_pid(arg, (pid_t)pid, clock_mono_ns());
	return 0;
}

/*
 * Again, should it have exec'd meanwhile: each time while it is very young, then each time
 * that it is twice as old, and once more when it is old.
 */
static void look_at_young(struct processes *p, uint64_t now)
{
	struct process *process, *next;
	uint64_t age;

	DL_FOREACH_SAFE(p->young, process, next)
	{
		if (process->looked_ns >= now)
			continue;
		age = now - process->first_ns;
		if (age < YOUNG_NS && age >= INFANT_NS &&
		    age < 2 * (process->looked_ns - process->first_ns))
			continue;
		if (age >= YOUNG_NS)
			grow_old(p, process);
		look(p, process, false, now);
	}
}

/* The last number given out, of one namespace with the kernel's calls; 0: not to be had. */
static uint64_t read_last_pid(const struct processes *p)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	const char *space;

	/* Beneath a host root, /proc may be of another pid namespace than ours. */
	if (*p->fs->root || hostfs_read(p->fs, "/proc/loadavg", HOSTFS_SMALL_MAX, &text))
		return 0;
	space = strrchr(strbuf_str(&text), ' ');
	return space ? strtoull(space + 1, NULL, 10) : 0;
}

/* A number may be of a thread; only that of a process can be opened. */
static bool is_process(const struct processes *p, pid_t pid)
{
	auto_close int fd = task_open(p->fs, pid);

	return fd >= 0;
}

/* Numbers are given out in turn. False: they began anew, or are too many to try each. */
static bool take_range(struct processes *p, uint64_t now)
{
	const uint64_t from = p->settled.pid, to = p->last.pid;

	if (!from || to < from || to - from > RANGE_MAX ||
	    HASH_COUNT(p->known) > 2 * p->listed + RANGE_MAX)
		return false;
	for (uint64_t pid = from + 1; pid <= to; pid++) {
		if (is_process(p, (pid_t)pid))
			take_pid(p, (pid_t)pid, now);
	}
	return true;
}

static int list_all(struct processes *p)
{
	struct process *process, *next;
	int err;

	HASH_ITER (hh, p->known, process, next)
		process->is_seen = false;
	err = hostfs_foreach_name(p->fs, "/proc", take_name, p);
	if (err)
		return err;
	HASH_ITER (hh, p->known, process, next) {
		if (!process->is_seen)
			forget(p, process);
	}
	p->listed = HASH_COUNT(p->known);
	return 0;
}

int processes_look(struct processes *p, bool all)
{
	const struct given before = p->last;
	uint64_t now = clock_mono_ns();
	int err = 0;

	p->last = (struct given){read_last_pid(p), now};
	p->all = all;
	if (all || !take_range(p, now))
		err = list_all(p);
	look_at_young(p, now);
	if (now - before.ns >= SETTLE_NS)
		p->settled = before;
	else
		p->last = before; /* it grows old, the one of now would begin anew */
	return err;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * monitor.c - programs that the benchmark switches on and off within milliseconds.
 *
 *	monitor SHIFT floor
 *	monitor SHIFT TIER CPU CGROUP MERGED UPPER WORK LOWER VOLUME
 *
 * Before any other, programs are loaded that never run, the last of about SHIFT bytes: where
 * code lies in the kernel's memory for programs is part of what it costs. The first form holds
 * the empty programs and the stand-in for a sensor (floor.bpf.c). The second is the agent's
 * engine with its programs of that tier, watching one container whose cgroup has that id; its
 * thread runs on CPU. Reads lines and answers each with a line of JSON:
 *
 *	on NAME, off NAME  attach or detach: sys_exit, write_end, sensor; ours
 *	settle             wait until the engine has seen everything; its CPU time so far
 *	health             what was counted, lost and missed
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/engine.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "floor.skel.h"
#include "kernel/probe_internal.h"

static __attribute__((noreturn)) void die(const char *what, int err)
{
	fprintf(stderr, "monitor: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

/* --- where the code comes to lie --- */

#define ADD_BYTES  7 /* of machine code, on x86 */
#define HOLES	   128
#define HOLE_BYTES 512

/* A program that never runs, of about so many bytes; it stays loaded until this process ends. */
static void take_room(size_t bytes)
{
	const struct bpf_insn first = {.code = BPF_ALU64 | BPF_MOV | BPF_K},
			      add = {.code = BPF_ALU64 | BPF_ADD | BPF_K, .imm = 1 << 20},
			      last = {.code = BPF_JMP | BPF_EXIT};
	size_t n = bytes / ADD_BYTES + 2;
	struct bpf_insn *insns = calloc(n, sizeof(*insns));

	if (!insns)
		die("memory", ENOMEM);
	insns[0] = first;
	for (size_t i = 1; i < n - 1; i++)
		insns[i] = add;
	insns[n - 1] = last;
	if (bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "room", "GPL", insns, n, NULL) < 0)
		die("room", errno);
	free(insns);
}

/* The kernel takes the first room that is large enough: what is free in between goes first. */
static void shift_code(size_t bytes)
{
	for (int i = 0; i < HOLES; i++)
		take_room(HOLE_BYTES);
	take_room(bytes);
}

/* --- the floor --- */

static struct floor_bpf *floor_programs;
static struct ring_buffer *sensor_ring;
static struct bpf_link *floor_links[2];

static int on_sensor_record(void *ctx, void *data, size_t size)
{
	unsigned long *sum = ctx;

	*sum += size + *(unsigned char *)data;
	return 0;
}

static void *consume_sensor(void *arg)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	(void)arg;
	for (;;) {
		ring_buffer__consume(sensor_ring);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void open_floor(void)
{
	static const uint32_t wanted[] = {SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev,
					  SYS_pwritev2};
	static unsigned long sum;
	uint8_t yes = 1;
	pthread_t thread;
	size_t i;

	floor_programs = floor_bpf__open_and_load();
	if (!floor_programs)
		die("floor.bpf.c", errno);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		bpf_map_update_elem(bpf_map__fd(floor_programs->maps.sensor_wants), &wanted[i],
				    &yes, 0);
	sensor_ring = ring_buffer__new(bpf_map__fd(floor_programs->maps.sensor_ring),
				       on_sensor_record, &sum, NULL);
	if (!sensor_ring || pthread_create(&thread, NULL, consume_sensor, NULL))
		die("sensor", errno);
}

static int switch_floor(const char *name, bool on)
{
	struct bpf_program *programs[2] = {NULL, NULL};
	int i;

	if (!strcmp(name, "sys_exit")) {
		programs[0] = floor_programs->progs.empty_sys_exit;
	} else if (!strcmp(name, "write_end")) {
		programs[0] = floor_programs->progs.empty_write_end;
	} else if (!strcmp(name, "sensor")) {
		programs[0] = floor_programs->progs.sensor_enter;
		programs[1] = floor_programs->progs.sensor_exit;
	} else {
		return -EINVAL;
	}
	for (i = 0; i < 2; i++) {
		bpf_link__destroy(floor_links[i]);
		floor_links[i] = NULL;
		if (!on || !programs[i])
			continue;
		floor_links[i] = bpf_program__attach(programs[i]);
		if (!floor_links[i])
			return -errno;
	}
	return 0;
}

/* --- the engine --- */

static struct engine *engine;
static pthread_mutex_t engine_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t engine_thread;

static void *run_engine(void *arg)
{
	struct pollfd pfd = {.fd = engine_fd(engine), .events = POLLIN};
	int err = 0, timeout;

	(void)arg;
	while (!err) {
		pthread_mutex_lock(&engine_lock);
		timeout = engine_timeout_ms(engine);
		pthread_mutex_unlock(&engine_lock);
		poll(&pfd, 1, timeout);
		pthread_mutex_lock(&engine_lock);
		err = engine_step(engine);
		pthread_mutex_unlock(&engine_lock);
	}
	die("engine_step", err);
}

static uint32_t dev_of(const char *path, uint64_t *ret_ino)
{
	struct stat st;

	if (stat(path, &st))
		die(path, errno);
	*ret_ino = st.st_ino;
	return file_kernel_dev(st.st_dev);
}

static struct container *describe(uint64_t cgroup_id, char **dirs)
{
	struct container *c = container_new("be9c000000000000000000000000000000000000000000000000"
					    "000000000001",
					    "driftwatch");
	struct container_mount *volume = calloc(1, sizeof(*volume));
	uint64_t ino;

	if (!c || !volume)
		die("memory", ENOMEM);
	c->name = strdup("bench");
	c->state = CONTAINER_RUNNING;
	c->created_wall_ns = c->started_wall_ns = clock_wall_ns();
	c->overlay.merged = strdup(dirs[0]);
	c->overlay.upper = strdup(dirs[1]);
	c->overlay.work = strdup(dirs[2]);
	c->overlay.lowers = calloc(1, sizeof(char *));
	c->overlay.lowers[0] = strdup(dirs[3]);
	c->overlay.lowers_len = 1;
	c->overlay.dev = dev_of(dirs[0], &ino);
	volume->destination = strdup("/volume");
	volume->source = strdup(dirs[4]);
	volume->kind = MOUNT_VOLUME;
	volume->dev = dev_of(dirs[4], &volume->root_ino);
	c->cgroup_ids = calloc(1, sizeof(*c->cgroup_ids));
	c->cgroup_ids[0] = cgroup_id;
	c->cgroup_ids_len = cgroup_id != 0;
	c->mounts = volume;
	c->mounts_len = 1;
	return c;
}

static int switch_ours(const char *name, bool on)
{
	struct probe *p = engine_probe(engine);
	struct bpf_program *program;
	size_t i;

	if (strcmp(name, "ours") != 0)
		return -EINVAL;
	for (i = 0; i < hook_def_count; i++) {
		struct hook *h = &p->hooks[i];

		if (!h->public.attached || !!h->link == on)
			continue;
		if (on) {
			program = bpf_object__find_program_by_name(p->object, h->def->program);
			h->link = bpf_program__attach(program);
			if (!h->link)
				return -errno;
		} else {
			bpf_link__destroy(h->link);
			h->link = NULL;
		}
	}
	return 0;
}

static void open_engine(char **argv)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct engine_options options = {.no_discovery = true};
	struct container *meta = describe(strtoull(argv[2], NULL, 10), argv + 3);
	cpu_set_t set;
	int err;

	if (probe_tier_parse(argv[0], &options.probe.tier))
		die(argv[0], EINVAL);
	log_set_level(LOG_LEVEL_WARNING);
	err = engine_open(&options, &error, &engine);
	if (err)
		die(strbuf_str(&error), err);
	err = engine_start(engine);
	if (!err)
		err = engine_add_own(engine, meta, NULL);
	if (!err)
		err = switch_ours("ours", false);
	container_free(meta);
	if (!err)
		err = -pthread_create(&engine_thread, NULL, run_engine, NULL);
	CPU_ZERO(&set);
	CPU_SET((int)strtol(argv[1], NULL, 10), &set);
	if (!err)
		err = -pthread_setaffinity_np(engine_thread, sizeof(set), &set);
	if (err)
		die("engine", err);
}

/* --- answers --- */

/* Of the whole process: what is put off until somebody asks is done by the thread that asks. */
static uint64_t engine_cpu_ns(void)
{
	struct timespec t;

	if (!engine || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t))
		return 0;
	return clock_of_timespec(&t);
}

static void answer_settle(void)
{
	bool settled = true;

	if (engine) {
		pthread_mutex_lock(&engine_lock);
		settled = engine_settle(engine, 20000);
		pthread_mutex_unlock(&engine_lock);
	}
	printf("{\"settled\":%s,\"cpu_ns\":%llu}\n", settled ? "true" : "false",
	       (unsigned long long)engine_cpu_ns());
}

static int count_container(struct ledger_container *c, void *arg)
{
	struct probe *p = engine_probe(engine);
	struct dw_counters counters;

	(void)arg;
	if (probe_read_counters(p, c->slot, &counters))
		return 0;
	printf("\"layer_calls\":%llu,\"layer_bytes\":%llu,\"volume_calls\":%llu,",
	       (unsigned long long)counters.write_calls[DW_TARGET_LAYER],
	       (unsigned long long)counters.write_bytes[DW_TARGET_LAYER],
	       (unsigned long long)counters.write_calls[DW_TARGET_VOLUME]);
	return 0;
}

static void answer_health(void)
{
	struct probe_health h = {0};

	if (!engine) {
		printf("{\"sensor_lost\":%llu}\n",
		       (unsigned long long)floor_programs->bss->sensor_lost);
		return;
	}
	pthread_mutex_lock(&engine_lock);
	probe_read_health(engine_probe(engine), &h);
	printf("{");
	ledger_foreach(engine_ledger(engine), count_container, NULL);
	printf("\"runs_missed\":%llu,\"records_lost\":%llu,\"map_bytes\":%llu,"
	       "\"files_used\":%llu,\"watched_used\":%llu}\n",
	       (unsigned long long)h.runs_missed, (unsigned long long)h.records_lost,
	       (unsigned long long)h.map_bytes, (unsigned long long)h.files_used,
	       (unsigned long long)h.watched_used);
	pthread_mutex_unlock(&engine_lock);
}

static void answer_switch(const char *name, bool on)
{
	uint64_t start = clock_mono_ns();
	int err;

	pthread_mutex_lock(&engine_lock);
	err = engine ? switch_ours(name, on) : switch_floor(name, on);
	pthread_mutex_unlock(&engine_lock);
	if (err)
		printf("{\"error\":\"%s: %s\"}\n", name, strerror(-err));
	else
		printf("{\"took_ns\":%llu}\n", (unsigned long long)(clock_mono_ns() - start));
}

int main(int argc, char **argv)
{
	char line[128], word[16], name[64] = "";

	if (argc != 3 && argc != 10) {
		fprintf(stderr, "usage: monitor SHIFT floor\n"
				"       monitor SHIFT TIER CPU CGROUP MERGED UPPER WORK LOWER "
				"VOLUME\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	shift_code(strtoul(argv[1], NULL, 10));
	if (argc == 3)
		open_floor();
	else
		open_engine(argv + 2);
	printf("{\"ready\":%d}\n", (int)getpid());
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%15s %63s", word, name) < 1)
			continue;
		if (!strcmp(word, "settle"))
			answer_settle();
		else if (!strcmp(word, "health"))
			answer_health();
		else
			answer_switch(name, !strcmp(word, "on"));
	}
	return 0;
}

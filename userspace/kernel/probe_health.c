/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_health.c - what was lost, what is full, what the programs cost.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "kernel/probe_internal.h"

#define FDINFO_MAX 4096

static int program_info(const struct hook *h, struct bpf_prog_info *ret)
{
	uint32_t len = sizeof(*ret);

	if (h->prog_fd < 0)
		return -ENOENT;
	memset(ret, 0, sizeof(*ret));
	return bpf_obj_get_info_by_fd(h->prog_fd, ret, &len) ? -errno : 0;
}

/* What no program can know: the kernel did not get as far as it. */
static uint64_t missed_by_kernel(const struct hook *h)
{
	const char *function = probe_hook_kretprobe(h);

	return function ? kretprobe_missed(function) : 0;
}

void probe_foreach_program(const struct probe *p, void (*fn)(const struct probe_program *, void *),
			   void *arg)
{
	struct bpf_prog_info info;
	size_t i;

	for (i = 0; i < hook_def_count; i++) {
		if (!p->hooks[i].public.attached || program_info(&p->hooks[i], &info))
			continue;
		fn(
			&(struct probe_program){
				.name = p->hooks[i].def->program,
				.missed = info.recursion_misses + missed_by_kernel(&p->hooks[i]),
				.runs = info.run_cnt,
				.run_ns = info.run_time_ns,
				.instructions = info.xlated_prog_len / sizeof(struct bpf_insn),
			},
			arg);
	}
}

/* A link without its program, or whose descriptor is not one any more. */
static bool is_detached(const struct hook *h)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	int fd = bpf_link__fd(h->link);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		return !info.prog_id;
	/* Perf events are no BPF links: nothing to be learned of them. */
	return errno == EBADF || errno == EBADFD;
}

void probe_check_hooks(struct probe *p)
{
	struct hook *h;
	size_t i;

	for (i = 0; i < hook_def_count; i++) {
		h = &p->hooks[i];
		if (!h->link || !is_detached(h))
			continue;
		p->detached++;
		bpf_link__disconnect(h->link); /* there is nothing left to close */
		bpf_link__destroy(h->link);
		h->link = NULL;
		h->public.attached = false;
		if (!probe_attach_again(p, h))
			log_warning("%s was detached from outside, and is attached again",
				    h->def->name);
		else
			log_error("%s was detached from outside: restart the agent", h->def->name);
	}
}

static void add_missed(const struct probe_program *program, void *arg)
{
	*(uint64_t *)arg += program->missed;
}

/* What the kernel says the map behind @fd takes. 0 when it does not say. */
static uint64_t map_bytes(int fd)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	char path[64];
	unsigned long long bytes = 0;
	const char *line;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (file_read(AT_FDCWD, path, FDINFO_MAX, &text))
		return 0;
	line = strstr(strbuf_str(&text), "memlock:");
	if (!line || sscanf(line, "memlock: %llu", &bytes) != 1)
		return 0;
	return bytes;
}

static uint32_t count_keys(int fd)
{
	unsigned char key[64], next[64];
	uint32_t n = 0;
	int err = bpf_map_get_next_key(fd, NULL, next);

	while (!err) {
		n++;
		memcpy(key, next, sizeof(key));
		err = bpf_map_get_next_key(fd, key, next);
	}
	return n;
}

static uint64_t map_size(const struct probe *p, enum probe_map map)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(p->maps[map], &info, &len) ? 0 : info.max_entries;
}

void probe_read_pulse(const struct probe *p, struct probe_health *ret)
{
	struct dw_counters nobodys;

	*ret = (struct probe_health){
		.runs_missed = p->control->lost_runs,
		.detached = p->detached,
		.files_used = probe_files_used(p),
		.files_size = probe_files_size(p),
	};
	probe_foreach_program(p, add_missed, &ret->runs_missed);
	if (!probe_read_counters(p, 0, &nobodys))
		ret->records_lost_nobodys = nobodys.records_lost;
}

uint64_t probe_take_misses(struct probe *p, uint64_t runs_missed)
{
	uint64_t told = p->control->misses_told;

	p->control->misses_told = runs_missed;
	return runs_missed > told ? runs_missed - told : 0;
}

static void add_lost(dw_container_t c, const struct dw_counters *counters, void *arg)
{
	struct probe_health *h = arg;

	h->records_lost += counters->records_lost;
	if (!c)
		h->records_lost_nobodys = counters->records_lost;
}

int probe_read_health(const struct probe *p, struct probe_health *ret)
{
	struct probe_health h = {
		.records_received = p->records_received,
		.records_malformed = p->records_malformed,
		.runs_missed = p->control->lost_runs,
		.detached = p->detached,
		.watched_used = p->watch.used,
		.watched_size = p->watch.size,
		.files_used = probe_files_used(p),
		.files_size = probe_files_size(p),
		.writers_size = map_size(p, MAP_WRITERS),
		.containers_used = count_keys(p->maps[MAP_OVERLAYS]),
		.containers_size = p->options.max_containers - 1,
	};
	unsigned i;
	int err = probe_foreach_counters(p, add_lost, &h);

	if (err)
		return err;
	for (i = 0; i < MAP_MAX; i++)
		h.map_bytes += map_bytes(p->maps[i]);
	probe_foreach_program(p, add_missed, &h.runs_missed);
	*ret = h;
	return 0;
}

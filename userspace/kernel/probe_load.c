/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_load.c - one tier's programs: opened, chosen, loaded, attached one by one.
 *
 * A hook that a kernel lacks or refuses is noted and left out. libbpf takes all
 * programs of an object or none, and an object that failed to load cannot be used
 * again: it is opened afresh without the program that was refused.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "driftwatch.skel.h"
#include "kernel/probe_internal.h"
#include "opt_cast.skel.h"
#include "opt_old.skel.h"

#define LOAD_TRIES 16 /* programs that may be refused before a tier is given up */

static const char *const map_names[MAP_MAX] = {
	[MAP_EVENTS] = "events",     [MAP_DIRTY_RING] = "dirty_ring",
	[MAP_URGENT] = "urgent",     [MAP_CONTROL] = "control",
	[MAP_ROOTS] = "roots",	     [MAP_CGROUPS] = "cgroups",
	[MAP_OVERLAYS] = "overlays", [MAP_WATCHED] = "watched",
	[MAP_FILTER] = "filter",     [MAP_DIRTY] = "dirty",
	[MAP_COUNTERS] = "counters", [MAP_ADDED] = "added",
	[MAP_CELLS] = "cells",	     [MAP_TAGS] = "tags",
	[MAP_TURN_ONE] = "turn_one", [MAP_TURN] = "turn",
	[MAP_SLOTS] = "slots",	     [MAP_WRITERS] = "writers",
	[MAP_EXECS] = "execs",	     [MAP_PROVISIONAL] = "provisional",
};

const char *probe_map_name(enum probe_map map)
{
	return map_names[map];
}

/*
 * The program that libbpf said it could not load. libbpf's print function has no
 * argument of the caller's, so this one thing cannot travel by pointer.
 */
static __thread char refused_program[64];

static int on_libbpf_text(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	const char *s;
	int error;

	if (level == LIBBPF_DEBUG)
		return 0;
	strbuf_vaddf(&text, fmt, ap);
	s = strbuf_str(&text);
	if (sscanf(s, "libbpf: prog '%63[^']': failed to load: %d", refused_program, &error) == 2)
		log_debug("%s", s);
	return 0;
}

/* What is to be loaded. */
struct load {
	enum probe_tier tier;
	struct btf *btf;
	const char *module; /* only what it brings, for the maps in use; NULL: all, for new maps */
};

static bool is_to_be_loaded(struct hook *h, const struct load *l)
{
	if (l->module &&
	    (!h->def->module || strcmp(h->def->module, l->module) != 0 || h->prog_fd >= 0))
		return false;
	return choose_is_wanted(h, l->tier, l->btf);
}

/* Returns how many there are. */
static size_t choose_programs(struct probe *p, const struct load *l, struct bpf_object *object)
{
	struct bpf_program *prog;
	struct hook *h;
	size_t n = 0;
	bool load;

	bpf_object__for_each_program (prog, object) {
		h = choose_hook_of(p, bpf_program__name(prog));
		load = h && is_to_be_loaded(h, l);
		bpf_program__set_autoload(prog, load);
		n += load;
	}
	return n;
}

size_t probe_map_entries(const struct probe *p, enum probe_map map)
{
	const struct probe_options *o = &p->options;

	switch (map) {
	case MAP_EVENTS:
		return o->ring_bytes;
	case MAP_DIRTY_RING:
		return o->dirty_ring_bytes;
	case MAP_WATCHED:
	case MAP_DIRTY:
		return o->max_watched;
	case MAP_COUNTERS:
	case MAP_ADDED:
		return o->max_containers;
	case MAP_ROOTS:
		return 8ul * o->max_containers;
	case MAP_OVERLAYS:
	case MAP_CGROUPS:
		return 4ul * o->max_containers;
	case MAP_CELLS:
		return probe_map_entries(p, MAP_TAGS) * DW_BUCKET_CELLS;
	case MAP_TAGS:
		return (o->max_files + DW_BUCKET_CELLS - 1) / DW_BUCKET_CELLS;
	case MAP_SLOTS:
		return (size_t)p->cpus * DW_SLOTS_PER_CPU;
	default:
		return 0;
	}
}

static int resize_maps(const struct probe *p, struct bpf_object *object)
{
	struct bpf_map *m;
	size_t entries;
	int i, err = 0;

	for (i = 0; i < MAP_MAX && !err; i++) {
		entries = probe_map_entries(p, i);
		m = bpf_object__find_map_by_name(object, map_names[i]);
		if (!m)
			return -ENOENT;
		if (entries)
			err = bpf_map__set_max_entries(m, (uint32_t)entries);
	}
	return err;
}

/* What the main object needs came with 5.13; bpf_rdonly_cast() with 6.2. */
static const void *choose_object(struct probe *p, const struct load *l, size_t *ret_size)
{
	p->is_old_kernel = !btf_has_enumerator(l->btf, "bpf_func_id", "BPF_FUNC_for_each_map_elem");
	p->uses_cast = !p->is_old_kernel && !p->cast_refused &&
		       choose_kernel_has(l->btf, "bpf_rdonly_cast");
	if (p->is_old_kernel)
		return opt_old_bpf__elf_bytes(ret_size);
	return p->uses_cast ? opt_cast_bpf__elf_bytes(ret_size)
			    : driftwatch_bpf__elf_bytes(ret_size);
}

static int open_object(struct probe *p, const struct load *l, struct bpf_object **ret)
{
	DECLARE_LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "driftwatch",
			    .btf_custom_path = p->options.btf_path);
	size_t size;
	const void *elf = choose_object(p, l, &size);

	*ret = bpf_object__open_mem(elf, size, &opts);
	if (!*ret)
		return -errno;
	return l->module ? module_share_maps(p, *ret) : resize_maps(p, *ret);
}

/* One try. -EAGAIN: a program was refused and noted, the others may do. */
static int try_load(struct probe *p, const struct load *l, struct bpf_object **ret)
{
	struct bpf_object *object = NULL;
	struct hook *h;
	int err;

	err = open_object(p, l, &object);
	if (!err && !choose_programs(p, l, object) && l->module)
		err = -ENOENT;
	if (err) {
		bpf_object__close(object);
		return err;
	}
	refused_program[0] = '\0';
	err = bpf_object__load(object);
	if (!err) {
		*ret = object;
		return 0;
	}
	bpf_object__close(object);
	if (p->uses_cast) {
		p->cast_refused = true; /* the main object does without */
		return -EAGAIN;
	}
	h = choose_hook_of(p, refused_program);
	if (!h)
		return err;
	probe_hooks_note(h, err, "refused by the kernel");
	return -EAGAIN;
}

/* Until the kernel takes what is left; the types are read again where @l has none. */
static int load_some(struct probe *p, struct load l, struct bpf_object **ret)
{
	const char *path = p->options.btf_path;
	struct btf *given = l.btf;
	int err = -EAGAIN, tries;

	if (path)
		l.btf = btf__parse(path, NULL);
	else if (!given)
		l.btf = btf__load_vmlinux_btf();
	if (!l.btf)
		return -ENOENT;
	libbpf_set_print(on_libbpf_text);
	for (tries = 0; tries < LOAD_TRIES && err == -EAGAIN; tries++)
		err = try_load(p, &l, ret);
	if (l.btf != given)
		btf__free(l.btf);
	return err == -EAGAIN ? -EOPNOTSUPP : err;
}

int probe_load_module(struct probe *p, const char *module, struct bpf_object **ret)
{
	return load_some(p, (struct load){.tier = p->tier, .module = module}, ret);
}

static int take_maps(struct probe *p)
{
	int i;

	for (i = 0; i < MAP_MAX; i++) {
		int fd = bpf_object__find_map_fd_by_name(p->object, map_names[i]);

		if (fd < 0)
			return fd;
		p->maps[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (p->maps[i] < 0)
			return -errno;
	}
	return 0;
}

static void attach_hook(struct probe *p, struct hook *h)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(p->object, h->def->program);
	const char *function = probe_hook_kretprobe(h);

	if (!prog && !h->public.why_not)
		probe_hooks_note(h, 0, "for other kernels");
	if (!prog || bpf_program__fd(prog) < 0)
		return;
	if (h->def->is_late) {
		probe_hook_defer(p, h, bpf_program__fd(prog));
		return;
	}
	h->prog_fd = bpf_program__fd(prog);
	h->link = function ? kretprobe_attach(prog, function) : bpf_program__attach(prog);
	if (!h->link) {
		probe_hooks_note(h, -errno, "refused by the kernel");
		return;
	}
	h->public.attached = true;
	p->sees |= h->def->sees;
}

int probe_attach_again(struct probe *p, struct hook *h)
{
	if (!p->object) /* adopted: only the pins had the program's name */
		return -ENOENT;
	attach_hook(p, h);
	if (!h->link)
		return h->public.error ? h->public.error : -ENOENT;
	return p->pin_dir ? pins_replace_link(p, h) : 0;
}

static void attach_all(struct probe *p)
{
	size_t i;

	for (i = 0; i < hook_def_count; i++)
		attach_hook(p, &p->hooks[i]);
	/* That variant of on_sys_exit leaves AIO out. */
	if (p->is_old_kernel && p->tier == PROBE_TIER_SYSCALL &&
	    !choose_hook_of(p, "on_aio_complete_old")->public.attached)
		p->sees &= ~SEES(AIO);
}

int probe_load(struct probe *p, enum probe_tier tier, struct btf *vmlinux, struct strbuf *error)
{
	struct load l = {.tier = tier, .btf = vmlinux};
	int err = load_some(p, l, &p->object);

	if (!err)
		err = take_maps(p);
	if (err) {
		probe_unload(p);
		if (error && err == -ENOENT)
			strbuf_addf(error, "no BTF of this kernel in %s",
				    p->options.btf_path ?: "/sys/kernel/btf/vmlinux");
		else if (error)
			strbuf_addf(error, "tier %s: %s", probe_tier_name(tier), strerror(-err));
		return err;
	}
	p->tier = tier;
	return 0;
}

/* After the maps have their first values: programs run from here on. */
int probe_attach(struct probe *p, struct strbuf *error)
{
	attach_all(p);
	if (p->sees & SEES(LAYER_WRITES))
		return 0;
	if (error)
		strbuf_addf(error, "tier %s: no hook for writes can be attached",
			    probe_tier_name(p->tier));
	return -EOPNOTSUPP;
}

void probe_unload(struct probe *p)
{
	size_t i;

	for (i = 0; i < hook_def_count; i++) {
		bpf_link__destroy(p->hooks[i].link);
		if (p->hooks[i].link && probe_hook_kretprobe(&p->hooks[i]))
			kretprobe_forget(probe_hook_kretprobe(&p->hooks[i]));
		if (p->hooks[i].is_adopted && p->hooks[i].prog_fd >= 0)
			close(p->hooks[i].prog_fd);
		p->hooks[i].is_adopted = false;
		p->hooks[i].link = NULL;
		p->hooks[i].public.attached = false;
		p->hooks[i].prog_fd = -1;
	}
	for (i = 0; i < MAP_MAX; i++) {
		if (p->maps[i] >= 0)
			close(p->maps[i]);
		p->maps[i] = -1;
	}
	p->sees = 0;
	bpf_object__close(p->object);
	p->object = NULL;
}

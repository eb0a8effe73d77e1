/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_module.c - programs for a module that was loaded after all others of ours were.
 *
 * libbpf loads an object once, so it is opened a second time, for these alone, and made to
 * use the maps of those that run: also those of an earlier agent, of which only some are
 * pinned. Links and descriptors are kept, the object is not.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/probe_internal.h"

#define MAPS_OF_PROGRAM 64 /* the kernel's limit for one program */

/* --- maps --- */

static int share_map(struct bpf_object *object, uint32_t id)
{
	auto_close int fd = bpf_map_get_fd_by_id(id);
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	struct bpf_map *map;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	map = bpf_object__find_map_by_name(object, info.name);
	return map && bpf_map__fd(map) < 0 ? bpf_map__reuse_fd(map, fd) : 0;
}

static int share_maps_of(struct bpf_object *object, int prog_fd)
{
	uint32_t ids[MAPS_OF_PROGRAM], len;
	struct bpf_prog_info info = {.nr_map_ids = MAPS_OF_PROGRAM, .map_ids = (uintptr_t)ids};
	int err = 0;

	len = sizeof(info);
	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len))
		return -errno;
	for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_OF_PROGRAM && !err; i++)
		err = share_map(object, ids[i]);
	return err;
}

int module_share_maps(const struct probe *p, struct bpf_object *object)
{
	struct bpf_map *map;
	int i, err = 0;

	for (i = 0; i < MAP_MAX && !err; i++) {
		map = bpf_object__find_map_by_name(object, probe_map_name(i));
		err = map ? bpf_map__reuse_fd(map, p->maps[i]) : -ENOENT;
	}
	/* What is known of tasks is in none of these. */
	for (size_t k = 0; k < hook_def_count && !err; k++)
		if (p->hooks[k].prog_fd >= 0)
			err = share_maps_of(object, p->hooks[k].prog_fd);
	return err;
}

/* --- programs --- */

static int attach(struct probe *p, struct hook *h, const struct bpf_program *prog)
{
	struct bpf_link *link = bpf_program__attach(prog);
	int fd = fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 3);

	if (!link || fd < 0) {
		int err = -errno;

		bpf_link__destroy(link);
		if (fd >= 0)
			close(fd);
		probe_hooks_note(h, err, "refused by the kernel");
		return err;
	}
	h->link = link;
	h->prog_fd = fd;
	h->is_adopted = true; /* the descriptor is ours to close */
	h->public.attached = true;
	p->sees |= h->def->sees;
	if (p->pin_dir && pins_add_link(p, h, bpf_link__fd(link)))
		log_warning("%s is not counted while no agent runs", h->def->name);
	return 0;
}

static void attach_all(struct probe *p, struct bpf_object *object)
{
	struct bpf_program *prog;
	struct hook *h;

	bpf_object__for_each_program (prog, object) {
		h = choose_hook_of(p, bpf_program__name(prog));
		if (h && bpf_program__fd(prog) >= 0)
			attach(p, h, prog);
	}
}

static struct hook *hook_of_module(struct probe *p, enum probe_sight sight)
{
	for (size_t i = 0; i < hook_def_count; i++)
		if (hook_defs[i].module && hook_defs[i].sees & 1u << sight)
			return &p->hooks[i];
	return NULL;
}

int module_attach(struct probe *p, enum probe_sight sight)
{
	struct hook *h = hook_of_module(p, sight);
	struct bpf_object *object = NULL;
	int err;

	if (!h || h->was_looked_for)
		return -EOPNOTSUPP;
	h->was_looked_for = true;
	err = probe_load_module(p, h->def->module, &object);
	if (!err)
		attach_all(p, object);
	bpf_object__close(object);
	memory_trim();
	if (probe_sees(p, sight)) {
		log_info("%s was loaded after the start, and is watched now", h->def->module);
		return 0;
	}
	log_warning("%s cannot be watched: %s%s%s", h->def->module, h->def->name,
		    h->public.why_not ? " is " : ": ", h->public.why_not ?: strerror(-err));
	return err ?: h->public.error ?: -EOPNOTSUPP;
}

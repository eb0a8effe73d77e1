/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_pins.c - maps and links under bpffs: counting goes on while no agent runs.
 *
 *	<pin_dir>/abi-2/map_<name>	<pin_dir>/abi-2/link_<program>
 *	<pin_dir>/abi-2/prog_<program>	of those that may be attached later
 *
 * bpffs takes no regular files, so the lock that tells of a live agent is on the
 * directory itself. Maps are pinned before links and removed after them: a set
 * with links is complete.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "kernel/probe_internal.h"

#define VERSION_PREFIX "abi-"

static void version_path(struct strbuf *out, const char *pin_dir)
{
	strbuf_addf(out, "%s/" VERSION_PREFIX "%d", pin_dir, DW_ABI_VERSION);
}

/* "<pin_dir>/abi-2/<kind>_<name>" into @out, replacing what it held. */
static const char *pin_path(struct strbuf *out, const char *pin_dir, const char *kind,
			    const char *name)
{
	strbuf_reset(out);
	version_path(out, pin_dir);
	strbuf_addf(out, "/%s_%s", kind, name);
	return strbuf_str(out);
}

/* Returns the descriptor that holds the lock, -EBUSY, or -errno. */
static int lock_dir(const char *pin_dir)
{
	auto_close int fd = open(pin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return take_fd(&fd);
}

static bool is_other_version(const char *name)
{
	char ours[16];

	snprintf(ours, sizeof(ours), VERSION_PREFIX "%d", DW_ABI_VERSION);
	return !strncmp(name, VERSION_PREFIX, strlen(VERSION_PREFIX)) && strcmp(name, ours) != 0;
}

static bool has_other_version(const char *pin_dir)
{
	auto_closedir DIR *dir = opendir(pin_dir);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_other_version(entry->d_name))
			return true;
	return false;
}

int pins_lock(struct probe *p, struct strbuf *error)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	int fd, err;

	version_path(&path, p->pin_dir);
	err = file_make_dirs(p->pin_dir, 0700);
	fd = err ? err : lock_dir(p->pin_dir);
	if (fd == -EBUSY && error)
		strbuf_addf(error, "another agent is running with %s", p->pin_dir);
	else if (fd < 0 && error)
		strbuf_addf(error, "%s: %s", p->pin_dir, strerror(-fd));
	if (fd < 0)
		return fd;
	p->lock_fd = fd;
	if (!has_other_version(p->pin_dir))
		return 0;
	if (error)
		strbuf_addf(error, "%s holds the pins of another version of driftwatch",
			    p->pin_dir);
	return -EEXIST;
}

/* --- taking over --- */

static int adopt_map(struct probe *p, enum probe_map map, size_t entries)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(pin_path(&path, p->pin_dir, "map", probe_map_name(map)));

	if (fd < 0)
		return -errno;
	p->maps[map] = fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	return entries && info.max_entries != entries ? -ESTALE : 0;
}

static int adopt_maps(struct probe *p)
{
	int i, err = 0;

	for (i = 0; i < MAP_MAX && !err; i++)
		err = adopt_map(p, i, probe_map_entries(p, i));
	return err;
}

static int program_of_link(const struct bpf_link *link)
{
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &len))
		return -errno;
	return bpf_prog_get_fd_by_id(info.prog_id);
}

struct bpf_link *pins_open_link(const struct probe *p, const struct hook *h)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	return bpf_link__open(pin_path(&path, p->pin_dir, "link", h->def->program));
}

static bool adopt_late(struct probe *p, struct hook *h)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	int fd = bpf_obj_get(pin_path(&path, p->pin_dir, "prog", h->def->program));

	if (fd < 0)
		return false;
	probe_hook_defer(p, h, fd);
	h->is_adopted = true;
	return true;
}

static void adopt_hook(struct probe *p, struct hook *h, uint32_t *links)
{
	struct bpf_link *link = pins_open_link(p, h);

	if (!link && h->def->is_late && adopt_late(p, h))
		return;
	if (!link) {
		probe_hooks_note(h, 0, "not attached by the agent before");
		return;
	}
	h->link = link;
	h->prog_fd = program_of_link(link);
	h->is_adopted = true;
	h->public.attached = true;
	p->sees |= h->def->sees;
	(*links)++;
}

int pins_adopt(struct probe *p)
{
	struct dw_control control;
	uint32_t zero = 0, links = 0;
	size_t i;
	int err = adopt_maps(p);

	if (!err && bpf_map_lookup_elem(p->maps[MAP_CONTROL], &zero, &control))
		err = -errno;
	if (!err && p->options.tier != PROBE_TIER_AUTO && control.tier != p->options.tier)
		err = -ESTALE;
	if (!err) {
		p->tier = control.tier;
		for (i = 0; i < hook_def_count; i++)
			adopt_hook(p, &p->hooks[i], &links);
		if (links == control.links && p->sees & SEES(LAYER_WRITES)) {
			p->was_adopted = true;
			return 0;
		}
		err = -ENOLINK;
	}
	probe_unload(p);
	return err;
}

/* --- making --- */

static int pin_maps(struct probe *p)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	int i;

	for (i = 0; i < MAP_MAX; i++)
		if (bpf_obj_pin(p->maps[i], pin_path(&path, p->pin_dir, "map", probe_map_name(i))))
			return -errno;
	return 0;
}

int pins_add_link(struct probe *p, const struct hook *h, int link_fd)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	if (bpf_obj_pin(link_fd, pin_path(&path, p->pin_dir, "link", h->def->program)))
		return -errno;
	p->control->links++;
	return 0;
}

/* Not fatal: the next agent then has no such hook to attach, and says so. */
static void pin_late(struct probe *p, const struct hook *h)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;

	if (h->prog_fd >= 0 &&
	    bpf_obj_pin(h->prog_fd, pin_path(&path, p->pin_dir, "prog", h->def->program)))
		log_debug("%s cannot be pinned: %s", h->def->program, strerror(errno));
}

/*
 * Links of kprobes cannot be pinned before 5.15: those hooks end with the agent. They are
 * counted all the same, so that the next agent does not take the others for all there were.
 */
static void pin_links(struct probe *p)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct hook *h;
	size_t i;
	int err;

	for (i = 0; i < hook_def_count; i++) {
		h = &p->hooks[i];
		if (h->def->is_late)
			pin_late(p, h);
		if (!h->link)
			continue;
		p->control->links++;
		err = bpf_link__pin(h->link, pin_path(&path, p->pin_dir, "link", h->def->program));
		if (err)
			log_warning("%s is not counted while no agent runs: %s", h->def->name,
				    strerror(-err));
	}
}

int pins_replace_link(struct probe *p, const struct hook *h)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	const char *name = pin_path(&path, p->pin_dir, "link", h->def->program);

	unlink(name);
	return bpf_link__pin(h->link, name);
}

int pins_make(struct probe *p)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	int err;

	version_path(&path, p->pin_dir);
	if (mkdir(strbuf_str(&path), 0700) && errno != EEXIST)
		return -errno;
	err = pin_maps(p);
	if (!err)
		pin_links(p);
	return err;
}

/* --- removing --- */

/* Remove the names in @dir that begin with @prefix. Returns how many. */
static int remove_names(int dir_fd, const char *prefix)
{
	auto_close int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_closedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int n = 0;

	if (!dir)
		return 0;
	(void)take_fd(&fd);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, prefix, strlen(prefix)) &&
		    !unlinkat(dirfd(dir), entry->d_name, 0))
			n++;
	return n;
}

static int remove_version(int pin_fd, const char *name)
{
	auto_close int fd = openat(pin_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int links;

	if (fd < 0)
		return 0;
	links = remove_names(fd, "link_");
	remove_names(fd, "prog_");
	remove_names(fd, "map_");
	unlinkat(pin_fd, name, AT_REMOVEDIR);
	return links;
}

static int remove_all(const char *pin_dir)
{
	auto_closedir DIR *dir = opendir(pin_dir);
	const struct dirent *entry;
	int links = 0;

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, VERSION_PREFIX, strlen(VERSION_PREFIX)))
			links += remove_version(dirfd(dir), entry->d_name);
	return links;
}

void pins_remove(struct probe *p)
{
	remove_all(p->pin_dir);
	rmdir(p->pin_dir);
}

void pins_remove_version(struct probe *p)
{
	remove_all(p->pin_dir);
}

int probe_unpin(const char *pin_dir)
{
	auto_close int lock = lock_dir(pin_dir);
	int links;

	if (lock == -ENOENT)
		return 0;
	if (lock < 0)
		return lock;
	links = remove_all(pin_dir);
	rmdir(pin_dir);
	return links;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_late.c - hooks that tax those who have no container, attached when one needs them.
 *
 * The program is loaded with the others, and pinned, so that an agent that adopts the
 * pins can attach it as well.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kernel/probe_internal.h"

void probe_hook_defer(struct probe *p, struct hook *h, int prog_fd)
{
	h->prog_fd = prog_fd;
	p->sees |= h->def->sees;
	probe_hooks_note(h, 0, "attached when a layer needs it");
}

/* The object that has the program is the agent's before us. */
static int attach_adopted(struct probe *p, struct hook *h)
{
	auto_close int fd = bpf_raw_tracepoint_open(NULL, h->prog_fd);
	int err;

	if (fd < 0)
		return fd;
	err = pins_add_link(p, h, fd);
	if (err)
		return err;
	h->link = pins_open_link(p, h);
	return h->link ? 0 : -errno;
}

static int attach_loaded(struct probe *p, struct hook *h)
{
	h->link = bpf_program__attach(bpf_object__find_program_by_name(p->object, h->def->program));
	if (!h->link)
		return -errno;
	if (p->pin_dir && pins_add_link(p, h, bpf_link__fd(h->link)))
		log_warning("%s is not counted while no agent runs", h->def->name);
	return 0;
}

static int attach_late(struct probe *p, struct hook *h)
{
	int err;

	if (h->link)
		return 0;
	if (h->prog_fd < 0)
		return -EOPNOTSUPP;
	err = h->is_adopted ? attach_adopted(p, h) : attach_loaded(p, h);
	if (err) {
		p->sees &= ~h->def->sees;
		probe_hooks_note(h, err, "refused by the kernel");
		return err;
	}
	h->public.attached = true;
	probe_hooks_note(h, 0, NULL);
	return 0;
}

int probe_want(struct probe *p, enum probe_sight sight)
{
	size_t i;
	int err = probe_sees(p, sight) ? -EOPNOTSUPP : module_attach(p, sight);

	if (!probe_sees(p, sight))
		return err;
	for (i = 0; i < hook_def_count; i++) {
		if (!(hook_defs[i].sees & 1u << sight))
			continue;
		if (hook_defs[i].is_late)
			err = attach_late(p, &p->hooks[i]);
		else if (p->hooks[i].public.attached)
			err = 0;
		if (!err)
			return 0;
	}
	return err;
}

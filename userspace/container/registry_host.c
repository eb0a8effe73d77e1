/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_host.c - what the host has mounted, and what of that changed.
 *
 * Where the kernel tells mounts by number, a change costs what changed. mountinfo, whose
 * length goes with the number of containers, is read all the same, since a mount that was
 * moved shows there alone: so seldom that it takes a thousandth of the time, or a hundredth
 * when it is said that something changed and no number came or went.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "container/registry_internal.h"

/* Between two readings of mountinfo, as long as the last one took; when nothing was told. */
#define REST_PER_READING      1000
#define REST_WITHOUT_A_CHANGE 100

struct look {
	struct registry *r;
	struct mount_table_events events;
	unsigned changes;
};

static void on_gone(const struct host_mount *m, void *arg)
{
	struct look *look = arg;

	look->changes++;
	if (m->is_overlay_root && !host_mounts_has_overlay(&look->r->host, m->dev))
		mount_table_lose(&look->r->mounts, m->dev);
}

static int on_new(const struct mountinfo_line *line, void *arg)
{
	struct look *look = arg;

	look->changes++;
	return mount_table_take(&look->r->mounts, line, &look->events);
}

static int look_by_number(struct registry *r, unsigned *ret_changes)
{
	struct look look = {r, mounts_events(r), 0};
	struct mount_ids_events events = {on_gone, on_new, &look};
	int err = mount_ids_look(r->ids, &r->host, &events);

	mount_table_settle(&r->mounts, &look.events);
	*ret_changes = look.changes;
	return err;
}

static void owe_reading(struct registry *r, unsigned rest)
{
	uint64_t due_ns = r->mounts_read_ns + rest * r->mounts_took_ns;

	if (due_ns < r->mounts_due_ns)
		r->mounts_due_ns = due_ns;
}

static void stop_numbers(struct registry *r)
{
	r->ids = mount_ids_close(r->ids);
	host_mounts_done(&r->host);
}

static int leave_alone(const struct mountinfo_line *line, void *arg)
{
	(void)line;
	(void)arg;
	return 0;
}

/* Any may have been moved, so all are asked anew; the overlays are told by mountinfo. */
static void read_numbers(struct registry *r)
{
	struct mount_ids_events events = {.on_new = leave_alone};

	host_mounts_done(&r->host);
	if (r->ids && mount_ids_look(r->ids, &r->host, &events))
		stop_numbers(r);
}

/* A kernel that says of a mount something else than its mountinfo is not believed again. */
static void check_numbers(struct registry *r)
{
	const struct host_mount *m;
	const struct super *s;
	bool agree = true;

	for (size_t i = 0; r->ids && i < r->host.len && agree; i++) {
		m = &r->host.all[i];
		s = m->is_overlay_root ? mount_table_find(&r->mounts, m->dev) : NULL;
		agree = !m->is_overlay_root || (s && (mount_table_is_at(s, m->mount_point) ||
						      s->mount_points_len == MOUNT_POINTS_MAX));
	}
	if (agree)
		return;
	if (!watch_mounts_changed(r->watch))
		stop_numbers(r);
	else
		owe_reading(r, REST_WITHOUT_A_CHANGE); /* unmounted between the two */
}

static int read_all(struct registry *r)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	struct mount_table_events events = mounts_events(r);
	uint64_t start_ns = clock_mono_ns();
	int err;

	r->mounts_due_ns = UINT64_MAX;
	read_numbers(r);
	err = watch_read_mounts(r->watch, &text);
	if (!err && text.len)
		err = mount_table_update(&r->mounts, text.data, &events, r->ids ? NULL : &r->host);
	if (err) {
		r->mount_errors++;
		source_set(&r->mount_error, strerror(-err));
	}
	r->are_mounts_read = !err;
	r->mounts_read_ns = clock_mono_ns();
	r->mounts_took_ns = r->mounts_read_ns - start_ns;
	if (!err)
		check_numbers(r);
	return err;
}

/* False: it has to be read. */
static bool take_changes(struct registry *r)
{
	unsigned changes;

	if (!r->ids || !r->are_mounts_read)
		return false;
	if (look_by_number(r, &changes)) {
		stop_numbers(r);
		return false;
	}
	owe_reading(r, changes ? REST_PER_READING : REST_WITHOUT_A_CHANGE);
	return true;
}

int mounts_look(struct registry *r, bool force)
{
	bool changed = watch_mounts_changed(r->watch);

	if (changed && !force && take_changes(r))
		changed = false;
	if (force || changed || r->mounts_due_ns <= clock_mono_ns())
		return read_all(r);
	return 0;
}

const struct host_mounts *registry_host_mounts(struct registry *r)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	/* The runtimes' files are read first. */
	if (!r->host.len && !watch_read_mounts(r->watch, &text) && text.len)
		host_mounts_parse(text.data, &r->host);
	return &r->host;
}

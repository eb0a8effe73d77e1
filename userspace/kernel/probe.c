/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe.c - opening, draining and closing; the rest is in probe_*.c beside it.
 */
#include "kernel/probe.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kernel/probe_internal.h"

static size_t power_of_two(size_t n)
{
	size_t p = 4096;

	while (p < n && p < (1ul << 31))
		p <<= 1;
	return p;
}

static void set_defaults(struct probe_options *o)
{
	/* The first is nobody's, the last the self-test's. */
	o->max_containers = (o->max_containers ?: 1024) + 2;
	o->max_watched = (unsigned)power_of_two(o->max_watched ?: 262144);
	o->max_files = o->max_files ?: 122880;
	o->ring_bytes = power_of_two(o->ring_bytes ?: 2u << 20);
	o->dirty_ring_bytes = power_of_two(o->dirty_ring_bytes ?: 2u << 20);
}

static int on_record(void *arg, const void *data, size_t size)
{
	struct probe *p = arg;
	struct probe_record record;

	if (probe_decode(data, size, &record)) {
		p->records_malformed++;
		return 0; /* a bad record must not stop the ring */
	}
	p->records_received++;
	p->fn(&record, p->fn_arg);
	return --p->fn_left > 0 ? 0 : -ECANCELED;
}

static int open_rings(struct probe *p)
{
	static const enum probe_map maps[] = {
		[RING_DIRTY] = MAP_DIRTY_RING, [RING_EVENTS] = MAP_EVENTS};
	int err = 0;

	p->rings_fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->rings_fd < 0)
		return -errno;
	for (int i = 0; i < RING_MAX && !err; i++)
		err = ring_open(p->maps[maps[i]], probe_map_entries(p, maps[i]), p->rings_fd,
				&p->rings[i]);
	err = err ?: ring_open(p->maps[MAP_URGENT], 0, -1, &p->urgent);
	return err;
}

static void close_rings(struct probe *p)
{
	for (int i = 0; i < RING_MAX; i++)
		ring_close(&p->rings[i]);
	ring_close(&p->urgent);
	if (p->rings_fd >= 0)
		close(p->rings_fd);
}

static int set_first_values(struct probe *p)
{
	if (p->was_adopted) {
		p->containers_seen = p->options.max_containers;
		slots_repair(p);
		probe_set_heard(p, false); /* who listened to the last agent */
		return control_note_stale(p) ?: cells_repair(p);
	}
	return control_init(p);
}

/* Pinning is not worth failing for: without it there is a gap when no agent runs. */
static void pin(struct probe *p)
{
	int err;

	if (!p->pin_dir || p->was_adopted)
		return;
	err = pins_make(p);
	if (!err)
		return;
	log_warning("%s: %s; nothing is counted while no agent runs", p->pin_dir, strerror(-err));
	pins_remove(p);
}

static int start(struct probe *p, struct strbuf *error)
{
	int err = 0;

	err = err ?: maps_map(p);
	err = err ?: set_first_values(p);
	err = err ?: watch_init(p);
	err = err ?: open_rings(p);
	if (err && error)
		strbuf_addf(error, "setting up the maps: %s", strerror(-err));
	if (!err && !p->was_adopted)
		err = probe_attach(p, error);
	if (!err)
		pin(p);
	return err;
}

static void stop(struct probe *p)
{
	close_rings(p);
	control_forget_stale(p, false);
	watch_done(p);
	maps_unmap(p);
	probe_unload(p);
}

struct probe *probe_close(struct probe *p, bool keep_pins)
{
	if (!p)
		return NULL;
	if (p->pin_dir && p->lock_fd >= 0 && !keep_pins)
		pins_remove(p);
	stop(p);
	if (p->lock_fd >= 0)
		close(p->lock_fd);
	free(p->hooks);
	free(p->uppers);
	free(p->adopting);
	free(p->pin_dir);
	strbuf_done(&p->self_test_text);
	free(p);
	return NULL;
}

static void probe_closep(struct probe **p)
{
	probe_close(*p, true); /* what could not be opened was not ours to remove */
}

static struct probe *probe_new(const struct probe_options *options)
{
	struct probe *p = calloc(1, sizeof(*p));
	int i;

	if (!p)
		return NULL;
	for (i = 0; i < MAP_MAX; i++)
		p->maps[i] = -1;
	p->lock_fd = p->rings_fd = -1;
	p->options = *options;
	set_defaults(&p->options);
	p->cpus = (unsigned)libbpf_num_possible_cpus();
	p->containers_seen = 1; /* 0 is nobody */
	p->hooks = calloc(hook_def_count, sizeof(*p->hooks));
	p->uppers = calloc(p->options.max_containers, sizeof(*p->uppers));
	p->adopting = calloc(p->options.max_containers, sizeof(*p->adopting));
	if (options->pin_dir)
		p->pin_dir = strdup(options->pin_dir);
	if (!p->hooks || !p->uppers || !p->adopting || (options->pin_dir && !p->pin_dir))
		return probe_close(p, false);
	probe_hooks_init(p);
	return p;
}

/* Counting while an agent runs is better than not at all. */
static int go_without_pins(struct probe *p, int err, struct strbuf *error)
{
	log_warning("%s: %s: running without pins, so what happens while no agent runs is not "
		    "counted",
		    p->pin_dir, strerror(-err));
	if (error)
		strbuf_reset(error);
	free(p->pin_dir);
	p->pin_dir = NULL;
	return -ENODATA;
}

static int adopt(struct probe *p, struct strbuf *error)
{
	int err = pins_lock(p, error);

	if (err == -EROFS || err == -EACCES || err == -EPERM)
		return go_without_pins(p, err, error);
	if (err)
		return err;
	err = pins_adopt(p);
	if (!err)
		return 0;
	if (err == -ESTALE)
		log_warning("%s: other sizes or another tier; counting starts again", p->pin_dir);
	if (err == -ENOLINK)
		log_warning("%s: some programs are not attached any more; counting starts again",
			    p->pin_dir);
	pins_remove_version(p);
	return -ENODATA;
}

/* What can be told without loading everything. */
static int check_tier(enum probe_tier tier, const struct btf *vmlinux, struct strbuf *error)
{
	const char *why = NULL;
	int err = -EOPNOTSUPP;

	if (!vmlinux) {
		why = "the kernel shows no BTF, the types of its structures, in /sys/kernel/btf";
		err = -ENOENT;
	} else if (!kernel_can_load(vmlinux)) {
		why = "BPF programs cannot be loaded (CAP_BPF and CAP_PERFMON are needed)";
		err = -EPERM;
	} else if (tier == PROBE_TIER_VFS_FEXIT && !kernel_has_trampoline(vmlinux)) {
		why = "tier vfs-fexit: the kernel refuses fexit programs";
	} else if (tier == PROBE_TIER_VFS_KPROBE && !kernel_has_kprobe()) {
		why = "tier vfs-kprobe: the kernel has no kprobes";
	}
	if (!why)
		return 0;
	if (error)
		strbuf_adds(error, why);
	return err;
}

static int open_tier(const struct probe_options *options, enum probe_tier tier, struct btf *vmlinux,
		     struct strbuf *error, struct probe **ret)
{
	auto_release(probe_closep) struct probe *p = probe_new(options);
	int err = -ENODATA;

	if (!p)
		return -ENOMEM;
	if (p->pin_dir)
		err = adopt(p, error);
	if (err == -ENODATA) {
		err = check_tier(tier, vmlinux, error);
		if (!err)
			err = probe_load(p, tier, vmlinux, error);
	}
	if (!err)
		err = start(p, error);
	if (err)
		return err;
	if (options->scratch_dir)
		probe_self_test(p, options->scratch_dir);
	*ret = take_ptr(&p);
	return 0;
}

/* Attached, and yet a write was not seen. */
static bool is_blind(const struct probe *p)
{
	return p->self_test == PROBE_SELF_TEST_FAILED && !(p->sees & SEES(LAYER_WRITES));
}

static int open_some_tier(const struct probe_options *options, struct btf *vmlinux,
			  struct strbuf *error, struct probe **ret)
{
	enum probe_tier order[] = {PROBE_TIER_VFS_FEXIT, PROBE_TIER_VFS_KPROBE, PROBE_TIER_FS,
				   PROBE_TIER_SYSCALL};
	size_t i;
	int err = -EOPNOTSUPP;

	if (options->tier != PROBE_TIER_AUTO)
		return open_tier(options, options->tier, vmlinux, error, ret);
	if (kernel_preempts_itself()) {
		order[0] = PROBE_TIER_VFS_KPROBE;
		order[1] = PROBE_TIER_VFS_FEXIT;
	}
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (error)
			strbuf_reset(error);
		err = open_tier(options, order[i], vmlinux, error, ret);
		if (!err && is_blind(*ret) && i + 1 < sizeof(order) / sizeof(order[0])) {
			*ret = probe_close(*ret, false);
			continue;
		}
		if (!err || err == -EPERM || err == -ENOENT || err == -EBUSY || err == -EEXIST)
			break;
	}
	return err;
}

int probe_open(const struct probe_options *options, struct strbuf *error, struct probe **ret)
{
	struct btf_stage stage;
	struct btf *vmlinux;
	int err;

	libbpf_set_print(NULL); /* what matters of it is said in @error */
	err = btf_stage_enter(options->btf_path, error, &stage);
	if (err)
		return err;
	vmlinux = btf__load_vmlinux_btf(); /* once: it takes longer than many a program */
	err = open_some_tier(options, vmlinux, error, ret);
	btf__free(vmlinux);
	btf_stage_leave(&stage);
	return err;
}

bool probe_was_adopted(const struct probe *p)
{
	return p->was_adopted;
}

enum probe_tier probe_tier(const struct probe *p)
{
	return p->tier;
}

bool probe_sees(const struct probe *p, enum probe_sight sight)
{
	return p->sees & 1u << sight;
}

int probe_fd(const struct probe *p)
{
	return p->rings_fd;
}

int probe_urgent_fd(const struct probe *p)
{
	return p->urgent.fd;
}

void probe_take_urge(struct probe *p)
{
	ring_skip(&p->urgent);
}

void probe_note_moment(const struct probe *p, struct probe_moment *ret)
{
	_Static_assert(sizeof(ret->ends) == RING_MAX * sizeof(ret->ends[0]), "one of each ring");
	for (int i = 0; i < RING_MAX; i++)
		ret->ends[i] = ring_end(&p->rings[i]);
}

bool probe_has_told(const struct probe *p, const struct probe_moment *then)
{
	for (int i = 0; i < RING_MAX; i++)
		if (!ring_is_read_to(&p->rings[i], then->ends[i]))
			return false;
	return true;
}

int probe_drain(struct probe *p, int max, probe_record_fn fn, void *arg)
{
	int err = 0;

	if (max <= 0)
		return 0;
	p->fn = fn;
	p->fn_arg = arg;
	p->fn_left = max;
	/* What urges from now on is not read for certain. */
	__atomic_store_n(&p->control->is_urged, 0, __ATOMIC_SEQ_CST);
	for (int i = 0; i < RING_MAX && !err; i++) /* the dirty ones first */
		err = ring_consume(&p->rings[i], on_record, p);
	if (err < 0 && err != -ECANCELED)
		return err;
	return max - p->fn_left;
}

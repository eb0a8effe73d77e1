/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fake_probe.h - a kernel side that reports what a test wrote down.
 */
#ifndef FAKE_PROBE_H
#define FAKE_PROBE_H

#include <errno.h>
#include <string.h>

#include "container/registry.h"
#include "kernel/probe.h"

#define FAKE_SLOTS 4

struct probe {
	uint64_t sees; /* 1u << enum probe_sight */
	struct probe_health health;
	struct dw_counters slots[FAKE_SLOTS];
	struct probe_program programs[4];
	size_t programs_len;
	struct probe_hook hook;
	enum probe_self_test self_test;
	const char *self_test_text;
};

struct registry {
	struct registry_source sources[4];
	size_t sources_len;
};

bool probe_sees(const struct probe *p, enum probe_sight sight)
{
	return p->sees & 1ull << sight;
}

enum probe_tier probe_tier(const struct probe *p)
{
	(void)p;
	return PROBE_TIER_FS;
}

const char *probe_tier_name(enum probe_tier tier)
{
	return tier == PROBE_TIER_FS ? "fs" : "other";
}

int probe_tier_parse(const char *text, enum probe_tier *ret)
{
	*ret = PROBE_TIER_FS;
	return !strcmp(text, "fs") || !strcmp(text, "auto") ? 0 : -EINVAL;
}

const char *probe_sight_name(enum probe_sight sight)
{
	static const char *const names[PROBE_SEES_MAX] = {
		"layer_writes",	 "volume_writes", "tmpfs_writes",    "other_writes",
		"writev",	 "splice",	  "copy_file_range", "reflink",
		"aio",		 "io_uring",	  "uring_splice",    "direct_io",
		"copy_up_bytes", "mmap_pages",	  "dirty_ext4",	     "dirty_ext4_xattr",
		"dirty_xfs",	 "create",	  "unlink",	     "rename",
		"link",		 "attr",	  "truncate",	     "exec",
		"cgroups",
	};

	return names[sight];
}

enum probe_self_test probe_self_test_result(const struct probe *p, const char **ret_text)
{
	if (ret_text)
		*ret_text = p->self_test_text ? p->self_test_text : "";
	return p->self_test;
}

const char *probe_self_test_name(enum probe_self_test result)
{
	static const char *const names[] = {"not_run", "passed", "failed"};

	return names[result];
}

const char *probe_libbpf_version(void)
{
	return "1.1";
}

bool probe_was_adopted(const struct probe *p)
{
	(void)p;
	return false;
}

int probe_read_health(const struct probe *p, struct probe_health *ret)
{
	*ret = p->health;
	return 0;
}

int probe_read_counters(const struct probe *p, dw_container_t c, struct dw_counters *ret)
{
	if (c >= FAKE_SLOTS)
		return -ENOENT;
	*ret = p->slots[c];
	return 0;
}

int probe_foreach_counters(const struct probe *p, probe_counters_fn fn, void *arg)
{
	for (dw_container_t c = 0; c < FAKE_SLOTS; c++)
		fn(c, &p->slots[c], arg);
	return 0;
}

void probe_foreach_program(const struct probe *p, void (*fn)(const struct probe_program *, void *),
			   void *arg)
{
	for (size_t i = 0; i < p->programs_len; i++)
		fn(&p->programs[i], arg);
}

void probe_foreach_hook(const struct probe *p, void (*fn)(const struct probe_hook *, void *),
			void *arg)
{
	if (p->hook.name)
		fn(&p->hook, arg);
}

void registry_foreach_source(const struct registry *r,
			     void (*fn)(const struct registry_source *, void *), void *arg)
{
	for (size_t i = 0; i < r->sources_len; i++)
		fn(&r->sources[i], arg);
}

#endif /* FAKE_PROBE_H */

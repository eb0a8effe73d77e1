/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * daemon_pins.c - one directory on bpffs per state directory, so that agents of
 * different state do not adopt each other's counters.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "agent/daemon_internal.h"
#include "base/log.h"

#define BPF_FS_MAGIC_NUMBER 0xcafe4a11
#define BPF_FS		    "/sys/fs/bpf"

int daemon_pin_dir(const struct config *config, struct strbuf *out)
{
	auto_free char *resolved = realpath(config->state_dir, NULL);
	const char *path = resolved ? resolved : config->state_dir;
	uint64_t hash = 14695981039346656037ull;

	if (config->pin_dir) {
		strbuf_adds(out, config->pin_dir);
	} else {
		for (; *path; path++)
			hash = (hash ^ (unsigned char)*path) * 1099511628211ull; /* FNV-1a */
		strbuf_addf(out, BPF_FS "/driftwatch/%016" PRIx64, hash);
	}
	return strbuf_failed(out) ? -ENOMEM : 0;
}

/* The nearest directory that exists above @path is on bpffs. */
static bool is_on_bpffs(const char *path)
{
	auto_free char *copy = strdup(path);
	struct statfs fs;

	while (copy && *copy) {
		char *slash = strrchr(copy, '/');

		if (statfs(copy, &fs) == 0)
			return (uint32_t)fs.f_type == BPF_FS_MAGIC_NUMBER;
		if (!slash)
			break;
		*slash = '\0';
	}
	return false;
}

int daemon_choose_pin_dir(struct agent *a)
{
	auto_strbuf struct strbuf dir = STRBUF_INIT;

	if (a->config->no_pin)
		return 0;
	if (daemon_pin_dir(a->config, &dir))
		return -ENOMEM;
	if (!is_on_bpffs(strbuf_str(&dir))) {
		log_warning("%s is not on a BPF file system: running without pins, so what "
			    "happens while no agent runs is not counted (mount -t bpf bpf " BPF_FS
			    ", or give --no-pin)",
			    strbuf_str(&dir));
		return 0;
	}
	a->pin_dir = strbuf_take(&dir);
	return a->pin_dir ? 0 : -ENOMEM;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libbpf_version.c - which libbpf this program runs with.
 */
#include <bpf/libbpf.h>

#include "kernel/probe.h"

const char *probe_libbpf_version(void)
{
	const char *version = libbpf_version_string(); /* "v1.1" */

	return *version == 'v' ? version + 1 : version;
}

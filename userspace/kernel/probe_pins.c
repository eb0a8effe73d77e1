/* SPDX-License-Identifier: GPL-2.0-only */
#include "kernel/probe_internal.h"
#include <errno.h>
int probe_unpin(const char *pin_dir)
{
	(void)pin_dir;
	return -ENOENT;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_preempt.c - whether the kernel may take the processor from a task inside the kernel.
 *
 * Programs at function exits can be interrupted there, and all runs of the same program by
 * other tasks are skipped until the first goes on: tens of percent where many tasks write
 * on one processor (tests/vm/scenario_preempt). Programs of kprobes cannot; they are skipped
 * only while a system call on a map (ours, mostly) is interrupted: see bpf_prog_active.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/strbuf.h"
#include "kernel/probe_internal.h"

#define TEXT_MAX 4096

bool preemption_is_full(const char *modes, const char *arguments, const char *version)
{
	if (modes) /* "none voluntary (full)" */
		return strstr(modes, "(full)") != NULL;
	if (!strstr(version, "PREEMPT")) /* "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2" */
		return false;
	return !strstr(version, "PREEMPT_DYNAMIC") || strstr(arguments, "preempt=full");
}

bool kernel_preempts_itself(void)
{
	auto_strbuf struct strbuf modes = STRBUF_INIT, arguments = STRBUF_INIT;
	bool has_modes = !file_read(AT_FDCWD, "/sys/kernel/debug/sched/preempt", TEXT_MAX, &modes);
	struct utsname name;

	file_read(AT_FDCWD, "/proc/cmdline", TEXT_MAX, &arguments);
	return !uname(&name) && preemption_is_full(has_modes ? strbuf_str(&modes) : NULL,
						   strbuf_str(&arguments), name.version);
}

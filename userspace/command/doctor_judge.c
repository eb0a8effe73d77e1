/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * doctor_judge.c - what the facts mean for the user, and what to do about each.
 */
#include "command/doctor.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "command/render_value.h"
#include "view/view.h"

void doctor_add_finding(json_t *report, const char *level, const char *todo, const char *fmt, ...)
{
	auto_strbuf struct strbuf what = STRBUF_INIT;
	json_t *finding = json_object();
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&what, fmt, ap);
	va_end(ap);
	json_object_set_new(finding, "level", json_string(level));
	view_set_bytes(finding, "what", strbuf_str(&what), what.len);
	json_object_set_new(finding, "todo", json_string(todo));
	json_array_append_new(json_object_get(report, "findings"), finding);
}

/* --- can it work at all? */

static bool has_capability(const json_t *report, const char *name)
{
	return value_is_true(value_at(report, "capabilities"), name) ||
	       value_is_true(value_at(report, "capabilities"), "CAP_SYS_ADMIN");
}

/* Without an agent to ask, what is missing for an engine of our own. */
static int judge_trial(json_t *report)
{
	uint64_t number = 0;

	value_number(report, "trial.errno", &number);
	if (!has_capability(report, "CAP_BPF") || !has_capability(report, "CAP_PERFMON")) {
		doctor_add_finding(
			report, "error",
			"run it as root, or start 'driftwatch agent' as a service and join the "
			"group of its socket",
			"BPF programs may not be loaded: CAP_BPF and CAP_PERFMON are missing");
		return EXIT_CODE_PERMISSION;
	}
	if (value_is_false(report, "kernel.btf")) {
		doctor_add_finding(report, "error",
				   "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian's and "
				   "Ubuntu's have it since 5.10), or give the agent its types with "
				   "--btf, if they are only hidden here",
				   "the kernel shows no BTF: /sys/kernel/btf/vmlinux is missing");
		return EXIT_CODE_KERNEL;
	}
	doctor_add_finding(
		report, "error",
		"the hooks below say what each needs; a kernel from 5.8 on without a lockdown "
		"policy against BPF has them",
		"the kernel side cannot be loaded: %s", value_string(report, "trial.error"));
	return number == EPERM || number == EACCES ? EXIT_CODE_PERMISSION : EXIT_CODE_KERNEL;
}

static void judge_agent(json_t *report)
{
	if (value_is_true(report, "agent.answers")) {
		if (value_is_false(report, "ready"))
			doctor_add_finding(report, "info", "wait for its first inventory to end",
					   "the agent is not ready yet");
		return;
	}
	doctor_add_finding(
		report, "info",
		"start 'driftwatch agent' (systemctl start driftwatch) to have counters that "
		"last; without it, commands look for themselves",
		"no agent answers at %s (%s)", value_string(report, "agent.socket"),
		value_string(report, "agent.error"));
}

/* --- what is not as it should be */

/* What the agent lost so far; totals are exact whatever is here. */
static void judge_health(json_t *report)
{
	uint64_t lost = 0, missed = 0, refused = 0;

	value_number(report, "health.records_lost", &lost);
	value_number(report, "health.runs_missed", &missed);
	value_number(report, "health.containers_refused", &refused);
	if (lost)
		doctor_add_finding(
			report, "info", "nothing: totals are exact, and the layers were re-read",
			"%llu records did not reach the agent since its start: the ring was full",
			(unsigned long long)lost);
	if (missed)
		doctor_add_finding(
			report, "warning",
			"where the kernel preempts itself (preempt=full), --tier vfs-kprobe; "
			"else see which other program traces the same hooks (bpftool prog)",
			"the kernel skipped %llu runs of the agent's programs",
			(unsigned long long)missed);
	if (refused)
		doctor_add_finding(report, "warning", "give the agent a larger --max-containers",
				   "%llu containers are listed, but not counted",
				   (unsigned long long)refused);
}

static void judge_process(json_t *report)
{
	if (value_is_true(report, "agent.answers"))
		return;
	if (!has_capability(report, "CAP_SYS_PTRACE"))
		doctor_add_finding(
			report, "warning", "give it CAP_SYS_PTRACE",
			"mounts and executables of other users' processes cannot be read");
	if (!has_capability(report, "CAP_DAC_READ_SEARCH") &&
	    !value_is_true(report, "capabilities.CAP_DAC_OVERRIDE"))
		doctor_add_finding(report, "warning", "give it CAP_DAC_READ_SEARCH",
				   "layers and the runtimes' state files cannot be read");
	if (!value_is_true(report, "capabilities.CAP_SYS_ADMIN"))
		doctor_add_finding(
			report, "warning", "give it CAP_SYS_ADMIN",
			"opaque directories cannot be told: the kernel shows trusted.overlay.* "
			"to CAP_SYS_ADMIN only");
}

static void judge_kernel(json_t *report)
{
	if (value_is_false(report, "kernel.bpffs"))
		doctor_add_finding(
			report, "warning", "mount -t bpf bpf /sys/fs/bpf",
			"/sys/fs/bpf is not mounted: counters do not survive a restart of the "
			"agent");
	if (value_string(report, "cgroup") && !strcmp(value_string(report, "cgroup"), "v1"))
		doctor_add_finding(
			report, "warning",
			"mount a cgroup v2 hierarchy: systemd.unified_cgroup_hierarchy=1",
			"there is no cgroup v2 hierarchy: writers are named by process only");
}

static void judge_self_test(json_t *report)
{
	const char *result = value_string(report, "self_test.result");

	if (result && !strcmp(result, "failed"))
		doctor_add_finding(report, "warning",
				   "see what else traces this kernel (bpftool prog); --tier "
				   "chooses other hooks",
				   "attached hooks do not see what they should: %s",
				   value_string(report, "self_test.text"));
}

/* --- runtimes and storage */

static void judge_source(json_t *report, const json_t *source)
{
	const char *kind = value_string(source, "kind"), *root = value_string(source, "root");
	const char *found_by = value_string(source, "found_by");
	const char *error = value_string(source, "last_error");
	uint64_t errors = 0;

	if (!kind || !root)
		return;
	value_number(source, "errors", &errors);
	/* Usual places are looked at whether or not that runtime is installed. */
	if (found_by && !strcmp(found_by, "default") && !error)
		return;
	if (value_is_false(source, "readable"))
		doctor_add_finding(
			report, "warning",
			"make it readable to driftwatch: in a container, mount it beneath "
			"--host-root",
			"the storage of %s at %s cannot be read%s%s", kind, root, error ? ": " : "",
			error ? error : "");
	else if (errors)
		doctor_add_finding(report, "warning",
				   "containers in it may lack name or image; a damaged file is the "
				   "runtime's to repair",
				   "%llu state files of %s at %s could not be read%s%s",
				   (unsigned long long)errors, kind, root,
				   error ? ", the last: " : "", error ? error : "");
}

static bool has_live_lists(const json_t *report, const char *fs)
{
	const json_t *sees = value_at(report, "sees");

	if (!strcmp(fs, "ext4"))
		return !value_is_false(sees, "dirty_ext4");
	return !strcmp(fs, "xfs") && !value_is_false(sees, "dirty_xfs");
}

static bool has_runtime(const json_t *report)
{
	const json_t *source;
	size_t i;

	json_array_foreach (value_at(report, "sources"), i, source) {
		const char *kind = value_string(source, "kind");

		if (kind && strcmp(kind, "mountinfo") != 0 && strcmp(kind, "driftwatch") != 0 &&
		    value_is_true(source, "readable"))
			return true;
	}
	return false;
}

static void judge_storage(json_t *report)
{
	const json_t *entry;
	size_t i;

	if (value_string(report, "storage_error"))
		doctor_add_finding(report, "error",
				   "run it as root, with the host's /proc in reach",
				   "the containers of this machine cannot be listed: %s",
				   value_string(report, "storage_error"));
	json_array_foreach (value_at(report, "sources"), i, entry)
		judge_source(report, entry);
	if (value_at(report, "sources") && !has_runtime(report))
		doctor_add_finding(
			report, "info",
			"start one, or try 'driftwatch run'; one with unusual directories is "
			"named by agent --runtime-root",
			"no container runtime was found");
	json_array_foreach (value_at(report, "layers"), i, entry) {
		const char *fs = value_string(entry, "fs");

		if (fs && !has_live_lists(report, fs))
			doctor_add_finding(
				report, "info", "keep layers on ext4 or xfs to have live lists",
				"lists of the %lld containers on %s are as of a scan",
				(long long)json_integer_value(value_at(entry, "containers")), fs);
	}
	json_array_foreach (value_at(report, "unreadable"), i, entry)
		doctor_add_finding(report, "warning", "its counters are exact all the same",
				   "the layer of %s: %s", value_string(entry, "container"),
				   value_string(entry, "error"));
}

int doctor_judge(json_t *report)
{
	bool is_seen = value_string(report, "seen_by") != NULL;
	int code = EXIT_CODE_OK;

	json_object_set_new(report, "findings", json_array());
	if (!is_seen)
		code = judge_trial(report);
	judge_agent(report);
	judge_health(report);
	judge_process(report);
	judge_kernel(report);
	judge_self_test(report);
	doctor_judge_sights(report);
	judge_storage(report);
	json_object_set_new(report, "works", json_boolean(code == EXIT_CODE_OK));
	return code;
}

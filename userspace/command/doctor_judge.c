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

static void add_finding(json_t *report, const char *level, const char *todo, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add_finding(json_t *report, const char *level, const char *todo, const char *fmt, ...)
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
		add_finding(report, "error",
			    "run it as root, or start 'driftwatch agent' as a service and join the "
			    "group of its socket",
			    "BPF programs may not be loaded: CAP_BPF and CAP_PERFMON are missing");
		return EXIT_CODE_PERMISSION;
	}
	if (value_is_false(report, "kernel.btf")) {
		add_finding(report, "error",
			    "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian's and "
			    "Ubuntu's have it since 5.10)",
			    "the kernel has no BTF: /sys/kernel/btf/vmlinux is missing");
		return EXIT_CODE_KERNEL;
	}
	add_finding(report, "error",
		    "the hooks below say what each needs; a kernel from 5.8 on without a lockdown "
		    "policy against BPF has them",
		    "the kernel side cannot be loaded: %s", value_string(report, "trial.error"));
	return number == EPERM || number == EACCES ? EXIT_CODE_PERMISSION : EXIT_CODE_KERNEL;
}

static void judge_agent(json_t *report)
{
	if (value_is_true(report, "agent.answers")) {
		if (value_is_false(report, "ready"))
			add_finding(report, "info", "wait for its first inventory to end",
				    "the agent is not ready yet");
		return;
	}
	add_finding(report, "info",
		    "start 'driftwatch agent' (systemctl start driftwatch) to have counters that "
		    "last; without it, commands look for themselves",
		    "no agent answers at %s (%s)", value_string(report, "agent.socket"),
		    value_string(report, "agent.error"));
}

/* --- what it will not see */

struct sight_advice {
	const char *sight;
	const char *lost;
	const char *todo;
};

#define NOTHING_TO_DO "nothing to be done: there is no hook for it here"
#define NEEDS_FUNCTION_HOOKS                                                                    \
	"a kernel that lets BPF attach to functions sees all of that: fexit (x86-64 from 5.5, " \
	"arm64 from 6.0) or kprobes (CONFIG_KPROBES=y), not locked down"

static const struct sight_advice sight_advice[] = {
	{"layer_writes", "writes to layers are not counted", NEEDS_FUNCTION_HOOKS},
	{"volume_writes", "writes to volumes are not counted", NEEDS_FUNCTION_HOOKS},
	{"tmpfs_writes", "writes to tmpfs are not counted", NEEDS_FUNCTION_HOOKS},
	{"other_writes", "writes outside a container's mounts are not reported",
	 NEEDS_FUNCTION_HOOKS},
	{"io_uring", "writes by io_uring are not counted", NEEDS_FUNCTION_HOOKS},
	{"direct_io", "direct writes (O_DIRECT) are not counted", NEEDS_FUNCTION_HOOKS},
	{"copy_up_bytes", "bytes that overlayfs copies up are not counted", NEEDS_FUNCTION_HOOKS},
	{"mmap_pages",
	 "pages written through shared mappings are not counted; lists show the "
	 "files all the same",
	 NOTHING_TO_DO},
	{"dirty_ext4", "lists of layers on ext4 are not live, but as of a scan",
	 "a kernel with the tracepoints writeback_mark_inode_dirty and ext4_mark_inode_dirty in "
	 "the "
	 "kernel's BTF"},
	{"dirty_ext4_xattr", "capabilities set on files of a layer show up with the next scan",
	 "a kernel with the tracepoint ext4_journal_start_inode (5.18 or later)"},
	{"dirty_xfs", "lists of layers on xfs are not live, but as of a scan",
	 "a kernel with the tracepoints of xfs in the kernel's or the module's BTF"},
	{"create", "creations are told from the layer, not seen by a hook", NEEDS_FUNCTION_HOOKS},
	{"unlink", "removals are told from the layer, not seen by a hook", NEEDS_FUNCTION_HOOKS},
	{"rename", "renames are told from the layer, not seen by a hook", NEEDS_FUNCTION_HOOKS},
	{"link", "links are told from the layer, not seen by a hook", NEEDS_FUNCTION_HOOKS},
	{"attr",
	 "changes of mode, owner and attributes are told from the layer, not seen by a "
	 "hook",
	 NEEDS_FUNCTION_HOOKS},
	{"truncate", "truncations are told from the layer, not seen by a hook",
	 NEEDS_FUNCTION_HOOKS},
	{"exec", "executions of files of a layer are not reported",
	 "a kernel with the tracepoint sched_process_exec in the kernel's BTF"},
	{"cgroups", "containers are found by their mounts and state files only",
	 "a kernel with the tracepoints cgroup_mkdir and cgroup_rmdir, and a cgroup v2 hierarchy"},
};

/* One finding for all that the same remedy helps. */
static void judge_sights_of(json_t *report, const char *todo)
{
	const json_t *sees = value_at(report, "sees");
	auto_strbuf struct strbuf lost = STRBUF_INIT;

	for (size_t i = 0; i < sizeof(sight_advice) / sizeof(sight_advice[0]); i++) {
		const struct sight_advice *advice = &sight_advice[i];

		if (!strcmp(advice->todo, todo) && value_is_false(sees, advice->sight))
			strbuf_addf(&lost, "%s%s", lost.len ? "; " : "", advice->lost);
	}
	if (lost.len)
		add_finding(report, strcmp(todo, NOTHING_TO_DO) ? "warning" : "info", todo, "%s",
			    strbuf_str(&lost));
}

static void judge_sights(json_t *report)
{
	for (size_t i = 0; i < sizeof(sight_advice) / sizeof(sight_advice[0]); i++) {
		bool is_first = true;

		for (size_t k = 0; k < i; k++)
			is_first &= strcmp(sight_advice[k].todo, sight_advice[i].todo) != 0;
		if (is_first)
			judge_sights_of(report, sight_advice[i].todo);
	}
}

static void judge_process(json_t *report)
{
	if (value_is_true(report, "agent.answers"))
		return;
	if (!has_capability(report, "CAP_SYS_PTRACE"))
		add_finding(report, "warning", "give it CAP_SYS_PTRACE",
			    "mounts and executables of other users' processes cannot be read");
	if (!has_capability(report, "CAP_DAC_READ_SEARCH") &&
	    !value_is_true(report, "capabilities.CAP_DAC_OVERRIDE"))
		add_finding(report, "warning", "give it CAP_DAC_READ_SEARCH",
			    "layers and the runtimes' state files cannot be read");
	if (!value_is_true(report, "capabilities.CAP_SYS_ADMIN"))
		add_finding(report, "warning", "give it CAP_SYS_ADMIN",
			    "opaque directories cannot be told: the kernel shows trusted.overlay.* "
			    "to CAP_SYS_ADMIN only");
}

static void judge_kernel(json_t *report)
{
	if (value_is_false(report, "kernel.bpffs"))
		add_finding(report, "warning", "mount -t bpf bpf /sys/fs/bpf",
			    "/sys/fs/bpf is not mounted: counters do not survive a restart of the "
			    "agent");
	if (value_string(report, "cgroup") && !strcmp(value_string(report, "cgroup"), "v1"))
		add_finding(report, "warning",
			    "mount a cgroup v2 hierarchy: systemd.unified_cgroup_hierarchy=1",
			    "there is no cgroup v2 hierarchy: writers are named by process only");
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
		add_finding(report, "warning",
			    "make it readable to driftwatch: in a container, mount it beneath "
			    "--host-root",
			    "the storage of %s at %s cannot be read%s%s", kind, root,
			    error ? ": " : "", error ? error : "");
	else if (errors)
		add_finding(report, "warning",
			    "containers in it may lack name or image; a damaged file is the "
			    "runtime's to repair",
			    "%llu state files of %s at %s could not be read%s%s",
			    (unsigned long long)errors, kind, root, error ? ", the last: " : "",
			    error ? error : "");
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
		add_finding(report, "error", "run it as root, with the host's /proc in reach",
			    "the containers of this machine cannot be listed: %s",
			    value_string(report, "storage_error"));
	json_array_foreach (value_at(report, "sources"), i, entry)
		judge_source(report, entry);
	if (value_at(report, "sources") && !has_runtime(report))
		add_finding(report, "info",
			    "start one, or try 'driftwatch run'; one with unusual directories is "
			    "named by agent --runtime-root",
			    "no container runtime was found");
	json_array_foreach (value_at(report, "layers"), i, entry) {
		const char *fs = value_string(entry, "fs");

		if (fs && !has_live_lists(report, fs))
			add_finding(report, "info", "keep layers on ext4 or xfs to have live lists",
				    "lists of the %lld containers on %s are as of a scan",
				    (long long)json_integer_value(value_at(entry, "containers")),
				    fs);
	}
	json_array_foreach (value_at(report, "unreadable"), i, entry)
		add_finding(report, "warning", "its counters are exact all the same",
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
	judge_process(report);
	judge_kernel(report);
	judge_sights(report);
	judge_storage(report);
	json_object_set_new(report, "works", json_boolean(code == EXIT_CODE_OK));
	return code;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * doctor_collect.c - the facts of doctor's report, unjudged.
 */
#include "command/doctor.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/client.h"
#include "agent/config.h"
#include "base/file.h"
#include "base/version.h"
#include "command/render_value.h"
#include "command/session.h"
#include "kernel/probe.h"
#include "view/view.h"

static int set_text(json_t *object, const char *key, const char *text)
{
	return text ? view_set_bytes(object, key, text, strlen(text))
		    : json_object_set_new(object, key, json_null());
}

static int set_bool(json_t *object, const char *key, bool value)
{
	return json_object_set_new(object, key, json_boolean(value));
}

/* --- the process and the kernel */

static uint64_t effective_capabilities(void)
{
	auto_strbuf struct strbuf status = STRBUF_INIT;
	const char *line;

	if (file_read(AT_FDCWD, "/proc/self/status", 1 << 16, &status))
		return 0;
	line = strstr(strbuf_str(&status), "\nCapEff:");
	return line ? strtoull(line + strlen("\nCapEff:"), NULL, 16) : 0;
}

static json_t *capabilities(void)
{
	static const struct {
		const char *name;
		int bit;
	} known[] = {
		{"CAP_BPF", CAP_BPF},
		{"CAP_PERFMON", CAP_PERFMON},
		{"CAP_SYS_ADMIN", CAP_SYS_ADMIN},
		{"CAP_SYS_PTRACE", CAP_SYS_PTRACE},
		{"CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH},
		{"CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE},
		{"CAP_SYS_RESOURCE", CAP_SYS_RESOURCE},
	};
	uint64_t held = effective_capabilities();
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		set_bool(object, known[i].name, held >> known[i].bit & 1);
	return object;
}

static bool is_cgroup2(const char *host_root, const char *path)
{
	auto_free char *full = file_join(host_root, path);
	struct statfs fs;

	return full && statfs(full, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static const char *cgroup_version(const char *host_root)
{
	if (is_cgroup2(host_root, "/sys/fs/cgroup"))
		return "v2";
	return is_cgroup2(host_root, "/sys/fs/cgroup/unified") ? "hybrid" : "v1";
}

static json_t *kernel_facts(void)
{
	json_t *object = json_object();
	struct probe_kernel kernel;

	if (!object || probe_examine_kernel(&kernel))
		return object;
	set_text(object, "release", kernel.release);
	set_bool(object, "btf", kernel.has_btf);
	set_bool(object, "bpffs", kernel.has_bpffs);
	set_bool(object, "can_load", kernel.can_load);
	set_bool(object, "trampoline", kernel.has_trampoline);
	set_bool(object, "kprobe", kernel.has_kprobe);
	set_bool(object, "task_storage", kernel.has_task_storage);
	set_bool(object, "cgrp_storage", kernel.has_cgrp_storage);
	set_text(object, "lsm", kernel.lsm);
	return object;
}

/* --- the kernel side: as the agent has it, or by trying */

static void add_hook(const struct probe_hook *hook, void *arg)
{
	json_t *object = json_object();

	set_text(object, "name", hook->name);
	set_text(object, "role", hook->role);
	set_bool(object, "attached", hook->attached);
	set_bool(object, "blind", hook->is_blind);
	set_text(object, "why_not",
		 hook->is_blind	  ? hook->why_not
		 : hook->attached ? NULL
		 : hook->why_not  ? hook->why_not
		 : hook->error	  ? strerror(-hook->error)
				  : "not tried");
	json_array_append_new(arg, object);
}

static void add_self_test(json_t *report, const struct probe *probe)
{
	json_t *object = json_object();
	const char *text;

	set_text(object, "result", probe_self_test_name(probe_self_test_result(probe, &text)));
	set_text(object, "text", *text ? text : NULL);
	json_object_set_new(report, "self_test", object);
}

/* The usual place of the state, or whatever is as likely on the disk of the layers. */
static const char *scratch_dir(void)
{
	return access(CONFIG_STATE_DIR, W_OK) ? "/var/tmp" : CONFIG_STATE_DIR;
}

static void try_kernel_side(json_t *report)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	const struct probe_options options = {.scratch_dir = scratch_dir()};
	json_t *sees, *hooks, *trial;
	struct probe *probe;
	int err = probe_open(&options, &error, &probe);

	if (err) {
		trial = json_object();
		json_object_set_new(trial, "errno", json_integer(-err));
		set_text(trial, "error", error.len ? strbuf_str(&error) : strerror(-err));
		json_object_set_new(report, "trial", trial);
		return;
	}
	sees = json_object();
	hooks = json_array();
	for (int sight = 0; sight < PROBE_SEES_MAX; sight++)
		set_bool(sees, probe_sight_name(sight), probe_sees(probe, sight));
	probe_foreach_hook(probe, add_hook, hooks);
	set_text(report, "seen_by", "trial");
	set_text(report, "tier", probe_tier_name(probe_tier(probe)));
	json_object_set_new(report, "sees", sees);
	json_object_set_new(report, "hooks", hooks);
	add_self_test(report, probe);
	probe_close(probe, false);
}

static void copy_status(json_t *report, const json_t *status)
{
	static const char *const keys[] = {"tier",    "sees",	"self_test", "hooks",
					   "sources", "health", "ready"};

	set_text(report, "seen_by", "agent");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_t *value = json_object_get(status, keys[i]);

		if (value)
			json_object_set(report, keys[i], value);
	}
}

/* Why it is not the tier above; nothing to say where the best one was chosen. */
static void explain_tier(json_t *report)
{
	const char *tier = value_string(report, "tier");
	bool fexit = !value_is_false(report, "kernel.trampoline");
	bool kprobe = !value_is_false(report, "kernel.kprobe");
	const char *reason = NULL;

	if (tier && strcmp(tier, "vfs-fexit") != 0) {
		if (!fexit && !kprobe)
			reason = "this kernel refuses fexit and kprobes";
		else if (!fexit)
			reason = "this kernel refuses fexit";
	}
	set_text(report, "tier_reason", reason);
}

static void add_kernel_side(json_t *report, const struct global_options *options)
{
	json_t *agent = json_object(), *status = NULL;
	int err = client_ping(options->socket);
	bool answers = !err && session_ask_agent(options, "/api/v1/status", &status) == 0;

	set_text(agent, "socket", options->socket);
	set_bool(agent, "answers", answers);
	set_text(agent, "error", answers ? NULL : err ? strerror(-err) : "its answer is no status");
	json_object_set_new(report, "agent", agent);
	json_object_set_new(report, "seen_by", json_null());
	if (answers)
		copy_status(report, status);
	else
		try_kernel_side(report);
	explain_tier(report);
	json_decref(status);
}

json_t *doctor_collect(const struct global_options *options)
{
	json_t *report = json_object();

	if (!report)
		return NULL;
	set_text(report, "schema", "driftwatch.doctor/1");
	set_text(report, "version", version_string());
	set_bool(report, "root", geteuid() == 0);
	json_object_set_new(report, "capabilities", capabilities());
	set_text(report, "cgroup", cgroup_version(options->host_root));
	json_object_set_new(report, "kernel", kernel_facts());
	add_kernel_side(report, options);
	/* Who may not read the runtimes' directories is told what the agent read there. */
	if (geteuid() == 0 && doctor_collect_storage(report, options)) {
		json_decref(report);
		return NULL;
	}
	return report;
}

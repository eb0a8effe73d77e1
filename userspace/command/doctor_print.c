/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * doctor_print.c - doctor's report for a person: the verdict first, then what it
 * rests on, then what to do.
 */
#include "command/doctor.h"

#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "command/render_value.h"

#define LABEL "%-10s "

/* The text at @path, inert; @otherwise where there is none. */
static void add_text(struct strbuf *out, const json_t *object, const char *path,
		     const char *otherwise)
{
	auto_strbuf struct strbuf raw = STRBUF_INIT;

	if (value_bytes(object, path, &raw))
		escape_terminal(out, strbuf_str(&raw), raw.len);
	else
		strbuf_adds(out, otherwise);
}

static const char *yes_or_no(const json_t *object, const char *path)
{
	if (value_is_true(object, path))
		return "yes";
	return value_is_false(object, path) ? "no" : "not known";
}

static void add_colored(struct strbuf *out, bool color, const char *sgr, const char *text)
{
	if (color)
		strbuf_addf(out, "\x1b[%sm%s\x1b[0m", sgr, text);
	else
		strbuf_adds(out, text);
}

static void add_head(struct strbuf *out, const json_t *report, bool color)
{
	strbuf_adds(out, "driftwatch ");
	add_text(out, report, "version", "");
	strbuf_adds(out, " on Linux ");
	add_text(out, report, "kernel.release", "(not known)");
	strbuf_adds(out, ": ");
	if (value_is_true(report, "works"))
		add_colored(out, color, "32", "works here");
	else
		add_colored(out, color, "1;31", "does not work here");
	strbuf_adds(out, "\n\n");
}

static void add_kernel(struct strbuf *out, const json_t *report)
{
	strbuf_addf(out, LABEL "BTF %s, BPF may be loaded: %s, fexit %s, kprobes %s, bpffs %s\n",
		    "kernel", yes_or_no(report, "kernel.btf"), yes_or_no(report, "kernel.can_load"),
		    yes_or_no(report, "kernel.trampoline"), yes_or_no(report, "kernel.kprobe"),
		    yes_or_no(report, "kernel.bpffs"));
	strbuf_addf(out, LABEL "", "cgroups");
	add_text(out, report, "cgroup", "not known");
	strbuf_addf(out, "\n" LABEL "", "agent");
	add_text(out, report, "agent.socket", "");
	strbuf_adds(out, value_is_true(report, "agent.answers") ? ": answers" : ": ");
	add_text(out, report, "agent.error", "");
	strbuf_adds(out, "\n");
}

/* Names of the sights that are (@wanted true) or are not there. */
static void add_sights(struct strbuf *out, const json_t *report, const char *label, bool wanted)
{
	const json_t *sees = value_at(report, "sees");
	size_t count = 0;
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)sees, name, value) {
		if (json_is_true(value) != wanted)
			continue;
		if (!count++)
			strbuf_addf(out, LABEL "", label);
		strbuf_addf(out, "%s%s", count > 1 ? ", " : "", name);
	}
	if (count)
		strbuf_addc(out, '\n');
}

static const char *why_not(const json_t *hook)
{
	json_int_t error = json_integer_value(value_at(hook, "error"));

	return error ? strerror((int)(error < 0 ? -error : error)) : "not attached";
}

/* Those that are attached are a number, unless all are wanted. */
static void add_hooks(struct strbuf *out, const json_t *report, bool verbose)
{
	const json_t *hooks = value_at(report, "hooks"), *hook;
	size_t i, attached = 0;

	json_array_foreach (hooks, i, hook)
		attached += value_is_true(hook, "attached");
	if (!json_array_size(hooks))
		return;
	strbuf_addf(out, LABEL "%zu of %zu attached%s\n", "hooks", attached, json_array_size(hooks),
		    verbose ? "" : " (-v lists them all)");
	json_array_foreach (hooks, i, hook) {
		bool is_attached = value_is_true(hook, "attached");

		if (is_attached && !verbose)
			continue;
		strbuf_addf(out, LABEL "%c ", "", is_attached ? '+' : '-');
		add_text(out, hook, "name", "?");
		strbuf_adds(out, "  ");
		add_text(out, hook, "role", "");
		if (!is_attached) {
			strbuf_adds(out, ": ");
			add_text(out, hook, "why_not", why_not(hook));
		}
		strbuf_addc(out, '\n');
	}
}

static void add_tier(struct strbuf *out, const json_t *report, bool verbose)
{
	const char *seen_by = value_string(report, "seen_by");

	strbuf_addf(out, LABEL "", "tier");
	add_text(out, report, "tier", "none");
	if (seen_by)
		strbuf_adds(out, !strcmp(seen_by, "agent") ? ", chosen by the agent"
							   : ", by loading it just now");
	if (value_string(report, "tier_reason")) {
		strbuf_adds(out, "; ");
		add_text(out, report, "tier_reason", "");
	}
	strbuf_addc(out, '\n');
	strbuf_addf(out, LABEL "", "self-test");
	add_text(out, report, "self_test.result", "not_run");
	if (value_string(report, "self_test.text")) {
		strbuf_adds(out, ": ");
		add_text(out, report, "self_test.text", "");
	}
	strbuf_addc(out, '\n');
	add_sights(out, report, "sees", true);
	add_sights(out, report, "sees not", false);
	add_hooks(out, report, verbose);
}

/* A usual place where nothing is would only be in the way. */
static bool is_worth_telling(const json_t *source)
{
	const char *found_by = value_string(source, "found_by");
	uint64_t containers = 0;

	value_number(source, "containers", &containers);
	return containers || !found_by || strcmp(found_by, "default") != 0 ||
	       value_string(source, "last_error") ||
	       (value_is_true(source, "exists") && value_is_true(source, "readable"));
}

static void add_storage(struct strbuf *out, const json_t *report)
{
	const char *label = "runtimes";
	const json_t *source;
	size_t i;

	json_array_foreach (value_at(report, "sources"), i, source) {
		uint64_t containers = 0;

		if (!is_worth_telling(source))
			continue;
		value_number(source, "containers", &containers);
		strbuf_addf(out, LABEL "", label);
		label = "";
		add_text(out, source, "kind", "?");
		strbuf_addc(out, ' ');
		add_text(out, source, "root", "");
		strbuf_adds(out, " (");
		add_text(out, source, "fs", "file system not known");
		strbuf_addf(out, "): %llu container%s, by ", (unsigned long long)containers,
			    containers == 1 ? "" : "s");
		add_text(out, source, "found_by", "?");
		strbuf_addc(out, '\n');
	}
	json_array_foreach (value_at(report, "layers"), i, source) {
		uint64_t containers = 0;

		value_number(source, "containers", &containers);
		strbuf_addf(out, LABEL "", i ? "" : "layers");
		add_text(out, source, "fs", "?");
		strbuf_addf(out, ": %llu container%s\n", (unsigned long long)containers,
			    containers == 1 ? "" : "s");
	}
}

static void add_findings(struct strbuf *out, const json_t *report, bool color)
{
	const json_t *finding;
	size_t i;

	json_array_foreach (value_at(report, "findings"), i, finding) {
		const char *level = value_string(finding, "level");

		strbuf_addc(out, '\n');
		if (!strcmp(level, "info"))
			strbuf_adds(out, "note");
		else
			add_colored(out, color, !strcmp(level, "error") ? "1;31" : "33", level);
		strbuf_adds(out, ": ");
		add_text(out, finding, "what", "");
		strbuf_adds(out, "\n   -> ");
		add_text(out, finding, "todo", "");
		strbuf_addc(out, '\n');
	}
}

void doctor_print(const json_t *report, bool color, bool verbose)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	add_head(&out, report, color);
	add_kernel(&out, report);
	add_tier(&out, report, verbose);
	add_storage(&out, report);
	add_findings(&out, report, color);
	fwrite(strbuf_str(&out), 1, out.len, stdout);
}

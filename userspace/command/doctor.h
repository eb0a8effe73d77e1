/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * doctor.h - the parts of doctor: facts are collected, judged, then printed.
 *
 * The report is one JSON object, driftwatch.doctor/1:
 *
 *	version, root, capabilities{NAME: bool}, cgroup, kernel{…},
 *	agent{socket, answers, error},
 *	seen_by ("agent", "trial" or null), tier, tier_reason,
 *	sees{SIGHT: bool}, self_test{result: "passed" | "failed" | "not_run", text}, hooks[…],
 *	trial{errno, error}	when an own attempt to load was refused
 *	sources[{kind, root, exists, fs, found_by, readable, containers, errors, last_error}],
 *	layers[{fs, containers}], unreadable[{container, error}], storage_error
 *	findings[{level: "error" | "warning" | "info", what, todo}], works
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <jansson.h>

#include "command/command.h"

/* Everything but findings and works. NULL: out of memory. The caller releases it. */
json_t *doctor_collect(const struct global_options *options);

/*
 * Adds findings and works to @report. Returns the exit code that the findings ask
 * for: 0 also with warnings, EXIT_CODE_PERMISSION, EXIT_CODE_KERNEL, …
 */
int doctor_judge(json_t *report);

/* Parts of doctor_judge(): one finding, and those about what the tier cannot see. */
__attribute__((format(printf, 4, 5))) void
doctor_add_finding(json_t *report, const char *level, const char *todo, const char *fmt, ...);
void doctor_judge_sights(json_t *report);

/* The report as text on stdout; @verbose: also what needs no attention. */
void doctor_print(const json_t *report, bool color, bool verbose);

/*
 * Adds sources, layers, unreadable and storage_error to @report (needs root).
 * 0 or -ENOMEM; a registry that cannot be read is a fact of the report.
 */
int doctor_collect_storage(json_t *report, const struct global_options *options);

#endif /* DOCTOR_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * json.h - small setters shared by the JSON views.
 *
 * Each returns 0, or -1 when out of memory, so that a view may collect them with |=
 * and look once. Keys are our own literals; values may be hostile bytes.
 */
#ifndef VIEW_JSON_H
#define VIEW_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/probe.h"
#include "ledger/ledger.h"

/* NULL becomes null. */
int view_set_text(json_t *object, const char *key, const char *text);

/* RFC 3339 with nanoseconds; 0 becomes null. */
int view_set_time(json_t *object, const char *key, uint64_t wall_ns);

/* A number; above 2^53, where readers lose digits, a string. */
int view_set_u64(json_t *object, const char *key, uint64_t value);

/* Always a string: inodes and cgroup ids have one type, whatever their size. */
int view_set_id(json_t *object, const char *key, uint64_t value);

int view_set_bool(json_t *object, const char *key, bool value);

/* Takes over @value; NULL is out of memory. */
int view_set_new(json_t *object, const char *key, json_t *value);

/* {"namespace":…,"pod":…,"pod_uid":…,"container":…}, or null outside Kubernetes. */
json_t *view_k8s(const struct container *meta);

/* Does this tier count @sight for this container? Without a probe: no. */
bool view_sees(const struct probe *probe, const struct ledger_container *c, enum probe_sight sight);

/* The sight that stands for writes to @target. */
enum probe_sight view_sight_of_target(enum dw_target target);

/* "complete", "as_of", "incomplete_reasons", "limits" and "unlisted" of @c. */
int view_set_completeness(json_t *object, const struct ledger_container *c);

#endif /* VIEW_JSON_H */

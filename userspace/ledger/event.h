/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * event.h - one thing that happened to a container, as tail shows it.
 *
 * Borrowed everywhere: all pointers are valid during the callback only.
 */
#ifndef LEDGER_EVENT_H
#define LEDGER_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driftwatch_abi.h"
#include "ledger/tree.h"
#include "ledger/writers.h"

struct ledger_container;

enum event_type {
	EVENT_DRIFT,	       /* a change of state */
	EVENT_WRITE,	       /* --raw: one coalesced burst of writes to a file */
	EVENT_CONTAINER_START, /* appeared or started */
	EVENT_CONTAINER_STOP,
	EVENT_CONTAINER_REMOVE,
	EVENT_LOST, /* records could not be delivered: .count, .reason */
	EVENT_TYPE_MAX,
};
const char *event_type_name(enum event_type type); /* "drift", "write", "container_start", … */
const char *event_op_name(enum dw_op op);	   /* "write", "create", "mkdir", … */
int event_op_parse(const char *text, enum dw_op *ret); /* 0 or -EINVAL */
const char *event_target_name(enum dw_target target);  /* "layer", "volume", "tmpfs", "other" */
int event_target_parse(const char *text, enum dw_target *ret);

struct event {
	uint64_t seq;
	uint64_t wall_ns;
	enum event_type type;
	const struct ledger_container *container; /* NULL only for LOST of nobody */

	/* DRIFT, WRITE */
	enum dw_op op;
	bool derived; /* deduced from the verified layer: the tier has no hook for it */
	enum dw_target target;
	const char *path; /* absolute inside the container; for other: on the host. Raw bytes. */
	size_t path_len;
	const char *old_path; /* rename: old name; link: existing name; else NULL */
	size_t old_path_len;
	bool path_truncated;
	enum tree_verdict change; /* verdict after the change, when known: TREE_NONE otherwise */
	bool has_stat;		  /* the next six are known */
	uint64_t ino;
	unsigned mode;
	uint32_t uid, gid;
	uint64_t size;
	bool is_runtime; /* made by the runtime */
	uint64_t cgroup_id;
	const struct writer *writer; /* NULL unknown */
	uint64_t count;		     /* WRITE: calls in the burst; LOST: records */
	uint64_t bytes;	    /* WRITE: bytes in the burst; DRIFT write: of the first call so far */
	const char *reason; /* LOST: "ring_full", …; STOP: NULL */
};

typedef void (*event_fn)(const struct event *event, void *arg);

#endif /* LEDGER_EVENT_H */

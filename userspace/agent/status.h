/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * status.h - what the agent sees and how it is: schema driftwatch.status/1.
 */
#ifndef AGENT_STATUS_H
#define AGENT_STATUS_H

#include <jansson.h>

#include "agent/engine.h"

/* NULL: out of memory. */
json_t *status_json(const struct engine *engine, const char *node);

#endif /* AGENT_STATUS_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * render_container.h - containers (driftwatch.ps/1) as people see them.
 */
#ifndef RENDER_CONTAINER_H
#define RENDER_CONTAINER_H

#include <jansson.h>

#include "base/strbuf.h"
#include "command/render_table.h"

/* The columns of ps, for table_print(). */
extern const struct table_column container_columns[];

#define SHORT_ID 12 /* characters of an id, where it is not shown in full */

/*
 * The name a person knows it by: namespace/pod/container, else its name, else the
 * first characters of its id. Raw bytes. @container and @k8s (null outside Kubernetes)
 * are those of ps or of an event.
 */
void render_container_name(struct strbuf *out, const json_t *container, const json_t *k8s);

#endif /* RENDER_CONTAINER_H */

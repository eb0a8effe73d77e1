/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * containerd_spec.h - the OCI configuration of a container of containerd.
 */
#ifndef CONTAINERD_SPEC_H
#define CONTAINERD_SPEC_H

#include <jansson.h>

#include "container/container.h"

/* Kubernetes names, image, cgroup, read-only root. False: out of memory. */
bool containerd_spec_take(const json_t *spec, struct container *c);

/* The same from a protobuf Any that holds it as JSON. 0, -EBADMSG or -ENOMEM. */
int containerd_spec_parse_any(const char *bytes, size_t len, struct container *c);

#endif /* CONTAINERD_SPEC_H */

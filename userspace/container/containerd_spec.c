/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * containerd_spec.c - names that CRI and nerdctl leave in an OCI configuration.
 */
#include "container/containerd_spec.h"

#include <errno.h>
#include <string.h>

#include "container/hostfs.h"
#include "container/source.h"

/* "system.slice:docker:<id>" names a systemd unit; a plain path is the cgroup itself. */
static bool take_cgroup(const json_t *spec, struct container *c)
{
	const char *path = json_text(json_object_get(spec, "linux"), "cgroupsPath");

	return source_set(&c->cgroup_path, path && *path == '/' ? path : NULL);
}

static bool take_cri(const json_t *notes, struct container *c)
{
	const char *type = json_text(notes, "io.kubernetes.cri.container-type");

	if (!type)
		return true;
	c->is_sandbox = !strcmp(type, "sandbox");
	return source_set(&c->pod_container,
			  json_text(notes, "io.kubernetes.cri.container-name")) &&
	       source_set(&c->image, json_text(notes, "io.kubernetes.cri.image-name")) &&
	       source_set(&c->image, json_text(notes, "io.kubernetes.cri.podsandbox.image-name")) &&
	       source_set(&c->pod, json_text(notes, "io.kubernetes.cri.sandbox-name")) &&
	       source_set(&c->pod_uid, json_text(notes, "io.kubernetes.cri.sandbox-uid")) &&
	       source_set(&c->pod_namespace,
			  json_text(notes, "io.kubernetes.cri.sandbox-namespace"));
}

/* nerdctl says its names in labels, which become annotations. */
static bool take_nerdctl(const json_t *notes, struct container *c)
{
	return source_set(&c->name, json_text(notes, "nerdctl/name"));
}

bool containerd_spec_take(const json_t *spec, struct container *c)
{
	const json_t *notes = json_object_get(spec, "annotations");
	const json_t *root = json_object_get(spec, "root");

	c->overlay.read_only = json_is_true(json_object_get(root, "readonly"));
	return take_cri(notes, c) && take_nerdctl(notes, c) && take_cgroup(spec, c);
}

int containerd_spec_parse_any(const char *bytes, size_t len, struct container *c)
{
	const char *brace = len ? memchr(bytes, '{', len) : NULL;
	json_t *spec;
	bool ok;

	if (!brace || len > HOSTFS_FILE_MAX)
		return -EBADMSG;
	/* The message ends with the JSON, or with fields that we have no use for. */
	spec = json_loadb(brace, len - (size_t)(brace - bytes), JSON_DISABLE_EOF_CHECK, NULL);
	if (!spec)
		return -EBADMSG;
	ok = containerd_spec_take(spec, c);
	json_decref(spec);
	return ok ? 0 : -ENOMEM;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * registry_roots.c - where runtimes keep their files when nothing says otherwise.
 */
#include <stdlib.h>
#include <string.h>

#include "container/registry_internal.h"
#include "container/sandbox.h"

static int add_user_roots(const char *name, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct registry *r = arg;
	struct stat st;

	strbuf_addf(&path, "/home/%s/.local/share/containers/storage", name);
	if (!hostfs_stat(&r->fs, strbuf_str(&path), &st))
		source_add(r, "podman", strbuf_str(&path), "home directory");
	return 0;
}

static int add_run_roots(const char *name, void *arg)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct registry *r = arg;

	strbuf_addf(&path, "/run/user/%s/runc", name);
	source_add(r, "runc", strbuf_str(&path), "default of a user");
	strbuf_reset(&path);
	strbuf_addf(&path, "/run/user/%s/crun", name);
	source_add(r, "runc", strbuf_str(&path), "default of a user");
	return 0;
}

static void add_option(struct registry *r, const char *option)
{
	const char *equals = strchr(option, '=');
	auto_free char *kind = equals ? strndup(option, (size_t)(equals - option)) : NULL;

	if (kind)
		source_add(r, kind, equals + 1, "option");
}

void sources_add_defaults(struct registry *r, const struct registry_options *options)
{
	static const struct {
		const char *kind, *root;
	} defaults[] = {
		{"docker", "/var/lib/docker"},
		{"podman", "/var/lib/containers/storage"},
		{"containerd", "/run/containerd"},
		{"containerd", "/run/k3s/containerd"},
		{"containerd-store", "/var/lib/containerd"},
		{"containerd-store", "/var/lib/rancher/k3s/agent/containerd"},
		{"containerd", "/run/docker/containerd/daemon"},
		{"runc", "/run/docker/runtime-runc/moby"},
		{"runc", "/run/runc"},
		{"runc", "/run/crun"},
		{"lxc", "/var/lib/lxc"},
		{"nspawn", "/run/systemd/machines"},
		{"driftwatch", SANDBOX_STATE_DIR},
	};

	for (size_t i = 0; i < options->runtime_roots_len; i++)
		add_option(r, options->runtime_roots[i]);
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		source_add(r, defaults[i].kind, defaults[i].root, "default");
	hostfs_foreach_name(&r->fs, "/home", add_user_roots, r);
	hostfs_foreach_name(&r->fs, "/run/user", add_run_roots, r);
}

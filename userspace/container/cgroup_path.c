/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cgroup_path.c - the forms of cgroup paths that runtimes use, leaf first.
 */
#include "container/cgroup_path.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define ID_LEN 64

struct text {
	const char *at;
	size_t len;
};

static bool has_prefix(struct text t, const char *prefix)
{
	size_t len = strlen(prefix);

	return t.len >= len && !memcmp(t.at, prefix, len);
}

static bool has_suffix(struct text t, const char *suffix)
{
	size_t len = strlen(suffix);

	return t.len >= len && !memcmp(t.at + t.len - len, suffix, len);
}

static bool equals(struct text t, const char *s)
{
	return t.len == strlen(s) && !memcmp(t.at, s, t.len);
}

static struct text without_suffix(struct text t, const char *suffix)
{
	if (has_suffix(t, suffix))
		t.len -= strlen(suffix);
	return t;
}

static struct text skip(struct text t, size_t n)
{
	return (struct text){t.at + n, t.len - n};
}

static bool is_hex_id(struct text t)
{
	if (t.len != ID_LEN)
		return false;
	for (size_t i = 0; i < ID_LEN; i++) {
		if (!strchr("0123456789abcdef", t.at[i]) || !t.at[i])
			return false;
	}
	return true;
}

static bool is_prefix_text(struct text t)
{
	for (size_t i = 0; i < t.len; i++) {
		if (t.at[i] != '-' && (t.at[i] < 'a' || t.at[i] > 'z'))
			return false;
	}
	return true;
}

/* What stands before "-<id>": the manager that made the scope. */
static const char *runtime_of_prefix(struct text prefix)
{
	static const struct {
		const char *prefix, *runtime;
	} known[] = {
		{"docker", "docker"},
		{"libpod", "podman"},
		{"libpod-payload", "podman"},
		{"crio", "cri-o"},
		{"cri-containerd", "cri"},
		{"nerdctl", "containerd"},
		{"ctr", "containerd"},
		{"runc", "runc"},
		{"crun", "crun"},
		{"driftwatch", "driftwatch"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (equals(prefix, known[i].prefix))
			return known[i].runtime;
	}
	return "unknown";
}

static const char *runtime_of_parent(struct text parent)
{
	if (equals(parent, "docker") || equals(parent, "actions_job"))
		return "docker";
	if (has_prefix(parent, "pod") || has_prefix(parent, "kubepods"))
		return "cri";
	if (equals(parent, "libpod_parent"))
		return "podman";
	return "unknown";
}

static int take_owner(struct text id, const char *runtime, struct cgroup_owner *ret)
{
	if (!id.len || id.len >= sizeof(ret->id))
		return -ENOENT;
	memcpy(ret->id, id.at, id.len);
	ret->id[id.len] = '\0';
	ret->runtime = runtime;
	return 0;
}

/* "<id>", "<id>.scope", "<prefix>-<id>", "<prefix>-<id>.scope" */
static int match_hex(struct text leaf, struct text parent, struct cgroup_owner *ret)
{
	struct text t = without_suffix(leaf, ".scope"), id, prefix;

	if (t.len < ID_LEN)
		return -ENOENT;
	id = skip(t, t.len - ID_LEN);
	if (!is_hex_id(id))
		return -ENOENT;
	prefix = (struct text){t.at, t.len - ID_LEN};
	if (!prefix.len)
		return take_owner(id, runtime_of_parent(parent), ret);
	if (!has_suffix(prefix, "-") || !is_prefix_text(prefix))
		return -ENOENT;
	prefix.len--;
	return take_owner(id, runtime_of_prefix(prefix), ret);
}

/* "<slice>:cri-containerd:<id>": a systemd path given to a runtime told to use cgroupfs. */
static int match_colons(struct text leaf, struct cgroup_owner *ret)
{
	static const struct {
		const char *mark, *runtime;
	} known[] = {{":cri-containerd:", "cri"}, {":crio:", "cri-o"}, {":docker:", "docker"}};
	struct text id, before;

	if (leaf.len <= ID_LEN)
		return -ENOENT;
	id = skip(leaf, leaf.len - ID_LEN);
	before = (struct text){leaf.at, leaf.len - ID_LEN};
	if (!is_hex_id(id))
		return -ENOENT;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (has_suffix(before, known[i].mark))
			return take_owner(id, known[i].runtime, ret);
	}
	return -ENOENT;
}

/* lxc.payload.NAME, lxc.payload/NAME, lxc/NAME, machine-NAME.scope */
static int match_named(struct text leaf, struct text parent, struct cgroup_owner *ret)
{
	struct text t = without_suffix(leaf, ".scope");

	if (has_prefix(leaf, "lxc.payload."))
		return take_owner(skip(leaf, strlen("lxc.payload.")), "lxc", ret);
	if (equals(parent, "lxc.payload") || equals(parent, "lxc"))
		return take_owner(leaf, "lxc", ret);
	if (t.len != leaf.len && has_prefix(t, "machine-"))
		return take_owner(skip(t, strlen("machine-")), "nspawn", ret);
	return -ENOENT;
}

static bool is_monitor(struct text leaf)
{
	return has_prefix(leaf, "libpod-conmon-") || has_prefix(leaf, "crio-conmon-") ||
	       has_prefix(leaf, "lxc.monitor");
}

/* The component that ends at @path[@end]; *ret_start is its first byte's index. */
static struct text component(const char *path, size_t end, size_t *ret_start)
{
	size_t start = end;

	while (start && path[start - 1] != '/')
		start--;
	*ret_start = start;
	return (struct text){path + start, end - start};
}

int cgroup_path_parse(const char *path, struct cgroup_owner *ret)
{
	size_t end = strlen(path), start, parent_start;
	struct text leaf, parent;

	for (; end; end = start ? start - 1 : 0) {
		leaf = component(path, end, &start);
		parent = component(path, start ? start - 1 : 0, &parent_start);
		if (!leaf.len)
			continue;
		if (is_monitor(leaf))
			return -ENOENT;
		ret->scope_len = end;
		if (!match_hex(leaf, parent, ret) || !match_colons(leaf, ret) ||
		    !match_named(leaf, parent, ret))
			return 0;
	}
	return -ENOENT;
}

int cgroup_path_name(const char *path, char ret[CONTAINER_ID_MAX])
{
	static const char *const prefixes[] = {"runc-", "crun-", "ctr-", "nerdctl-"};
	struct cgroup_owner owner;
	size_t end = strlen(path), start;
	struct text leaf = component(path, end, &start), t;

	/* crun's payload and nspawn's sit one level below the cgroup that has the name. */
	if (start > 1 && (equals(leaf, "container") || equals(leaf, "payload")))
		leaf = component(path, start - 1, &start);
	if (has_suffix(leaf, ".slice") || has_suffix(leaf, ".service") || is_monitor(leaf))
		return -ENOENT;
	t = without_suffix(leaf, ".scope");
	for (size_t i = 0; t.len != leaf.len && i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (has_prefix(t, prefixes[i])) {
			t = skip(t, strlen(prefixes[i]));
			break;
		}
	}
	if (take_owner(t, "unknown", &owner))
		return -ENOENT;
	memcpy(ret, owner.id, sizeof(owner.id));
	return 0;
}

/* Rank of one line's controllers; 0: useless. */
static int line_rank(struct text controllers)
{
	if (!controllers.len)
		return 4; /* the "0::" line */
	if (equals(controllers, "name=systemd"))
		return 3;
	if (memmem(controllers.at, controllers.len, "pids", 4))
		return 2;
	return memmem(controllers.at, controllers.len, "memory", 6) ? 1 : 0;
}

int cgroup_file_parse(const char *text, struct strbuf *ret)
{
	const char *line, *end, *first, *second;
	struct text best = {0};
	int best_rank = 0, rank;

	for (line = text; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		first = memchr(line, ':', end - line);
		second = first ? memchr(first + 1, ':', end - first - 1) : NULL;
		if (!second || second + 1 == end || second[1] != '/')
			continue;
		rank = line_rank((struct text){first + 1, second - first - 1});
		/* A v2 line that says "/" is of a hybrid host whose runtime does not fill it. */
		if (rank == 4 && end - second == 2)
			rank = best_rank ? 0 : 1;
		if (rank > best_rank) {
			best_rank = rank;
			best = (struct text){second + 1, end - second - 1};
		}
	}
	if (!best_rank)
		return -ENOENT;
	while (has_prefix(best, "/..") && (best.len == 3 || best.at[3] == '/'))
		best = skip(best, 3);
	strbuf_add(ret, best.len ? best.at : "/", best.len ? best.len : 1);
	return strbuf_failed(ret) ? -ENOMEM : 0;
}

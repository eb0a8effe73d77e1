/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * process_roots.c - reading the command lines and configuration files of runtimes.
 */
#include "container/process_roots.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "container/task.h"

#define CONFIG_MAX (1u << 20)

typedef void (*roots_fn)(const struct process_roots *p);

static const char *next_argument(const struct process_roots *p, const char *argument)
{
	const char *end = p->argv + p->argv_len;
	const char *next = argument + strnlen(argument, (size_t)(end - argument)) + 1;

	/* The last one may lack its NUL when the process overwrote it: leave it out. */
	return next < end && memchr(next, '\0', (size_t)(end - next)) ? next : NULL;
}

static const char *first_argument(const struct process_roots *p)
{
	return memchr(p->argv, '\0', p->argv_len) ? p->argv : NULL;
}

/* Value of "--name=value", "--name value", "-name value"; the last one counts. */
static const char *flag(const struct process_roots *p, const char *name)
{
	const char *a, *dashless, *value = NULL, *next;
	size_t len = strlen(name);

	for (a = first_argument(p); a; a = next_argument(p, a)) {
		if (*a != '-')
			continue;
		dashless = a + (a[1] == '-' ? 2 : 1);
		if (strncmp(dashless, name, len) != 0)
			continue;
		next = next_argument(p, a);
		if (dashless[len] == '=')
			value = dashless + len + 1;
		else if (!dashless[len] && next)
			value = next;
	}
	return value && *value ? value : NULL;
}

/* An absolute host path of what the process was told. The caller frees it. */
static char *absolute(const struct process_roots *p, const char *path)
{
	auto_free char *link = NULL;
	char name[64], cwd[PATH_MAX];
	ssize_t n;

	if (*path == '/')
		return strdup(path);
	snprintf(name, sizeof(name), "/proc/%d/cwd", p->pid);
	link = file_join(p->fs->root, name);
	n = link ? readlink(link, cwd, sizeof(cwd) - 1) : -1;
	if (n <= 0)
		return NULL;
	cwd[n] = '\0';
	return file_join(cwd, path);
}

static void found(const struct process_roots *p, const char *kind, const char *root,
		  const char *below)
{
	auto_strbuf struct strbuf by = STRBUF_INIT, path = STRBUF_INIT;
	auto_free char *whole = root ? absolute(p, root) : NULL;

	if (!whole)
		return;
	strbuf_addf(&path, "%s%s", whole, below ? below : "");
	strbuf_addf(&by, "command line of %s (pid %d)", p->comm, p->pid);
	if (!strbuf_failed(&path) && !strbuf_failed(&by))
		p->discover(p->arg, kind, strbuf_str(&path), strbuf_str(&by));
}

/* A string of the top table of a TOML file: key = "value". The caller frees it. */
static char *toml_text(const struct process_roots *p, const char *path, const char *key,
		       bool top_only)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	const char *at, *end, *value;
	size_t len = strlen(key);

	if (hostfs_read(p->fs, path, CONFIG_MAX, &text))
		return NULL;
	for (at = strbuf_str(&text); *at; at = *end ? end + 1 : end) {
		end = strchrnul(at, '\n');
		at += strspn(at, " \t");
		if (*at == '[' && top_only)
			return NULL;
		if (strncmp(at, key, len) != 0)
			continue;
		value = at + len;
		value += strspn(value, " \t");
		if (*value++ != '=')
			continue;
		value += strspn(value, " \t");
		if (*value != '"' && *value != '\'')
			continue;
		at = memchr(value + 1, *value, (size_t)(end - value - 1));
		if (at && at > value + 1)
			return strndup(value + 1, (size_t)(at - value - 1));
	}
	return NULL;
}

static char *json_file_text(const struct process_roots *p, const char *path, const char *key)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	const char *text;
	char *copy;
	json_t *json;

	if (hostfs_read_json(p->fs, path, &why, &json))
		return NULL;
	text = json_text(json, key);
	copy = text ? strdup(text) : NULL;
	json_decref(json);
	return copy;
}

static char *docker_setting(const struct process_roots *p, const char *key, const char *fallback)
{
	const char *config = flag(p, "config-file"), *value = flag(p, key);
	char *text = NULL;

	if (!value && !strcmp(key, "data-root"))
		value = flag(p, "g") ? flag(p, "g") : flag(p, "graph");
	if (!value)
		text = json_file_text(p, config ? config : "/etc/docker/daemon.json", key);
	return text ? text : strdup(value ? value : fallback);
}

static void roots_of_dockerd(const struct process_roots *p)
{
	auto_free char *data = docker_setting(p, "data-root", "/var/lib/docker");
	auto_free char *exec = docker_setting(p, "exec-root", "/var/run/docker");

	found(p, "docker", data, NULL);
	found(p, "runc", exec, "/runtime-runc/moby");
	found(p, "containerd", exec, "/containerd/daemon");
}

static void roots_of_containerd(const struct process_roots *p)
{
	const char *config = flag(p, "config"), *state = flag(p, "state"), *root = flag(p, "root");
	auto_free char *config_path = NULL, *config_state = NULL, *config_root = NULL;

	if (!config)
		config = flag(p, "c");
	config_path = absolute(p, config ? config : "/etc/containerd/config.toml");
	if (!state && config_path)
		config_state = toml_text(p, config_path, "state", true);
	if (!root && config_path)
		config_root = toml_text(p, config_path, "root", true);
	if (!state)
		state = config_state ? config_state : "/run/containerd";
	if (!root)
		root = config_root ? config_root : "/var/lib/containerd";
	found(p, "containerd", state, NULL);
	found(p, "containerd-store", root, NULL);
}

/* A shim works in its bundle: <state>/io.containerd.runtime.v2.task/<space>/<id>. */
static void roots_of_shim(const struct process_roots *p)
{
	auto_free char *cwd = absolute(p, "");
	char *mark = cwd ? strstr(cwd, "/io.containerd.runtime.") : NULL;

	if (!mark || mark == cwd)
		return;
	*mark = '\0';
	found(p, "containerd", cwd, NULL);
}

static void roots_of_podman(const struct process_roots *p)
{
	const char *root = flag(p, "root");
	auto_free char *from_config = NULL;

	if (!root)
		from_config = toml_text(p, "/etc/containers/storage.conf", "graphroot", false);
	if (!root)
		root = from_config ? from_config : "/var/lib/containers/storage";
	found(p, "podman", root, NULL);
}

static void roots_of_crio(const struct process_roots *p)
{
	auto_free char *configured = toml_text(p, "/etc/crio/crio.conf", "root", false);

	roots_of_podman(p);
	if (configured)
		found(p, "podman", configured, NULL);
}

/* -b <graphroot>/overlay-containers/<id>/userdata */
static void roots_of_conmon(const struct process_roots *p)
{
	const char *bundle = flag(p, "b") ? flag(p, "b") : flag(p, "bundle");
	auto_free char *copy = bundle ? strdup(bundle) : NULL;
	char *mark = copy ? strstr(copy, "-containers/") : NULL, *slash;

	if (!mark)
		return;
	*mark = '\0';
	slash = strrchr(copy, '/');
	if (!slash || slash == copy)
		return;
	*slash = '\0';
	found(p, "podman", copy, NULL);
}

static void roots_of_runc(const struct process_roots *p)
{
	found(p, "runc", flag(p, "root"), NULL);
}

/* "[lxc monitor] /var/lib/lxc NAME" */
static void roots_of_lxc(const struct process_roots *p)
{
	static const char title[] = "[lxc monitor] ";
	auto_free char *line = strndup(p->argv, p->argv_len);
	char *space;

	if (!line || strncmp(line, title, strlen(title)) != 0)
		return;
	space = strchr(line + strlen(title), ' ');
	if (space)
		*space = '\0';
	if (line[strlen(title)] == '/')
		found(p, "lxc", line + strlen(title), NULL);
}

static const struct {
	const char *comm;
	roots_fn roots;
} runtimes[] = {
	{"dockerd", roots_of_dockerd},
	{"containerd", roots_of_containerd},
	{"containerd-shim", roots_of_shim},
	{"podman", roots_of_podman},
	{"crio", roots_of_crio},
	{"conmon", roots_of_conmon},
	{"runc", roots_of_runc},
	{"crun", roots_of_runc},
	{"lxc-start", roots_of_lxc},
};

static roots_fn reader_of(const char *comm)
{
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		if (!strcmp(comm, runtimes[i].comm))
			return runtimes[i].roots;
	}
	return NULL;
}

bool process_roots_is_runtime(const char *comm)
{
	return reader_of(comm);
}

/* A dockerd within a container names directories of that container. */
static bool lives_in_container(const struct process_roots *p)
{
	struct stat st;
	uint32_t dev;

	if (hostfs_stat(p->fs, "/", &st) || task_root_dev(p->fs, p->pid, &dev))
		return false;
	return dev != file_kernel_dev(st.st_dev);
}

void process_roots_find(const struct process_roots *p)
{
	roots_fn roots = reader_of(p->comm);

	if (roots && !lives_in_container(p))
		roots(p);
}

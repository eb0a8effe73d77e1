/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_plan.c - the list of a sandbox's mounts.
 */
#include "container/sandbox_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/file.h"
#include "container/mountinfo.h"

#define QUIET (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* Appends a copy; the texts of @m are duplicated. */
static void add(struct sandbox_plan *plan, const struct sandbox_mount *m)
{
	struct sandbox_mount copy = *m;

	if (plan->len == plan->size) {
		size_t size = plan->size ? plan->size * 2 : 32;
		struct sandbox_mount *grown = reallocarray(plan->mounts, size, sizeof(*grown));

		if (!grown) {
			plan->failed = true;
			return;
		}
		plan->mounts = grown;
		plan->size = size;
	}
	copy.destination = strdup(m->destination);
	copy.source = m->source ? strdup(m->source) : NULL;
	if (!copy.destination || (m->source && !copy.source))
		plan->failed = true;
	plan->mounts[plan->len++] = copy;
}

static void add_fresh(struct sandbox_plan *plan, const char *destination, const char *fstype,
		      unsigned long flags, const char *data)
{
	bool is_tmpfs = !strcmp(fstype, "tmpfs");

	add(plan, &(struct sandbox_mount){
			  .destination = (char *)destination,
			  .fstype = fstype,
			  .flags = flags,
			  .data = data,
			  .create = true,
			  .listed = true,
			  .kind = is_tmpfs ? MOUNT_TMPFS : MOUNT_PSEUDO,
		  });
}

/* Kernel settings are the host's: seen, not changed. Some of /proc is not even seen. */
static void add_proc(struct sandbox_plan *plan)
{
	static const char *const read_only[] = {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq",
						"/proc/bus", "/proc/fs"};
	static const char *const masked[] = {"/proc/kcore", "/proc/keys", "/proc/timer_list",
					     "/proc/sched_debug"};

	add_fresh(plan, "/proc", "proc", QUIET, NULL);
	for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++)
		add(plan, &(struct sandbox_mount){.destination = (char *)read_only[i],
						  .flags = QUIET | MS_RDONLY,
						  .optional = true});
	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++)
		add(plan, &(struct sandbox_mount){.destination = (char *)masked[i],
						  .source = (char *)"/dev/null",
						  .optional = true});
}

/*
 * Device nodes come as binds of the host's: /dev itself, like the layer, is mounted
 * nodev, so that a node made in the container opens nothing.
 */
static void add_dev(struct sandbox_plan *plan)
{
	static const char *const nodes[] = {"/dev/null",   "/dev/zero",	   "/dev/full",
					    "/dev/random", "/dev/urandom", "/dev/tty"};

	add_fresh(plan, "/dev", "tmpfs", QUIET, "mode=755,size=65536k");
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		add(plan, &(struct sandbox_mount){.destination = (char *)nodes[i],
						  .source = (char *)nodes[i],
						  .create = true,
						  .optional = true});
	add_fresh(plan, "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "newinstance,ptmxmode=0666,mode=0620,gid=5");
	add_fresh(plan, "/dev/shm", "tmpfs", QUIET, "mode=1777");
}

static bool is_beneath(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (path[len] == '/' || !path[len]);
}

/* File systems without files of their own, or whose mounts others want to undo. */
static bool is_shareable(const char *type)
{
	static const char *const others[] = {
		"overlay",    "tmpfs",	 "ramfs",      "devtmpfs",   "proc",   "sysfs",
		"cgroup",     "cgroup2", "devpts",     "mqueue",     "nsfs",   "autofs",
		"hugetlbfs",  "debugfs", "tracefs",    "securityfs", "bpf",    "pstore",
		"configfs",   "fusectl", "efivarfs",   "selinuxfs",  "rootfs", "binfmt_misc",
		"rpc_pipefs", "nfsd",	 "fuse.lxcfs", "fuse.portal"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (!strcmp(type, others[i]))
			return false;
	}
	return true;
}

struct submounts {
	struct sandbox_plan *plan;
	const char *lower;
	uint32_t lower_dev;
	bool is_host_root;
};

/* Where a mount of the host lies in the container; NULL when it is not beneath @lower. */
static const char *inside(const struct submounts *s, const char *mount_point)
{
	const char *path = mount_point;

	if (!s->is_host_root) {
		if (!is_beneath(mount_point, s->lower))
			return NULL;
		path += strlen(s->lower);
	}
	return path[0] == '/' && path[1] ? path : NULL;
}

static bool is_replaced(const struct submounts *s, const char *path)
{
	return is_beneath(path, "/proc") || is_beneath(path, "/sys") || is_beneath(path, "/dev") ||
	       (s->is_host_root && (is_beneath(path, "/run") || !strcmp(path, "/tmp")));
}

/* A directory mounted on itself, as dockerd does with its data root: no other content. */
static bool is_self_bind(const struct submounts *s, const struct mountinfo_line *line)
{
	return line->dev == s->lower_dev && !strcmp(line->root, line->mount_point);
}

static int on_submount(const struct mountinfo_line *line, void *arg)
{
	struct submounts *s = arg;
	const char *path = inside(s, line->mount_point);

	if (!path || is_replaced(s, path) || !is_shareable(line->type) || is_self_bind(s, line))
		return 0;
	add(s->plan, &(struct sandbox_mount){
			     .destination = (char *)path,
			     .source = line->mount_point,
			     .flags = MS_RDONLY | MS_NODEV,
			     .optional = true,
			     .listed = true,
			     .kind = MOUNT_VOLUME,
		     });
	strbuf_addf(&s->plan->shared, "%s%s", s->plan->shared.len ? ", " : "", path);
	return 0;
}

/*
 * The layer must not be reachable by its own path: overlayfs answers ELOOP there,
 * which would disturb everything that walks the tree.
 */
static void add_hidden_area(const struct submounts *s, const char *area)
{
	const char *path = inside(s, area);

	if (path)
		add(s->plan, &(struct sandbox_mount){.destination = (char *)path,
						     .fstype = "tmpfs",
						     .flags = QUIET | MS_RDONLY,
						     .data = "mode=700,size=4k",
						     .optional = true});
}

static void add_chosen(struct sandbox_plan *plan, const struct sandbox_options *options)
{
	const struct sandbox_volume *v;

	for (size_t i = 0; i < options->volumes_len; i++) {
		v = &options->volumes[i];
		add(plan, &(struct sandbox_mount){
				  .destination = v->destination,
				  .source = v->source,
				  .flags = MS_NODEV | (v->read_only ? MS_RDONLY : 0),
				  .create = true,
				  .listed = true,
				  .kind = MOUNT_VOLUME,
			  });
	}
	for (size_t i = 0; i < options->tmpfs_len; i++)
		add_fresh(plan, options->tmpfs[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

int sandbox_plan_make(const struct sandbox_plan_input *input, struct sandbox_plan *ret)
{
	struct submounts s = {
		.plan = ret,
		.lower = input->lower,
		.lower_dev = input->lower_dev,
		.is_host_root = !strcmp(input->lower, "/"),
	};

	*ret = (struct sandbox_plan){0};
	add_proc(ret);
	add_fresh(ret, "/sys", "sysfs", QUIET | MS_RDONLY, NULL);
	add_dev(ret);
	if (s.is_host_root)
		add_fresh(ret, "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	else
		add(ret, &(struct sandbox_mount){.destination = (char *)"/etc/resolv.conf",
						 .source = (char *)"/etc/resolv.conf",
						 .flags = MS_RDONLY | MS_NODEV | MS_NOSUID,
						 .optional = true});
	mountinfo_foreach(input->mountinfo, on_submount, &s, NULL);
	add_hidden_area(&s, input->area);
	add_chosen(ret, input->options);
	return ret->failed || strbuf_failed(&ret->shared) ? -ENOMEM : 0;
}

void sandbox_plan_done(struct sandbox_plan *plan)
{
	for (size_t i = 0; i < plan->len; i++) {
		free(plan->mounts[i].destination);
		free(plan->mounts[i].source);
	}
	free(plan->mounts);
	strbuf_done(&plan->shared);
	*plan = (struct sandbox_plan){0};
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_mount.c - the sandbox's mounts, carried out, and pivot_root.
 *
 * Every path of the container is resolved with RESOLVE_IN_ROOT: a link in the lower
 * directory cannot lead a mount out of it.
 */
#include "container/sandbox_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define RESOLV_CONF	"/etc/resolv.conf"
#define RESOLV_CONF_MAX (64u << 10)

/* /proc/self/fd/N, for the calls that take a path and no descriptor. */
struct fd_path {
	char text[32];
};

static struct fd_path path_of_fd(int fd)
{
	struct fd_path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

int sandbox_open_beneath(int root_fd, const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
	long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int open_place(int root_fd, const char *path)
{
	return sandbox_open_beneath(root_fd, path, O_PATH);
}

/* Escape what ends a path (or, in lowerdir, a layer) within an option string. */
static void add_path(struct strbuf *out, const char *path)
{
	for (; *path; path++) {
		if (*path == ',' || *path == ':' || *path == '\\')
			strbuf_addc(out, '\\');
		strbuf_addc(out, *path);
	}
}

int sandbox_overlay_options(const char *lower, const struct sandbox_area *area, struct strbuf *out)
{
	strbuf_adds(out, "lowerdir=");
	add_path(out, lower);
	strbuf_adds(out, ",upperdir=");
	add_path(out, area->upper);
	strbuf_adds(out, ",workdir=");
	add_path(out, area->work);
	strbuf_adds(out, ",index=off,xino=off,redirect_dir=off,metacopy=off");
	if (strbuf_failed(out))
		return -ENOMEM;
	return out->len >= (size_t)sysconf(_SC_PAGESIZE) ? -E2BIG : 0;
}

static int mount_overlay(const struct sandbox_root *root, struct strbuf *error)
{
	auto_strbuf struct strbuf options = STRBUF_INIT;
	int err = sandbox_overlay_options(root->lower, root->area, &options);

	if (!err && mount("overlay", root->area->merged, "overlay", MS_NODEV, options.data) < 0)
		err = -errno;
	if (err == -ENODEV)
		strbuf_adds(error, "this kernel has no overlayfs (try 'modprobe overlay')");
	else if (err)
		strbuf_addf(error, "cannot mount an overlay of %s with its layer in %s: %s",
			    root->lower, root->area->path, strerror(-err));
	return err;
}

static int make_component(int root_fd, const char *parent_path, const char *name, bool is_dir)
{
	auto_close int parent = sandbox_open_beneath(root_fd, parent_path, O_PATH | O_DIRECTORY);
	int result;

	if (parent < 0)
		return parent;
	if (is_dir)
		result = mkdirat(parent, name, 0755);
	else
		result = mknodat(parent, name, S_IFREG | 0644, 0);
	return result < 0 && errno != EEXIST ? -errno : 0;
}

/* mkdir -p as the container sees @path; for @is_dir false its last part is an empty file. */
static int make_place(int root_fd, const char *path, bool is_dir)
{
	size_t start, end = 0;
	int err = 0;

	while (!err) {
		auto_free char *parent = NULL, *name = NULL;

		start = end + strspn(path + end, "/");
		end = start + strcspn(path + start, "/");
		if (end == start)
			break;
		parent = start ? strndup(path, start) : strdup("/");
		name = strndup(path + start, end - start);
		if (!parent || !name)
			return -ENOMEM;
		err = make_component(root_fd, parent, name,
				     is_dir || path[end + strspn(path + end, "/")]);
	}
	return err;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Binds take flags in a second step; what the source's mount forbids stays forbidden. */
static int restrict_bind(int root_fd, const struct sandbox_mount *m)
{
	auto_close int fd = open_place(root_fd, m->destination);
	unsigned long flags = MS_BIND | MS_REMOUNT | m->flags;
	struct statvfs fs;

	if (fd < 0)
		return fd;
	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_flag & ST_RDONLY)
		flags |= MS_RDONLY;
	if (fs.f_flag & ST_NOSUID)
		flags |= MS_NOSUID;
	if (fs.f_flag & ST_NODEV)
		flags |= MS_NODEV;
	if (fs.f_flag & ST_NOEXEC)
		flags |= MS_NOEXEC;
	if (fs.f_flag & ST_NOATIME)
		flags |= MS_NOATIME;
	return mount(NULL, path_of_fd(fd).text, NULL, flags, NULL) < 0 ? -errno : 0;
}

static int mount_at(int root_fd, int place, const struct sandbox_mount *m)
{
	struct fd_path target = path_of_fd(place);
	const char *source = m->source ? m->source : target.text;

	if (m->fstype)
		return mount(m->fstype, target.text, m->fstype, m->flags, m->data) < 0 ? -errno : 0;
	if (mount(source, target.text, NULL, MS_BIND, NULL) < 0)
		return -errno;
	return m->flags ? restrict_bind(root_fd, m) : 0;
}

static int mount_one(int root_fd, const struct sandbox_mount *m, struct strbuf *error)
{
	auto_close int place = open_place(root_fd, m->destination);
	int err = place < 0 ? place : 0;

	if (err == -ENOENT && m->create) {
		err = make_place(root_fd, m->destination,
				 m->fstype || !m->source || is_directory(m->source));
		if (!err) {
			place = open_place(root_fd, m->destination);
			err = place < 0 ? place : 0;
		}
	}
	if (!err)
		err = mount_at(root_fd, place, m);
	if (err && m->optional)
		return 0;
	if (err && m->source)
		strbuf_addf(error, "cannot bind %s to %s in the container: %s", m->source,
			    m->destination, strerror(-err));
	else if (err)
		strbuf_addf(error, "cannot mount %s at %s in the container: %s", m->fstype,
			    m->destination, strerror(-err));
	return err;
}

/* What every program expects in /dev beside the nodes. Absence is no failure. */
static void populate_dev(int root_fd)
{
	static const struct {
		const char *name, *target;
	} links[] = {
		{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
		{"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
		{"ptmx", "pts/ptmx"},
	};
	auto_close int dev = sandbox_open_beneath(root_fd, "/dev", O_PATH | O_DIRECTORY);

	for (size_t i = 0; dev >= 0 && i < sizeof(links) / sizeof(links[0]); i++) {
		if (symlinkat(links[i].target, dev, links[i].name) < 0)
			return;
	}
}

/*
 * systemd-resolved and resolvconf make /etc/resolv.conf a link into /run, which is
 * empty in the container: give it the content.
 */
static void populate_run(int root_fd)
{
	auto_free char *target = realpath(RESOLV_CONF, NULL);
	auto_strbuf struct strbuf content = STRBUF_INIT;
	auto_close int fd = -1;

	if (!make_place(root_fd, "/run/lock", true)) {
		fd = sandbox_open_beneath(root_fd, "/run/lock", O_RDONLY | O_DIRECTORY);
		if (fd >= 0 && fchmod(fd, 01777) == 0)
			close(take_fd(&fd));
	}
	if (!target || strncmp(target, "/run/", 5) != 0 ||
	    file_read(AT_FDCWD, target, RESOLV_CONF_MAX, &content) || !content.len ||
	    make_place(root_fd, target, false))
		return;
	fd = sandbox_open_beneath(root_fd, target, O_WRONLY);
	if (fd >= 0 && write(fd, content.data, content.len) < 0)
		close(take_fd(&fd));
}

static int pivot(const char *merged, struct strbuf *error)
{
	int err = 0;

	/* Stacked on itself, the old root can be detached without a place for it. */
	if (chdir(merged) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) {
		err = -errno;
		strbuf_addf(error, "cannot make %s the root: %s", merged, strerror(-err));
	}
	return err;
}

int sandbox_root_enter(const struct sandbox_root *root, struct strbuf *error)
{
	auto_close int root_fd = -1;
	int err;

	/* Nothing we mount may travel to the host, nor keep the host from unmounting. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		err = -errno;
		strbuf_addf(error, "cannot make the mounts private: %s", strerror(-err));
		return err;
	}
	err = mount_overlay(root, error);
	if (err)
		return err;
	root_fd = open(root->area->merged, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -errno;

	for (size_t i = 0; i < root->plan->len; i++) {
		const struct sandbox_mount *m = &root->plan->mounts[i];

		err = mount_one(root_fd, m, error);
		if (err)
			return err;
		if (m->fstype && !strcmp(m->destination, "/run"))
			populate_run(root_fd);
	}
	populate_dev(root_fd);
	return pivot(root->area->merged, error);
}

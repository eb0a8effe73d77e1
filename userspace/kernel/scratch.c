/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scratch.c - see scratch.h.
 */
#include "kernel/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

static int make_dirs(const char *parent, struct scratch *s)
{
	static const char *const names[] = {"lower", "upper", "work"};

	if (asprintf(&s->dir, "%s/self-test.XXXXXX", parent) < 0) {
		s->dir = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(s->dir)) {
		free(s->dir);
		s->dir = NULL;
		return -errno;
	}
	s->dir_fd = open(s->dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir_fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mkdirat(s->dir_fd, names[i], 0700))
			return -errno;
	return 0;
}

/* By a descriptor: whatever characters the name of the directory has. */
static int set_dir(const struct scratch *s, int fs, const char *option, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", s->dir_fd, name);
	return fsconfig(fs, FSCONFIG_SET_STRING, option, path, 0) ? -errno : 0;
}

/* Descriptor of the root of a new overlay, or -errno. */
static int mount_overlay(const struct scratch *s)
{
	auto_close int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	int err = 0, fd;

	if (fs < 0)
		return -errno;
	err = err ?: set_dir(s, fs, "lowerdir", "lower");
	err = err ?: set_dir(s, fs, "upperdir", "upper");
	err = err ?: set_dir(s, fs, "workdir", "work");
	if (err)
		return err;
	/* Else the file system below is written back as a whole when this is unmounted. */
	fsconfig(fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int identify(struct scratch *s)
{
	auto_close int fd = openat(s->dir_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat root, upper;
	struct statfs fs;

	if (fd < 0 || fstat(s->root_fd, &root) || fstat(fd, &upper) || fstatfs(fd, &fs))
		return -errno;
	s->overlay_dev = file_kernel_dev(root.st_dev);
	s->upper_dev = file_kernel_dev(upper.st_dev);
	s->upper_ino = upper.st_ino;
	s->upper_fs = fs.f_type;
	return 0;
}

int scratch_open(const char *parent, struct strbuf *error, struct scratch *ret)
{
	struct scratch s = {.dir_fd = -1, .root_fd = -1};
	int err = make_dirs(parent, &s);

	if (err) {
		strbuf_addf(error, "no directory can be made in %s: %s", parent, strerror(-err));
	} else {
		s.root_fd = mount_overlay(&s);
		err = s.root_fd < 0 ? s.root_fd : identify(&s);
		if (err)
			strbuf_addf(error, "no overlay can be mounted on %s: %s", parent,
				    strerror(-err));
	}
	if (err) {
		scratch_close(&s);
		return err;
	}
	*ret = s;
	return 0;
}

void scratch_close(struct scratch *s)
{
	static const char *const dirs[] = {"work/work/incompat/volatile",
					   "work/work/incompat",
					   "work/work",
					   "work/index",
					   "work",
					   "lower",
					   "upper"};
	char name[] = "upper/a";

	if (s->root_fd >= 0)
		close(s->root_fd);
	if (s->dir_fd >= 0) {
		for (; name[6] <= 'z'; name[6]++)
			unlinkat(s->dir_fd, name, 0);
		unlinkat(s->dir_fd, "work/work/incompat/volatile/dirty", 0);
		for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
			unlinkat(s->dir_fd, dirs[i], AT_REMOVEDIR);
		close(s->dir_fd);
	}
	if (s->dir)
		rmdir(s->dir);
	free(s->dir);
	*s = (struct scratch){.dir_fd = -1, .root_fd = -1};
}

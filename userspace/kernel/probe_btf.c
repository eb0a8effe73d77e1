/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_btf.c - what the kernel's types name; and types from a file, for a kernel that
 * has them and does not show them.
 *
 * libbpf looks for the kernel's own types in fixed places. Where they are hidden there,
 * in a mount namespace of our own the file is put at the first of these places for as
 * long as programs are being loaded.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "kernel/probe_internal.h"

#define BTF_DIR "/sys/kernel/btf"

static bool kernel_shows_btf(void)
{
	struct btf *btf = btf__load_vmlinux_btf();

	btf__free(btf);
	return btf != NULL;
}

int btf_has_enumerator(const struct btf *btf, const char *type, const char *name)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	const struct btf_type *t;
	unsigned i;

	if (id < 0)
		return -ENOENT;
	t = btf__type_by_id(btf, (uint32_t)id);
	for (i = 0; i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_enum(t)[i].name_off), name))
			return 1;
	return 0;
}

static int put_in_place(const void *types, size_t size)
{
	auto_close int dir = -1;

	/* Not made where it is missing: then the kernel has no types, and loads nothing. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("driftwatch", BTF_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"))
		return -errno;
	dir = open(BTF_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -errno : file_replace(dir, "vmlinux", types, size);
}

int btf_stage_enter(const char *file, struct strbuf *error, struct btf_stage *ret)
{
	struct btf_stage s = {.ns_fd = -1, .cwd_fd = -1};
	struct btf *btf;
	const void *types;
	uint32_t size = 0;
	int err;

	*ret = s;
	if (!file || kernel_shows_btf())
		return 0;
	btf = btf__parse(file, NULL);
	types = btf ? btf__raw_data(btf, &size) : NULL;
	err = types ? 0 : -errno;
	if (!err) {
		s.ns_fd = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
		s.cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (s.ns_fd < 0 || s.cwd_fd < 0 || unshare(CLONE_NEWNS))
			err = -errno;
		else
			err = put_in_place(types, size);
	}
	btf__free(btf);
	*ret = s;
	if (!err)
		return 0;
	btf_stage_leave(ret);
	if (error)
		strbuf_addf(error, "the types in %s cannot be used: %s", file, strerror(-err));
	return err;
}

void btf_stage_leave(struct btf_stage *s)
{
	if (s->ns_fd >= 0) {
		setns(s->ns_fd, CLONE_NEWNS);
		close(s->ns_fd);
	}
	if (s->cwd_fd >= 0) {
		if (fchdir(s->cwd_fd)) /* it was removed meanwhile: "/" is as good */
			log_debug("the working directory is gone: %s", strerror(errno));
		close(s->cwd_fd);
	}
	*s = (struct btf_stage){.ns_fd = -1, .cwd_fd = -1};
}

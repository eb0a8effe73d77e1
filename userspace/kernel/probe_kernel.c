/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_kernel.c - what this kernel offers, for doctor. Nothing stays loaded.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "kernel/probe_internal.h"

/* r0 = 0; exit */
static const struct bpf_insn return_0[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
	{.code = BPF_JMP | BPF_EXIT},
};
#define RETURN_0_LEN (sizeof(return_0) / sizeof(return_0[0]))

/* Descriptor of a program of no effect, attached to BTF id @btf_id, or -errno. */
static int load_tracing(enum bpf_attach_type attach, uint32_t btf_id)
{
	DECLARE_LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach,
			    .attach_btf_id = btf_id);
	int fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "dw_examine", "GPL", return_0, RETURN_0_LEN,
			       &opts);

	return fd < 0 ? -errno : fd;
}

/* Loading alone proves nothing: some kernels refuse the attachment. */
bool kernel_has_trampoline(const struct btf *vmlinux)
{
	int id = vmlinux ? btf__find_by_name_kind(vmlinux, "vfs_fallocate", BTF_KIND_FUNC) : 0;
	auto_close int prog = -1, link = -1;

	if (id <= 0)
		return false;
	prog = load_tracing(BPF_TRACE_FEXIT, (uint32_t)id);
	if (prog < 0)
		return false;
	link = bpf_raw_tracepoint_open(NULL, prog);
	return link >= 0;
}

bool kernel_has_kprobe(void)
{
	return !access("/sys/bus/event_source/devices/kprobe/type", R_OK);
}

bool kernel_can_load(const struct btf *vmlinux)
{
	const char *name = "btf_trace_sched_process_exec";
	int id = vmlinux ? btf__find_by_name_kind(vmlinux, name, BTF_KIND_TYPEDEF) : 0;
	auto_close int prog = -1;

	if (id <= 0)
		return false;
	prog = load_tracing(BPF_TRACE_RAW_TP, (uint32_t)id);
	return prog >= 0;
}

static void examine_btf(struct probe_kernel *k, const struct btf *btf)
{
	k->has_btf = !!btf;
	if (!btf)
		return;
	k->has_task_storage =
		btf_has_enumerator(btf, "bpf_map_type", "BPF_MAP_TYPE_TASK_STORAGE") > 0;
	k->has_cgrp_storage =
		btf_has_enumerator(btf, "bpf_map_type", "BPF_MAP_TYPE_CGRP_STORAGE") > 0;
}

static void read_line(const char *path, char *ret, size_t size)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	size_t len;

	ret[0] = '\0';
	if (file_read(AT_FDCWD, path, size - 1, &text))
		return;
	len = strcspn(strbuf_str(&text), "\n");
	memcpy(ret, strbuf_str(&text), len);
	ret[len] = '\0';
}

static int ignore_text(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

int probe_examine_kernel(struct probe_kernel *ret)
{
	struct probe_kernel k = {0};
	struct utsname name;
	struct statfs fs;
	struct btf *vmlinux;

	if (uname(&name))
		return -errno;
	libbpf_set_print(ignore_text);
	vmlinux = btf__load_vmlinux_btf();
	memcpy(k.release, name.release, strnlen(name.release, sizeof(k.release) - 1));
	examine_btf(&k, vmlinux);
	k.has_bpffs = !statfs("/sys/fs/bpf", &fs) && fs.f_type == BPF_FS_MAGIC;
	k.can_load = kernel_can_load(vmlinux);
	k.has_trampoline = kernel_has_trampoline(vmlinux);
	btf__free(vmlinux);
	k.has_kprobe = kernel_has_kprobe();
	read_line("/sys/kernel/security/lsm", k.lsm, sizeof(k.lsm));
	*ret = k;
	return 0;
}

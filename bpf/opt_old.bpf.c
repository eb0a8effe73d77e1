/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * opt_old.bpf.c - all programs once more, for kernels before 5.13.
 *
 * Those refuse an object that has an atomic exchange in it, used or not, and have
 * neither task storage nor a typed pointer to the current task. An object of its own,
 * from the same sources: the loader takes one or the other.
 */
#define DW_OLD_KERNEL

#define LICENSE license_of_attr
#include "attr.bpf.c"
#undef LICENSE
#define LICENSE license_of_cgroup
#include "cgroup.bpf.c"
#undef LICENSE
#define LICENSE license_of_create
#include "create.bpf.c"
#undef LICENSE
#define LICENSE license_of_dirty
#include "dirty.bpf.c"
#undef LICENSE
#define LICENSE license_of_exec
#include "exec.bpf.c"
#undef LICENSE
#define LICENSE license_of_names_vfs
#include "names_vfs.bpf.c"
#undef LICENSE
#define LICENSE license_of_remove
#include "remove.bpf.c"
#undef LICENSE
#define LICENSE license_of_write_fs
#include "write_fs.bpf.c"
#undef LICENSE
#define LICENSE license_of_write_syscall
#include "write_syscall.bpf.c"
#undef LICENSE
#define LICENSE license_of_write_vfs
#include "write_vfs.bpf.c"

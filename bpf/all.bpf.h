/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * all.bpf.h - every program once more, for an object of its own: one that kernels may
 * refuse must not take the others with it. Who includes it says what differs.
 */
#ifndef ALL_BPF_H
#define ALL_BPF_H

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
#define LICENSE license_of_share
#include "share.bpf.c"
#undef LICENSE
#define LICENSE license_of_write_fs
#include "write_fs.bpf.c"
#undef LICENSE
#define LICENSE license_of_write_syscall
#include "write_syscall.bpf.c"
#undef LICENSE
#define LICENSE license_of_write_vfs
#include "write_vfs.bpf.c"

#endif /* ALL_BPF_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * opt_old.bpf.c - all programs once more, for kernels before 5.13.
 *
 * Those refuse an object that has an atomic exchange in it, used or not, and have
 * neither task storage nor a typed pointer to the current task. An object of its own,
 * from the same sources: the loader takes one or the other.
 */
#define DW_OLD_KERNEL

#include "all.bpf.h"

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * opt_cast.bpf.c - all programs once more, for kernels that have bpf_rdonly_cast() (since
 * 6.2); what that saves is in peek.bpf.h.
 *
 * An object that calls a kernel function is refused as a whole where its prototype is not
 * what is declared here, weak or not. The main object calls none.
 */
#define DW_RDONLY_CAST

#include "all.bpf.h"

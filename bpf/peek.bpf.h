/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * peek.bpf.h - fields of what lies at a bare address, which may be no such thing any more.
 *
 * Since 6.2 a number can be made a typed pointer, which is then read without a call: a sixth
 * of what the creation of a file costs. Before that, and where nobody waits for it
 * (BPF_CORE_READ), each read is one. Both give 0 where nothing is.
 */
#ifndef PEEK_BPF_H
#define PEEK_BPF_H

#include "kernel_types.h"

#include <bpf/bpf_core_read.h>

#ifdef DW_RDONLY_CAST

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;

#define AS(type, p) ((type *)bpf_rdonly_cast((const void *)(p), bpf_core_type_id_kernel(type)))

/* A number of the @type at @p. */
#define PEEK(type, p, field) (AS(type, p)->field)
/* The pointer that lies at @p, not a typed one: global functions take numbers only. */
#define POINTER_AT(p)		     ((void *)AS(struct load_weight, p)->weight)
#define PEEK_POINTER(type, p, field) POINTER_AT((__u64)(p) + bpf_core_field_offset(type, field))

#else

#define PEEK(type, p, field)	     BPF_CORE_READ((type *)(p), field)
#define PEEK_POINTER(type, p, field) ((void *)BPF_CORE_READ((type *)(p), field))

#endif

#endif /* PEEK_BPF_H */

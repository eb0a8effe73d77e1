/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * write_syscall.bpf.c - writes, seen at the end of system calls (tier syscall).
 *
 * The last resort: one program on sys_exit, which every system call of the machine
 * pays for, and one on io_uring completions. The bytes are what the call returned;
 * the file is the one the descriptor names, so copy-up never shows. AIO is seen when
 * its events are fetched with io_getevents(). Not seen: stores through mmap, AIO whose
 * events a program takes from the ring itself. Before 5.13 AIO, and before 5.18 io_uring,
 * need the functions of write_vfs.bpf.c.
 */
#include "kernel_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "steady.bpf.h"
#include "write_vfs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define NO_FD (-1)

/* --- which argument of which system call is the descriptor written to --- */

#if defined(__TARGET_ARCH_x86)

#define TS_COMPAT 2

/* By where the descriptor is, first or third: of 64-bit processes, and of 32-bit ones. */
#define NATIVE_FIRST             \
	case 1:	  /* write */    \
	case 18:  /* pwrite64 */ \
	case 20:  /* writev */   \
	case 40:  /* sendfile */ \
	case 296: /* pwritev */  \
	case 328  /* pwritev2 */
#define NATIVE_THIRD           \
	case 275: /* splice */ \
	case 326  /* copy_file_range */
#define COMPAT_FIRST               \
	case 4:	  /* write */      \
	case 146: /* writev */     \
	case 181: /* pwrite64 */   \
	case 187: /* sendfile */   \
	case 239: /* sendfile64 */ \
	case 334: /* pwritev */    \
	case 379  /* pwritev2 */
#define COMPAT_THIRD           \
	case 313: /* splice */ \
	case 377  /* copy_file_range */
#define AIO_END                      \
	case 208: /* io_getevents */ \
	case 333  /* io_pgetevents */

#define IS_AIO_END(regs) is_aio_end((regs)->orig_ax)
/* Of either kind of process: all that most calls are asked. */
#define MAY_WRITE(regs)	 is_one_of_all((regs)->orig_ax)
#define AIO_EVENTS(regs) ((regs)->r10) /* where they are put */

static __always_inline bool is_aio_end(unsigned long nr)
{
	switch (nr) {
	AIO_END:
		return true;
	default:
		return false;
	}
}

static __always_inline bool is_one_of_all(unsigned long nr)
{
	switch (nr) {
	NATIVE_FIRST:
	NATIVE_THIRD:
	COMPAT_FIRST:
	COMPAT_THIRD:
	AIO_END:
		return true;
	default:
		return false;
	}
}

static __always_inline int fd_of_compat(struct pt_regs *regs)
{
	switch (regs->orig_ax) {
	COMPAT_FIRST:
		return regs->bx;
	COMPAT_THIRD:
		return regs->dx;
	default:
		return NO_FD;
	}
}

static __always_inline int fd_of(struct task_struct *task, struct pt_regs *regs)
{
	if (TASK_LOAD(task, thread_info.status) & TS_COMPAT)
		return fd_of_compat(regs);
	switch (regs->orig_ax) {
	NATIVE_FIRST:
		return regs->di;
	NATIVE_THIRD:
		return regs->dx;
	default:
		return NO_FD;
	}
}

#else

#define IS_AIO_END(regs) ((regs)->syscallno == 4 || (regs)->syscallno == 292)
#define MAY_WRITE(regs)	 (fd_of(NULL, regs) != NO_FD || IS_AIO_END(regs))
#define AIO_EVENTS(regs) ((regs)->regs[3])

/* The first argument was overwritten by the result and is kept apart. */
static __always_inline int fd_of(struct task_struct *task, struct pt_regs *regs)
{
	switch (regs->syscallno) {
	case 64:  /* write */
	case 66:  /* writev */
	case 68:  /* pwrite64 */
	case 70:  /* pwritev */
	case 71:  /* sendfile */
	case 287: /* pwritev2 */
		return regs->orig_x0;
	case 76:  /* splice */
	case 285: /* copy_file_range */
		return regs->regs[2];
	default:
		return NO_FD;
	}
}

#endif

static __always_inline struct inode *inode_of_fd(struct task_struct *task, __u32 fd)
{
	struct fdtable *fdt = TASK_LOAD(task, files, fdt);
	struct file **table, *file = NULL;

	if (fd >= TASK_LOAD(fdt, max_fds))
		return NULL;
	table = TASK_LOAD(fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), &table[fd]);
	return file ? BPF_CORE_READ(file, f_inode) : NULL;
}

#ifdef DW_RDONLY_CAST

static __always_inline struct inode *typed_inode_of_fd(struct task_struct *task, __u32 fd)
{
	struct fdtable *fdt = TASK_LOAD(task, files, fdt);

	if (fd >= fdt->max_fds)
		return NULL;
	return AS(struct file, POINTER_AT(&fdt->fd[fd]))->f_inode;
}

/* That of the layer under an overlay's. */
static __always_inline struct inode *typed_real_inode(struct inode *inode, __u32 magic)
{
	void *upper;

	if (magic != OVERLAYFS_SUPER_MAGIC)
		return inode;
	upper = POINTER_AT((__u64)inode + bpf_core_type_size(struct inode));
	return upper ? AS(struct dentry, upper)->d_inode : inode;
}

/* file_id_read() of a typed pointer. */
static __always_inline void file_id_cast(struct inode *inode, struct file_id *ret)
{
	struct super_block *sb = inode->i_sb;

	ret->inode = (__u64)inode;
	ret->sb = (__u64)sb;
	ret->sb_dev = sb->s_dev;
	ret->magic = sb->s_magic;
	ret->mode = inode->i_mode;
	inode = typed_real_inode(inode, ret->magic);
	ret->ino = inode->i_ino;
	ret->gen = inode->i_generation;
}

/* Without a struct file_id, for the reason that steady.bpf.h gives. */
static __always_inline bool is_steady(struct task_struct *task, __u32 fd, __u64 bytes)
{
	struct inode *inode = typed_inode_of_fd(task, fd);
	struct super_block *sb;

	if (!inode)
		return false;
	sb = inode->i_sb;
	inode = typed_real_inode(inode, sb->s_magic);
	return steady_call(inode->i_ino, inode->i_generation, (__u64)sb, task, bytes);
}

#else
#define typed_inode_of_fd inode_of_fd
#define file_id_cast	  file_id_read
#define is_steady(...)	  false /* the verifier of 6.1 refuses it here */
#endif

/*
 * What a system call returned. Not inlined: with all that is below it the stack of a
 * program that calls it twice would not do, and see steady.bpf.h.
 */
static __noinline int count_result(__u32 fd, __u64 bytes)
{
	struct inode *inode = typed_inode_of_fd(current_task(), fd);
	struct file_id file;

	if (!inode)
		return 0;
	file_id_cast(inode, &file);
	count_write_to(&file, 1, bytes, true);
	return 0;
}

/* --- AIO: submitted without a result, which comes with the events --- */

#define AIO_BATCH 256 /* events of one call that are looked at */

/* include/uapi/linux/aio_abi.h */
#define IOCB_CMD_PWRITE	 1
#define IOCB_CMD_PWRITEV 8

/* What is of use in struct io_event and, behind its first fields, in struct iocb. */
struct aio_event {
	__u64 iocb;
	__s64 res;
};
#define AIO_EVENT_SIZE	 32
#define AIO_EVENT_OFFSET 8

struct aio_iocb {
	__u16 opcode;
	__s16 prio;
	__u32 fd;
};
#define AIO_IOCB_OFFSET 16

#ifndef DW_OLD_KERNEL
/* Count event @i of those at @events, in the program's memory: for once its word is taken. */
__weak __noinline int count_aio_event(__u64 events, __u32 i)
{
	struct aio_event event = {};
	struct aio_iocb iocb = {};

	bpf_probe_read_user(&event, sizeof(event),
			    (void *)(events + i * AIO_EVENT_SIZE + AIO_EVENT_OFFSET));
	bpf_probe_read_user(&iocb, sizeof(iocb), (void *)(event.iocb + AIO_IOCB_OFFSET));
	if (event.res <= 0 || (iocb.opcode != IOCB_CMD_PWRITE && iocb.opcode != IOCB_CMD_PWRITEV))
		return 0;
	return count_result(iocb.fd, event.res);
}
#endif

static __noinline int on_aio_events(__u64 events, long n)
{
#ifndef DW_OLD_KERNEL /* whose verifier refuses the whole program for it */
	int i;

	for (i = 0; i < AIO_BATCH && i < n; i++)
		count_aio_event(events, i);
#endif
	return 0;
}

/* Not inlined: its registers would be what each call of whoever pays for. */
static __noinline int BPF_PROG(on_return, struct pt_regs *regs, long ret)
{
	struct task_struct *task = current_task();
	int fd = fd_of(task, regs);

	if (fd < 0)
		return IS_AIO_END(regs) ? on_aio_events(AIO_EVENTS(regs), ret) : 0;
	return is_steady(task, fd, ret) ? 0 : count_result(fd, ret);
}

/* Arguments: as on_return(). */
SEC("tp_btf/sys_exit")
#ifdef DW_RDONLY_CAST
int on_sys_exit(unsigned long long *ctx)
#else
int on_sys_exit_old(unsigned long long *ctx)
#endif
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];

	return (long)ctx[1] > 0 && MAY_WRITE(regs) ? on_return(ctx) : 0;
}

/* --- io_uring: the request knows its file, the completion its result --- */

/* enum io_uring_op, ABI */
#define IORING_OP_WRITEV       2
#define IORING_OP_WRITE_FIXED  5
#define IORING_OP_WRITE	       23
#define IORING_OP_SPLICE       30
#define IORING_OP_WRITEV_FIXED 61 /* since 6.15 */

/* The vfs tiers see a splice where its pages are written. */
static __always_inline bool is_write_of_uring(__u8 opcode)
{
	struct dw_control *control;

	switch (opcode) {
	case IORING_OP_WRITEV:
	case IORING_OP_WRITE_FIXED:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV_FIXED:
		return true;
	case IORING_OP_SPLICE:
		control = control_get();
		return control && control->tier == DW_TIER_SYSCALL;
	default:
		return false;
	}
}

static __always_inline int on_uring_result(struct io_kiocb *req, __s32 res)
{
	struct inode *inode;

	if (res <= 0 || !req || !is_write_of_uring(BPF_CORE_READ(req, opcode)))
		return 0;
	inode = BPF_CORE_READ(req, file, f_inode);
	if (inode)
		count_write(inode, 1, res, false);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_uring_complete, void *ring, struct io_kiocb *req, struct io_uring_cqe *cqe)
{
	return on_uring_result(req, cqe->res);
}

SEC("tp_btf/io_uring_complete") /* before 6.12 */
int BPF_PROG(on_uring_complete_old, void *ring, struct io_kiocb *req, __u64 user_data, int res)
{
	return on_uring_result(req, res);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * floor.bpf.c - what the benchmark compares driftwatch's programs with.
 *
 * Empty programs on the hooks that driftwatch uses: what being called costs, below
 * which nobody can get. And a stand-in for a general system call sensor: sys_enter and
 * sys_exit, one record of 100 bytes per write, without a path.
 */
#include "kernel_types.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/sys_exit")
int BPF_PROG(empty_sys_exit)
{
	return 0;
}

SEC("tp_btf/ext4_da_write_end")
int BPF_PROG(empty_write_end)
{
	return 0;
}

/* --- the stand-in for a sensor of system calls --- */

#define SENSOR_SYSCALLS 512

struct sensor_record {
	__u64 time_ns;
	__u64 pid_tgid;
	__u64 uid_gid;
	__u64 cgroup_id;
	__s64 result;
	__u64 fd;
	__u64 size;
	char comm[16];
	__u32 nr;
	char data[24];
} __attribute__((packed));
_Static_assert(sizeof(struct sensor_record) == 100, "as announced");

/* The system calls it is interested in. Filled by monitor.c. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SENSOR_SYSCALLS);
	__type(key, __u32);
	__type(value, __u8);
} sensor_wants SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} sensor_ring SEC(".maps");

__u64 sensor_records, sensor_lost;

static __always_inline bool is_wanted(__u32 nr)
{
	__u8 *wanted = bpf_map_lookup_elem(&sensor_wants, &nr);

	return wanted && *wanted;
}

#if defined(__TARGET_ARCH_x86)
#define REGS_NR(regs)	((regs)->orig_ax)
#define REGS_FD(regs)	((regs)->di)
#define REGS_BUF(regs)	((regs)->si)
#define REGS_SIZE(regs) ((regs)->dx)
#else
#define REGS_NR(regs)	((regs)->syscallno)
#define REGS_FD(regs)	((regs)->orig_x0)
#define REGS_BUF(regs)	((regs)->regs[1])
#define REGS_SIZE(regs) ((regs)->regs[2])
#endif

/* Such a sensor looks at the beginning of a call too, if only to pass most of them. */
SEC("tp_btf/sys_enter")
int BPF_PROG(sensor_enter, struct pt_regs *regs, long nr)
{
	return is_wanted(nr);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sensor_exit, struct pt_regs *regs, long ret)
{
	struct sensor_record *r;

	if (!is_wanted(REGS_NR(regs)))
		return 0;
	r = bpf_ringbuf_reserve(&sensor_ring, sizeof(*r), 0);
	if (!r) {
		__sync_fetch_and_add(&sensor_lost, 1);
		return 0;
	}
	r->time_ns = bpf_ktime_get_boot_ns();
	r->pid_tgid = bpf_get_current_pid_tgid();
	r->uid_gid = bpf_get_current_uid_gid();
	r->cgroup_id = bpf_get_current_cgroup_id();
	r->result = ret;
	r->fd = REGS_FD(regs);
	r->size = REGS_SIZE(regs);
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	r->nr = REGS_NR(regs);
	bpf_probe_read_user(r->data, sizeof(r->data), (void *)REGS_BUF(regs));
	/* Nobody is woken: the consumer looks every few milliseconds, which is cheapest. */
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_slots.c - what the slots of slot.bpf.h hold that cells do not.
 *
 * The slots of the main program are read as they change, and emptied in the half it does
 * not use; the others while we hold them, like a program does: one that finds them held
 * works around them.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "kernel/probe_internal.h"

#define SLOT_TRIES 10000

struct slot_copy {
	struct probe_file_key key;
	struct probe_file_counts counts;
};

static bool slots_hold(struct dw_slot *lock)
{
	int i;

	for (i = 0; i < SLOT_TRIES; i++) {
		if (!__atomic_load_n(&lock->busy, __ATOMIC_RELAXED) &&
		    !__atomic_exchange_n(&lock->busy, 1, __ATOMIC_SEQ_CST))
			return true;
		sched_yield();
	}
	return false;
}

static void slots_let_go(struct dw_slot *lock)
{
	__atomic_exchange_n(&lock->busy, 0, __ATOMIC_SEQ_CST);
}

static struct dw_slot *slots_of_cpu(const struct probe *p, unsigned cpu)
{
	return p->slots + (size_t)cpu * DW_SLOTS_PER_CPU;
}

void slots_repair(struct probe *p)
{
	unsigned cpu, i;

	/* A program holds one for microseconds; whoever holds it longer is dead. */
	for (cpu = 0; cpu < p->cpus; cpu++)
		for (i = DW_SLOTS_SPARES; i < DW_SLOTS_PER_CPU; i++) {
			slots_hold(&slots_of_cpu(p, cpu)[i]);
			slots_let_go(&slots_of_cpu(p, cpu)[i]);
		}
}

/* False when the slot holds nothing that cells do not. */
static bool slot_read(const struct probe *p, const struct dw_slot *slot, struct slot_copy *ret)
{
	uint64_t ticks = slot->last_jiffies - slot->claimed_jiffies;

	if (!slot->ino || !(slot->calls | slot->bytes))
		return false;
	ret->key = (struct probe_file_key){.ino = slot->ino, .dev = slot->dev, .gen = slot->gen};
	ret->counts = (struct probe_file_counts){
		.bytes = slot->bytes,
		.calls = slot->calls,
		.first_boot_ns = slot->claimed_boot_ns,
		.last_boot_ns = slot->claimed_boot_ns + ticks * p->control->tick_ns,
		.first_writer = slot->first_writer,
		.last_writer = slot->last_writer,
		.container = slot->container,
		.target = slot->target,
		.overlay_dev = slot->overlay_dev,
	};
	return true;
}

/* The same while the main program goes on: the slot may be given to another file. */
static bool slot_read_moving(const struct probe *p, const struct dw_slot *slot,
			     struct slot_copy *ret)
{
	uint64_t seq;
	bool has_counts;
	int i;

	for (i = 0; i < SLOT_TRIES; i++) {
		seq = __atomic_load_n(&slot->seq, __ATOMIC_ACQUIRE);
		has_counts = slot_read(p, slot, ret);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(seq & 1) && __atomic_load_n(&slot->seq, __ATOMIC_RELAXED) == seq)
			return has_counts;
		sched_yield();
	}
	return false;
}

static void slot_clear(struct dw_slot *slot)
{
	slot->ino = slot->calls = slot->bytes = 0;
}

static void empty_of(struct dw_slot *slots, size_t len, dw_container_t c)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (slots[i].container == c)
			slot_clear(&slots[i]);
}

void slots_empty_of(struct probe *p, dw_container_t c)
{
	unsigned cpu, turn, half;
	struct dw_slot *slots;

	for (turn = 0; turn < 2; turn++) {
		half = p->control->half;
		__atomic_store_n(&p->control->half, !half, __ATOMIC_SEQ_CST);
		control_wait_for_programs(p);
		for (cpu = 0; cpu < p->cpus; cpu++)
			empty_of(slots_of_cpu(p, cpu) + half * DW_SLOTS_CACHED, DW_SLOTS_CACHED, c);
	}
	for (cpu = 0; cpu < p->cpus; cpu++) {
		slots = slots_of_cpu(p, cpu);
		if (!slots_hold(&slots[DW_SLOT_LOCK]))
			continue;
		empty_of(slots + DW_SLOTS_OTHER, DW_SLOTS_CACHED, c);
		slots_let_go(&slots[DW_SLOT_LOCK]);
	}
}

/* Both halves of the main program's; of one that is emptied, only the idle half. */
static size_t copy_main(const struct probe *p, struct dw_slot *slots, bool empty,
			struct slot_copy *ret)
{
	unsigned idle = !p->control->half, half, i;
	size_t n = 0;

	for (half = 0; half < 2; half++)
		for (i = 0; i < DW_SLOTS_CACHED; i++) {
			struct dw_slot *slot = &slots[half * DW_SLOTS_CACHED + i];

			if (empty && half != idle)
				continue;
			n += slot_read_moving(p, slot, &ret[n]);
			if (empty)
				slot_clear(slot);
		}
	return n;
}

/* The other programs are held up meanwhile. */
static size_t copy_other(const struct probe *p, struct dw_slot *slots, bool empty,
			 struct slot_copy *ret)
{
	size_t n = 0;
	int i;

	if (!slots_hold(&slots[DW_SLOT_LOCK]))
		return 0;
	for (i = 0; i < DW_SLOTS_CACHED; i++) {
		struct dw_slot *slot = &slots[DW_SLOTS_OTHER + i];

		n += slot_read(p, slot, &ret[n]);
		if (empty)
			slot_clear(slot);
	}
	slots_let_go(&slots[DW_SLOT_LOCK]);
	return n;
}

int slots_foreach(const struct probe *p, bool empty, probe_file_fn fn, void *arg)
{
	auto_free struct slot_copy *copies = calloc(DW_SLOTS_SPARES, sizeof(*copies));
	unsigned cpu;
	size_t n, i;

	if (!copies)
		return -ENOMEM;
	for (cpu = 0; cpu < p->cpus; cpu++) {
		n = copy_main(p, slots_of_cpu(p, cpu), empty, copies);
		n += copy_other(p, slots_of_cpu(p, cpu), empty, copies + n);
		for (i = 0; i < n; i++)
			fn(&copies[i].key, &copies[i].counts, arg);
	}
	return 0;
}

int probe_foreach_slot(const struct probe *p, probe_file_fn fn, void *arg)
{
	return slots_foreach(p, false, fn, arg);
}

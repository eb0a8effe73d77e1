/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_shared.c - marks for inodes that have no slot of their own.
 *
 * A million files written in turn must cost no million records. Such an inode has a byte
 * in a table that only grows fuller, and shares it with others of a like hash; nobody is
 * told that it was set. Bits of the filter are never cleared: whoever inherits one has his
 * byte set for nothing.
 */
#include "kernel/probe_internal.h"

void probe_watch_shared(struct probe *p, uint32_t dev, uint64_t ino)
{
	uint32_t bit = (uint32_t)(dw_inode_hash(p->watch.hash_key, dev, ino) >> DW_FILTER_SHIFT);
	__u64 *word = &p->filter[bit / DW_FILTER_LINE].shared[bit % DW_FILTER_LINE / 64];
	uint64_t mask = 1ull << (bit % 64);

	control_add_dev(p, dev);
	p->watch.is_shared = true;
	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & mask))
		__atomic_or_fetch(word, mask, __ATOMIC_SEQ_CST);
}

uint64_t probe_hash_key(const struct probe *p)
{
	return p->watch.hash_key;
}

/* Eight marks. */
static __u64 *marks_at(const struct probe *p, uint32_t word)
{
	return &p->filter[word / (DW_FILTER_MARKS / 8)].marks[word % (DW_FILTER_MARKS / 8)];
}

static size_t take_word(struct probe *p, uint32_t word, uint32_t *ret)
{
	uint64_t marks = __atomic_exchange_n(marks_at(p, word), 0, __ATOMIC_SEQ_CST);
	const uint8_t *bytes = (const uint8_t *)&marks;
	size_t len = 0;

	for (uint32_t i = 0; i < 8; i++)
		if (bytes[i])
			ret[len++] = word * 8 + i;
	return len;
}

size_t probe_take_shared(struct probe *p, uint32_t *from, uint32_t *ret, size_t size)
{
	uint32_t word = *from;
	size_t len = 0;

	if (!p->watch.is_shared)
		return 0;
	for (; word < DW_SHARED_MARKS / 8 && len + 8 <= size; word++)
		if (__atomic_load_n(marks_at(p, word), __ATOMIC_RELAXED))
			len += take_word(p, word, ret + len);
	*from = word;
	return len;
}

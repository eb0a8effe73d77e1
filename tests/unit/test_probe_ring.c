/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_probe_ring.c - records out of a ring of the kernel's layout, here in a file: two
 * pages of positions, then the data twice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/probe_internal.h"

#define SIZE	 65536ul
#define MAX_SEEN 8

struct fake {
	struct ring ring;
	char *memory;
	size_t page, len;
	char seen[MAX_SEEN][16];
	int seen_len, stop_after;
};

static int set_up(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));

	f->page = (size_t)sysconf(_SC_PAGESIZE);
	f->len = 2 * f->page + 2 * SIZE;
	f->ring = (struct ring){.fd = memfd_create("ring", MFD_CLOEXEC), .size = SIZE};
	if (f->ring.fd < 0 || ftruncate(f->ring.fd, (off_t)f->len))
		return -1;
	f->memory = mmap(NULL, f->len, PROT_READ | PROT_WRITE, MAP_SHARED, f->ring.fd, 0);
	if (f->memory == MAP_FAILED)
		return -1;
	f->ring.consumer = (unsigned long *)f->memory;
	f->ring.producer = (unsigned long *)(f->memory + f->page);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fake *f = *state;

	munmap(f->memory, f->len);
	close(f->ring.fd);
	free(f);
	return 0;
}

/* One byte of a position, where the kernel's two mappings show it. */
static void put_byte(struct fake *f, unsigned long at, char byte)
{
	char *data = f->memory + 2 * f->page;

	data[at % SIZE] = byte;
	data[at % SIZE + SIZE] = byte;
}

static void put(struct fake *f, const char *text, uint32_t flags)
{
	uint32_t head[2] = {(uint32_t)strlen(text) + 1, 0};
	unsigned long at = *f->ring.producer, i;

	*f->ring.producer += (head[0] + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
	for (i = 0; i < head[0]; i++)
		put_byte(f, at + BPF_RINGBUF_HDR_SZ + i, text[i]);
	head[0] |= flags;
	for (i = 0; i < sizeof(head); i++)
		put_byte(f, at + i, ((const char *)head)[i]);
}

static void start_at(struct fake *f, unsigned long position)
{
	*f->ring.consumer = *f->ring.producer = position;
}

static int see(void *arg, const void *data, size_t size)
{
	struct fake *f = arg;

	assert_true(f->seen_len < MAX_SEEN && size <= sizeof(f->seen[0]));
	memcpy(f->seen[f->seen_len++], data, size);
	return f->seen_len == f->stop_after ? -ECANCELED : 0;
}

static void records_come_in_order_and_make_room(void **state)
{
	struct fake *f = *state;

	put(f, "one", 0);
	put(f, "two", 0);
	assert_int_equal(ring_consume(&f->ring, see, f), 0);
	assert_int_equal(f->seen_len, 2);
	assert_string_equal(f->seen[0], "one");
	assert_string_equal(f->seen[1], "two");
	assert_int_equal(*f->ring.consumer, *f->ring.producer);
	assert_int_equal(ring_consume(&f->ring, see, f), 0);
	assert_int_equal(f->seen_len, 2);
}

static void a_record_past_the_end_is_whole(void **state)
{
	struct fake *f = *state;

	start_at(f, 2 * SIZE - 16); /* its last bytes lie at the ring's begin */
	put(f, "over the end", 0);
	put(f, "begin", 0);
	assert_int_equal(ring_consume(&f->ring, see, f), 0);
	assert_int_equal(f->seen_len, 2);
	assert_string_equal(f->seen[0], "over the end");
	assert_string_equal(f->seen[1], "begin");
}

static void a_discarded_record_is_passed_over(void **state)
{
	struct fake *f = *state;

	put(f, "no", BPF_RINGBUF_DISCARD_BIT);
	put(f, "yes", 0);
	assert_int_equal(ring_consume(&f->ring, see, f), 0);
	assert_int_equal(f->seen_len, 1);
	assert_string_equal(f->seen[0], "yes");
}

static void what_is_not_complete_is_waited_for(void **state)
{
	struct fake *f = *state;
	unsigned long at;

	put(f, "done", 0);
	at = *f->ring.producer;
	put(f, "busy", BPF_RINGBUF_BUSY_BIT);
	put(f, "after", 0);
	assert_int_equal(ring_consume(&f->ring, see, f), 0);
	assert_int_equal(f->seen_len, 1);
	assert_int_equal(*f->ring.consumer, at);
	assert_true(ring_is_read_to(&f->ring, at));
	assert_false(ring_is_read_to(&f->ring, ring_end(&f->ring)));
	put_byte(f, at + 3, 0); /* the highest byte of the length has the bit */
	assert_int_equal(ring_consume(&f->ring, see, f), 0);
	assert_int_equal(f->seen_len, 3);
	assert_string_equal(f->seen[1], "busy");
	assert_true(ring_is_read_to(&f->ring, ring_end(&f->ring)));
}

static void who_has_had_enough_goes_on_there(void **state)
{
	struct fake *f = *state;

	f->stop_after = 1;
	put(f, "first", 0);
	put(f, "second", 0);
	assert_int_equal(ring_consume(&f->ring, see, f), -ECANCELED);
	assert_int_equal(f->seen_len, 1);
	assert_int_equal(ring_consume(&f->ring, see, f), 0);
	assert_int_equal(f->seen_len, 2);
	assert_string_equal(f->seen[1], "second");
}

static void positions_go_on_past_their_last_number(void **state)
{
	struct fake *f = *state;
	unsigned long asked;

	start_at(f, -8ul);
	put(f, "over", 0);
	asked = ring_end(&f->ring);
	assert_true(asked < 64);
	assert_false(ring_is_read_to(&f->ring, asked));
	*f->ring.consumer = asked;
	assert_true(ring_is_read_to(&f->ring, asked));
	*f->ring.consumer += 8;
	assert_true(ring_is_read_to(&f->ring, asked));
}

static void what_is_skipped_is_not_handed_out(void **state)
{
	struct fake *f = *state;

	put(f, "old", 0);
	put(f, "unfinished", BPF_RINGBUF_BUSY_BIT);
	ring_skip(&f->ring);
	put(f, "new", 0);
	assert_int_equal(ring_consume(&f->ring, see, f), 0);
	assert_int_equal(f->seen_len, 1);
	assert_string_equal(f->seen[0], "new");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(records_come_in_order_and_make_room, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_record_past_the_end_is_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_discarded_record_is_passed_over, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_complete_is_waited_for, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(who_has_had_enough_goes_on_there, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(positions_go_on_past_their_last_number, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_skipped_is_not_handed_out, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * engine_recall.h - inodes the engine remembers for a moment.
 *
 * Every record and every change of a layer asks for its inode several times: all that is
 * remembered of one is in one place. Bounded; what does not fit is not remembered.
 */
#ifndef ENGINE_RECALL_H
#define ENGINE_RECALL_H

#include "ledger/tree.h"

#include "driftwatch_abi.h"

#define RECALL_MAX   65536
#define RECALL_CHUNK 256

struct recall {
	struct dw_inode key;
	/* Operations the kernel side reported a moment ago: 1u << op. */
	unsigned ops;
	uint32_t next_free;
	char *created_at;	      /* the name a creation was told under; NULL: none was */
	struct dw_op_record *pending; /* a creation reported without a name; NULL: none */
	/* Of a record told before the tree had the node; writer 0: none. */
	struct tree_cause origin;
	/* Who marked it dirty last: renames, links and whiteouts mark the inode itself. */
	struct tree_cause mark;
	uint64_t told_wall_ns; /* of the last record that ops and origin are from; 0: none */
	/* Monotonic: of ops, created_at and origin; of mark; of pending. 0: there is none. */
	uint64_t told_until_ns, mark_until_ns, pending_until_ns;
};

struct recall_place;

/* Zeroed: empty. */
struct recall_table {
	struct recall_place *places; /* open addressing, a power of two of them */
	uint32_t places_len, used;
	struct recall *chunks[RECALL_MAX / RECALL_CHUNK]; /* they stay where they are */
	uint32_t chunks_len;
	uint32_t free; /* number of the first; 0: none */
};

/* NULL: it is not remembered. */
struct recall *recall_find(const struct recall_table *table, uint32_t dev, uint64_t ino);
/* As recall_find(), or a new one. NULL: full, no memory, or @ino is 0. */
struct recall *recall_make(struct recall_table *table, uint32_t dev, uint64_t ino);
/* Of what was told, all but these of .ops; and a creation that waits for its name. */
void recall_forget_told(struct recall *r, unsigned but_ops);
void recall_drop_pending(struct recall *r);
/* Forget what is due at @now_ns; UINT64_MAX: everything. Gives memory back once empty. */
void recall_expire(struct recall_table *table, uint64_t now_ns);

#endif /* ENGINE_RECALL_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stack_internal.h - what the files of the layer stack share.
 *
 *	stack.c		opening and closing, directories and their parts
 *	stack_open.c	which of them are open now
 *	stack_lookup.c	one name, and the memory of answers
 *	stack_absent.c	names that the image surely does not have
 *	stack_list.c	all names of a merged directory
 */
#ifndef LAYER_STACK_INTERNAL_H
#define LAYER_STACK_INTERNAL_H

#include "layer/stack.h"

/* Open directories kept for the next look-up. */
#define STACK_OPEN_MAX 24

/* One lower layer. */
struct lower {
	char *path; /* absolute host path, host root in front */
	dev_t dev;
	ino_t ino;
	bool user_xattr;
};

/* A directory of one layer that is open now. */
struct open_part {
	uint64_t dir_id; /* 0: free */
	uint64_t used;	 /* of layer_stack.clock, for eviction */
	int layer;
	int fd;
};

struct lookup_memory;

/* Hashes of all names of one directory in all its layers. */
struct absent_names {
	uint64_t dir_id;  /* the directory that was asked last; 0: none */
	unsigned misses;  /* names that it did not have */
	uint64_t *hashes; /* open addressing, 0 is free; NULL: not listed */
	size_t size;	  /* a power of two */
};

struct layer_stack {
	struct lower *lowers;
	size_t lowers_len;
	bool is_whole;
	struct layer_dir *root;
	struct open_part open[STACK_OPEN_MAX];
	uint64_t clock;
	uint64_t next_dir_id;
	uint64_t disk_lookups;
	uint64_t hash_key[2];
	struct lookup_memory *memory;
	struct absent_names absent;
};

/* A layer in which a merged directory exists and is not hidden by one above. */
struct layer_part {
	uint16_t layer;
	bool has_xwhiteouts;
};

struct layer_dir {
	struct layer_stack *stack;
	struct layer_dir *parent; /* referenced; NULL for the root */
	char *name;		  /* "" for the root */
	uint64_t id;		  /* never used again, so stale memory cannot match */
	unsigned refs;
	size_t parts_len;
	struct layer_part parts[]; /* topmost first */
};

/* The root of a layer, if it still is the directory it was: an O_PATH fd or -errno. */
int stack_open_lower(const struct lower *l);
void stack_close_dir(const struct layer_dir *dir);

/*
 * An fd of the directory in the layer of part @part, borrowed: valid until the next
 * call into the stack. -errno when the layer cannot be read.
 */
int stack_part_fd(struct layer_dir *dir, size_t part);

/* What one layer says about a name. */
enum part_answer { PART_ABSENT, PART_HIDDEN, PART_PRESENT };

/* Ask the disk. enum part_answer with the stat in @ret when present, or -errno. */
int stack_part_lookup(struct layer_dir *dir, size_t part, const char *name, struct stat *ret);

struct lookup_memory *lookup_memory_new(const uint64_t key[2]);
struct lookup_memory *lookup_memory_free(struct lookup_memory *m);
void lookup_memory_forget(struct lookup_memory *m);

/* Whether no layer of @dir has @name. False says nothing. */
bool absent_names_tell(const struct layer_dir *dir, const char *name);
void absent_names_note_miss(struct layer_dir *dir);
void absent_names_forget(struct layer_stack *s);

#endif /* LAYER_STACK_INTERNAL_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * scratch.h - an overlay of our own to write to, which no mount table ever shows.
 *
 * It is mounted nowhere: files are reached through its descriptor alone, and it is
 * gone when that is closed. What it needs on disk lies below one new directory.
 */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

struct scratch {
	char *dir;	      /* its own directory */
	int dir_fd;	      /* the same */
	int root_fd;	      /* of the overlay */
	uint32_t overlay_dev; /* as the kernel numbers devices */
	uint32_t upper_dev;   /* likewise */
	uint64_t upper_ino;
	long upper_fs; /* magic number of the file system below */
};

/*
 * Make one below @parent. Returns 0 or -errno, with what was refused in @error;
 * -EPERM without CAP_SYS_ADMIN.
 */
int scratch_open(const char *parent, struct strbuf *error, struct scratch *ret);

/* Unmount it and remove everything. Files in the root named with one letter go as well. */
void scratch_close(struct scratch *s);

#endif /* SCRATCH_H */

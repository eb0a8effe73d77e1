/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sandbox_area.h - the directory on the host that holds a sandbox's writable layer.
 *
 * Private ones lie under /var/tmp (or /var/lib/driftwatch/run where that cannot
 * carry an overlay), are locked while in use and removed afterwards.
 */
#ifndef SANDBOX_AREA_H
#define SANDBOX_AREA_H

#include <stdbool.h>

#include "base/strbuf.h"

struct sandbox_area {
	char *path;   /* absolute, no symbolic links */
	char *upper;  /* path/upper */
	char *work;   /* path/work */
	char *merged; /* path/merged: mount point, only used in the sandbox's mount namespace */
	int fd;
	int lock_fd;
	bool keep;
	bool made; /* the directory itself is ours */
};

#define SANDBOX_AREA_INIT               \
	{                               \
		.fd = -1, .lock_fd = -1 \
	}

/*
 * Make one, in @keep or, for NULL, in a private place. The layer's root gets mode and
 * owner of @lower. Returns 0, or -errno with a sentence in @error:
 *   -ENOTEMPTY  @keep holds something already
 *   -EOPNOTSUPP  no file system here can carry the layer
 */
int sandbox_area_make(const char *keep, const char *lower, struct strbuf *error,
		      struct sandbox_area *ret);

/* Remove all of it, or all but upper/ when it is to be kept. Logs what it could not remove. */
void sandbox_area_done(struct sandbox_area *area);

/* Remove private areas whose owner died without doing so. */
void sandbox_area_sweep(void);

#endif /* SANDBOX_AREA_H */

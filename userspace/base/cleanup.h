/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cleanup.h - scope-bound release for the few resource kinds we own.
 *
 *	auto_free char *line = NULL;
 *	auto_close int fd = -1;
 *
 * Initialise at the declaration, always. To hand the resource on, return or
 * store take_ptr(&p) / take_fd(&fd), which leaves the local empty.
 */
#ifndef CLEANUP_H
#define CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define auto_release(fn) __attribute__((cleanup(fn)))
#define auto_free	 auto_release(cleanup_freep)
#define auto_close	 auto_release(cleanup_closep)
#define auto_fclose	 auto_release(cleanup_fclosep)
#define auto_closedir	 auto_release(cleanup_closedirp)

#define take_ptr(p)                             \
	({                                      \
		__typeof__(*(p)) taken_ = *(p); \
		*(p) = NULL;                    \
		taken_;                         \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif /* CLEANUP_H */

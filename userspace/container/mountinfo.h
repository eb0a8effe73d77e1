/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mountinfo.h - the lines of /proc/PID/mountinfo and the options of an overlay.
 *
 * Pure text in, plain data out; no I/O. Paths in it were chosen by users and
 * containers: any byte can stand in them.
 */
#ifndef MOUNTINFO_H
#define MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "container/container.h"

/* One line; texts are unescaped and live in the line buffer that was parsed. */
struct mountinfo_line {
	unsigned mount_id, parent_id;
	uint32_t dev; /* kernel dev_t */
	char *root;   /* of the mount within its file system */
	char *mount_point;
	char *mount_options; /* per mount: "rw,relatime" */
	char *type;	     /* "overlay" */
	char *source;
	char *super_options; /* still with the octal escapes of mountinfo */
};

/*
 * Parse one line (no newline), which is cut up in place.
 * Returns 0, or -EBADMSG when it is not a mountinfo line.
 */
int mountinfo_line_parse(char *line, struct mountinfo_line *ret);

/* True when @name stands among the comma-separated @options. */
bool mountinfo_has_option(const char *options, const char *name);

typedef int (*mountinfo_fn)(const struct mountinfo_line *line, void *arg);

/*
 * Call @fn for each line of @text, which is cut up in place. Lines that do not
 * parse are counted in @ret_bad (may be NULL). Stops at the first non-zero return
 * of @fn and returns it.
 */
int mountinfo_foreach(char *text, mountinfo_fn fn, void *arg, unsigned *ret_bad);

/*
 * Like mountinfo_foreach(), for lines of type overlay only, and faster: of other
 * lines nothing is parsed.
 */
int mountinfo_foreach_overlay(char *text, mountinfo_fn fn, void *arg, unsigned *ret_bad);

/*
 * Parse the super options of an overlay into @ret: upper, work, lowers, unsupported.
 * Paths are as the mount had them: relative ones are left relative. @ret is filled
 * from empty; free its strings with mountinfo_overlay_done(), also after a failure.
 * Returns 0, -EBADMSG (no lower layer), -E2BIG (absurdly many layers), -ENOMEM.
 */
int mountinfo_overlay_parse(const char *super_options, struct container_overlay *ret);
void mountinfo_overlay_done(struct container_overlay *overlay);

/* True when a layer's path is relative, which docker does with many layers. */
bool mountinfo_overlay_is_relative(const struct container_overlay *overlay);

/*
 * Put @home, the storage driver's directory, in front of relative paths.
 * Returns 0 or -ENOMEM.
 */
int mountinfo_overlay_resolve(struct container_overlay *overlay, const char *home);

#endif /* MOUNTINFO_H */

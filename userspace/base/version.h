/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * version.h - what this build is called.
 */
#ifndef VERSION_H
#define VERSION_H

/* "0.1.0", from the first heading of CHANGELOG.md. */
const char *version_string(void);

/* The git revision it was built from; "" where that is not known. */
const char *version_revision(void);

#endif /* VERSION_H */

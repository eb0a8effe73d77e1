/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stop.h - one descriptor that becomes readable when a command that follows
 * something should end: SIGINT or SIGTERM, its time is up, or its reader left.
 */
#ifndef STOP_H
#define STOP_H

#include <stdint.h>

struct stop;

/*
 * Blocks SIGINT and SIGTERM from here on. @duration_ns 0: no time limit. @out_fd is
 * watched for a reader that closes its end (-1: none). 0 or -errno.
 */
int stop_open(uint64_t duration_ns, int out_fd, struct stop **ret);
struct stop *stop_close(struct stop *s); /* takes NULL, returns NULL */

int stop_fd(const struct stop *s);

#endif /* STOP_H */

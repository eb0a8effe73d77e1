/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gzip.h - one buffer, compressed as Content-Encoding: gzip wants it.
 */
#ifndef AGENT_GZIP_H
#define AGENT_GZIP_H

#include "base/strbuf.h"

/* Append @bytes, compressed for speed, to @out. 0 or -ENOMEM. */
int gzip_compress(const void *bytes, size_t len, struct strbuf *out);

#endif /* AGENT_GZIP_H */

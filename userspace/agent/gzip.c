/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * gzip.c - level 1: a scrape shrinks to a thirtieth, and more effort gains little.
 */
#include "agent/gzip.h"

#include <errno.h>
#include <stdint.h>
#include <zlib.h>

#define LEVEL	    1
#define GZIP_WINDOW (MAX_WBITS + 16) /* +16: a gzip header instead of zlib's */
#define CHUNK	    65536

static int compress_all(z_stream *z, struct strbuf *out)
{
	unsigned char chunk[CHUNK];
	int state;

	do {
		z->next_out = chunk;
		z->avail_out = sizeof(chunk);
		state = deflate(z, Z_FINISH);
		strbuf_add(out, chunk, sizeof(chunk) - z->avail_out);
	} while (state == Z_OK || state == Z_BUF_ERROR);
	return state == Z_STREAM_END && !strbuf_failed(out) ? 0 : -ENOMEM;
}

int gzip_compress(const void *bytes, size_t len, struct strbuf *out)
{
	z_stream z = {0};
	int err;

	if (len > UINT32_MAX)
		return -EFBIG;
	if (deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	z.next_in = (z_const Bytef *)bytes;
	z.avail_in = (uInt)len;
	err = compress_all(&z, out);
	deflateEnd(&z);
	return err;
}

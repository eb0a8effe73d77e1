/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * strbuf.c - the growing byte string of strbuf.h.
 */
#include "base/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define FIRST_SIZE 64

/* Room for @more bytes and the NUL. False, and .failed set, when there is none. */
static bool reserve(struct strbuf *sb, size_t more)
{
	size_t size = sb->size ? sb->size : FIRST_SIZE;
	char *data;

	if (sb->failed)
		return false;
	if (more >= SIZE_MAX / 2 - sb->len) {
		sb->failed = true;
		return false;
	}
	if (sb->data && sb->len + more < sb->size)
		return true;

	while (size <= sb->len + more)
		size *= 2;
	data = realloc(sb->data, size);
	if (!data) {
		sb->failed = true;
		return false;
	}
	sb->data = data;
	sb->size = size;
	return true;
}

void strbuf_done(struct strbuf *sb)
{
	free(sb->data);
	*sb = (struct strbuf)STRBUF_INIT;
}

void strbuf_reset(struct strbuf *sb)
{
	sb->len = 0;
	sb->failed = false;
	if (sb->data)
		sb->data[0] = '\0';
}

void strbuf_add(struct strbuf *sb, const void *bytes, size_t len)
{
	if (!reserve(sb, len))
		return;
	if (len)
		memcpy(sb->data + sb->len, bytes, len);
	sb->len += len;
	sb->data[sb->len] = '\0';
}

void strbuf_adds(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}

void strbuf_addc(struct strbuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(sb, fmt, ap);
	va_end(ap);
}

void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
{
	va_list again;
	size_t room;
	int len;

	if (!reserve(sb, 0))
		return;
	room = sb->size - sb->len;
	va_copy(again, ap);
	len = vsnprintf(sb->data + sb->len, room, fmt, again);
	va_end(again);

	if (len >= 0 && (size_t)len >= room) {
		sb->data[sb->len] = '\0';
		if (!reserve(sb, len))
			return;
		len = vsnprintf(sb->data + sb->len, sb->size - sb->len, fmt, ap);
	}
	if (len < 0) {
		sb->data[sb->len] = '\0';
		sb->failed = true;
		return;
	}
	sb->len += len;
}

void strbuf_truncate(struct strbuf *sb, size_t len)
{
	if (!sb->data || len > sb->len)
		return;
	sb->len = len;
	sb->data[len] = '\0';
}

const char *strbuf_str(const struct strbuf *sb)
{
	return sb->data ? sb->data : "";
}

char *strbuf_take(struct strbuf *sb)
{
	char *taken = NULL;

	if (reserve(sb, 0)) {
		sb->data[sb->len] = '\0';
		taken = take_ptr(&sb->data);
	}
	strbuf_done(sb);
	return taken;
}

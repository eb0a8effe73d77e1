/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * escape.c - one UTF-8 decoder, and the escapes of escape.h on top of it.
 */
#include "base/escape.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * Length of the well-formed UTF-8 sequence at @s (1 to 4), its code point in
 * *ret; 0 when the bytes there are not one (Unicode 15, table 3-7).
 */
static size_t utf8_decode(const unsigned char *s, size_t len, uint32_t *ret)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c = s[0];
	size_t n;

	if (c < 0x80) {
		*ret = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf)
		n = 2;
	else if (c >= 0xe0 && c <= 0xef)
		n = 3;
	else if (c >= 0xf0 && c <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > len)
		return 0;

	c &= 0x7f >> n;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < lowest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

bool utf8_is_valid(const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	uint32_t c;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_decode(s + i, len - i, &c);
		if (!n)
			return false;
	}
	return true;
}

void utf8_add_replaced(struct strbuf *out, const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	uint32_t c;
	size_t n;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = utf8_decode(s + i, len - i, &c);
		if (n)
			strbuf_add(out, bytes + i, n);
		else
			strbuf_adds(out, REPLACEMENT);
	}
}

/*
 * Code points that a terminal shows as nothing, as a jump or as another order
 * of the text: controls, format characters (Unicode category Cf), line and
 * paragraph separators, invisible fillers, private use and non-characters.
 */
static bool is_inert_printable(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} unsafe[] = {
		{0x0, 0x1f},	    {0x7f, 0x9f},	{0xad, 0xad},	     {0x34f, 0x34f},
		{0x600, 0x605},	    {0x61c, 0x61c},	{0x6dd, 0x6dd},	     {0x70f, 0x70f},
		{0x890, 0x891},	    {0x8e2, 0x8e2},	{0x115f, 0x1160},    {0x17b4, 0x17b5},
		{0x180b, 0x180f},   {0x200b, 0x200f},	{0x2028, 0x202e},    {0x2060, 0x206f},
		{0x3164, 0x3164},   {0xe000, 0xf8ff},	{0xfdd0, 0xfdef},    {0xfe00, 0xfe0f},
		{0xfeff, 0xfeff},   {0xffa0, 0xffa0},	{0xfff0, 0xfffb},    {0xfffe, 0xffff},
		{0x110bd, 0x110bd}, {0x110cd, 0x110cd}, {0x13430, 0x1343f},  {0x1bca0, 0x1bca3},
		{0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}, {0xf0000, 0x10ffff},
	};

	for (size_t i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++) {
		if (c >= unsafe[i].first && c <= unsafe[i].last)
			return false;
	}
	return true;
}

static void add_escaped_byte(struct strbuf *out, unsigned char byte)
{
	switch (byte) {
	case '\n':
		strbuf_adds(out, "\\n");
		break;
	case '\t':
		strbuf_adds(out, "\\t");
		break;
	case '\\':
		strbuf_adds(out, "\\\\");
		break;
	default:
		strbuf_addf(out, "\\x%02x", byte);
	}
}

void escape_terminal(struct strbuf *out, const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	uint32_t c = 0;
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		n = utf8_decode(s + i, len - i, &c);
		if (n && c != '\\' && is_inert_printable(c)) {
			strbuf_add(out, bytes + i, n);
			continue;
		}
		if (!n)
			n = 1;
		for (size_t k = 0; k < n; k++)
			add_escaped_byte(out, s[i + k]);
	}
}

void escape_label(struct strbuf *out, const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	uint32_t c = 0;
	size_t n;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = utf8_decode(s + i, len - i, &c);
		if (!n)
			strbuf_adds(out, REPLACEMENT);
		else if (c == '\n')
			strbuf_adds(out, "\\n");
		else if (c == '\\' || c == '"')
			strbuf_addf(out, "\\%c", (char)c);
		else
			strbuf_add(out, bytes + i, n);
	}
}

/* XML and HTML have no way to write most control characters, escaped or not. */
static bool is_html_char(uint32_t c)
{
	return c == '\t' || c == '\n' || (c >= 0x20 && !(c >= 0x7f && c <= 0x9f));
}

void escape_html(struct strbuf *out, const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	uint32_t c = 0;
	size_t n;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		n = utf8_decode(s + i, len - i, &c);
		if (!n || !is_html_char(c))
			strbuf_adds(out, REPLACEMENT);
		else if (c == '&')
			strbuf_adds(out, "&amp;");
		else if (c == '<')
			strbuf_adds(out, "&lt;");
		else if (c == '>')
			strbuf_adds(out, "&gt;");
		else if (c == '"')
			strbuf_adds(out, "&quot;");
		else if (c == '\'')
			strbuf_adds(out, "&#39;");
		else
			strbuf_add(out, bytes + i, n);
	}
}

void escape_csv(struct strbuf *out, const char *bytes, size_t len)
{
	bool quoted = false;

	for (size_t i = 0; i < len && !quoted; i++)
		quoted = bytes[i] == '"' || bytes[i] == ',' || bytes[i] == '\n' || bytes[i] == '\r';
	if (!quoted) {
		strbuf_add(out, bytes, len);
		return;
	}

	strbuf_addc(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '"')
			strbuf_addc(out, '"');
		strbuf_addc(out, bytes[i]);
	}
	strbuf_addc(out, '"');
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct strbuf *out, const void *bytes, size_t len)
{
	const unsigned char *s = bytes;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t triple = (uint32_t)s[i] << 16;

		if (i + 1 < len)
			triple |= (uint32_t)s[i + 1] << 8;
		if (i + 2 < len)
			triple |= s[i + 2];
		strbuf_addc(out, base64_digits[triple >> 18]);
		strbuf_addc(out, base64_digits[triple >> 12 & 63]);
		strbuf_addc(out, i + 1 < len ? base64_digits[triple >> 6 & 63] : '=');
		strbuf_addc(out, i + 2 < len ? base64_digits[triple & 63] : '=');
	}
}

static int base64_value(char c)
{
	const char *digit = c ? strchr(base64_digits, c) : NULL;

	return digit ? (int)(digit - base64_digits) : -1;
}

int base64_decode(const char *text, size_t len, struct strbuf *out)
{
	if (len % 4)
		return -EINVAL;

	for (size_t i = 0; i < len; i += 4) {
		bool is_last = i + 4 == len;
		uint32_t quad = 0;
		size_t digits = 4;

		while (is_last && digits > 2 && text[i + digits - 1] == '=')
			digits--;
		for (size_t k = 0; k < 4; k++) {
			int value = k < digits ? base64_value(text[i + k]) : 0;

			if (value < 0)
				return -EINVAL;
			quad = quad << 6 | (uint32_t)value;
		}
		/* Bits that the padding drops must be zero, or two texts mean the same. */
		if (quad & ((1u << (4 - digits) * 8) - 1))
			return -EINVAL;
		for (size_t k = 0; k + 1 < digits; k++)
			strbuf_addc(out, (char)(quad >> (16 - 8 * k) & 0xff));
	}
	return strbuf_failed(out) ? -ENOMEM : 0;
}

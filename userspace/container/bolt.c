/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bolt.c - bbolt's file format: two meta pages and B+ trees of pages.
 */
#include "container/bolt.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC	       0xED0CDAEDu
#define VERSION	       2
#define PAGE_HEADER    16
#define ELEMENT_SIZE   16
#define BUCKET_HEADER  16
#define META_LEN       64
#define FLAG_BRANCH    0x01
#define FLAG_LEAF      0x02
#define LEAF_IS_BUCKET 0x01
#define DEPTH_MAX      32
#define PAGE_BYTES_MAX (16u << 20)
#define READS_MAX      200000 /* pages read through one handle */

struct bolt {
	int fd;
	uint32_t page_size;
	uint64_t root, txid, reads;
};

struct page {
	const uint8_t *data;
	size_t len;
	uint16_t flags, count;
};

struct element {
	const uint8_t *key, *value;
	size_t key_len, value_len;
	uint64_t child; /* of a branch */
	bool is_bucket;
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

static int read_at(const struct bolt *b, uint64_t offset, void *to, size_t len)
{
	ssize_t n = pread(b->fd, to, len, (off_t)offset);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EBADMSG;
}

static uint64_t checksum(const uint8_t *bytes, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ull;
	return hash;
}

/* The meta at @offset, when it is whole and newer than what @b has. */
static bool take_meta(struct bolt *b, uint64_t offset)
{
	uint8_t meta[META_LEN];
	uint32_t page_size;

	if (read_at(b, offset + PAGE_HEADER, meta, sizeof(meta)) || get32(meta) != MAGIC ||
	    get32(meta + 4) != VERSION || get64(meta + 56) != checksum(meta, 56))
		return false;
	page_size = get32(meta + 8);
	if (page_size < 512 || page_size > 65536 || (page_size & (page_size - 1)))
		return false;
	if (b->page_size && get64(meta + 48) <= b->txid)
		return true;
	b->page_size = page_size;
	b->root = get64(meta + 16);
	b->txid = get64(meta + 48);
	return true;
}

/* The two metas are the first two pages; when the first is torn, sizes are tried. */
static int read_metas(struct bolt *b)
{
	bool found = take_meta(b, 0);

	if (found) {
		take_meta(b, b->page_size);
		return 0;
	}
	for (uint32_t size = 512; size <= 65536 && !found; size *= 2)
		found = take_meta(b, size) && b->page_size == size;
	return found ? 0 : -EBADMSG;
}

int bolt_open(int fd, struct bolt **ret)
{
	struct bolt *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	b->fd = fd;
	err = read_metas(b);
	if (err) {
		free(b);
		return err;
	}
	*ret = b;
	return 0;
}

struct bolt *bolt_close(struct bolt *b)
{
	free(b);
	return NULL;
}

bool bolt_is_current(struct bolt *b)
{
	struct bolt now = {.fd = b->fd};

	return !read_metas(&now) && now.txid == b->txid;
}

void bolt_bucket_done(struct bolt_bucket *bucket)
{
	free(bucket->inline_page);
	*bucket = (struct bolt_bucket){0};
}

static int view_page(const uint8_t *data, size_t len, struct page *ret)
{
	if (len < PAGE_HEADER)
		return -EBADMSG;
	*ret = (struct page){data, len, get16(data + 8), get16(data + 10)};
	if (ret->flags != FLAG_BRANCH && ret->flags != FLAG_LEAF)
		return -EBADMSG;
	return PAGE_HEADER + (size_t)ret->count * ELEMENT_SIZE <= len ? 0 : -EBADMSG;
}

/* Read page @id with its overflow. The caller frees *ret_bytes. */
static int read_page(struct bolt *b, uint64_t id, uint8_t **ret_bytes, struct page *ret)
{
	auto_free uint8_t *bytes = NULL;
	uint8_t header[PAGE_HEADER];
	uint64_t len;
	int err;

	if (++b->reads > READS_MAX)
		return -E2BIG;
	if (id > (uint64_t)INT64_MAX / b->page_size / 2)
		return -EBADMSG;
	err = read_at(b, id * b->page_size, header, sizeof(header));
	if (err)
		return err;
	len = ((uint64_t)get32(header + 12) + 1) * b->page_size;
	if (len > PAGE_BYTES_MAX)
		return -EBADMSG;
	bytes = malloc(len);
	if (!bytes)
		return -ENOMEM;
	err = read_at(b, id * b->page_size, bytes, len);
	if (!err)
		err = view_page(bytes, len, ret);
	if (!err)
		*ret_bytes = take_ptr(&bytes);
	return err;
}

static int get_element(const struct page *p, unsigned i, struct element *ret)
{
	size_t at = PAGE_HEADER + (size_t)i * ELEMENT_SIZE;
	const uint8_t *e = p->data + at;
	uint64_t pos, end;

	if (p->flags == FLAG_BRANCH) {
		pos = at + get32(e);
		*ret = (struct element){.key_len = get32(e + 4), .child = get64(e + 8)};
	} else {
		pos = at + (uint64_t)get32(e + 4);
		*ret = (struct element){.key_len = get32(e + 8),
					.value_len = get32(e + 12),
					.is_bucket = get32(e) & LEAF_IS_BUCKET};
	}
	end = pos + ret->key_len + ret->value_len;
	if (end > p->len)
		return -EBADMSG;
	ret->key = p->data + pos;
	ret->value = ret->key + ret->key_len;
	return 0;
}

/* The first page of @bucket's tree. The caller frees *ret_bytes, which may be NULL. */
static int root_page(struct bolt *b, const struct bolt_bucket *bucket, uint8_t **ret_bytes,
		     struct page *ret)
{
	*ret_bytes = NULL;
	if (bucket->inline_page)
		return view_page(bucket->inline_page, bucket->inline_len, ret);
	return read_page(b, bucket->root ? bucket->root : b->root, ret_bytes, ret);
}

static int compare(const struct element *e, const char *key, size_t len)
{
	size_t shorter = e->key_len < len ? e->key_len : len;
	int order = shorter ? memcmp(e->key, key, shorter) : 0;

	if (order || e->key_len == len)
		return order;
	return e->key_len < len ? -1 : 1;
}

/* The child of a branch below which @key must lie. */
static int choose_child(const struct page *p, const char *key, uint64_t *ret)
{
	struct element e;
	int err;

	if (!p->count)
		return -ENOENT;
	for (unsigned i = 0; i < p->count; i++) {
		err = get_element(p, i, &e);
		if (err)
			return err;
		if (i && compare(&e, key, strlen(key)) > 0)
			return 0;
		*ret = e.child;
	}
	return 0;
}

static int search_leaf(const struct page *p, const char *key, struct element *ret)
{
	int err;

	for (unsigned i = 0; i < p->count; i++) {
		err = get_element(p, i, ret);
		if (err)
			return err;
		if (!compare(ret, key, strlen(key)))
			return 0;
	}
	return -ENOENT;
}

/* @key of @bucket; *ret points into *ret_bytes or the bucket's inline page. */
static int find(struct bolt *b, const struct bolt_bucket *bucket, const char *key,
		uint8_t **ret_bytes, struct element *ret)
{
	auto_free uint8_t *bytes = NULL;
	uint64_t child = 0;
	struct page p;
	int err;

	err = root_page(b, bucket, &bytes, &p);
	for (int depth = 0; !err && p.flags == FLAG_BRANCH; depth++) {
		err = depth < DEPTH_MAX ? choose_child(&p, key, &child) : -EBADMSG;
		if (err)
			return err;
		free(bytes);
		bytes = NULL;
		err = read_page(b, child, &bytes, &p);
	}
	if (!err)
		err = search_leaf(&p, key, ret);
	if (!err)
		*ret_bytes = take_ptr(&bytes);
	return err;
}

int bolt_open_bucket(struct bolt *b, const struct bolt_bucket *parent, const char *key,
		     struct bolt_bucket *ret)
{
	auto_free uint8_t *bytes = NULL;
	struct bolt_bucket bucket = {0};
	struct element e;
	int err;

	err = find(b, parent, key, &bytes, &e);
	if (err)
		return err;
	if (!e.is_bucket)
		return -ENOENT;
	if (e.value_len < BUCKET_HEADER)
		return -EBADMSG;
	bucket.root = get64(e.value);
	if (!bucket.root) {
		bucket.inline_len = e.value_len - BUCKET_HEADER;
		bucket.inline_page = malloc(bucket.inline_len + 1);
		if (!bucket.inline_page)
			return -ENOMEM;
		memcpy(bucket.inline_page, e.value + BUCKET_HEADER, bucket.inline_len);
	}
	*ret = bucket;
	return 0;
}

int bolt_get(struct bolt *b, const struct bolt_bucket *bucket, const char *key, struct strbuf *out)
{
	auto_free uint8_t *bytes = NULL;
	struct element e;
	int err;

	err = find(b, bucket, key, &bytes, &e);
	if (err)
		return err;
	if (e.is_bucket)
		return -ENOENT;
	strbuf_add(out, e.value, e.value_len);
	return strbuf_failed(out) ? -ENOMEM : 0;
}

static int visit(const struct element *e, bolt_key_fn fn, void *arg)
{
	auto_free char *key = NULL;

	if (e->key_len && memchr(e->key, '\0', e->key_len))
		return 0;
	key = strndup((const char *)e->key, e->key_len);
	return key ? fn(key, e->is_bucket, arg) : -ENOMEM;
}

static int walk(struct bolt *b, const struct page *p, int depth, bolt_key_fn fn, void *arg)
{
	struct element e;
	int err = 0;

	if (depth > DEPTH_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < p->count && !err; i++) {
		auto_free uint8_t *bytes = NULL;
		struct page child;

		err = get_element(p, i, &e);
		if (err)
			return err;
		if (p->flags == FLAG_LEAF) {
			err = visit(&e, fn, arg);
			continue;
		}
		err = read_page(b, e.child, &bytes, &child);
		if (!err)
			err = walk(b, &child, depth + 1, fn, arg);
	}
	return err;
}

int bolt_foreach_key(struct bolt *b, const struct bolt_bucket *bucket, bolt_key_fn fn, void *arg)
{
	auto_free uint8_t *bytes = NULL;
	struct page p;
	int err;

	err = root_page(b, bucket, &bytes, &p);
	return err ? err : walk(b, &p, 0, fn, arg);
}

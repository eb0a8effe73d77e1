/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * containerd_db.c - buckets of meta.db and of the overlayfs snapshotter's metadata.db.
 *
 *	meta.db		v1/<ns>/containers/<id>/{image,snapshotKey,snapshotter,createdat,spec}
 *			v1/<ns>/snapshots/overlayfs/<key>/name
 *			v1/<ns>/images/<image>/target/digest
 *	metadata.db	v1/snapshots/<name>/{id,parent}
 */
#include "container/containerd_db.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "container/bolt.h"
#include "container/containerd_spec.h"
#include "container/mountinfo.h"

#define SNAPSHOTTER	   "io.containerd.snapshotter.v1.overlayfs"
#define PARENTS_MAX	   512
#define PATH_LEN_MAX	   8
#define YEAR_1_TO_1970_SEC 62135596800ll

#define auto_bucket auto_release(bolt_bucket_done)

struct containerd_db {
	char *root;
	int meta_fd, snapshots_fd;
	struct bolt *meta, *snapshots; /* snapshots: NULL when there is none */
};

/* The bucket at the NULL-ended @path from the root. */
static int open_path(struct bolt *b, const char *const *path, struct bolt_bucket *ret)
{
	struct bolt_bucket bucket = {0}, next;
	int err;

	for (; *path; path++) {
		err = bolt_open_bucket(b, &bucket, *path, &next);
		bolt_bucket_done(&bucket);
		if (err)
			return err;
		bucket = next;
	}
	*ret = bucket;
	return 0;
}

#define PATH(...) ((const char *const[]){"v1", __VA_ARGS__, NULL})

/* A text value; "" when it is absent or holds a NUL. */
static const char *get_text(struct bolt *b, const struct bolt_bucket *bucket, const char *key,
			    struct strbuf *ret)
{
	strbuf_reset(ret);
	if (bolt_get(b, bucket, key, ret) || strlen(strbuf_str(ret)) != ret->len)
		strbuf_reset(ret);
	return strbuf_str(ret);
}

static int open_db(const struct source *s, const char *dir, const char *name, int *ret_fd,
		   struct bolt **ret)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct stat st;

	*ret_fd = hostfs_open(s->fs, source_path(&path, s, dir, name, NULL), O_RDONLY);
	if (*ret_fd < 0)
		return *ret_fd;
	if (fstat(*ret_fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	return bolt_open(*ret_fd, ret);
}

int containerd_db_open(const struct source *s, struct containerd_db **ret)
{
	struct containerd_db *db = calloc(1, sizeof(*db));
	int err;

	if (!db)
		return -ENOMEM;
	db->meta_fd = db->snapshots_fd = -1;
	db->root = strdup(s->root);
	err = db->root ? open_db(s, "io.containerd.metadata.v1.bolt", "meta.db", &db->meta_fd,
				 &db->meta)
		       : -ENOMEM;
	if (err) {
		containerd_db_close(db);
		return err;
	}
	if (open_db(s, SNAPSHOTTER, "metadata.db", &db->snapshots_fd, &db->snapshots))
		db->snapshots = NULL;
	*ret = db;
	return 0;
}

void containerd_db_close(struct containerd_db *db)
{
	bolt_close(db->meta);
	bolt_close(db->snapshots);
	cleanup_closep(&db->meta_fd);
	cleanup_closep(&db->snapshots_fd);
	free(db->root);
	free(db);
}

bool containerd_db_is_current(struct containerd_db *db)
{
	return bolt_is_current(db->meta) && (!db->snapshots || bolt_is_current(db->snapshots));
}

struct listing {
	struct containerd_db *db;
	containerd_db_fn fn;
	void *arg;
	const char *space;
	const struct bolt_bucket *containers;
};

static int take_id(const char *id, bool is_bucket, void *arg)
{
	auto_strbuf struct strbuf created = STRBUF_INIT;
	auto_bucket struct bolt_bucket bucket = {0};
	struct listing *l = arg;
	uint64_t stamp = 0xcbf29ce484222325ull;

	if (!is_bucket || bolt_open_bucket(l->db->meta, l->containers, id, &bucket))
		return 0;
	bolt_get(l->db->meta, &bucket, "createdat", &created);
	for (size_t i = 0; i < created.len; i++)
		stamp = (stamp ^ (unsigned char)created.data[i]) * 0x100000001b3ull;
	return l->fn(l->space, id, stamp | 1, l->arg);
}

static int take_space(const char *space, bool is_bucket, void *arg)
{
	auto_bucket struct bolt_bucket containers = {0};
	struct listing *l = arg;
	int err;

	if (!is_bucket)
		return 0;
	err = open_path(l->db->meta, PATH(space, "containers"), &containers);
	if (err)
		return err == -ENOENT ? 0 : err;
	l->space = space;
	l->containers = &containers;
	return bolt_foreach_key(l->db->meta, &containers, take_id, l);
}

int containerd_db_foreach(struct containerd_db *db, containerd_db_fn fn, void *arg)
{
	auto_bucket struct bolt_bucket spaces = {0};
	struct listing l = {.db = db, .fn = fn, .arg = arg};
	int err;

	err = open_path(db->meta, (const char *const[]){"v1", NULL}, &spaces);
	if (err)
		return err == -ENOENT ? 0 : err; /* nothing was ever made */
	return bolt_foreach_key(db->meta, &spaces, take_space, &l);
}

/* Go's binary form of a time: version 1, seconds since year 1, nanoseconds, offset. */
static uint64_t parse_time(const struct strbuf *bytes)
{
	const uint8_t *p = (const uint8_t *)bytes->data;
	uint64_t sec;
	uint32_t nsec;

	if (bytes->len < 15 || p[0] != 1)
		return 0;
	memcpy(&sec, p + 1, sizeof(sec));
	memcpy(&nsec, p + 9, sizeof(nsec));
	sec = be64toh(sec) - YEAR_1_TO_1970_SEC;
	nsec = be32toh(nsec);
	/* Before 1970 or beyond what 64 bits of nanoseconds hold. */
	return sec > UINT32_MAX * 4ull || nsec >= NS_PER_SEC ? 0 : sec * NS_PER_SEC + nsec;
}

/* An unsigned varint, as snapshot ids are kept. False: it is none. */
static bool parse_varint(const struct strbuf *bytes, uint64_t *ret)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes->len && i < 9; i++) {
		uint8_t byte = (uint8_t)bytes->data[i];

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/* One snapshot: its directory's number, its parent's name ("" when it has none). */
static int read_snapshot(struct containerd_db *db, const char *name, uint64_t *ret_id,
			 struct strbuf *ret_parent)
{
	auto_bucket struct bolt_bucket bucket = {0};
	auto_strbuf struct strbuf id = STRBUF_INIT;
	int err;

	err = open_path(db->snapshots, PATH("snapshots", name), &bucket);
	if (!err)
		err = bolt_get(db->snapshots, &bucket, "id", &id);
	if (err)
		return err;
	get_text(db->snapshots, &bucket, "parent", ret_parent);
	return parse_varint(&id, ret_id) ? 0 : -EBADMSG;
}

static char *snapshot_dir(const struct containerd_db *db, uint64_t id, const char *name)
{
	struct strbuf path = STRBUF_INIT;

	strbuf_addf(&path, "%s/" SNAPSHOTTER "/snapshots/%llu/%s", db->root, (unsigned long long)id,
		    name);
	return strbuf_take(&path);
}

static int add_lower(struct containerd_db *db, struct container_overlay *overlay, uint64_t id)
{
	if (overlay->lowers_len == PARENTS_MAX)
		return -E2BIG;
	overlay->lowers[overlay->lowers_len] = snapshot_dir(db, id, "fs");
	return overlay->lowers[overlay->lowers_len++] ? 0 : -ENOMEM;
}

static int read_layers(struct containerd_db *db, const char *name, struct container_overlay *ret)
{
	auto_strbuf struct strbuf parent = STRBUF_INIT;
	auto_free char *current = NULL;
	uint64_t id;
	int err;

	err = read_snapshot(db, name, &id, &parent);
	if (err)
		return err;
	ret->lowers = calloc(PARENTS_MAX, sizeof(*ret->lowers));
	ret->upper = snapshot_dir(db, id, "fs");
	ret->work = snapshot_dir(db, id, "work");
	if (!ret->lowers || !ret->upper || !ret->work)
		return -ENOMEM;
	while (!err && parent.len) {
		free(current);
		current = strdup(strbuf_str(&parent));
		if (!current)
			return -ENOMEM;
		err = read_snapshot(db, current, &id, &parent);
		if (!err)
			err = add_lower(db, ret, id);
	}
	return err;
}

/* The snapshotter knows a snapshot by a longer name than the container does. */
int containerd_db_read_snapshot(struct containerd_db *db, const char *space, const char *key,
				struct container_overlay *ret)
{
	auto_bucket struct bolt_bucket bucket = {0};
	auto_strbuf struct strbuf name = STRBUF_INIT;
	int err;

	if (!db->snapshots || !*key)
		return -ENOENT;
	err = open_path(db->meta, PATH(space, "snapshots", "overlayfs", key), &bucket);
	if (!err)
		err = *get_text(db->meta, &bucket, "name", &name) ? 0 : -ENOENT;
	if (!err)
		err = read_layers(db, strbuf_str(&name), ret);
	if (err) {
		/* Half a stack of layers is worse than none. */
		bool read_only = ret->read_only;

		mountinfo_overlay_done(ret);
		ret->read_only = read_only;
	}
	return err;
}

static void read_digest(struct containerd_db *db, const char *space, struct container *c)
{
	auto_bucket struct bolt_bucket bucket = {0};
	auto_strbuf struct strbuf digest = STRBUF_INIT;

	if (!c->image || open_path(db->meta, PATH(space, "images", c->image, "target"), &bucket))
		return;
	if (*get_text(db->meta, &bucket, "digest", &digest))
		source_set(&c->image_id, strbuf_str(&digest));
}

static int read_fields(struct containerd_db *db, const char *space,
		       const struct bolt_bucket *bucket, struct container *c)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	int err;

	if (*get_text(db->meta, bucket, "image", &text) &&
	    !source_set(&c->image, strbuf_str(&text)))
		return -ENOMEM;
	strbuf_reset(&text);
	if (!bolt_get(db->meta, bucket, "createdat", &text))
		c->created_wall_ns = parse_time(&text);
	strbuf_reset(&text);
	/* A message that holds the OCI configuration as JSON. */
	if (!bolt_get(db->meta, bucket, "spec", &text)) {
		err = containerd_spec_parse_any(strbuf_str(&text), text.len, c);
		if (err == -ENOMEM)
			return err;
	}
	read_digest(db, space, c);
	get_text(db->meta, bucket, "snapshotter", &text);
	if (strcmp(strbuf_str(&text), "overlayfs") != 0)
		return 0;
	get_text(db->meta, bucket, "snapshotKey", &text);
	err = containerd_db_read_snapshot(db, space, strbuf_str(&text), &c->overlay);
	return err == -ENOENT ? 0 : err;
}

int containerd_db_read(struct containerd_db *db, const char *space, const char *id,
		       struct container **ret)
{
	auto_bucket struct bolt_bucket bucket = {0};
	struct container *c;
	int err;

	err = open_path(db->meta, PATH(space, "containers", id), &bucket);
	if (err)
		return err;
	c = container_new(id, strcmp(space, "k8s.io") ? "containerd" : "cri");
	err = c ? read_fields(db, space, &bucket, c) : -ENOMEM;
	if (err) {
		container_free(c);
		return err;
	}
	/* Made to be run at once; whether it runs, its task tells. */
	c->state = CONTAINER_EXITED;
	*ret = c;
	return 0;
}

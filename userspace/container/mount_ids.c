/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mount_ids.c - listmount() and statmount(), which older headers do not know.
 */
#include "container/mount_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"

#define SYSCALL_STATMOUNT 457 /* of every architecture but alpha */
#define SYSCALL_LISTMOUNT 458
#define ROOT_MOUNT	  UINT64_MAX		  /* LSMT_ROOT: all that can be reached */
#define GET_NAMESPACE_ID  _IOR(0xb7, 5, uint64_t) /* NS_GET_MNTNS_ID, Linux 6.11 */
#define LIST_CHUNK	  4096
#define ANSWER_MAX	  (1u << 20) /* bytes; mountinfo cuts no option string either */

enum {
	WANT_SB_BASIC = 0x01,
	WANT_ROOT = 0x08,
	WANT_POINT = 0x10,
	WANT_TYPE = 0x20,
	WANT_OPTIONS = 0x80, /* none are given for a file system that has none */
	MUST_HAVE = WANT_SB_BASIC | WANT_ROOT | WANT_POINT | WANT_TYPE,
};

/* struct mnt_id_req and struct statmount of <linux/mount.h>, from Linux 6.11 on. */
struct request {
	uint32_t size, spare;
	uint64_t id, param, namespace_id;
};

struct answer {
	uint32_t size, options;
	uint64_t mask;
	uint32_t dev_major, dev_minor;
	uint64_t magic;
	uint32_t flags, type;
	uint64_t unused[8];
	uint32_t root, point;
	uint64_t more[50];
	char text[];
};
_Static_assert(offsetof(struct answer, root) == 104, "struct statmount is ABI");
_Static_assert(sizeof(struct answer) == 512, "struct statmount is ABI");

struct mount_ids {
	uint64_t namespace_id;
	uint64_t *listed;
	size_t listed_len, listed_max;
	struct answer *answer;
	size_t answer_bytes;
};

static int namespace_of(const char *root, const char *link, uint64_t *ret)
{
	auto_free char *path = file_join(root, link);
	auto_close int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	return fd < 0 || ioctl(fd, GET_NAMESPACE_ID, ret) ? -EOPNOTSUPP : 0;
}

/* Of our own namespace paths are told as from our root, in mountinfo as from that of init. */
static bool sees_as_init(const struct hostfs *fs, uint64_t namespace_id)
{
	auto_free char *path = file_join(fs->root, "/proc/1/root/.");
	struct stat ours, of_init;
	uint64_t own;

	if (namespace_of("", "/proc/self/ns/mnt", &own))
		return false;
	if (own != namespace_id)
		return true;
	return path && !stat("/", &ours) && !stat(path, &of_init) &&
	       ours.st_dev == of_init.st_dev && ours.st_ino == of_init.st_ino;
}

struct mount_ids *mount_ids_open(const struct hostfs *fs)
{
	struct mount_ids *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->answer_bytes = LIST_CHUNK;
	m->answer = malloc(m->answer_bytes);
	if (m->answer && !namespace_of(fs->root, "/proc/1/ns/mnt", &m->namespace_id) &&
	    sees_as_init(fs, m->namespace_id))
		return m;
	return mount_ids_close(m);
}

struct mount_ids *mount_ids_close(struct mount_ids *m)
{
	if (!m)
		return NULL;
	free(m->listed);
	free(m->answer);
	free(m);
	return NULL;
}

static int make_room(struct mount_ids *m)
{
	uint64_t *grown;

	if (m->listed_len + LIST_CHUNK <= m->listed_max)
		return 0;
	if (m->listed_len > HOST_MOUNTS_MAX)
		return -E2BIG;
	grown = reallocarray(m->listed, m->listed_len + LIST_CHUNK, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	m->listed = grown;
	m->listed_max = m->listed_len + LIST_CHUNK;
	return 0;
}

/* All numbers there are now, in their order. */
static int list(struct mount_ids *m)
{
	struct request request = {
		.size = sizeof(request), .id = ROOT_MOUNT, .namespace_id = m->namespace_id};
	long n = LIST_CHUNK;
	int err;

	for (m->listed_len = 0; n == LIST_CHUNK; m->listed_len += (size_t)n) {
		err = make_room(m);
		if (err)
			return err;
		request.param = m->listed_len ? m->listed[m->listed_len - 1] : 0;
		n = syscall(SYSCALL_LISTMOUNT, &request, m->listed + m->listed_len, LIST_CHUNK, 0);
		if (n < 0)
			return -errno;
	}
	return m->listed_len > HOST_MOUNTS_MAX ? -E2BIG : 0;
}

static int ask(struct mount_ids *m, uint64_t id)
{
	struct request request = {.size = sizeof(request),
				  .id = id,
				  .param = MUST_HAVE | WANT_OPTIONS,
				  .namespace_id = m->namespace_id};

	while (syscall(SYSCALL_STATMOUNT, &request, m->answer, m->answer_bytes, 0)) {
		if (errno != EOVERFLOW || m->answer_bytes >= ANSWER_MAX)
			return -errno;
		free(m->answer);
		m->answer_bytes *= 4;
		m->answer = malloc(m->answer_bytes);
		if (!m->answer) {
			m->answer_bytes = 0;
			return -ENOMEM;
		}
	}
	return 0;
}

/* As its line in mountinfo would be. -ENOENT: gone meanwhile, or nothing of it is known. */
static int read_line(struct mount_ids *m, uint64_t id, struct mountinfo_line *ret)
{
	static char none[1];
	struct answer *a;
	int err = ask(m, id);

	a = m->answer;
	if (err)
		return err;
	if ((a->mask & MUST_HAVE) != MUST_HAVE)
		return -ENOENT;
	*ret = (struct mountinfo_line){
		.dev = a->dev_major << 20 | a->dev_minor,
		.root = a->text + a->root,
		.mount_point = a->text + a->point,
		.type = a->text + a->type,
		.super_options = a->mask & WANT_OPTIONS ? a->text + a->options : none,
	};
	return *ret->mount_point ? 0 : -ENOENT;
}

static void drop_gone(const struct mount_ids *m, struct host_mounts *mounts,
		      const struct mount_ids_events *events)
{
	struct host_mount gone;
	size_t listed = 0, at = 0;

	while (at < mounts->len) {
		while (listed < m->listed_len && m->listed[listed] < mounts->all[at].id)
			listed++;
		if (listed < m->listed_len && m->listed[listed] == mounts->all[at].id) {
			at++;
			continue;
		}
		gone = host_mounts_take(mounts, at);
		events->on_gone(&gone, events->arg);
		host_mount_done(&gone);
	}
}

static int take_new(struct mount_ids *m, struct host_mounts *mounts,
		    const struct mount_ids_events *events)
{
	const size_t known = mounts->len;
	struct mountinfo_line line;
	size_t at = 0;
	int err;

	for (size_t i = 0; i < m->listed_len; i++) {
		while (at < known && mounts->all[at].id < m->listed[i])
			at++;
		if (at < known && mounts->all[at].id == m->listed[i])
			continue;
		err = read_line(m, m->listed[i], &line);
		if (err == -ENOENT)
			continue;
		if (!err)
			err = host_mounts_add(mounts, m->listed[i], &line);
		if (!err)
			err = events->on_new(&line, events->arg);
		if (err)
			return err;
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct host_mount *)a)->id, y = ((const struct host_mount *)b)->id;

	return (x > y) - (x < y);
}

int mount_ids_look(struct mount_ids *m, struct host_mounts *mounts,
		   const struct mount_ids_events *events)
{
	size_t known;
	int err = list(m);

	if (err)
		return err;
	drop_gone(m, mounts, events);
	known = mounts->len;
	err = take_new(m, mounts, events);
	/* A mount out of reach until one above it went has a number of long ago. */
	if (known && mounts->len > known && mounts->all[known].id < mounts->all[known - 1].id)
		qsort(mounts->all, mounts->len, sizeof(*mounts->all), by_id);
	return err;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * beneath.c - opening below a directory fd, and the name hash of beneath.h.
 */
#include "layer/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

static int open_how(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

/* O_NOATIME is for the owner and root alone; others read without it. */
static int open_quietly(int dirfd, const char *path, int flags)
{
	int fd;

	if ((flags & O_PATH) || (flags & O_ACCMODE) != O_RDONLY)
		return open_how(dirfd, path, flags);
	fd = open_how(dirfd, path, flags | O_NOATIME);
	return fd == -EPERM ? open_how(dirfd, path, flags) : fd;
}

/* The end of the longest whole-component prefix that one system call takes. */
static size_t chunk_of(const char *path, size_t len)
{
	size_t end;

	if (len < PATH_MAX)
		return len;
	for (end = PATH_MAX - 1; end && path[end] != '/'; end--)
		;
	return end;
}

int beneath_open(int rootfd, const char *path, int flags)
{
	auto_close int at = -1;
	char chunk[PATH_MAX];
	size_t len = strlen(path);
	size_t n;
	int fd;

	if (!len)
		return open_quietly(rootfd, ".", flags);

	while ((n = chunk_of(path, len)) < len) {
		if (!n)
			return -ENAMETOOLONG;
		memcpy(chunk, path, n);
		chunk[n] = '\0';
		fd = open_how(at < 0 ? rootfd : at, chunk, O_PATH | O_DIRECTORY);
		if (fd < 0)
			return fd;
		if (at >= 0)
			close(at);
		at = fd;
		path += n + 1;
		len -= n + 1;
	}
	return open_quietly(at < 0 ? rootfd : at, path, flags);
}

int beneath_open_dir(int dirfd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, name, flags | O_NOATIME);

	if (fd < 0 && errno == EPERM)
		fd = openat(dirfd, name, flags);
	return fd < 0 ? -errno : fd;
}

void beneath_proc_path(int fd, const char *name, char ret[BENEATH_PROC_SIZE])
{
	if (name)
		snprintf(ret, BENEATH_PROC_SIZE, "/proc/self/fd/%d/%s", fd, name);
	else
		snprintf(ret, BENEATH_PROC_SIZE, "/proc/self/fd/%d", fd);
}

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static inline void sip_round(struct sip *s)
{
	s->a += s->b;
	s->b = rotate(s->b, 13) ^ s->a;
	s->a = rotate(s->a, 32);
	s->c += s->d;
	s->d = rotate(s->d, 16) ^ s->c;
	s->a += s->d;
	s->d = rotate(s->d, 21) ^ s->a;
	s->c += s->b;
	s->b = rotate(s->b, 17) ^ s->c;
	s->c = rotate(s->c, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
	s->d ^= word;
	sip_round(s);
	s->a ^= word;
}

uint64_t beneath_hash(const uint64_t key[2], const void *bytes, size_t len)
{
	struct sip s = {
		.a = key[0] ^ 0x736f6d6570736575ull,
		.b = key[1] ^ 0x646f72616e646f6dull,
		.c = key[0] ^ 0x6c7967656e657261ull,
		.d = key[1] ^ 0x7465646279746573ull,
	};
	const unsigned char *p = bytes;
	uint64_t last = (uint64_t)len << 56;
	uint64_t word;
	size_t left = len;

	for (; left >= sizeof(word); p += sizeof(word), left -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sip_word(&s, word);
	}
	while (left--)
		last |= (uint64_t)p[left] << (8 * left);
	sip_word(&s, last);

	s.c ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}

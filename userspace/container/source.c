/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * source.c - what the runtimes' readers share: paths, ids, and the overlay2 layout.
 */
#include "container/source.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "container/mountinfo.h"

#define HEX_ID_LEN     64
#define LOWER_FILE_MAX 65536
#define LOWERS_MAX     1024

bool source_is_hex_id(const char *text)
{
	return strlen(text) == HEX_ID_LEN && strspn(text, "0123456789abcdef") == HEX_ID_LEN;
}

bool source_is_name(const char *text)
{
	size_t len = strlen(text);

	return len && len < CONTAINER_ID_MAX && !strchr(text, '/') && strcmp(text, ".") != 0 &&
	       strcmp(text, "..") != 0;
}

const char *source_path(struct strbuf *sb, const struct source *s, ...)
{
	const char *part;
	va_list ap;

	strbuf_reset(sb);
	strbuf_adds(sb, s->root);
	va_start(ap, s);
	while ((part = va_arg(ap, const char *))) {
		strbuf_addc(sb, '/');
		strbuf_adds(sb, part);
	}
	va_end(ap);
	return strbuf_str(sb);
}

bool source_set(char **field, const char *text)
{
	char *copy;

	if (!text)
		return true;
	copy = strdup(text);
	if (!copy)
		return false;
	free(*field);
	*field = copy;
	return true;
}

/* <home>/l/<short> -> ../<layer>/diff */
static char *resolve_link(const struct hostfs *fs, const char *home, const char *path)
{
	size_t home_len = strlen(home);
	char target[PATH_MAX];
	auto_free char *host_path = NULL;
	ssize_t n;

	if (strncmp(path, home, home_len) != 0 || strncmp(path + home_len, "/l/", 3) != 0)
		return NULL;
	host_path = file_join(fs->root, path);
	n = host_path ? readlink(host_path, target, sizeof(target) - 1) : -1;
	if (n < 4)
		return NULL;
	target[n] = '\0';
	if (strncmp(target, "../", 3) != 0 || strstr(target + 3, "../"))
		return NULL;
	return file_join(home, target + 3);
}

void source_resolve_links(const struct hostfs *fs, const char *home,
			  struct container_overlay *overlay)
{
	char *resolved;

	for (size_t i = 0; i < overlay->lowers_len; i++) {
		resolved = resolve_link(fs, home, overlay->lowers[i]);
		if (!resolved)
			continue;
		free(overlay->lowers[i]);
		overlay->lowers[i] = resolved;
	}
}

static void shrink_lowers(struct container_overlay *overlay)
{
	char **less = reallocarray(overlay->lowers, overlay->lowers_len + 1, sizeof(*less));

	if (less)
		overlay->lowers = less;
}

/* "l/AAA:l/BBB" */
static int take_lowers(const char *home, const char *text, struct container_overlay *overlay)
{
	const char *at = text, *end;
	auto_strbuf struct strbuf path = STRBUF_INIT;

	overlay->lowers = calloc(LOWERS_MAX, sizeof(*overlay->lowers));
	if (!overlay->lowers)
		return -ENOMEM;
	for (; *at; at = *end ? end + 1 : end) {
		end = at + strcspn(at, ":\n");
		if (end == at)
			continue;
		if (overlay->lowers_len == LOWERS_MAX)
			return -E2BIG;
		strbuf_reset(&path);
		if (*at != '/')
			strbuf_addf(&path, "%s/", home);
		strbuf_add(&path, at, (size_t)(end - at));
		overlay->lowers[overlay->lowers_len] = strbuf_take(&path);
		if (!overlay->lowers[overlay->lowers_len])
			return -ENOMEM;
		overlay->lowers_len++;
	}
	shrink_lowers(overlay);
	return 0;
}

/* A layer on nothing has, of containers-storage, an empty directory below it. */
static int read_lowers(const struct hostfs *fs, const char *home, const char *layer,
		       struct container_overlay *overlay)
{
	auto_strbuf struct strbuf path = STRBUF_INIT, lower = STRBUF_INIT;
	struct stat st;
	int err;

	strbuf_addf(&path, "%s/%s/lower", home, layer);
	err = hostfs_read(fs, strbuf_str(&path), LOWER_FILE_MAX, &lower);
	if (!err)
		return take_lowers(home, strbuf_str(&lower), overlay);
	strbuf_reset(&path);
	strbuf_addf(&path, "%s/%s/empty", home, layer);
	if (err != -ENOENT || hostfs_stat(fs, strbuf_str(&path), &st))
		return err;
	return take_lowers(home, strbuf_str(&path), overlay);
}

int source_read_layer(const struct hostfs *fs, const char *home, const char *layer,
		      struct container_overlay *ret)
{
	auto_strbuf struct strbuf path = STRBUF_INIT;
	struct container_overlay overlay = {0};
	struct stat st;
	int err;

	strbuf_addf(&path, "%s/%s/diff", home, layer);
	err = hostfs_stat(fs, strbuf_str(&path), &st);
	if (err)
		return err;
	overlay.upper = strbuf_take(&path);
	strbuf_addf(&path, "%s/%s/work", home, layer);
	overlay.work = strbuf_take(&path);

	err = read_lowers(fs, home, layer, &overlay);
	if (err || !overlay.upper || !overlay.work) {
		mountinfo_overlay_done(&overlay);
		return err ? err : -ENOMEM;
	}
	source_resolve_links(fs, home, &overlay);
	*ret = overlay;
	return 0;
}

const char *source_copies_in(const char *driver)
{
	if (!strcmp(driver, "vfs"))
		return "dir";
	return strcmp(driver, "btrfs") ? NULL : "subvolumes";
}

int source_take_whole(const struct hostfs *fs, const char *upper, const char *image,
		      struct container_overlay *ret)
{
	struct container_overlay overlay = {.is_whole = true};
	struct stat st;
	int err;

	err = hostfs_stat(fs, upper, &st);
	if (!err)
		err = hostfs_stat(fs, image, &st);
	if (err)
		return err;
	overlay.upper = strdup(upper);
	overlay.lowers = calloc(1, sizeof(*overlay.lowers));
	if (overlay.lowers)
		overlay.lowers[overlay.lowers_len++] = strdup(image);
	if (!overlay.upper || !overlay.lowers || !overlay.lowers[0]) {
		mountinfo_overlay_done(&overlay);
		return -ENOMEM;
	}
	*ret = overlay;
	return 0;
}

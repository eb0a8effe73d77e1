/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * source.h - what a runtime's file reader offers to the registry.
 *
 * A source is one storage or state directory of one runtime. It is asked for keys
 * (an id, or "namespace/id") and for the facts of one key; it keeps no containers of
 * its own. The registry decides what the facts of several sources mean together.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "container/container.h"
#include "container/hostfs.h"

/* Whose word counts more: lower first. */
enum facts_rank {
	RANK_OWN,     /* driftwatch run */
	RANK_RUNTIME, /* docker, podman, cri-o, lxc, nspawn, our sandboxes */
	RANK_BUNDLE,  /* containerd's bundle of a running task */
	RANK_OCI,     /* runc, crun */
};

struct source;

typedef int (*source_key_fn)(const char *key, void *arg);
typedef void (*source_watch_fn)(const char *path, const char *key, void *arg);

struct source_ops {
	const char *kind; /* as in --runtime-root KIND=DIR */
	enum facts_rank rank;

	/*
	 * Call @fn for each key. Stops at its first non-zero return. Returns 0 or
	 * -errno when the directory cannot be read (-ENOENT: the runtime has none yet).
	 */
	int (*list)(struct source *s, source_key_fn fn, void *arg);

	/*
	 * Changes when anything of the source does. Set for sources that cannot be
	 * watched: they are asked every second. NULL: inotify tells.
	 */
	uint64_t (*root_stamp)(struct source *s);

	/* Changes when the files of @key do; 0: nothing is known of @key. */
	uint64_t (*stamp)(struct source *s, const char *key);

	/*
	 * The facts of @key, which the caller frees. -ENOENT: there is no such container
	 * (any more); -EBADMSG or another errno: unreadable, with a sentence in @why.
	 */
	int (*read)(struct source *s, const char *key, struct strbuf *why, struct container **ret);

	/*
	 * Call @fn for each directory to watch: with key NULL, those in which keys
	 * appear (names of its entries are keys when fn gets "", else "<key>/<name>"
	 * when fn gets a key ending in '/'); with a key, its own directory.
	 */
	void (*watches)(struct source *s, const char *key, source_watch_fn fn, void *arg);

	void (*done)(struct source *s); /* frees priv; may be NULL */
};

/* How a source tells of another directory it met (a runc root in a bundle's options). */
typedef void (*source_discover_fn)(void *arg, const char *kind, const char *root,
				   const char *found_by);

struct source {
	const struct source_ops *ops;
	struct hostfs *fs; /* borrowed */
	source_discover_fn discover;
	void *discover_arg;
	char *root; /* canonical host path */
	char *found_by;
	bool readable;
	uint64_t looked_stamp; /* root_stamp() of the last look */
	bool is_kept;	       /* a default or an option: looked for for ever */
	unsigned misses;       /* full looks in a row that found nothing there */
	unsigned containers;
	uint64_t errors;
	char *last_error;
	void *priv;
	struct source *next;
};

extern const struct source_ops docker_source_ops;
extern const struct source_ops podman_source_ops;
extern const struct source_ops containerd_source_ops;
extern const struct source_ops containerd_store_source_ops;
extern const struct source_ops oci_source_ops;
extern const struct source_ops lxc_source_ops;
extern const struct source_ops nspawn_source_ops;
extern const struct source_ops sandbox_source_ops;

/* 64 lower-case hex digits. */
bool source_is_hex_id(const char *text);

/* A name that is one path component and fits an id: no '/', not "." or "..". */
bool source_is_name(const char *text);

/* "<root>/<a>[/<b>]…" up to a NULL argument, in @sb, which is emptied first. */
__attribute__((sentinel)) const char *source_path(struct strbuf *sb, const struct source *s, ...);

/* Replace *field by a copy of @text; NULL @text leaves it. False: out of memory. */
bool source_set(char **field, const char *text);

/*
 * Replace short link names in a driver's layer list ("l/ABC") by the directories
 * they point to, resolved against @home. Unreadable links stay as they are.
 */
void source_resolve_links(const struct hostfs *fs, const char *home,
			  struct container_overlay *overlay);

/*
 * Where below <root>/<driver> a graph driver keeps the copies, or snapshots, of images that
 * containers run on: "dir" of vfs, "subvolumes" of btrfs. NULL: it makes none.
 */
const char *source_copies_in(const char *driver);

/*
 * A container whose directory @upper holds the files of its image, @image, as well.
 * 0, -ENOENT when one of them is not there, -ENOMEM.
 */
int source_take_whole(const struct hostfs *fs, const char *upper, const char *image,
		      struct container_overlay *ret);

/*
 * The overlay of containers-storage's and docker's overlay2 layout:
 * <home>/<layer>/{diff,work,lower}. 0, -ENOENT when there is no such layer, -ENOMEM.
 */
int source_read_layer(const struct hostfs *fs, const char *home, const char *layer,
		      struct container_overlay *ret);

#endif /* SOURCE_H */

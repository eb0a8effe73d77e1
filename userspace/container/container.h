/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * container.h - one container as its runtime and the kernel describe it.
 *
 * Plain data, filled by the runtime files (docker.c, podman.c, …) and by
 * mountinfo.c, owned by the registry. Strings are NULL when unknown; host paths
 * are as the host sees them, without --host-root.
 */
#ifndef CONTAINER_H
#define CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTAINER_ID_MAX       128 /* longest id we take, NUL included */
#define CONTAINER_SHORT_ID_LEN 12

enum container_state {
	CONTAINER_CREATED, /* layer exists, never ran */
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_EXITED,
	CONTAINER_REMOVED, /* the runtime forgot it, or its layer is gone */
};
const char *container_state_name(enum container_state state); /* "running", … */

enum mount_kind { MOUNT_VOLUME, MOUNT_TMPFS, MOUNT_PSEUDO };

/* A mount inside the container other than its root. */
struct container_mount {
	char *destination; /* inside the container */
	char *source;	   /* on the host: bind source; NULL for tmpfs and pseudo file systems */
	enum mount_kind kind;
	uint32_t dev;	     /* kernel dev_t of the mounted file system */
	uint64_t root_ino;   /* inode of the bind source, 0 when it cannot be stat'ed */
	uint64_t generation; /* of that inode, see file_generation() */
	bool read_only;
};

/* The overlay a container runs on. Directories are absolute host paths. */
struct container_overlay {
	char *upper; /* NULL: no writable layer of its own (vfs driver, plain rootfs) */
	char *work;
	char *merged;  /* where it is mounted (when it is) */
	char **lowers; /* topmost first */
	size_t lowers_len;
	uint32_t dev; /* s_dev of the mounted overlay as kernel dev_t; 0 while not mounted */
	/*
	 * Upper is no overlay's: it holds the files of the image as well, which is lowers[0].
	 * Without lowers the image is what lay there when the container was made.
	 */
	bool is_whole;
	bool read_only;
	bool unsupported; /* redirect_dir=on, metacopy=on: lists cannot be exact */
};

struct container {
	char *id; /* the runtime's full id, 64 hex for most; unique among live containers */
	char short_id[CONTAINER_SHORT_ID_LEN + 1]; /* its beginning; set by container_new() */
	char *name;				   /* without a leading slash */
	char *runtime;	/* "docker", "podman", "cri-o", "containerd", "cri", "runc", "crun", "lxc",
			   "nspawn", "driftwatch", "unknown" */
	char *image;	/* as the user named it */
	char *image_id; /* "sha256:…" */
	char *pod_namespace, *pod, *pod_uid, *pod_container; /* Kubernetes names; NULL elsewhere */
	bool is_sandbox; /* pause container of a pod: watched, hidden from lists by default */
	enum container_state state;
	pid_t pid;		   /* init, in our pid namespace's /proc; 0 unless running */
	uint64_t created_wall_ns;  /* birth of the writable layer; 0 unknown */
	uint64_t started_wall_ns;  /* current or last start */
	uint64_t finished_wall_ns; /* last exit; 0 while running */
	uint64_t image_created_wall_ns;
	unsigned restart_count;
	bool privileged;
	uint64_t *cgroup_ids; /* v2 cgroup ids known to be the container's (outermost ones) */
	size_t cgroup_ids_len;
	char *cgroup_path; /* root-relative, NULL when not running */
	struct container_overlay overlay;
	struct container_mount *mounts;
	size_t mounts_len;
	char *storage_error; /* why the layer cannot be read, for ps and doctor; NULL: fine */
};

struct container *container_new(const char *id, const char *runtime); /* NULL: out of memory */
struct container *container_free(struct container *c);		      /* takes NULL, returns NULL */

/* A deep copy, or NULL when out of memory. */
struct container *container_copy(const struct container *c);

/* The name shown and used as label: pod_container, else name, else the first 12 of the id. */
const char *container_label(const struct container *c);

#endif /* CONTAINER_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * config.h - the agent's settings: defaults, then a JSON file, then flags.
 *
 * One table (config_settings) names every setting once: its flag, its key in the
 * file, its kind and its bounds. Flags are kept as text and applied again after each
 * reading of the file, so that they win over it at a reload too.
 */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

#define CONFIG_DEFAULT_FILE   "/etc/driftwatch/driftwatch.conf"
#define CONFIG_DEFAULT_LISTEN "127.0.0.1:9470"

struct config_list {
	char **items;
	size_t len;
};

#define CONFIG_STATE_DIR "/var/lib/driftwatch" /* unless told otherwise */

/* Strings are owned; NULL where nothing was set. */
struct config {
	char *socket;
	char *host_root;
	char *state_dir;
	char *tier;
	char *btf;
	char *pin_dir;
	char *log_level;
	char *log_format;
	struct config_list web_listen_address; /* "" and "none" mean: do not listen */
	struct config_list runtime_root;       /* "docker=/data/docker" */
	uint64_t max_containers;
	uint64_t max_files;
	uint64_t max_files_total;
	uint64_t max_compare_bytes;
	uint64_t max_watched; /* inodes; 0: as the kernel side likes it */
	uint64_t max_counted; /* files counted at once; 0: likewise */
	uint64_t ring_bytes;  /* 0: likewise */
	uint64_t max_series;
	uint64_t dead_retention_ns;
	uint64_t verify_interval_ns; /* 0: never */
	uint64_t duration_ns;	     /* 0: until stopped */
	bool no_pin;
	bool keep_pins;
};

enum config_kind {
	CONFIG_TEXT,
	CONFIG_LIST,
	CONFIG_FLAG,
	CONFIG_COUNT,
	CONFIG_BYTES,	 /* a count; as text also 64MiB, 10k */
	CONFIG_DURATION, /* "5m"; a number is seconds */
};

struct config_setting {
	const char *flag; /* "web.listen-address"; the key is web_listen_address */
	enum config_kind kind;
	size_t offset;			    /* in struct config */
	uint64_t min, max;		    /* of numbers */
	bool (*is_valid)(const char *text); /* of text and list items; NULL: anything */
	bool at_reload;			    /* taken over by SIGHUP; others need a restart */
	const char *expects;		    /* what is_valid wants, for messages */
	const char *arg;		    /* for --help */
	const char *help;
};

extern const struct config_setting config_settings[];
extern const size_t config_settings_len;

/* A flag of the command line, as text; NULL for a flag without argument. */
struct config_flag {
	size_t setting; /* index in config_settings */
	const char *text;
};

struct config_source {
	const char *file; /* --config; NULL: CONFIG_DEFAULT_FILE where it exists */
	const struct config_flag *flags;
	size_t flags_len;
};

/*
 * Defaults, file and flags, in this order. Returns 0, or a negative errno with one
 * sentence in @error ("FILE: KEY: reason"): -EINVAL for content, -ENOENT, -EACCES, …
 * for the file. On failure @ret is untouched. Free with config_done().
 */
int config_read(const struct config_source *source, struct strbuf *error, struct config *ret);
void config_done(struct config *c);

/* "max_files" of "max-files", appended to @out. */
void config_key(const struct config_setting *setting, struct strbuf *out);

/*
 * Settings that differ but are not taken over by a reload, as "a, b" in @out.
 * Returns how many.
 */
int config_needs_restart(const struct config *running, const struct config *fresh,
			 struct strbuf *out);

/* Take over from @fresh what a reload may change. 0 or -ENOMEM. */
int config_take_reloadable(struct config *running, const struct config *fresh);

/* One value, from the command line or the file. @error gets the reason alone. */
int config_set_text(struct config *c, const struct config_setting *setting, const char *text,
		    struct strbuf *error);
int config_set_json(struct config *c, const struct config_setting *setting, const json_t *value,
		    struct strbuf *error);

#endif /* AGENT_CONFIG_H */

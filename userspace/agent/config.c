/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * config.c - the table of settings, and how file and flags become one configuration.
 */
#include "agent/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/file.h"
#include "base/log.h"
#include "kernel/probe.h"

#define MAX_FILE_BYTES (1u << 20)
#define DAY_NS	       (86400 * NS_PER_SEC)

static bool is_tier(const char *text)
{
	enum probe_tier tier;

	return probe_tier_parse(text, &tier) == 0;
}

static bool is_path(const char *text)
{
	return *text != '\0';
}

static bool is_absolute(const char *text)
{
	return *text == '/';
}

static bool is_runtime_root(const char *text)
{
	const char *equals = strchr(text, '=');

	return equals && equals != text && equals[1] == '/';
}

static bool is_log_level(const char *text)
{
	enum log_level level;

	return log_level_parse(text, &level) == 0;
}

static bool is_log_format(const char *text)
{
	enum log_format format;

	return log_format_parse(text, &format) == 0;
}

#define AT(member) offsetof(struct config, member)

const struct config_setting config_settings[] = {
	{"socket", CONFIG_TEXT, AT(socket), 0, 0, is_path, false, "a path", "PATH", NULL},
	{"host-root", CONFIG_TEXT, AT(host_root), 0, 0, is_path, false, "a path", "DIR", NULL},
	{"web.listen-address", CONFIG_LIST, AT(web_listen_address), 0, 0, NULL, false, NULL,
	 "ADDRESS",
	 "Serve metrics here: HOST:PORT, :PORT or none; may be repeated (" CONFIG_DEFAULT_LISTEN
	 ")"},
	{"state-dir", CONFIG_TEXT, AT(state_dir), 0, 0, is_path, false, "a path", "DIR",
	 "Keep the ledger here (/var/lib/driftwatch)"},
	{"runtime-root", CONFIG_LIST, AT(runtime_root), 0, 0, is_runtime_root, false,
	 "KIND=DIR with an absolute directory", "KIND=DIR",
	 "Look for containers of a runtime here too, as docker=/data/docker; may be repeated"},
	{"tier", CONFIG_TEXT, AT(tier), 0, 0, is_tier, false,
	 "vfs-fexit, vfs-kprobe, fs, syscall or auto", "TIER",
	 "Force a tier: vfs-fexit, vfs-kprobe, fs or syscall (auto)"},
	{"btf", CONFIG_TEXT, AT(btf), 0, 0, is_path, false, "a path", "FILE",
	 "Type information of the kernel (/sys/kernel/btf/vmlinux)"},
	{"max-containers", CONFIG_COUNT, AT(max_containers), 1, 65534, NULL, false, NULL, "N",
	 "Containers counted at once (1024)"},
	{"max-files", CONFIG_COUNT, AT(max_files), 1, 100000000, NULL, true, NULL, "N",
	 "Files listed per container (200000)"},
	{"max-files-total", CONFIG_COUNT, AT(max_files_total), 1, 1000000000, NULL, true, NULL, "N",
	 "Files listed for all containers together (500000)"},
	{"max-compare-bytes", CONFIG_BYTES, AT(max_compare_bytes), 1, UINT64_MAX, NULL, true, NULL,
	 "BYTES", "Compare the content of files up to this size (64MiB)"},
	{"max-watched", CONFIG_COUNT, AT(max_watched), 1, 1u << 26, NULL, false, NULL, "N",
	 "Inodes watched in the kernel, others are scanned (262144)"},
	{"max-counted", CONFIG_COUNT, AT(max_counted), 1, 1u << 24, NULL, false, NULL, "N",
	 "Files counted at once in the kernel (122880)"},
	{"ring-bytes", CONFIG_BYTES, AT(ring_bytes), 4096, 1u << 30, NULL, false, NULL, "BYTES",
	 "Room for records that wait in the kernel (2MiB)"},
	{"max-series", CONFIG_COUNT, AT(max_series), 1, 100000000, NULL, true, NULL, "N",
	 "Series of containers in one scrape (200000)"},
	{"dead-retention", CONFIG_DURATION, AT(dead_retention_ns), NS_PER_SEC, 366 * DAY_NS, NULL,
	 true, NULL, "DURATION", "Keep removed containers this long (5m)"},
	{"verify-interval", CONFIG_DURATION, AT(verify_interval_ns), 0, 366 * DAY_NS, NULL, true,
	 NULL, "DURATION",
	 "Compare each ledger with its layer this often, in the background; 0: never (1h)"},
	{"duration", CONFIG_DURATION, AT(duration_ns), 1, 3660 * DAY_NS, NULL, false, NULL,
	 "DURATION", "Stop after this long"},
	{"pin-dir", CONFIG_TEXT, AT(pin_dir), 0, 0, is_absolute, false, "an absolute path", "DIR",
	 "Pin the kernel side here (below /sys/fs/bpf/driftwatch, by --state-dir)"},
	{"no-pin", CONFIG_FLAG, AT(no_pin), 0, 0, NULL, false, NULL, NULL,
	 "Pin nothing: what happens while no agent runs is not counted"},
	{"keep-pins", CONFIG_FLAG, AT(keep_pins), 0, 0, NULL, true, NULL, NULL,
	 "Leave the kernel side counting when the agent stops"},
	{"log-level", CONFIG_TEXT, AT(log_level), 0, 0, is_log_level, true,
	 "error, warning, info or debug", "LEVEL", NULL},
	{"log-format", CONFIG_TEXT, AT(log_format), 0, 0, is_log_format, true,
	 "plain, text, json or journal", "FORMAT", NULL},
};

const size_t config_settings_len = sizeof(config_settings) / sizeof(config_settings[0]);

static void clear_list(struct config_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct config_list){0};
}

static void clear_setting(struct config *c, const struct config_setting *setting)
{
	void *at = (char *)c + setting->offset;

	if (setting->kind == CONFIG_LIST) {
		clear_list(at);
	} else if (setting->kind == CONFIG_TEXT) {
		free(*(char **)at);
		*(char **)at = NULL;
	}
}

void config_done(struct config *c)
{
	for (size_t i = 0; i < config_settings_len; i++)
		clear_setting(c, &config_settings[i]);
	*c = (struct config){0};
}

void config_key(const struct config_setting *setting, struct strbuf *out)
{
	for (const char *c = setting->flag; *c; c++)
		strbuf_addc(out, *c == '-' || *c == '.' ? '_' : *c);
}

static int set_defaults(struct config *c)
{
	*c = (struct config){
		.state_dir = strdup(CONFIG_STATE_DIR),
		.tier = strdup("auto"),
		.max_containers = 1024,
		.max_files = 200000,
		.max_files_total = 500000,
		.max_compare_bytes = 64 << 20,
		.max_series = 200000,
		.dead_retention_ns = 300 * NS_PER_SEC,
		.verify_interval_ns = 3600 * NS_PER_SEC,
	};
	return c->state_dir && c->tier ? 0 : -ENOMEM;
}

static const struct config_setting *find_key(const char *key)
{
	for (size_t i = 0; i < config_settings_len; i++) {
		auto_strbuf struct strbuf name = STRBUF_INIT;

		config_key(&config_settings[i], &name);
		if (!strcmp(strbuf_str(&name), key))
			return &config_settings[i];
	}
	return NULL;
}

static int apply_object(struct config *c, const char *file, json_t *object, struct strbuf *error)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		const struct config_setting *setting = find_key(key);
		auto_strbuf struct strbuf reason = STRBUF_INIT;
		int err;

		if (!setting) {
			strbuf_addf(error, "%s: ", file);
			escape_terminal(error, key, strlen(key));
			strbuf_adds(error, ": unknown key");
			return -EINVAL;
		}
		err = config_set_json(c, setting, value, &reason);
		if (err) {
			strbuf_addf(error, "%s: %s: %s", file, key,
				    reason.len ? strbuf_str(&reason) : strerror(-err));
			return err;
		}
	}
	return 0;
}

static int apply_file(struct config *c, const char *file, struct strbuf *error)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	json_error_t where;
	json_t *object;
	int err = file_read(AT_FDCWD, file, MAX_FILE_BYTES, &text);

	if (err) {
		strbuf_addf(error, "%s: cannot be read: %s", file, strerror(-err));
		return err;
	}
	object = json_loadb(strbuf_str(&text), text.len, JSON_REJECT_DUPLICATES, &where);
	if (!object) {
		strbuf_addf(error, "%s: line %d, column %d: ", file, where.line, where.column);
		escape_terminal(error, where.text, strlen(where.text));
		return -EINVAL;
	}
	if (json_is_object(object)) {
		err = apply_object(c, file, object, error);
	} else {
		strbuf_addf(error, "%s: must hold one JSON object", file);
		err = -EINVAL;
	}
	json_decref(object);
	return err;
}

/* Lists of the command line replace those of the file. */
static int apply_flags(struct config *c, const struct config_source *source, struct strbuf *error)
{
	for (size_t i = 0; i < source->flags_len; i++) {
		const struct config_setting *setting = &config_settings[source->flags[i].setting];

		if (setting->kind == CONFIG_LIST)
			clear_setting(c, setting);
	}
	for (size_t i = 0; i < source->flags_len; i++) {
		const struct config_flag *flag = &source->flags[i];
		auto_strbuf struct strbuf reason = STRBUF_INIT;
		int err = config_set_text(c, &config_settings[flag->setting], flag->text, &reason);

		if (err) {
			strbuf_addf(error, "--%s: %s", config_settings[flag->setting].flag,
				    reason.len ? strbuf_str(&reason) : strerror(-err));
			return err;
		}
	}
	return 0;
}

static int fill(struct config *c, const struct config_source *source, struct strbuf *error)
{
	const char *file = source->file;
	int err = set_defaults(c);

	if (!file && access(CONFIG_DEFAULT_FILE, F_OK) == 0)
		file = CONFIG_DEFAULT_FILE;
	if (!err && file)
		err = apply_file(c, file, error);
	if (!err)
		err = apply_flags(c, source, error);
	if (!err && !c->web_listen_address.len) {
		for (size_t i = 0; i < config_settings_len && !err; i++) {
			if (config_settings[i].offset == AT(web_listen_address))
				err = config_set_text(c, &config_settings[i], CONFIG_DEFAULT_LISTEN,
						      error);
		}
	}
	return err;
}

int config_read(const struct config_source *source, struct strbuf *error, struct config *ret)
{
	struct config fresh = {0};
	int err = fill(&fresh, source, error);

	if (err) {
		config_done(&fresh);
		return err;
	}
	*ret = fresh;
	return 0;
}

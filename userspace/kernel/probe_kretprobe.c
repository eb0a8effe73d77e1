/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_kretprobe.c - return probes with room for many tasks at once.
 *
 * A return probe keeps a note for each task inside the function, and when it has none
 * left the return is missed. The usual way of attaching leaves it at two per CPU; only
 * an event made in tracefs can ask for more. The event is shared by whoever attaches
 * to it, and goes with the last of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/probe_internal.h"

#define EVENT_GROUP   "driftwatch"
#define TASKS_AT_ONCE 1024

static const char *const tracefs_dirs[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};

/* Write one command to kprobe_events. 0 or -errno. */
static int event_command(const char *command)
{
	size_t len = strlen(command), i;

	for (i = 0; i < sizeof(tracefs_dirs) / sizeof(tracefs_dirs[0]); i++) {
		char path[64];
		auto_close int fd = -1;

		snprintf(path, sizeof(path), "%s/kprobe_events", tracefs_dirs[i]);
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (fd < 0)
			continue;
		return write(fd, command, len) == (ssize_t)len ? 0 : -errno;
	}
	return -ENOENT;
}

struct bpf_link *kretprobe_attach(const struct bpf_program *prog, const char *function)
{
	struct bpf_link *link;
	char command[256];
	int err;

	snprintf(command, sizeof(command), "r%d:" EVENT_GROUP "/%s %s\n", TASKS_AT_ONCE, function,
		 function);
	err = event_command(command);
	link = err && err != -EEXIST ? NULL
				     : bpf_program__attach_tracepoint(prog, EVENT_GROUP, function);
	return link ? link : bpf_program__attach(prog);
}

void kretprobe_forget(const char *function)
{
	char command[256];

	snprintf(command, sizeof(command), "-:" EVENT_GROUP "/%s\n", function);
	event_command(command); /* refused while somebody else uses it */
}

uint64_t kretprobe_parse_missed(FILE *profile, const char *function)
{
	char line[256], name[128];
	unsigned long long hit, missed;

	while (fgets(line, sizeof(line), profile))
		if (sscanf(line, "%127s %llu %llu", name, &hit, &missed) == 3 &&
		    !strcmp(name, function))
			return missed;
	return 0;
}

uint64_t kretprobe_missed(const char *function)
{
	auto_fclose FILE *profile = NULL;
	char path[64];
	size_t i;

	for (i = 0; i < sizeof(tracefs_dirs) / sizeof(tracefs_dirs[0]) && !profile; i++) {
		snprintf(path, sizeof(path), "%s/kprobe_profile", tracefs_dirs[i]);
		profile = fopen(path, "re");
	}
	return profile ? kretprobe_parse_missed(profile, function) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * metrics_process.c - this process, by the names every exporter uses.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "view/metrics_internal.h"

#define PROC_TEXT_MAX 65536

static void add_cpu(struct metrics *m)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts))
		return;
	metrics_family(m, "process_cpu_seconds", METRIC_COUNTER, "Processor time used");
	metrics_seconds(m, NULL, clock_of_timespec(&ts));
}

static void add_memory(struct metrics *m)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	uint64_t pages, resident, page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);

	if (file_read(AT_FDCWD, "/proc/self/statm", PROC_TEXT_MAX, &text) ||
	    sscanf(strbuf_str(&text), "%" SCNu64 " %" SCNu64, &pages, &resident) != 2)
		return;
	metrics_family(m, "process_virtual_memory_bytes", METRIC_GAUGE, "Address space in use");
	metrics_u64(m, NULL, pages * page_bytes);
	metrics_family(m, "process_resident_memory_bytes", METRIC_GAUGE, "Memory in use");
	metrics_u64(m, NULL, resident * page_bytes);
}

static void add_fds(struct metrics *m)
{
	auto_closedir DIR *dir = opendir("/proc/self/fd");
	struct rlimit limit;
	uint64_t open_fds = 0;

	if (dir) {
		const struct dirent *entry;

		while ((entry = readdir(dir)))
			open_fds += entry->d_name[0] != '.';
		metrics_family(m, "process_open_fds", METRIC_GAUGE, "Open file descriptors");
		metrics_u64(m, NULL, open_fds - 1); /* not the one that reads the directory */
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		metrics_family(m, "process_max_fds", METRIC_GAUGE, "Most file descriptors allowed");
		metrics_u64(m, NULL, limit.rlim_cur);
	}
}

/* Field 22 of /proc/self/stat, counted behind the name, which may hold anything. */
static void add_start_time(struct metrics *m)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	uint64_t ticks, per_sec = (uint64_t)sysconf(_SC_CLK_TCK);
	const char *at;

	if (file_read(AT_FDCWD, "/proc/self/stat", PROC_TEXT_MAX, &text))
		return;
	at = strrchr(strbuf_str(&text), ')');
	if (!at || sscanf(at,
			  ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			  "%*d %*d %*d %" SCNu64,
			  &ticks) != 1)
		return;
	metrics_family(m, "process_start_time_seconds", METRIC_GAUGE, "When the process started");
	metrics_seconds(m, NULL, clock_wall_of_boot(ticks * (NS_PER_SEC / per_sec)));
}

void metrics_add_process(struct metrics *m)
{
	add_cpu(m);
	add_memory(m);
	add_fds(m);
	add_start_time(m);
}

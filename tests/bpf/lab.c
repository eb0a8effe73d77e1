/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lab.c - see lab.h.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strbuf.h"

#define LOWER_BYTES (1 << 20)

void lab_run(const char *fmt, ...)
{
	auto_strbuf struct strbuf command = STRBUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(&command, fmt, ap);
	va_end(ap);
	assert_int_equal(system(strbuf_str(&command)), 0);
}

uint32_t lab_dev(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return file_kernel_dev(st.st_dev);
}

uint64_t lab_ino(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}

static const char *join(const char *dir, const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

const char *lab_path(const struct lab *lab, const char *name)
{
	return join(lab->merged, name);
}

const char *lab_upper_path(const struct lab *lab, const char *name)
{
	return join(lab->upper, name);
}

static bool is_ext4(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == EXT4_SUPER_MAGIC;
}

bool lab_can(enum probe_tier tier, enum lab_fs fs)
{
	const char *why = NULL;
	struct probe_kernel k;

	if (geteuid() || probe_examine_kernel(&k) || !k.can_load)
		why = "BPF programs cannot be loaded";
	else if (tier == PROBE_TIER_VFS_FEXIT && !k.has_trampoline)
		why = "the kernel refuses fexit programs";
	else if (tier == PROBE_TIER_VFS_KPROBE && !k.has_kprobe)
		why = "the kernel has no kprobes";
	else if (tier == PROBE_TIER_FS && fs == LAB_ROOT_FS && !is_ext4("/tmp"))
		why = "/tmp is not on ext4";
	else if (fs != LAB_ROOT_FS && access("/dev/loop-control", W_OK))
		why = "there are no loop devices";
	if (why)
		print_message("skipped: tier %s: %s\n", probe_tier_name(tier), why);
	return !why;
}

static void make_file_system(struct lab *lab, enum lab_fs fs, unsigned mib)
{
	const char *mkfs = fs == LAB_XFS ? "mkfs.xfs -q" : "mkfs.ext4 -q -F";

	lab_run("truncate -s %uM %s/image", mib, lab->dir);
	lab_run("%s %s/image", mkfs, lab->dir);
	lab_run("mkdir %s/fs && mount -o loop %s/image %s/fs", lab->dir, lab->dir, lab->dir);
}

static void make_overlay(struct lab *lab)
{
	auto_strbuf struct strbuf options = STRBUF_INIT;
	char *bytes = malloc(LOWER_BYTES);
	int fd;

	assert_non_null(bytes);
	memset(bytes, 'l', LOWER_BYTES);
	lab_run("mkdir -p %s/fs/lower %s/fs/upper %s/fs/work %s/merged", lab->dir, lab->dir,
		lab->dir, lab->dir);
	snprintf(lab->merged, sizeof(lab->merged), "%s/merged", lab->dir);
	snprintf(lab->upper, sizeof(lab->upper), "%s/fs/upper", lab->dir);
	fd = open(join(lab->dir, "fs/lower/lower"), O_CREAT | O_WRONLY, 0644);
	assert_int_equal(write(fd, bytes, LOWER_BYTES), LOWER_BYTES);
	close(fd);
	free(bytes);

	strbuf_addf(&options, "lowerdir=%s/fs/lower,upperdir=%s/fs/upper,workdir=%s/fs/work",
		    lab->dir, lab->dir, lab->dir);
	assert_int_equal(mount("overlay", lab->merged, "overlay", 0, strbuf_str(&options)), 0);
	lab->overlay_dev = lab_dev(lab->merged);
}

void lab_register(const struct lab *lab)
{
	const char *work = join(lab->dir, "fs/work/work");
	struct probe *p = lab->probe;

	assert_int_equal(probe_set_overlay(p, lab->overlay_dev, LAB_CONTAINER), 0);
	assert_int_equal(probe_set_root(p,
					&(struct dw_inode){.ino = lab_ino(lab->upper),
							   .dev = lab_dev(lab->upper)},
					0, LAB_CONTAINER, DW_ROOT_UPPER),
			 0);
	assert_int_equal(
		probe_set_root(p, &(struct dw_inode){.ino = lab_ino(work), .dev = lab_dev(work)}, 0,
			       LAB_CONTAINER, DW_ROOT_WORK),
		0);
}

void lab_ignore_others(const struct lab *lab)
{
	FILE *mounts = fopen("/proc/1/mountinfo", "re");
	unsigned major, minor;
	char *line = NULL;
	size_t size = 0;

	assert_non_null(mounts);
	while (getline(&line, &size, mounts) > 0) {
		if (!strstr(line, " - overlay ") ||
		    sscanf(line, "%*u %*u %u:%u", &major, &minor) != 2 ||
		    (major << 20 | minor) == lab->overlay_dev)
			continue;
		assert_int_equal(
			probe_set_overlay(lab->probe, major << 20 | minor, LAB_CONTAINER + 1), 0);
	}
	free(line);
	fclose(mounts);
}

void lab_reopen(struct lab *lab, const struct probe_options *options)
{
	lab->probe = probe_close(lab->probe, false);
	assert_int_equal(probe_open(options, NULL, &lab->probe), 0);
	lab_register(lab);
	lab_mark(lab);
}

struct lab *lab_open(enum lab_fs fs, unsigned mib, enum probe_tier tier)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct probe_options options = {.tier = tier};
	struct lab *lab;
	int err;

	if (geteuid()) {
		print_message("needs root\n");
		skip();
	}
	lab = calloc(1, sizeof(*lab));
	assert_non_null(lab);
	snprintf(lab->dir, sizeof(lab->dir), "/tmp/driftwatch-lab.XXXXXX");
	assert_non_null(mkdtemp(lab->dir));
	if (fs != LAB_ROOT_FS)
		make_file_system(lab, fs, mib);
	make_overlay(lab);
	err = probe_open(&options, &error, &lab->probe);
	if (err) {
		print_message("%s\n", strbuf_str(&error));
		lab_close(lab);
		if (err == -EOPNOTSUPP)
			skip();
		fail_msg("probe_open: %s", strerror(-err));
	}
	if (fs == LAB_XFS)
		assert_int_equal(probe_want(lab->probe, PROBE_SEES_DIRTY_XFS), 0);
	lab_register(lab);
	lab_mark(lab);
	return lab;
}

void lab_close(struct lab *lab)
{
	if (!lab)
		return;
	probe_close(lab->probe, false);
	umount2(lab->merged, MNT_DETACH);
	umount2(join(lab->dir, "fs"), MNT_DETACH);
	lab_run("rm -rf %s", lab->dir);
	free(lab);
}

void lab_mark(struct lab *lab)
{
	assert_int_equal(probe_read_counters(lab->probe, LAB_CONTAINER, &lab->before), 0);
}

struct dw_counters lab_counted(const struct lab *lab)
{
	struct dw_counters now;
	size_t i;

	assert_int_equal(probe_read_counters(lab->probe, LAB_CONTAINER, &now), 0);
	for (i = 0; i < sizeof(now) / sizeof(uint64_t); i++)
		((uint64_t *)&now)[i] -= ((const uint64_t *)&lab->before)[i];
	return now;
}

void lab_expect(const struct lab *lab, uint64_t calls, uint64_t bytes)
{
	struct dw_counters c = lab_counted(lab);

	assert_int_equal(c.write_bytes[DW_TARGET_LAYER], bytes);
	assert_int_equal(c.write_calls[DW_TARGET_LAYER], calls);
}

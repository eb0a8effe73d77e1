/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * probe_selftest.c - that a hook is attached does not prove that it runs: try.
 *
 * A few files of an overlay of our own are written to and renamed, and the counters
 * of a container that nobody else is must tell. A hook that saw nothing is noted as
 * blind, and what it shows counts as not seen from then on. AIO and io_uring are
 * not tried.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "kernel/probe_internal.h"
#include "kernel/scratch.h"

#define BYTES 96 /* of each write */

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* --- what is done: 0, or -errno where this machine cannot */

static int open_file(const struct scratch *s, const char *name)
{
	return openat(s->root_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int result(ssize_t n)
{
	return n < 0 ? -errno : n == BYTES ? 0 : -EIO;
}

static int do_write(const struct scratch *s)
{
	auto_close int fd = open_file(s, "a");
	char bytes[BYTES] = {0};

	return fd < 0 ? -errno : result(write(fd, bytes, sizeof(bytes)));
}

static int do_writev(const struct scratch *s)
{
	auto_close int fd = open_file(s, "b");
	char bytes[BYTES] = {0};
	const struct iovec parts[] = {{bytes, BYTES / 2}, {bytes, BYTES / 2}};

	return fd < 0 ? -errno : result(writev(fd, parts, 2));
}

static int do_splice(const struct scratch *s)
{
	auto_close int from = memfd_create("driftwatch", MFD_CLOEXEC);
	auto_close int fd = open_file(s, "c");
	char bytes[BYTES] = {0};
	off_t start = 0;

	if (fd < 0 || from < 0 || write(from, bytes, sizeof(bytes)) < 0)
		return -errno;
	return result(sendfile(fd, from, &start, BYTES));
}

static int do_copy(const struct scratch *s)
{
	auto_close int from = open_file(s, "a"), fd = open_file(s, "d");

	return from < 0 || fd < 0 ? -errno
				  : result(copy_file_range(from, NULL, fd, NULL, BYTES, 0));
}

static int do_rename(const struct scratch *s)
{
	return renameat(s->root_fd, "d", s->root_fd, "e") ? -errno : 0;
}

static int do_link(const struct scratch *s)
{
	return linkat(s->root_fd, "a", s->root_fd, "f", 0) ? -errno : 0;
}

static int do_chmod(const struct scratch *s)
{
	return fchmodat(s->root_fd, "a", 0640, 0) ? -errno : 0;
}

static int do_unlink(const struct scratch *s)
{
	return unlinkat(s->root_fd, "f", 0) ? -errno : 0;
}

/* In this order: files made by one are used by the next. */
static const struct step {
	const char *what;
	const char *function; /* tried if there is a hook at it; NULL: always */
	unsigned sees;	      /* SEES() of what is lost when nothing is seen */
	enum dw_op op;	      /* whose counter tells; DW_OP_INVALID: the bytes written */
	int (*run)(const struct scratch *s);
} steps[] = {
	{"write()", NULL, ALL_WRITES, DW_OP_INVALID, do_write},
	{"writev()", "vfs_writev", SEES(WRITEV), DW_OP_INVALID, do_writev},
	{"sendfile()", "iter_file_splice_write", SEES(SPLICE) | SEES(COPY_UP_BYTES), DW_OP_INVALID,
	 do_splice},
	{"copy_file_range()", "vfs_copy_file_range", SEES(COPY_RANGE), DW_OP_INVALID, do_copy},
	{"rename()", "vfs_rename", SEES(RENAME), DW_OP_RENAME, do_rename},
	{"link()", "vfs_link", SEES(LINK), DW_OP_LINK, do_link},
	{"chmod()", "notify_change", SEES(ATTR), DW_OP_CHMOD, do_chmod},
	{"unlink()", "vfs_unlink", SEES(UNLINK), DW_OP_UNLINK, do_unlink},
};

/* --- whether it was seen */

static dw_container_t nobody_else(const struct probe *p)
{
	return p->options.max_containers - 1;
}

static uint64_t counted(const struct probe *p, const struct step *step)
{
	struct dw_counters c;

	if (probe_read_counters(p, nobody_else(p), &c))
		return 0;
	if (step->op)
		return c.ops[step->op];
	return c.write_calls[DW_TARGET_LAYER] ? c.write_bytes[DW_TARGET_LAYER] : 0;
}

static bool is_at(const struct hook *h, const char *function)
{
	const char *slash = strchr(h->def->name, '/');

	return slash && !strcmp(slash + 1, function);
}

/* The attached hook that should see @step, the one at the end of a call first. */
static struct hook *hook_of(struct probe *p, const struct scratch *s, const struct step *step)
{
	const char *function = step->function;
	size_t i;

	if (!function && p->tier == PROBE_TIER_FS && s->upper_fs == XFS_SUPER_MAGIC)
		function = "iomap_iter";
	for (i = 0; i < hook_def_count; i++) {
		struct hook *h = &p->hooks[i];

		if (!h->public.attached)
			continue;
		if (function ? is_at(h, function) : h->def->sees & SEES(LAYER_WRITES))
			return h;
	}
	return NULL;
}

static bool try_step(struct probe *p, const struct scratch *s, const struct step *step,
		     struct strbuf *text)
{
	struct hook *h = hook_of(p, s, step);
	uint64_t before;

	if (!h)
		return true;
	before = counted(p, step);
	if (step->run(s) || counted(p, step) == before + (step->op ? 1 : BYTES))
		return true;
	h->public.is_blind = true;
	h->public.why_not = "attached, but the self-test was not seen";
	p->sees &= ~step->sees;
	strbuf_addf(text, "%s%s did not see a %s", text->len ? "; " : "", h->def->name, step->what);
	return false;
}

/* --- and leave no trace */

static void forget_files(struct probe *p)
{
	slots_empty_of(p, nobody_else(p));
	cells_free_of(p, nobody_else(p));
}

static int run_steps(struct probe *p, const struct scratch *s, struct strbuf *text)
{
	const struct dw_inode upper = {.ino = s->upper_ino, .dev = s->upper_dev};
	uint32_t devs = p->control->dev_count;
	unsigned seen = p->containers_seen;
	int blind = 0, err;

	err = probe_set_overlay(p, s->overlay_dev, nobody_else(p));
	if (!err)
		err = probe_set_root(p, &upper, 0, nobody_else(p), DW_ROOT_UPPER);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !err; i++)
		blind += !try_step(p, s, &steps[i], text);
	probe_clear_root(p, &upper, nobody_else(p));
	probe_clear_overlay(p, s->overlay_dev, nobody_else(p));
	forget_files(p);
	p->control->dev_count = devs;
	p->containers_seen = seen;
	if (err)
		strbuf_addf(text, "it cannot be registered: %s", strerror(-err));
	return err ?: blind;
}

static bool can_see_files_on(const struct probe *p, long fs)
{
	return p->tier != PROBE_TIER_FS || fs == EXT4_SUPER_MAGIC || fs == XFS_SUPER_MAGIC;
}

static enum probe_self_test examine(struct probe *p, const char *dir)
{
	struct scratch s;
	int n = -EOPNOTSUPP;

	if (scratch_open(dir, &p->self_test_text, &s))
		return PROBE_SELF_TEST_NOT_RUN;
	if (can_see_files_on(p, s.upper_fs))
		n = run_steps(p, &s, &p->self_test_text);
	else
		strbuf_addf(&p->self_test_text, "%s is neither on ext4 nor on xfs", dir);
	scratch_close(&s);
	if (n < 0)
		return PROBE_SELF_TEST_NOT_RUN;
	return n ? PROBE_SELF_TEST_FAILED : PROBE_SELF_TEST_PASSED;
}

/* What was found is logged here, once; doctor and the metrics say it again. */
void probe_self_test(struct probe *p, const char *dir)
{
	strbuf_reset(&p->self_test_text);
	p->self_test = examine(p, dir);
	if (p->self_test == PROBE_SELF_TEST_FAILED)
		log_warning("self-test of tier %s: %s", probe_tier_name(p->tier),
			    strbuf_str(&p->self_test_text));
	else if (p->self_test == PROBE_SELF_TEST_NOT_RUN)
		log_info("no self-test of the hooks: %s", strbuf_str(&p->self_test_text));
}

enum probe_self_test probe_self_test_result(const struct probe *p, const char **ret_text)
{
	if (ret_text)
		*ret_text = p->self_test_text.len ? strbuf_str(&p->self_test_text) : "";
	return p->self_test;
}

const char *probe_self_test_name(enum probe_self_test result)
{
	static const char *const names[] = {
		[PROBE_SELF_TEST_NOT_RUN] = "not_run",
		[PROBE_SELF_TEST_PASSED] = "passed",
		[PROBE_SELF_TEST_FAILED] = "failed",
	};

	return names[result];
}

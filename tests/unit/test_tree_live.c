/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_tree_live.c - a tree fed by real events while others change its layer.
 *
 * fanotify stands in for the kernel side: it too says only which inode changed, after
 * the fact. Writers run as processes of their own, so reads and changes interleave as
 * they will. When they are done and the last event is in, the tree must equal the disk.
 */
#include "overlay_ops.h"
#include "tree_world.h"

#include <poll.h>
#include <sys/fanotify.h>
#include <sys/wait.h>

#define EVENTS                                                                               \
	(FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_ATTRIB | FAN_MODIFY | \
	 FAN_DELETE_SELF | FAN_MOVE_SELF | FAN_ONDIR)

static int open_events(struct tree_world *tw)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_FID |
				       FAN_REPORT_DIR_FID | FAN_UNLIMITED_QUEUE,
			       O_RDONLY);

	if (fd < 0 || fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, EVENTS, AT_FDCWD,
				    tw->w.upper) < 0) {
		print_message("SKIP: no fanotify of file systems: %s\n", strerror(errno));
		skip();
	}
	return fd;
}

/* ext4 puts the inode number first into its file handles (FILEID_INO32_GEN). */
#define INO_AT \
	(offsetof(struct fanotify_event_info_fid, handle) + offsetof(struct file_handle, f_handle))

static void mark_inodes(struct tree_world *tw, const char *at, const char *end)
{
	struct fanotify_event_info_header info;
	uint32_t ino;

	for (; at < end; at += info.len) {
		memcpy(&info, at, sizeof(info));
		memcpy(&ino, at + INO_AT, sizeof(ino));
		if (is_watched(tw, ino))
			tree_mark(tw->tree, ino, NULL, false);
	}
}

/* Events are packed without alignment. */
static size_t take_events(struct tree_world *tw, int fd)
{
	struct fanotify_event_metadata e;
	static char buf[65536];
	ssize_t n = read(fd, buf, sizeof(buf));
	size_t events = 0;
	const char *at;

	for (at = buf; n > 0 && at < buf + n; at += e.event_len) {
		memcpy(&e, at, sizeof(e));
		assert_false(e.mask & FAN_Q_OVERFLOW);
		mark_inodes(tw, at + e.metadata_len, at + e.event_len);
		events++;
	}
	return events;
}

static pid_t spawn_writer(struct tree_world *tw, uint64_t seed, unsigned ops)
{
	pid_t pid = fork();
	unsigned i;

	if (pid)
		return pid;
	for (i = 0; i < ops; i++)
		random_op(&seed, tw->w.upper);
	_exit(0);
}

/* Trap 1: directories that trade places all the time. */
static pid_t spawn_juggler(struct tree_world *tw, unsigned ops)
{
	char a[128], b[128], c[128], in_a[160];
	pid_t pid = fork();
	unsigned i;

	if (pid)
		return pid;
	snprintf(a, sizeof(a), "%s/a", tw->w.upper);
	snprintf(b, sizeof(b), "%s/b", tw->w.upper);
	snprintf(c, sizeof(c), "%s/c/x", tw->w.upper);
	for (i = 0; i < ops; i++) {
		mkdir(a, 0755);
		snprintf(in_a, sizeof(in_a), "%s/%u", a, i % 7);
		mkdir(in_a, 0755);
		snprintf(in_a, sizeof(in_a), "%s/%u/f", a, i % 7);
		close(open(in_a, O_WRONLY | O_CREAT, 0644));
		rename(a, c);
		rename(b, a);
		rename(c, b);
		syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
	}
	_exit(0);
}

static bool reap(pid_t *writers, size_t len)
{
	bool any = false;
	int status;
	size_t i;

	for (i = 0; i < len; i++) {
		if (writers[i] && waitpid(writers[i], &status, WNOHANG) == writers[i]) {
			assert_int_equal(status, 0);
			writers[i] = 0;
		}
		any = any || writers[i];
	}
	return any;
}

/* Follow until all writers have ended and nothing is left to be done. */
static void follow(struct tree_world *tw, int fd, pid_t *writers, size_t len, uint64_t slice_ns)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool running = true;
	size_t events = 0, n;
	int ms = 0;

	while (running || ms >= 0) {
		poll(&p, 1, ms < 0 || ms > 5 ? 5 : ms);
		running = reap(writers, len);
		do {
			n = take_events(tw, fd);
			events += n;
		} while (n);
		ms = tree_work(tw->tree, slice_ns);
	}
	assert_true(tree_is_settled(tw->tree));
	print_message("# %zu events\n", events);
	assert_exact(tw);
}

static void with_writers(uint64_t seed, unsigned ops, uint64_t slice_ns)
{
	struct tree_world tw;
	pid_t writers[3];
	char path[16];
	int fd, i;

	tree_world_make(&tw, 1);
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "l0/%c", 'a' + i);
		put_dir(world_path(&tw.w, "%s", path));
		snprintf(path, sizeof(path), "l0/%c/a", 'a' + i);
		put_file(world_path(&tw.w, "%s", path), "image");
	}
	put_dir(upper(&tw, "c"));
	fd = open_events(&tw);
	tree_start(&tw, 100000);
	writers[0] = spawn_writer(&tw, seed, ops);
	writers[1] = spawn_writer(&tw, seed + 1000, ops);
	writers[2] = spawn_juggler(&tw, ops);
	follow(&tw, fd, writers, 3, slice_ns);
	close(fd);
	tree_world_remove(&tw);
}

static unsigned ops_wanted(void)
{
	const char *text = getenv("DRIFTWATCH_TEST_ROUNDS");

	return text ? (unsigned)strtoul(text, NULL, 10) : 400;
}

static void whole_queue_at_a_time(void **state)
{
	(void)state;
	with_writers(1, ops_wanted(), 0);
	with_writers(2, ops_wanted(), 0);
}

static void tiny_slices(void **state)
{
	(void)state;
	with_writers(3, ops_wanted(), 20000);
	with_writers(4, ops_wanted(), 1);
}

static pid_t spawn_removal(struct tree_world *tw)
{
	char command[128];
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(command, sizeof(command), "rm -rf %s/upper", tw->w.dir);
	_exit(system(command) != 0);
}

/* docker rm, while every removal arrives as an event. */
static void a_removal_that_is_watched_changes_no_line(void **state)
{
	struct tree_world tw;
	pid_t child;
	char *before, *after;
	int fd, i;

	(void)state;
	tree_world_make(&tw, 1);
	put_dir(world_path(&tw.w, "l0/a"));
	put_file(world_path(&tw.w, "l0/a/a"), "image");
	fd = open_events(&tw);
	tree_start(&tw, 100000);
	child = spawn_writer(&tw, 5, 2000);
	follow(&tw, fd, &child, 1, 0);
	before = tree_text(&tw, true);
	assert_true(strlen(before) > 50);

	tree_set_mounted(tw.tree, false);
	child = spawn_removal(&tw);
	for (i = 0; i < 10000 && !tree_is_gone(tw.tree); i++) {
		while (take_events(&tw, fd))
			;
		tree_work(tw.tree, 50000);
		reap(&child, 1);
	}
	while (reap(&child, 1) || !tree_is_gone(tw.tree)) {
		usleep(1000);
		while (take_events(&tw, fd))
			;
		tree_work(tw.tree, 0);
	}
	after = tree_text(&tw, true);
	assert_string_equal(before, after);
	free(before);
	free(after);
	close(fd);
	tree_world_remove(&tw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_queue_at_a_time),
		cmocka_unit_test(tiny_slices),
		cmocka_unit_test(a_removal_that_is_watched_changes_no_line),
	};

	skip_unless_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_mount_ids.c - mounts by number say what mountinfo says, and cost what changed.
 *
 * Real mounts in a mount namespace of our own, whose process 1 we are.
 */
#include "host_world.h"

#include <sched.h>
#include <sys/mount.h>

#include "container/mount_ids.h"
#include "container/mountinfo.h"
#include "container/registry.h"

#define MANY 300
#define ODD  "/odd \\ name,with\ttab"

struct world {
	struct host_world w;
	struct mount_ids *ids;
	struct host_mounts mounts;
	unsigned came, went;
	char *options; /* of the last that came */
	unsigned added, removed;
	struct container *last;
};

static void bind_own(const struct host_world *w, const char *name)
{
	auto_free char *path = file_join("/proc/self", name);
	auto_free char *beneath = file_join("/proc/1", name);
	auto_free char *full = file_join(w->root, beneath);

	world_file(w, beneath, "");
	assert_int_equal(mount(path, full, NULL, MS_BIND, NULL), 0);
}

/* Skips the test where numbers cannot be had. */
static void prepare(struct world *t)
{
	*t = (struct world){0};
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	world_open(&t->w);
	world_dir(&t->w, "/proc/1");
	bind_own(&t->w, "mountinfo");
	world_dir(&t->w, "/proc/1/ns");
	world_link(&t->w, "/proc/1/ns/mnt", "/proc/self/ns/mnt");
	world_link(&t->w, "/proc/1/root", "/");
	/* Mount points are told as from our root, and looked for beneath the world's. */
	world_dir(&t->w, "/tmp");
	world_link(&t->w, t->w.root, "/");
	t->ids = mount_ids_open(&t->w.fs);
	if (!t->ids) {
		print_message("no listmount() and statmount() here\n");
		world_close(&t->w);
		skip();
	}
}

static void finish(struct world *t)
{
	auto_free char *mountinfo = file_join(t->w.root, "/proc/1/mountinfo");

	mount_ids_close(t->ids);
	host_mounts_done(&t->mounts);
	container_free(t->last);
	free(t->options);
	assert_int_equal(umount2(mountinfo, MNT_DETACH), 0);
	world_close(&t->w);
}

static char *mounted(const struct world *t, const char *path, const char *type, const char *options)
{
	char *full = file_join(t->w.root, path);

	assert_int_equal(file_make_dirs(full, 0755), 0);
	assert_int_equal(mount("x", full, type, 0, options), 0);
	return full;
}

static void unmounted(char *full)
{
	assert_int_equal(umount2(full, MNT_DETACH), 0);
	free(full);
}

static void on_gone(const struct host_mount *m, void *arg)
{
	struct world *t = arg;

	assert_non_null(m->mount_point);
	t->went++;
}

static int on_new(const struct mountinfo_line *line, void *arg)
{
	struct world *t = arg;

	t->came++;
	free(t->options);
	t->options = strdup(line->super_options);
	return 0;
}

static void look(struct world *t)
{
	struct mount_ids_events events = {on_gone, on_new, t};

	t->came = t->went = 0;
	assert_int_equal(mount_ids_look(t->ids, &t->mounts, &events), 0);
}

static bool same(const struct host_mount *a, const struct host_mount *b)
{
	return a->dev == b->dev && a->is_remote == b->is_remote &&
	       a->is_overlay_root == b->is_overlay_root && !strcmp(a->root, b->root) &&
	       !strcmp(a->mount_point, b->mount_point);
}

/* The order is the kernel's, so each is looked for. */
static void compare_with_mountinfo(const struct world *t)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;
	struct host_mounts truth;
	size_t at;

	assert_int_equal(file_read(AT_FDCWD, "/proc/self/mountinfo", 1 << 24, &text), 0);
	assert_int_equal(host_mounts_parse(text.data, &truth), 0);
	assert_int_equal(t->mounts.len, truth.len);
	for (size_t i = 0; i < truth.len; i++) {
		for (at = 0; at < truth.len && !same(&t->mounts.all[at], &truth.all[i]); at++)
			;
		if (at == truth.len)
			fail_msg("%s is missing", truth.all[i].mount_point);
	}
	host_mounts_done(&truth);
}

static char *mount_overlay(const struct world *t, const char *at, const char *upper)
{
	auto_strbuf struct strbuf options = STRBUF_INIT, dir = STRBUF_INIT;

	strbuf_addf(&options, "lowerdir=%s/a/l,upperdir=%s/a/%s,workdir=%s/a/work-%s", t->w.root,
		    t->w.root, upper, t->w.root, upper);
	world_dir(&t->w, "/a/l");
	strbuf_addf(&dir, "/a/%s", upper);
	world_dir(&t->w, strbuf_str(&dir));
	strbuf_reset(&dir);
	strbuf_addf(&dir, "/a/work-%s", upper);
	world_dir(&t->w, strbuf_str(&dir));
	return mounted(t, at, "overlay", strbuf_str(&options));
}

static void numbers_say_what_mountinfo_says(void **state)
{
	struct world t;
	char *a, *odd, *overlay;

	(void)state;
	prepare(&t);
	look(&t);
	compare_with_mountinfo(&t);
	a = mounted(&t, "/a", "tmpfs", "size=1m");
	odd = mounted(&t, ODD, "tmpfs", NULL);
	overlay = mount_overlay(&t, "/merged", "up");
	look(&t);
	compare_with_mountinfo(&t);
	unmounted(odd);
	unmounted(overlay);
	look(&t);
	compare_with_mountinfo(&t);
	unmounted(a);
	finish(&t);
}

static void only_what_changed_is_asked_for(void **state)
{
	struct world t;
	char *a, *b;

	(void)state;
	prepare(&t);
	look(&t);
	assert_int_equal(t.came, t.mounts.len);
	look(&t);
	assert_int_equal(t.came + t.went, 0);
	a = mounted(&t, "/a", "tmpfs", NULL);
	b = mounted(&t, "/b", "tmpfs", NULL);
	look(&t);
	assert_int_equal(t.came, 2);
	unmounted(a);
	look(&t);
	assert_int_equal(t.came, 0);
	assert_int_equal(t.went, 1);
	/* Another one in the same place. */
	unmounted(b);
	b = mounted(&t, "/b", "tmpfs", NULL);
	look(&t);
	assert_int_equal(t.came, 1);
	assert_int_equal(t.went, 1);
	unmounted(b);
	finish(&t);
}

static void options_name_the_layers_as_mountinfo_does(void **state)
{
	struct container_overlay overlay;
	struct world t;
	char *a, *merged;

	(void)state;
	prepare(&t);
	a = mounted(&t, "/a", "tmpfs", NULL);
	look(&t);
	merged = mount_overlay(&t, "/merged", "up x");
	look(&t);
	assert_int_equal(t.came, 1);
	assert_int_equal(mountinfo_overlay_parse(t.options, &overlay), 0);
	assert_non_null(strstr(overlay.upper, "/a/up x"));
	assert_int_equal(overlay.lowers_len, 1);
	mountinfo_overlay_done(&overlay);
	unmounted(merged);
	unmounted(a);
	finish(&t);
}

static void on_change(enum registry_change change, const struct container *c, void *arg)
{
	struct world *t = arg;

	t->added += change == REGISTRY_ADDED;
	t->removed += change == REGISTRY_REMOVED;
	container_free(t->last);
	t->last = container_copy(c);
}

/* All that this process ever read, as the kernel counts it. */
static long bytes_read(void)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	assert_int_equal(file_read(AT_FDCWD, "/proc/self/io", 1 << 16, &text), 0);
	return strtol(strbuf_str(&text) + strlen("rchar: "), NULL, 10);
}

static struct registry *open_registry(struct world *t)
{
	struct registry_options options = {.host_root = t->w.root};
	struct registry *r;

	assert_int_equal(registry_open(&options, on_change, t, &r), 0);
	assert_int_equal(registry_scan(r), 0);
	return r;
}

/* A container of docker's by the place of its mount alone. */
#define DOCKER_LAYER "/srv/d/overlay2/layer/merged"

static void docker_container(struct world *t)
{
	world_dir(&t->w, "/srv/d/containers");
	world_file(&t->w, "/srv/d/image/overlay2/layerdb/mounts/" ID_A "/mount-id", "layer");
}

static void a_container_that_comes_or_goes_costs_no_reading_of_all_mounts(void **state)
{
	char *many[MANY], *a, *merged;
	struct registry *r;
	struct world t;
	long before;

	(void)state;
	prepare(&t);
	a = mounted(&t, "/a", "tmpfs", NULL);
	docker_container(&t);
	for (unsigned i = 0; i < MANY; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/many/%u", i);
		many[i] = mounted(&t, path, "tmpfs", NULL);
	}
	r = open_registry(&t);
	merged = mount_overlay(&t, DOCKER_LAYER, "up");
	before = bytes_read();
	assert_int_equal(registry_process(r), 0);
	assert_int_equal(t.added, 1);
	assert_string_equal(t.last->id, ID_A);
	assert_non_null(strstr(t.last->overlay.upper, "/a/up"));
	world_remove(&t.w, "/srv/d/image");
	unmounted(merged);
	assert_int_equal(registry_process(r), 0);
	assert_int_equal(t.removed, 1);
	assert_in_range(bytes_read() - before, 1, MANY * 10);
	registry_close(r);
	for (unsigned i = 0; i < MANY; i++)
		unmounted(many[i]);
	unmounted(a);
	finish(&t);
}

static void a_mount_that_is_moved_is_found_where_it_is(void **state)
{
	char *a, *other, *merged, *moved;
	struct registry *r;
	struct world t;

	(void)state;
	prepare(&t);
	a = mounted(&t, "/a", "tmpfs", NULL);
	docker_container(&t);
	r = open_registry(&t);
	merged = mount_overlay(&t, "/elsewhere", "up");
	assert_int_equal(registry_process(r), 0);
	assert_int_equal(t.added, 0);
	moved = file_join(t.w.root, DOCKER_LAYER);
	assert_int_equal(file_make_dirs(moved, 0755), 0);
	assert_int_equal(mount(merged, moved, NULL, MS_MOVE, NULL), 0);
	/* At the same time as another comes, which alone shows by its number. */
	other = mounted(&t, "/other", "tmpfs", NULL);
	assert_int_equal(registry_process(r), 0);
	for (unsigned turns = 0; !t.added && turns < 20; turns++) {
		usleep((unsigned)registry_timeout_ms(r) * 1000);
		registry_tick(r);
	}
	assert_int_equal(t.added, 1);
	assert_string_equal(t.last->id, ID_A);
	registry_close(r);
	free(merged);
	unmounted(moved);
	unmounted(other);
	unmounted(a);
	finish(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_say_what_mountinfo_says),
		cmocka_unit_test(only_what_changed_is_asked_for),
		cmocka_unit_test(options_name_the_layers_as_mountinfo_does),
		cmocka_unit_test(a_container_that_comes_or_goes_costs_no_reading_of_all_mounts),
		cmocka_unit_test(a_mount_that_is_moved_is_found_where_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

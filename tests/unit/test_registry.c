/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_registry.c - the registry over a host root made of files.
 */
#include "host_world.h"

#include <sys/stat.h>

#include "container/registry.h"

#define DATA	     "/srv/d"
#define HOME	     DATA "/overlay2"
#define LAYERDB	     DATA "/image/overlay2/layerdb/mounts"
#define CGROUPS	     "/sys/fs/cgroup/unified"
#define CGROUP_MOUNT "41 31 0:38 / " CGROUPS " rw - cgroup2 cgroup2 rw\n"
#define HOST_ROOT    "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
#define RUNNING                                                                              \
	"{\"Name\":\"/web\",\"Driver\":\"overlay2\",\"State\":{\"Running\":true,\"Pid\":77," \
	"\"StartedAt\":\"2026-11-21T19:00:11Z\"},\"Config\":{\"Image\":\"eco:1\"}}"
#define STOPPED                                                                    \
	"{\"Name\":\"/web\",\"Driver\":\"overlay2\",\"State\":{\"Running\":false," \
	"\"StartedAt\":\"2026-11-21T19:00:11Z\",\"FinishedAt\":\"2026-11-21T19:01:11Z\"}}"

struct seen {
	struct host_world w;
	struct registry *r;
	unsigned added, updated, removed;
	struct container *last;
};

static void on_change(enum registry_change change, const struct container *c, void *arg)
{
	struct seen *s = arg;

	s->added += change == REGISTRY_ADDED;
	s->updated += change == REGISTRY_UPDATED;
	s->removed += change == REGISTRY_REMOVED;
	container_free(s->last);
	s->last = container_copy(c);
}

/* A mountinfo of the host with @more lines. */
static void mounts(struct seen *s, const char *more)
{
	auto_strbuf struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, HOST_ROOT CGROUP_MOUNT "%s", more);
	world_file(&s->w, "/proc/1/mountinfo", strbuf_str(&text));
}

static void prepare(struct seen *s)
{
	*s = (struct seen){0};
	world_open(&s->w);
	mounts(s, "");
	world_dir(&s->w, CGROUPS);
	world_dir(&s->w, LAYERDB);
	world_dir(&s->w, DATA "/containers");
}

static void open_registry(struct seen *s)
{
	const char *roots[] = {"runc=/run/rc"};
	struct registry_options options = {
		.host_root = s->w.root, .runtime_roots = roots, .runtime_roots_len = 1};

	assert_int_equal(registry_open(&options, on_change, s, &s->r), 0);
	assert_int_equal(s->added, 0);
	assert_int_equal(registry_scan(s->r), 0);
}

static void finish(struct seen *s)
{
	registry_close(s->r);
	container_free(s->last);
	world_close(&s->w);
}

static void put_layer(struct seen *s, const char *id, const char *mount_id)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), LAYERDB "/%s/mount-id", id);
	world_file(&s->w, path, mount_id);
	world_layer(&s->w, HOME, mount_id);
}

static void put_config(struct seen *s, const char *id, const char *config)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DATA "/containers/%s/config.v2.json", id);
	world_file(&s->w, path, config);
}

static const char *overlay_line(unsigned minor, const char *mount_point, const char *upper)
{
	static char line[2048];

	snprintf(line, sizeof(line),
		 "50 27 0:%u / %s rw - overlay overlay rw,lowerdir=" HOME "/l/BASE,upperdir=%s,"
		 "workdir=/w\n",
		 minor, mount_point, upper);
	return line;
}

static const char *docker_mount(unsigned minor)
{
	return overlay_line(minor, HOME "/m1/merged", HOME "/m1/diff");
}

static void put_process(struct seen *s, int pid, const char *cgroup, const char *mountinfo)
{
	char path[PATH_MAX], text[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	snprintf(text, sizeof(text), "%d (a ) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5000 0",
		 pid);
	world_file(&s->w, path, text);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	snprintf(text, sizeof(text), "0::%s\n", cgroup);
	world_file(&s->w, path, text);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	world_file(&s->w, path, mountinfo);
}

static uint64_t put_cgroup(struct seen *s, const char *path)
{
	auto_free char *events = file_join(CGROUPS, path), *full = NULL;
	auto_strbuf struct strbuf file = STRBUF_INIT;
	struct stat st;

	strbuf_addf(&file, "%s/cgroup.events", events);
	world_file(&s->w, strbuf_str(&file), "populated 1\nfrozen 0\n");
	full = file_join(s->w.root, events);
	assert_int_equal(stat(full, &st), 0);
	return st.st_ino;
}

static void a_mount_is_a_container_before_its_name_is_known(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	open_registry(&s);
	put_layer(&s, ID_A, "m1");
	mounts(&s, docker_mount(60));
	assert_int_equal(registry_process(s.r), 0);
	assert_int_equal(s.added, 1);
	assert_string_equal(s.last->id, ID_A);
	assert_string_equal(s.last->runtime, "docker");
	assert_string_equal(s.last->overlay.upper, HOME "/m1/diff");
	assert_string_equal(s.last->overlay.lowers[0], HOME "/base/diff");
	assert_string_equal(s.last->overlay.merged, HOME "/m1/merged");
	assert_int_equal(s.last->overlay.dev, 60);
	assert_null(s.last->name);

	put_config(&s, ID_A, STOPPED);
	registry_process(s.r);
	assert_int_equal(s.added, 1);
	assert_in_range(s.updated, 1, 3);
	assert_string_equal(s.last->name, "web");
	assert_ptr_not_equal(registry_find(s.r, ID_A), NULL);
	finish(&s);
}

static void stopped_containers_are_found_by_the_scan(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	put_config(&s, ID_A, STOPPED);
	put_layer(&s, ID_B, "m2");
	put_config(&s, ID_B, "{\"Driver\":\"overlay2\",\"State\":{}}");
	/* One mount is enough to know the data root, of which no flag told. */
	mounts(&s, docker_mount(60));
	open_registry(&s);
	assert_int_equal(s.added, 2);
	assert_int_equal(registry_find(s.r, ID_A)->state, CONTAINER_EXITED);
	assert_int_equal(registry_find(s.r, ID_B)->state, CONTAINER_CREATED);
	assert_string_equal(registry_find(s.r, ID_B)->overlay.upper, HOME "/m2/diff");
	assert_int_equal(registry_find(s.r, ID_B)->overlay.dev, 0);
	finish(&s);
}

static void what_is_no_container_is_not_listed(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	open_registry(&s);
	put_layer(&s, ID_A, "m1-init");
	mounts(&s, overlay_line(60, HOME "/m1-init/merged", HOME "/m1-init/diff"));
	registry_process(s.r);
	mounts(&s, overlay_line(61, "/var/lib/containerd/tmpmounts/containerd-mount7", "/u1"));
	registry_process(s.r);
	mounts(&s, overlay_line(62, "/srv/plain", "/u2"));
	registry_process(s.r);
	mounts(&s, overlay_line(63, HOME "/unknown/merged", HOME "/unknown/diff"));
	registry_process(s.r);
	assert_int_equal(s.added, 0);
	finish(&s);
}

static void an_end_keeps_the_container_and_a_removal_does_not(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	put_config(&s, ID_A, STOPPED);
	mounts(&s, docker_mount(60));
	open_registry(&s);
	mounts(&s, "");
	registry_process(s.r);
	assert_int_equal(s.removed, 0);
	assert_int_equal(s.last->state, CONTAINER_EXITED);
	assert_int_equal(s.last->overlay.dev, 0);
	assert_null(s.last->overlay.merged);
	assert_string_equal(s.last->overlay.upper, HOME "/m1/diff");

	world_remove(&s.w, DATA "/containers/" ID_A);
	registry_process(s.r);
	registry_process(s.r);
	assert_int_equal(s.removed, 1);
	assert_int_equal(s.last->state, CONTAINER_REMOVED);
	assert_string_equal(s.last->overlay.upper, HOME "/m1/diff");
	assert_null(registry_find(s.r, ID_A));
	finish(&s);
}

static void a_restart_keeps_the_id_and_changes_the_device(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	put_config(&s, ID_A, STOPPED);
	mounts(&s, docker_mount(60));
	open_registry(&s);
	mounts(&s, docker_mount(71));
	registry_process(s.r);
	assert_int_equal(s.added, 1);
	assert_int_equal(s.removed, 0);
	assert_int_equal(s.last->overlay.dev, 71);
	finish(&s);
}

static void relative_layers_are_resolved_at_the_mount(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	open_registry(&s);
	put_layer(&s, ID_A, "m1");
	mounts(&s, "50 27 0:60 / " HOME "/m1/merged rw - overlay overlay rw,lowerdir=l/BASE:l/GONE,"
		   "upperdir=m1/diff,workdir=m1/work\n");
	registry_process(s.r);
	assert_int_equal(s.added, 1);
	assert_string_equal(s.last->overlay.upper, HOME "/m1/diff");
	assert_string_equal(s.last->overlay.lowers[0], HOME "/base/diff");
	assert_string_equal(s.last->overlay.lowers[1], HOME "/l/GONE");
	finish(&s);
}

static void a_running_task_gives_pid_mounts_and_cgroup(void **state)
{
	struct seen s;
	uint64_t cgroup;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	put_config(&s, ID_A, RUNNING);
	mounts(&s, docker_mount(60));
	cgroup = put_cgroup(&s, "/docker/" ID_A);
	put_process(&s, 77, "/docker/" ID_A "/child",
		    "60 50 0:60 / / ro - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n"
		    "61 60 0:61 / /proc rw - proc proc rw\n"
		    "62 60 0:62 / /tmp rw - tmpfs tmpfs rw\n"
		    "63 60 254:0 /srv/v /data ro - ext4 /dev/vda rw\n");
	open_registry(&s);
	assert_int_equal(s.last->state, CONTAINER_RUNNING);
	assert_int_equal(s.last->pid, 77);
	assert_true(s.last->overlay.read_only);
	assert_string_equal(s.last->cgroup_path, "/docker/" ID_A);
	assert_int_equal(s.last->cgroup_ids_len, 1);
	assert_int_equal(s.last->cgroup_ids[0], cgroup);
	assert_int_equal(s.last->mounts_len, 3);
	assert_int_equal(s.last->mounts[0].kind, MOUNT_PSEUDO);
	assert_int_equal(s.last->mounts[1].kind, MOUNT_TMPFS);
	assert_int_equal(s.last->mounts[2].kind, MOUNT_VOLUME);
	assert_string_equal(s.last->mounts[2].source, "/srv/v");
	assert_true(s.last->mounts[2].read_only);
	/* The kernel's word on the layer counts for the device, docker's for its place. */
	assert_string_equal(s.last->overlay.upper, HOME "/m1/diff");
	finish(&s);
}

static void a_pid_that_belongs_to_somebody_else_is_not_believed(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	put_config(&s, ID_A, RUNNING);
	put_process(&s, 77, "/system.slice/ssh.service", HOST_ROOT);
	mounts(&s, docker_mount(60));
	open_registry(&s);
	assert_int_equal(s.last->pid, 0);
	assert_int_equal(s.last->state, CONTAINER_EXITED);
	finish(&s);
}

static void a_cgroup_is_attached_before_any_process_is_seen(void **state)
{
	uint64_t cgroup;
	struct seen s;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	mounts(&s, docker_mount(60));
	open_registry(&s);
	cgroup = put_cgroup(&s, "/docker/" ID_A);
	registry_hint_cgroup(s.r, cgroup, "/docker/" ID_A, false);
	assert_int_equal(s.last->cgroup_ids_len, 1);
	assert_int_equal(s.last->cgroup_ids[0], cgroup);
	assert_int_equal(s.last->state, CONTAINER_RUNNING);

	/* A path of the same form that somebody else makes takes nothing away. */
	put_cgroup(&s, "/docker/" ID_B "/docker/" ID_A);
	registry_hint_cgroup(s.r, 4711, "/docker/" ID_B "/docker/" ID_A, false);
	assert_int_equal(s.last->cgroup_ids_len, 1);
	assert_string_equal(s.last->cgroup_path, "/docker/" ID_A);
	finish(&s);
}

static void a_cgroup_that_came_and_went_is_still_the_containers(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	mounts(&s, docker_mount(60));
	open_registry(&s);
	registry_hint_cgroup(s.r, 815, "/docker/" ID_A, false);
	registry_hint_cgroup(s.r, 815, "/docker/" ID_A, true);
	assert_int_equal(s.last->cgroup_ids_len, 1);
	assert_int_equal(s.last->cgroup_ids[0], 815);
	finish(&s);
}

static void a_plain_overlay_becomes_a_container_when_runc_names_it(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	world_dir(&s.w, "/run/rc");
	mounts(&s, overlay_line(62, "/srv/b/rootfs", "/srv/b/upper"));
	open_registry(&s);
	assert_int_equal(s.added, 0);
	world_file(&s.w, "/run/rc/mine/state.json", "{\"config\":{\"rootfs\":\"/srv/b/rootfs\"}}");
	registry_process(s.r);
	registry_process(s.r);
	assert_int_equal(s.added, 1);
	assert_string_equal(s.last->id, "mine");
	assert_string_equal(s.last->runtime, "runc");
	assert_string_equal(s.last->overlay.upper, "/srv/b/upper");
	assert_int_equal(s.last->overlay.dev, 62);

	/* runc deleted it, its root is still mounted: it stays until that goes too. */
	world_remove(&s.w, "/run/rc/mine");
	registry_process(s.r);
	registry_process(s.r);
	assert_int_equal(s.removed, 0);
	mounts(&s, "");
	registry_process(s.r);
	assert_int_equal(s.removed, 1);
	finish(&s);
}

static void a_plain_overlay_becomes_a_container_by_its_first_exec(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	mounts(&s, overlay_line(62, "/srv/b/rootfs", "/srv/b/upper"));
	open_registry(&s);
	put_cgroup(&s, "/quick");
	put_process(&s, 99, "/quick",
		    "60 50 0:62 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n");
	registry_hint_task(s.r, 99, 62, 0);
	assert_int_equal(s.added, 1);
	assert_string_equal(s.last->id, "quick");
	assert_string_equal(s.last->runtime, "unknown");
	assert_int_equal(s.last->pid, 99);
	assert_string_equal(s.last->overlay.upper, "/srv/b/upper");
	finish(&s);
}

static void one_that_ended_already_is_named_by_its_cgroup(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	mounts(&s, overlay_line(62, "/srv/b/rootfs", "/srv/b/upper"));
	open_registry(&s);
	registry_hint_cgroup(s.r, 815, "/quick", false);
	registry_hint_cgroup(s.r, 815, "/quick", true);
	registry_hint_task(s.r, 99, 62, 815);
	assert_int_equal(s.added, 1);
	assert_string_equal(s.last->id, "quick");
	assert_int_equal(s.last->pid, 0);
	assert_int_equal(s.last->cgroup_ids[0], 815);
	finish(&s);
}

/* Else whatever the host writes would be the container's. */
static void one_in_a_cgroup_of_v1_does_not_get_the_root_of_v2(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	mounts(&s, overlay_line(62, "/srv/b/rootfs", "/srv/b/upper"));
	open_registry(&s);
	put_process(&s, 99, "/",
		    "60 50 0:62 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n");
	world_file(&s.w, "/proc/99/cgroup", "4:memory:/quick\n0::/\n");
	registry_hint_task(s.r, 99, 62, 1);
	assert_int_equal(s.added, 1);
	assert_string_equal(s.last->id, "quick");
	assert_int_equal(s.last->cgroup_ids_len, 0);
	finish(&s);
}

static void an_overlay_that_only_its_task_sees_is_found(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	open_registry(&s);
	put_cgroup(&s, "/lxc.payload.l2");
	put_process(
		&s, 99, "/lxc.payload.l2",
		"60 50 0:99 / / rw - overlay /l rw,lowerdir=/l,upperdir=/x/delta0,workdir=/x/w\n");
	registry_hint_task(s.r, 99, 99, 0);
	assert_int_equal(s.added, 1);
	assert_string_equal(s.last->id, "l2");
	assert_string_equal(s.last->runtime, "lxc");
	assert_string_equal(s.last->overlay.upper, "/x/delta0");
	assert_int_equal(s.last->overlay.dev, 99);
	assert_null(s.last->overlay.merged);
	finish(&s);
}

static void take_docker(const struct registry_source *source, void *arg)
{
	struct registry_source *ret = arg;

	if (!strcmp(source->kind, "docker") && !strcmp(source->root, DATA))
		*ret = *source;
}

static void a_corrupt_file_is_counted_and_what_was_known_stays(void **state)
{
	struct registry_source source = {0};
	struct seen s;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	put_config(&s, ID_A, STOPPED);
	mounts(&s, docker_mount(60));
	open_registry(&s);
	put_config(&s, ID_A, "{\"Name\":");
	registry_process(s.r);
	registry_process(s.r);
	registry_tick(s.r);
	put_config(&s, ID_B, "[");
	registry_process(s.r);
	registry_scan(s.r);
	registry_scan(s.r);
	assert_int_equal(s.removed, 0);
	assert_string_equal(registry_find(s.r, ID_A)->name, "web");
	registry_foreach_source(s.r, take_docker, &source);
	assert_true(source.readable);
	assert_int_equal(source.errors, 2);
	assert_non_null(strstr(source.last_error, "is not JSON"));
	finish(&s);
}

static void a_file_read_half_written_is_no_error(void **state)
{
	struct registry_source source = {0};
	struct seen s;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	mounts(&s, docker_mount(60));
	open_registry(&s);
	put_config(&s, ID_A, "{\"Name\":");
	registry_process(s.r);
	put_config(&s, ID_A, STOPPED);
	registry_process(s.r);
	registry_scan(s.r);
	assert_string_equal(registry_find(s.r, ID_A)->name, "web");
	registry_foreach_source(s.r, take_docker, &source);
	assert_int_equal(source.errors, 0);
	finish(&s);
}

static void a_device_number_used_again_is_another_mount(void **state)
{
	struct seen s;

	(void)state;
	prepare(&s);
	put_layer(&s, ID_A, "m1");
	put_config(&s, ID_A, STOPPED);
	put_layer(&s, ID_B, "m2");
	put_config(&s, ID_B, STOPPED);
	mounts(&s, docker_mount(60));
	open_registry(&s);
	mounts(&s, overlay_line(60, HOME "/m2/merged", HOME "/m2/diff"));
	registry_process(s.r);
	assert_int_equal(registry_find(s.r, ID_A)->overlay.dev, 0);
	assert_int_equal(registry_find(s.r, ID_B)->overlay.dev, 60);
	finish(&s);
}

static void a_container_of_our_own_needs_no_files(void **state)
{
	struct container *own = container_new(ID_A, "driftwatch");
	struct seen s;

	(void)state;
	prepare(&s);
	open_registry(&s);
	own->overlay.upper = strdup("/u");
	own->overlay.dev = 99;
	assert_int_equal(registry_add_own(s.r, own), 0);
	assert_int_equal(s.added, 1);
	assert_string_equal(s.last->runtime, "driftwatch");
	/* Its overlay, seen from within, is not a second container. */
	put_process(&s, 99, "/x",
		    "60 50 0:99 / / rw - overlay /l rw,lowerdir=/l,upperdir=/u,workdir=/w\n");
	registry_hint_task(s.r, 99, 99, 0);
	assert_int_equal(s.added, 1);
	container_free(own);
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_is_a_container_before_its_name_is_known),
		cmocka_unit_test(stopped_containers_are_found_by_the_scan),
		cmocka_unit_test(what_is_no_container_is_not_listed),
		cmocka_unit_test(an_end_keeps_the_container_and_a_removal_does_not),
		cmocka_unit_test(a_restart_keeps_the_id_and_changes_the_device),
		cmocka_unit_test(relative_layers_are_resolved_at_the_mount),
		cmocka_unit_test(a_running_task_gives_pid_mounts_and_cgroup),
		cmocka_unit_test(a_pid_that_belongs_to_somebody_else_is_not_believed),
		cmocka_unit_test(a_cgroup_is_attached_before_any_process_is_seen),
		cmocka_unit_test(a_cgroup_that_came_and_went_is_still_the_containers),
		cmocka_unit_test(a_plain_overlay_becomes_a_container_when_runc_names_it),
		cmocka_unit_test(a_plain_overlay_becomes_a_container_by_its_first_exec),
		cmocka_unit_test(one_that_ended_already_is_named_by_its_cgroup),
		cmocka_unit_test(one_in_a_cgroup_of_v1_does_not_get_the_root_of_v2),
		cmocka_unit_test(an_overlay_that_only_its_task_sees_is_found),
		cmocka_unit_test(a_corrupt_file_is_counted_and_what_was_known_stays),
		cmocka_unit_test(a_file_read_half_written_is_no_error),
		cmocka_unit_test(a_device_number_used_again_is_another_mount),
		cmocka_unit_test(a_container_of_our_own_needs_no_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

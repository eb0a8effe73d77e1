/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_sandbox_plan.c - which mounts a sandbox gets, for hosts written down here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "container/sandbox_mount.h"
#include "container/sandbox_plan.h"

#define ROOT_DEV (254u << 20)

static const char host[] =
	"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
	"22 27 0:21 / /proc rw - proc proc rw\n"
	"24 27 0:6 / /dev rw - devtmpfs devtmpfs rw\n"
	"30 24 0:27 / /dev/shm rw - tmpfs tmpfs rw\n"
	"31 27 0:28 / /run rw - tmpfs tmpfs rw\n"
	"32 31 254:3 / /run/media rw - ext4 /dev/vdd rw\n"
	"33 27 254:1 / /home rw,nosuid - ext4 /dev/vdb rw\n"
	"34 27 254:2 / /srv/my\\040data rw - xfs /dev/vdc rw\n"
	"35 27 0:29 / /mnt/scratch rw - tmpfs tmpfs rw\n"
	"36 27 0:40 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/a\n"
	"37 27 254:0 /var/lib/docker /var/lib/docker rw - ext4 /dev/vda rw\n"
	"38 27 254:5 / /tmp rw - ext4 /dev/vde rw\n"
	"39 27 254:6 / /procession rw - ext4 /dev/vdf rw\n"
	"40 27 0:41 / /rootfs/proc rw - proc proc rw\n"
	"41 27 254:7 / /rootfs/opt rw - ext4 /dev/vdg rw\n"
	"42 27 254:8 / /rootfs2/opt rw - ext4 /dev/vdh rw\n";

struct fixture {
	struct sandbox_options options;
	struct sandbox_plan plan;
	char *mountinfo;
};

static void make(struct fixture *f, const char *lower, const char *area)
{
	struct sandbox_plan_input input = {
		.lower = lower,
		.lower_dev = ROOT_DEV,
		.area = area,
		.options = &f->options,
	};

	f->mountinfo = strdup(host);
	input.mountinfo = f->mountinfo;
	assert_int_equal(sandbox_plan_make(&input, &f->plan), 0);
}

static void done(struct fixture *f)
{
	sandbox_plan_done(&f->plan);
	free(f->mountinfo);
}

/* The last one at @destination: it covers the others. */
static const struct sandbox_mount *find(const struct fixture *f, const char *destination)
{
	const struct sandbox_mount *found = NULL;

	for (size_t i = 0; i < f->plan.len; i++) {
		if (!strcmp(f->plan.mounts[i].destination, destination))
			found = &f->plan.mounts[i];
	}
	return found;
}

static void other_file_systems_of_the_host_are_read_only_binds(void **state)
{
	static const char *const places[] = {"/home", "/srv/my data", "/procession"};
	struct fixture f = {0};

	(void)state;
	make(&f, "/", "/var/tmp/area");
	for (size_t i = 0; i < 3; i++) {
		const struct sandbox_mount *m = find(&f, places[i]);

		assert_non_null(m);
		assert_string_equal(m->source, places[i]);
		assert_null(m->fstype);
		assert_true(m->flags & MS_RDONLY);
		assert_true(m->flags & MS_NODEV);
		assert_false(m->create);
	}
	assert_string_equal(strbuf_str(&f.plan.shared),
			    "/home, /srv/my data, /procession, /rootfs/opt, /rootfs2/opt");
	done(&f);
}

static void pseudo_and_foreign_mounts_stay_outside(void **state)
{
	static const char *const places[] = {"/mnt/scratch", "/var/lib/docker/overlay2/x/merged",
					     "/run/media", "/rootfs/proc"};
	struct fixture f = {0};

	(void)state;
	make(&f, "/", "/var/tmp/area");
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		assert_null(find(&f, places[i]));
	done(&f);
}

static void a_directory_mounted_on_itself_belongs_to_the_layer(void **state)
{
	struct fixture f = {0};

	(void)state;
	make(&f, "/", "/var/tmp/area");
	assert_null(find(&f, "/var/lib/docker"));
	done(&f);
}

static void tmp_belongs_to_the_layer_even_where_the_host_mounts_it(void **state)
{
	struct fixture f = {0};

	(void)state;
	make(&f, "/", "/var/tmp/area");
	assert_null(find(&f, "/tmp"));
	done(&f);
}

static void run_is_fresh_over_the_host_root_only(void **state)
{
	struct fixture f = {0};

	(void)state;
	make(&f, "/", "/var/tmp/area");
	assert_string_equal(find(&f, "/run")->fstype, "tmpfs");
	assert_null(find(&f, "/etc/resolv.conf"));
	done(&f);
	make(&f, "/rootfs", "/var/tmp/area");
	assert_null(find(&f, "/run"));
	assert_true(find(&f, "/etc/resolv.conf")->flags & MS_RDONLY);
	done(&f);
}

static void only_mounts_beneath_the_lower_directory_are_shown(void **state)
{
	struct fixture f = {0};

	(void)state;
	make(&f, "/rootfs", "/var/tmp/area");
	assert_string_equal(find(&f, "/opt")->source, "/rootfs/opt");
	assert_null(find(&f, "/home"));
	assert_string_equal(strbuf_str(&f.plan.shared), "/opt");
	done(&f);
}

static void the_layer_is_hidden_where_the_container_would_see_it(void **state)
{
	struct fixture f = {0};

	(void)state;
	make(&f, "/", "/var/tmp/area");
	assert_string_equal(find(&f, "/var/tmp/area")->fstype, "tmpfs");
	assert_true(find(&f, "/var/tmp/area")->flags & MS_RDONLY);
	done(&f);
	make(&f, "/rootfs", "/rootfs/area");
	assert_string_equal(find(&f, "/area")->fstype, "tmpfs");
	done(&f);
	make(&f, "/rootfs", "/rootfs-area");
	assert_null(find(&f, "/rootfs-area"));
	assert_null(find(&f, "-area"));
	done(&f);
}

static void kernel_settings_are_read_only(void **state)
{
	struct fixture f = {0};

	(void)state;
	make(&f, "/", "/var/tmp/area");
	assert_true(find(&f, "/sys")->flags & MS_RDONLY);
	assert_true(find(&f, "/proc/sys")->flags & MS_RDONLY);
	assert_string_equal(find(&f, "/proc/kcore")->source, "/dev/null");
	assert_true(find(&f, "/dev")->flags & MS_NODEV);
	done(&f);
}

static void chosen_mounts_come_last_and_are_listed(void **state)
{
	struct sandbox_volume volumes[] = {
		{.source = (char *)"/srv/a", .destination = (char *)"/data"},
		{.source = (char *)"/srv/b", .destination = (char *)"/home", .read_only = true},
	};
	char scratch[] = "/scratch";
	char *tmpfs[] = {scratch};
	struct fixture f = {
		.options = {.volumes = volumes, .volumes_len = 2, .tmpfs = tmpfs, .tmpfs_len = 1}};
	const struct sandbox_mount *m;

	(void)state;
	make(&f, "/", "/var/tmp/area");
	m = find(&f, "/data");
	assert_string_equal(m->source, "/srv/a");
	assert_false(m->flags & MS_RDONLY);
	assert_true(m->create && m->listed && !m->optional);
	assert_int_equal(m->kind, MOUNT_VOLUME);
	assert_string_equal(find(&f, "/home")->source, "/srv/b");
	assert_true(find(&f, "/home")->flags & MS_RDONLY);
	assert_int_equal(find(&f, "/scratch")->kind, MOUNT_TMPFS);
	done(&f);
}

static void what_ends_a_path_in_an_option_string_is_escaped(void **state)
{
	struct sandbox_area area = {.upper = (char *)"/k,e:e\\p/upper", .work = (char *)"/w"};
	static const char expected[] =
		"lowerdir=/lo\\:w,upperdir=/k\\,e\\:e\\\\p/upper,workdir=/w,";
	struct strbuf out = STRBUF_INIT;

	(void)state;
	assert_int_equal(sandbox_overlay_options("/lo:w", &area, &out), 0);
	assert_memory_equal(strbuf_str(&out), expected, strlen(expected));
	strbuf_done(&out);
}

static void options_longer_than_a_page_are_refused(void **state)
{
	struct sandbox_area area = {.upper = (char *)"/u", .work = (char *)"/w"};
	struct strbuf out = STRBUF_INIT;
	char lower[4096];

	(void)state;
	memset(lower, ',', sizeof(lower) - 1);
	lower[0] = '/';
	lower[sizeof(lower) - 1] = '\0';
	assert_int_equal(sandbox_overlay_options(lower, &area, &out), -E2BIG);
	strbuf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_file_systems_of_the_host_are_read_only_binds),
		cmocka_unit_test(pseudo_and_foreign_mounts_stay_outside),
		cmocka_unit_test(a_directory_mounted_on_itself_belongs_to_the_layer),
		cmocka_unit_test(tmp_belongs_to_the_layer_even_where_the_host_mounts_it),
		cmocka_unit_test(run_is_fresh_over_the_host_root_only),
		cmocka_unit_test(only_mounts_beneath_the_lower_directory_are_shown),
		cmocka_unit_test(the_layer_is_hidden_where_the_container_would_see_it),
		cmocka_unit_test(kernel_settings_are_read_only),
		cmocka_unit_test(chosen_mounts_come_last_and_are_listed),
		cmocka_unit_test(what_ends_a_path_in_an_option_string_is_escaped),
		cmocka_unit_test(options_longer_than_a_page_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "host_world.h"

#include "container/overlay_owner.h"

static void expect(const char *path, enum overlay_owner_kind kind, const char *home,
		   const char *name, const char *space)
{
	struct overlay_owner owner;

	overlay_owner_parse(path, &owner);
	assert_int_equal(owner.kind, kind);
	assert_string_equal(owner.home, home);
	assert_string_equal(owner.name, name);
	assert_string_equal(owner.space, space);
}

static void ignored(const char *path)
{
	struct overlay_owner owner;

	overlay_owner_parse(path, &owner);
	assert_int_equal(owner.kind, OWNER_IGNORED);
}

static void unknown(const char *path)
{
	struct overlay_owner owner;

	overlay_owner_parse(path, &owner);
	assert_int_equal(owner.kind, OWNER_UNKNOWN);
}

static void each_runtime_mounts_in_its_place(void **state)
{
	(void)state;
	expect("/any/where/overlay2/" ID_A "/merged", OWNER_LAYER_STORE, "/any/where/overlay2",
	       ID_A, "");
	expect("/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_A "/rootfs", OWNER_TASK,
	       "/run/containerd", ID_A, "k8s.io");
	expect("/s/io.containerd.runtime.v2.task/default/c1/rootfs", OWNER_TASK, "/s", "c1",
	       "default");
	expect("/var/lib/docker/rootfs/overlayfs/" ID_A, OWNER_DOCKER_ID, "/var/lib/docker", ID_A,
	       "");
}

static void images_in_the_making_are_ignored(void **state)
{
	(void)state;
	ignored("/var/lib/docker/overlay2/" ID_A "-init/merged");
	ignored("/var/lib/containerd/tmpmounts/containerd-mount123");
	ignored("/tmp/containerd-mount99");
	ignored("/var/lib/docker/buildkit/executor/xyz/rootfs");
}

static void any_other_place_is_unknown(void **state)
{
	char path[6000];

	(void)state;
	unknown("");
	unknown("/");
	unknown("//");
	unknown("/merged");
	unknown("/x/merged");
	unknown("/srv/bundle/rootfs");
	unknown("/x/rootfs/overlayfs/not-an-id");
	unknown("/io.containerd.runtime.v2.task/default/c1/rootfs");
	unknown("/a/../merged");
	snprintf(path, sizeof(path), "/h/%0200d/merged", 1);
	unknown(path);
	snprintf(path, sizeof(path), "/h/%0300d/merged", 1);
	unknown(path);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	for (size_t i = 100; i < 5000; i += 100)
		path[i] = '/';
	snprintf(path + 5000, sizeof(path) - 5000, "/%s/merged", ID_A);
	unknown(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_runtime_mounts_in_its_place),
		cmocka_unit_test(images_in_the_making_are_ignored),
		cmocka_unit_test(any_other_place_is_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

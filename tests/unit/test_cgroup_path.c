/* SPDX-License-Identifier: GPL-2.0-only */
#include "host_world.h"

#include "container/cgroup_path.h"

static void expect(const char *path, const char *runtime, const char *id, const char *scope)
{
	struct cgroup_owner owner;

	assert_int_equal(cgroup_path_parse(path, &owner), 0);
	assert_string_equal(owner.runtime, runtime);
	assert_string_equal(owner.id, id);
	assert_int_equal(owner.scope_len, strlen(scope));
	assert_memory_equal(path, scope, strlen(scope));
}

static void refuse(const char *path)
{
	struct cgroup_owner owner;

	assert_int_equal(cgroup_path_parse(path, &owner), -ENOENT);
}

static void each_runtime_has_its_form(void **state)
{
	(void)state;
	expect("/docker/" ID_A, "docker", ID_A, "/docker/" ID_A);
	expect("/actions_job/" ID_A, "docker", ID_A, "/actions_job/" ID_A);
	expect("/my.slice/docker-" ID_A ".scope", "docker", ID_A,
	       "/my.slice/docker-" ID_A ".scope");
	expect("/kubepods/burstable/pod1-2/" ID_A, "cri", ID_A, "/kubepods/burstable/pod1-2/" ID_A);
	expect("/kubepods.slice/a.slice/cri-containerd-" ID_A ".scope", "cri", ID_A,
	       "/kubepods.slice/a.slice/cri-containerd-" ID_A ".scope");
	expect("/x.slice:cri-containerd:" ID_A, "cri", ID_A, "/x.slice:cri-containerd:" ID_A);
	expect("/x/crio-" ID_A, "cri-o", ID_A, "/x/crio-" ID_A);
	expect("/x/crio-" ID_A ".scope", "cri-o", ID_A, "/x/crio-" ID_A ".scope");
	expect("/nerdctl-" ID_A ".scope", "containerd", ID_A, "/nerdctl-" ID_A ".scope");
	expect("/lxc.payload.web", "lxc", "web", "/lxc.payload.web");
	expect("/lxc.payload/web", "lxc", "web", "/lxc.payload/web");
	expect("/lxc/web", "lxc", "web", "/lxc/web");
	expect("/machine.slice/machine-deb.scope/payload", "nspawn", "deb",
	       "/machine.slice/machine-deb.scope");
}

static void the_innermost_container_wins(void **state)
{
	(void)state;
	expect("/docker/" ID_A "/docker/" ID_B "/x", "docker", ID_B,
	       "/docker/" ID_A "/docker/" ID_B);
}

static void a_child_cgroup_belongs_to_its_container(void **state)
{
	(void)state;
	expect("/docker/" ID_A "/init.scope", "docker", ID_A, "/docker/" ID_A);
	expect("/machine.slice/libpod-" ID_A ".scope/container", "podman", ID_A,
	       "/machine.slice/libpod-" ID_A ".scope");
}

static void what_is_no_container_is_refused(void **state)
{
	char long_name[400];

	(void)state;
	refuse("");
	refuse("/");
	refuse("/system.slice/ssh.service");
	refuse("/machine.slice/libpod-conmon-" ID_A ".scope");
	refuse("/kubepods/crio-conmon-" ID_A);
	refuse("/lxc.monitor.web");
	refuse("/docker/" ID_A "0");
	refuse("/docker/AAAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	refuse("/x/Docker-" ID_A ".scope");
	refuse("/x/\x01-" ID_A ".scope");
	snprintf(long_name, sizeof(long_name), "/lxc.payload.%0300d", 1);
	refuse(long_name);
}

/* The last run of 64 hex digits in @path, or NULL. */
static const char *last_id(const char *path, char ret[65])
{
	const char *found = NULL;

	for (const char *at = path; *at; at++) {
		size_t run = strspn(at, "0123456789abcdef");

		if (run == 64)
			found = at;
		if (run)
			at += run - 1;
	}
	if (!found)
		return NULL;
	snprintf(ret, 65, "%.64s", found);
	return ret;
}

static const char *runtime_of_label(const char *label)
{
	static const char *const runtimes[][2] = {
		{"docker", "docker"}, {"podman", "podman"}, {"rootless", "podman"},
		{"cri", "cri"},	      {"lxc", "lxc"},	    {"nspawn", "nspawn"},
	};

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		if (!strncmp(label, runtimes[i][0], strlen(runtimes[i][0])))
			return runtimes[i][1];
	}
	return NULL;
}

/* "--- LABEL pid=N", then the text of /proc/N/cgroup. */
static int check_measured(const char *name)
{
	auto_free char *text = fixture(name);
	char *line, *save = text, label[64] = "";
	struct cgroup_owner owner;
	char id[65];
	int checked = 0;

	while ((line = strsep(&save, "\n"))) {
		if (sscanf(line, "--- %63s", label) == 1 || strncmp(line, "0::", 3) != 0)
			continue;
		if (!runtime_of_label(label) || strstr(label, "conmon")) {
			assert_int_equal(cgroup_path_parse(line + 3, &owner), -ENOENT);
		} else {
			assert_int_equal(cgroup_path_parse(line + 3, &owner), 0);
			assert_string_equal(owner.runtime, runtime_of_label(label));
			if (last_id(line, id))
				assert_string_equal(owner.id, id);
		}
		checked++;
	}
	return checked;
}

static void all_measured_paths_are_told_apart(void **state)
{
	(void)state;
	assert_in_range(check_measured("vm-cgroup-v2.txt"), 15, 100);
	assert_in_range(check_measured("vm-cgroup-hybrid.txt"), 8, 100);
}

static void expect_name(const char *path, const char *name)
{
	char ret[CONTAINER_ID_MAX];

	assert_int_equal(cgroup_path_name(path, ret), 0);
	assert_string_equal(ret, name);
}

static void free_names_are_taken_from_the_leaf(void **state)
{
	char ret[CONTAINER_ID_MAX];

	(void)state;
	expect_name("/default/c1", "c1");
	expect_name("/cr1", "cr1");
	expect_name("/system.slice/ctr-c2.scope", "c2");
	expect_name("/system.slice/crun-cr2.scope/container", "cr2");
	assert_int_equal(cgroup_path_name("/", ret), -ENOENT);
	assert_int_equal(cgroup_path_name("/user.slice", ret), -ENOENT);
	assert_int_equal(cgroup_path_name("/system.slice/ssh.service", ret), -ENOENT);
}

static void expect_file(const char *text, const char *path)
{
	auto_strbuf struct strbuf got = STRBUF_INIT;

	assert_int_equal(cgroup_file_parse(text, &got), 0);
	assert_string_equal(strbuf_str(&got), path);
}

static void the_v2_line_is_taken_wherever_it_stands(void **state)
{
	auto_strbuf struct strbuf got = STRBUF_INIT;
	auto_free char *measured = fixture("docker-web1.cgroup");

	(void)state;
	expect_file("1:name=systemd:/a\n0::/b\n", "/b");
	expect_file("0::/b\n1:name=systemd:/a\n", "/b");
	expect_file("0::/b:c\n", "/b:c");
	expect_file("9:pids:/p\n1:name=systemd:/s\n", "/s");
	expect_file("9:pids:/p\n8:cpu:/c", "/p");
	expect_file("0::/../../docker/x\n", "/docker/x");
	expect_file("0::/..\n", "/");
	expect_file("0::/..x\n", "/..x");
	expect_file("0::/\n1:name=systemd:/s\n", "/s");
	expect_file(measured, "/docker/b5b89da17c47cbc956fc27f9cb3bbf92a57973a828eb4a54480daacdead4"
			      "652c");
	assert_int_equal(cgroup_file_parse("", &got), -ENOENT);
	assert_int_equal(cgroup_file_parse("junk\n:::\n0:", &got), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_runtime_has_its_form),
		cmocka_unit_test(the_innermost_container_wins),
		cmocka_unit_test(a_child_cgroup_belongs_to_its_container),
		cmocka_unit_test(what_is_no_container_is_refused),
		cmocka_unit_test(all_measured_paths_are_told_apart),
		cmocka_unit_test(free_names_are_taken_from_the_leaf),
		cmocka_unit_test(the_v2_line_is_taken_wherever_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "host_world.h"

#include "container/process_roots.h"

static void on_discovery(void *arg, const char *kind, const char *root, const char *found_by)
{
	assert_non_null(strstr(found_by, "(pid 7)"));
	strbuf_addf(arg, "%s=%s ", kind, root);
}

static void run(struct host_world *w, const char *comm, const char *argv, size_t len,
		struct strbuf *out)
{
	struct process_roots p = {
		.fs = &w->fs,
		.discover = on_discovery,
		.arg = out,
		.pid = 7,
		.comm = comm,
		.argv = argv,
		.argv_len = len,
	};

	strbuf_reset(out);
	process_roots_find(&p);
}

#define EXPECT(w, comm, argv, roots)                           \
	do {                                                   \
		auto_strbuf struct strbuf out_ = STRBUF_INIT;  \
		run(w, comm, argv, sizeof(argv), &out_);       \
		assert_string_equal(strbuf_str(&out_), roots); \
	} while (0)

static void flags_of_dockerd_are_followed(void **state)
{
	struct host_world w;

	(void)state;
	world_open(&w);
	EXPECT(&w, "dockerd", "dockerd\0--data-root\0/a\0--exec-root=/b",
	       "docker=/a runc=/b/runtime-runc/moby containerd=/b/containerd/daemon ");
	EXPECT(&w, "dockerd", "dockerd\0-g\0/a",
	       "docker=/a runc=/var/run/docker/runtime-runc/moby "
	       "containerd=/var/run/docker/containerd/daemon ");
	EXPECT(&w, "dockerd", "dockerd",
	       "docker=/var/lib/docker runc=/var/run/docker/runtime-runc/moby "
	       "containerd=/var/run/docker/containerd/daemon ");
	world_close(&w);
}

static void dockerds_configuration_file_counts_where_no_flag_does(void **state)
{
	struct host_world w;

	(void)state;
	world_open(&w);
	world_file(&w, "/etc/docker/daemon.json", "{\"data-root\":\"/cfg\",\"exec-root\":\"/ex\"}");
	EXPECT(&w, "dockerd", "dockerd",
	       "docker=/cfg runc=/ex/runtime-runc/moby containerd=/ex/containerd/daemon ");
	EXPECT(&w, "dockerd", "dockerd\0--data-root=/flag",
	       "docker=/flag runc=/ex/runtime-runc/moby containerd=/ex/containerd/daemon ");
	world_file(&w, "/my.json", "{\"data-root\":\"/mine\"}");
	EXPECT(&w, "dockerd", "dockerd\0--config-file\0/my.json",
	       "docker=/mine runc=/var/run/docker/runtime-runc/moby "
	       "containerd=/var/run/docker/containerd/daemon ");
	world_close(&w);
}

static void relative_roots_start_at_the_working_directory(void **state)
{
	struct host_world w;

	(void)state;
	world_open(&w);
	world_dir(&w, "/proc/7");
	world_link(&w, "/proc/7/cwd", "/work/dir");
	EXPECT(&w, "podman", "podman\0--root\0store", "podman=/work/dir/store ");
	world_close(&w);
}

static void containerd_tells_its_state_directory(void **state)
{
	struct host_world w;

	(void)state;
	world_open(&w);
	EXPECT(&w, "containerd", "containerd",
	       "containerd=/run/containerd containerd-store=/var/lib/containerd ");
	EXPECT(&w, "containerd", "containerd\0--state\0/s",
	       "containerd=/s containerd-store=/var/lib/containerd ");
	world_file(&w, "/c.toml", "version = 2\nroot = \"/r\"\n  state= '/st' # x\n[grpc]\n");
	EXPECT(&w, "containerd", "containerd\0-c\0/c.toml", "containerd=/st containerd-store=/r ");
	EXPECT(&w, "containerd", "containerd\0--config=/c.toml\0--root=/rr",
	       "containerd=/st containerd-store=/rr ");
	world_file(&w, "/c.toml", "version = 2\n[plugins]\nstate = \"/no\"\n");
	EXPECT(&w, "containerd", "containerd\0-c\0/c.toml",
	       "containerd=/run/containerd containerd-store=/var/lib/containerd ");
	world_dir(&w, "/proc/7");
	world_link(&w, "/proc/7/cwd", "/k/io.containerd.runtime.v2.task/moby/x");
	EXPECT(&w, "containerd-shim", "/usr/bin/containerd-shim-runc-v2\0-id\0x", "containerd=/k ");
	world_close(&w);
}

static void podman_conmon_and_crio_tell_the_graph_root(void **state)
{
	struct host_world w;

	(void)state;
	world_open(&w);
	EXPECT(&w, "podman", "podman", "podman=/var/lib/containers/storage ");
	EXPECT(&w, "conmon", "conmon\0-c\0x\0-b\0/g/overlay-containers/x/userdata", "podman=/g ");
	EXPECT(&w, "conmon", "conmon\0-c\0x", "");
	world_file(&w, "/etc/containers/storage.conf",
		   "[storage]\ndriver = \"overlay\"\ngraphroot = \"/graph\"\n");
	EXPECT(&w, "podman", "podman\0ps", "podman=/graph ");
	EXPECT(&w, "crio", "crio\0--root\0/x", "podman=/x ");
	world_close(&w);
}

static void others_tell_what_they_can(void **state)
{
	struct host_world w;

	(void)state;
	world_open(&w);
	EXPECT(&w, "runc", "runc\0--root\0/state\0run\0x", "runc=/state ");
	EXPECT(&w, "runc", "runc\0run\0x", "");
	EXPECT(&w, "lxc-start", "[lxc monitor] /var/lib/lxc web", "lxc=/var/lib/lxc ");
	EXPECT(&w, "bash", "bash\0--root\0/x", "");
	assert_true(process_roots_is_runtime("dockerd"));
	assert_false(process_roots_is_runtime("dockerd2"));
	world_close(&w);
}

static void a_truncated_command_line_is_read_as_far_as_it_goes(void **state)
{
	static const char line[] = "dockerd\0--exec-root\0/ex\0--data-root\0/very/long";
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct host_world w;

	(void)state;
	world_open(&w);
	for (size_t len = 0; len < sizeof(line); len++) {
		auto_free char *exact = malloc(len ? len : 1);

		memcpy(exact, line, len);
		run(&w, "dockerd", exact, len, &out);
		/* A directory that may be cut is not believed. */
		assert_null(strstr(strbuf_str(&out), "docker=/very"));
	}
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_of_dockerd_are_followed),
		cmocka_unit_test(dockerds_configuration_file_counts_where_no_flag_does),
		cmocka_unit_test(relative_roots_start_at_the_working_directory),
		cmocka_unit_test(containerd_tells_its_state_directory),
		cmocka_unit_test(podman_conmon_and_crio_tell_the_graph_root),
		cmocka_unit_test(others_tell_what_they_can),
		cmocka_unit_test(a_truncated_command_line_is_read_as_far_as_it_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

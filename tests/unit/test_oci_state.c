/* SPDX-License-Identifier: GPL-2.0-only */
#include "host_world.h"

#include "base/clock.h"

#define WEB1 "b5b89da17c47cbc956fc27f9cb3bbf92a57973a828eb4a54480daacdead4652c"

static int read_key(struct source *s, const char *key, struct container **ret)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;

	*ret = NULL;
	return s->ops->read(s, key, &why, ret);
}

static void a_measured_state_of_runc_is_read(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;
	uint64_t created;

	(void)state;
	world_open(&w);
	s = world_source(&w, &oci_source_ops, (char[]){"/run/runc"});
	world_fixture(&w, "/run/runc/" WEB1 "/state.json", "docker-web1.state.json");
	assert_int_not_equal(s.ops->stamp(&s, WEB1), 0);
	assert_int_equal(read_key(&s, WEB1, &c), 0);
	clock_parse_rfc3339("2026-11-21T19:19:05.722643937Z", &created);
	assert_string_equal(c->runtime, "runc");
	assert_int_equal(c->pid, 18656);
	assert_int_equal(c->created_wall_ns, created);
	assert_string_equal(c->cgroup_path, "/docker/" WEB1);
	assert_string_equal(c->overlay.merged, "/var/lib/docker/overlay2/3826e1c8f18813695d5605a9ec"
					       "2adc512e8e77b58996e5225a44d32ce6323f11/merged");
	assert_false(c->overlay.read_only);
	container_free(c);
	world_fixture(&w, "/run/runc/ro/state.json", "docker-ro1.state.json");
	assert_int_equal(read_key(&s, "ro", &c), 0);
	assert_true(c->overlay.read_only);
	container_free(c);
	world_close(&w);
}

static void cgroups_of_a_pure_v2_host_are_read(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &oci_source_ops, (char[]){"/run/runc"});
	world_file(&w, "/run/runc/a/state.json",
		   "{\"cgroup_paths\":{\"\":\"/sys/fs/cgroup/system.slice/docker-x.scope\"}}");
	assert_int_equal(read_key(&s, "a", &c), 0);
	assert_string_equal(c->cgroup_path, "/system.slice/docker-x.scope");
	container_free(c);
	world_close(&w);
}

static void a_measured_status_of_crun_is_read(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &oci_source_ops, (char[]){"/run/crun"});
	/* As a VM of 2026 printed it. */
	world_file(&w, "/run/crun/cr1/status",
		   "{ \"pid\": 1329, \"process-start-time\": 42227, \"cgroup-path\": \"/cr1\", "
		   "\"scope\": \"\", \"rootfs\": \"rootfs\", \"systemd-cgroup\": false, "
		   "\"bundle\": \"/eco/b\", \"created\": \"2026-11-21T19:13:12.275203Z\", "
		   "\"owner\": \"root\", \"detached\": true }");
	assert_int_equal(read_key(&s, "cr1", &c), 0);
	assert_string_equal(c->runtime, "crun");
	assert_int_equal(c->pid, 1329);
	assert_string_equal(c->cgroup_path, "/cr1");
	assert_string_equal(c->overlay.merged, "/eco/b/rootfs");
	container_free(c);
	world_close(&w);
}

static void hostile_states_give_an_error_or_no_facts(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"null",
		"{\"init_process_pid\":-7,\"config\":{\"rootfs\":\"relative\"}}",
		"{\"init_process_pid\":99999999999,\"cgroup_paths\":{\"\":\"/etc\"}}",
		"{\"cgroup_paths\":[],\"config\":7,\"created\":{}}",
	};
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &oci_source_ops, (char[]){"/run/runc"});
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		world_file(&w, "/run/runc/a/state.json", texts[i]);
		if (read_key(&s, "a", &c))
			continue;
		assert_int_equal(c->pid, 0);
		assert_null(c->cgroup_path);
		assert_null(c->overlay.merged);
		container_free(c);
	}
	world_file(&w, "/run/runc/a/state.json", "{\"id\":\"a");
	assert_int_equal(read_key(&s, "a", &c), -EBADMSG);
	assert_int_equal(read_key(&s, "..", &c), -ENOENT);
	assert_int_equal(read_key(&s, "a/../a", &c), -ENOENT);
	assert_int_equal(read_key(&s, "absent", &c), -ENOENT);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_measured_state_of_runc_is_read),
		cmocka_unit_test(cgroups_of_a_pure_v2_host_are_read),
		cmocka_unit_test(a_measured_status_of_crun_is_read),
		cmocka_unit_test(hostile_states_give_an_error_or_no_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

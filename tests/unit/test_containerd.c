/* SPDX-License-Identifier: GPL-2.0-only */
#include "host_world.h"

#define STATE "/run/containerd"
#define TASKS STATE "/io.containerd.runtime.v2.task"
#define NGINX "4b8413ec30b9aeabbf05b7eb5ecd8fe7e120d7cc8a57a923e74f890703360bb8"
#define PAUSE "ece1d308745397c660360de5a0bf27b82b3eef22b88449d3eeb3937cb0b34d1a"

struct discovered {
	char kind[32], root[256];
};

static void on_discovery(void *arg, const char *kind, const char *root, const char *found_by)
{
	struct discovered *d = arg;

	(void)found_by;
	snprintf(d->kind, sizeof(d->kind), "%s", kind);
	snprintf(d->root, sizeof(d->root), "%s", root);
}

static int read_key(struct source *s, const char *key, struct container **ret)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;

	*ret = NULL;
	return s->ops->read(s, key, &why, ret);
}

static void a_pods_container_has_its_kubernetes_names(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &containerd_source_ops, (char[]){STATE});
	world_fixture(&w, TASKS "/k8s.io/" NGINX "/config.json",
		      "containerd-k8s.io-4b8413ec30b9.config.json");
	world_file(&w, TASKS "/k8s.io/" NGINX "/init.pid", "4711");
	assert_int_equal(read_key(&s, "k8s.io/" NGINX, &c), 0);
	assert_string_equal(c->id, NGINX);
	assert_string_equal(c->runtime, "cri");
	assert_string_equal(c->pod_container, "nginx");
	assert_string_equal(c->pod, "web-7d4b9c6f5-x2x9k");
	assert_string_equal(c->pod_namespace, "shop");
	assert_string_equal(c->pod_uid, "3f0c5a9e-8f5b-4d1c-9a0e-0b6f2f1d2c3a");
	assert_string_equal(c->image, "registry.example.com/team/eco:1.0");
	assert_int_equal(c->pid, 4711);
	assert_false(c->is_sandbox);
	assert_string_equal(c->cgroup_path, "/kubepods/burstable/"
					    "pod3f0c5a9e-8f5b-4d1c-9a0e-0b6f2f1d2c3a/" NGINX);
	assert_string_equal(c->overlay.merged, TASKS "/k8s.io/" NGINX "/rootfs");
	assert_string_equal(container_label(c), "nginx");
	container_free(c);
	world_close(&w);
}

static void a_pause_container_is_a_sandbox(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &containerd_source_ops, (char[]){STATE});
	world_fixture(&w, TASKS "/k8s.io/" PAUSE "/config.json",
		      "containerd-k8s.io-ece1d3087453.config.json");
	assert_int_equal(read_key(&s, "k8s.io/" PAUSE, &c), 0);
	assert_true(c->is_sandbox);
	assert_true(c->overlay.read_only);
	assert_null(c->pod_container);
	container_free(c);
	world_close(&w);
}

static void a_container_of_ctr_is_called_by_its_id(void **state)
{
	struct discovered found = {"", ""};
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &containerd_source_ops, (char[]){STATE});
	s.discover = on_discovery;
	s.discover_arg = &found;
	world_fixture(&w, TASKS "/default/ctrweb/config.json",
		      "containerd-default-ctrweb.config.json");
	world_file(&w, TASKS "/default/ctrweb/options.json", "{\"root\":\"/x/runc\"}");
	assert_int_equal(read_key(&s, "default/ctrweb", &c), 0);
	assert_string_equal(c->id, "ctrweb");
	assert_string_equal(c->name, "ctrweb");
	assert_string_equal(c->runtime, "containerd");
	assert_string_equal(c->cgroup_path, "/default/ctrweb");
	/* And runc's own state directory is learned on the way. */
	assert_string_equal(found.kind, "runc");
	assert_string_equal(found.root, "/x/runc/default");
	container_free(c);
	world_close(&w);
}

static int collect(const char *key, void *arg)
{
	strbuf_addf(arg, "[%s]", key);
	return 0;
}

static void tasks_of_all_namespaces_are_listed(void **state)
{
	auto_strbuf struct strbuf keys = STRBUF_INIT;
	struct host_world w;
	struct source s;

	(void)state;
	world_open(&w);
	s = world_source(&w, &containerd_source_ops, (char[]){STATE});
	assert_int_equal(s.ops->list(&s, collect, &keys), -ENOENT);
	world_dir(&w, TASKS "/default/a");
	world_dir(&w, TASKS "/moby/" ID_A);
	world_file(&w, TASKS "/a-file", "");
	assert_int_equal(s.ops->list(&s, collect, &keys), 0);
	assert_non_null(strstr(strbuf_str(&keys), "[default/a]"));
	assert_non_null(strstr(strbuf_str(&keys), "[moby/" ID_A "]"));
	assert_int_equal(keys.len, strlen("[default/a][moby/]") + 64);
	world_close(&w);
}

static void hostile_bundles_are_refused_or_bare(void **state)
{
	static const char *const texts[] = {
		"{}",
		"null",
		"[]",
		"{\"annotations\":[],\"linux\":\"x\",\"root\":7}",
		"{\"annotations\":{\"io.kubernetes.cri.container-type\":{}}}",
	};
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &containerd_source_ops, (char[]){STATE});
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		world_file(&w, TASKS "/k8s.io/a/config.json", texts[i]);
		world_file(&w, TASKS "/k8s.io/a/init.pid", "99999999999999999999");
		if (read_key(&s, "k8s.io/a", &c))
			continue;
		assert_int_equal(c->pid, 0);
		container_free(c);
	}
	world_file(&w, TASKS "/k8s.io/a/config.json", "{\"x\"");
	assert_int_equal(read_key(&s, "k8s.io/a", &c), -EBADMSG);
	assert_int_equal(read_key(&s, "k8s.io/..", &c), -ENOENT);
	assert_int_equal(read_key(&s, "../a", &c), -ENOENT);
	assert_int_equal(read_key(&s, "noslash", &c), -ENOENT);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pods_container_has_its_kubernetes_names),
		cmocka_unit_test(a_pause_container_is_a_sandbox),
		cmocka_unit_test(a_container_of_ctr_is_called_by_its_id),
		cmocka_unit_test(tasks_of_all_namespaces_are_listed),
		cmocka_unit_test(hostile_bundles_are_refused_or_bare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
#include "host_world.h"

#include "base/clock.h"
#include "container/podman_list.h"

#define GRAPH	 "/var/lib/containers/storage"
#define LIST	 GRAPH "/overlay-containers/containers.json"
#define PW	 "aa30fc35c842976acfe04b59c6895fbab2c368ab00ab7e54c18a6b38b08c30d6"
#define PW_LAYER "9556a0aa08fd72fec5de74ad18adf7038580b87da662aa9257183782eab6e9d9"

static int read_key(struct source *s, const char *key, struct container **ret)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;

	*ret = NULL;
	return s->ops->read(s, key, &why, ret);
}

static void a_measured_container_is_read_whole(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;
	uint64_t created;

	(void)state;
	world_open(&w);
	s = world_source(&w, &podman_source_ops, (char[]){GRAPH});
	world_fixture(&w, LIST, "podman-containers.json");
	world_layer(&w, GRAPH "/overlay", PW_LAYER);
	assert_int_equal(read_key(&s, PW, &c), 0);
	clock_parse_rfc3339("2026-11-21T19:06:10.171111267Z", &created);
	assert_string_equal(c->id, PW);
	assert_string_equal(c->name, "pw");
	assert_string_equal(c->runtime, "podman");
	assert_string_equal(c->image, "registry.example.com/team/eco:1.0");
	assert_int_equal(c->created_wall_ns, created);
	assert_int_equal(c->state, CONTAINER_CREATED);
	assert_string_equal(c->overlay.upper, GRAPH "/overlay/" PW_LAYER "/diff");
	assert_string_equal(c->overlay.lowers[0], GRAPH "/overlay/base/diff");
	container_free(c);

	world_file(&w, GRAPH "/overlay-containers/" PW "/userdata/config.json",
		   "{\"root\":{\"readonly\":true},"
		   "\"annotations\":{\"io.podman.annotations.privileged\":\"TRUE\"}}");
	assert_int_equal(read_key(&s, PW, &c), 0);
	assert_int_equal(c->state, CONTAINER_EXITED);
	assert_true(c->privileged);
	assert_true(c->overlay.read_only);
	container_free(c);
	source_close(&s);
	world_close(&w);
}

static void a_copy_of_the_image_is_compared_with_its_parent(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &podman_source_ops, (char[]){GRAPH});
	world_fixture(&w, GRAPH "/vfs-containers/containers.json", "podman-containers.json");
	world_dir(&w, GRAPH "/vfs/dir/" PW_LAYER);
	world_dir(&w, GRAPH "/vfs/dir/parent");
	assert_int_equal(read_key(&s, PW, &c), 0);
	assert_null(c->overlay.upper);
	assert_non_null(c->storage_error);
	container_free(c);

	world_file(&w, GRAPH "/vfs-layers/layers.json",
		   "[{\"id\":\"x\"},{\"id\":\"" PW_LAYER "\",\"parent\":\"parent\"}]");
	assert_int_equal(read_key(&s, PW, &c), 0);
	assert_string_equal(c->overlay.upper, GRAPH "/vfs/dir/" PW_LAYER);
	assert_string_equal(c->overlay.lowers[0], GRAPH "/vfs/dir/parent");
	assert_true(c->overlay.is_whole);
	container_free(c);
	source_close(&s);
	world_close(&w);
}

static void crio_names_its_pods(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &podman_source_ops, (char[]){GRAPH});
	world_file(&w, LIST,
		   "[{\"id\":\"" ID_A "\",\"layer\":\"l1\",\"metadata\":"
		   "\"{\\\"name\\\":\\\"k8s_nginx_web\\\"}\"}]");
	world_layer(&w, GRAPH "/overlay", "l1");
	world_file(&w, GRAPH "/overlay-containers/" ID_A "/userdata/config.json",
		   "{\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"container\","
		   "\"io.kubernetes.cri-o.ImageName\":\"reg/eco:1\","
		   "\"io.kubernetes.cri-o.KubeName\":\"web-1\","
		   "\"io.kubernetes.cri-o.Labels\":\"{\\\"io.kubernetes.container.name\\\":"
		   "\\\"nginx\\\",\\\"io.kubernetes.pod.name\\\":\\\"web-1\\\","
		   "\\\"io.kubernetes.pod.namespace\\\":\\\"shop\\\","
		   "\\\"io.kubernetes.pod.uid\\\":\\\"3f\\\"}\"}}");
	assert_int_equal(read_key(&s, ID_A, &c), 0);
	assert_string_equal(c->runtime, "cri-o");
	assert_string_equal(c->pod_container, "nginx");
	assert_string_equal(c->pod, "web-1");
	assert_string_equal(c->pod_namespace, "shop");
	assert_string_equal(c->pod_uid, "3f");
	assert_string_equal(c->image, "reg/eco:1");
	assert_false(c->is_sandbox);
	container_free(c);
	source_close(&s);
	world_close(&w);
}

static void a_layer_leads_to_its_container(void **state)
{
	struct host_world w;
	struct source s;
	char id[CONTAINER_ID_MAX];

	(void)state;
	world_open(&w);
	s = world_source(&w, &podman_source_ops, (char[]){GRAPH});
	assert_int_equal(podman_find_layer(&s, PW_LAYER, id), -ENOENT);
	world_fixture(&w, LIST, "podman-containers.json");
	assert_int_equal(podman_find_layer(&s, PW_LAYER, id), 0);
	assert_string_equal(id, PW);
	/* Removed ones leave with the next writing of the list. */
	world_file(&w, LIST, "[]");
	assert_int_equal(podman_find_layer(&s, PW_LAYER, id), -ENOENT);
	assert_int_equal(s.ops->stamp(&s, PW), 0);
	source_close(&s);
	world_close(&w);
}

static void transient_containers_stand_in_another_list(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &podman_source_ops, (char[]){GRAPH});
	world_fixture(&w, LIST, "podman-containers.json");
	world_file(&w, GRAPH "/overlay-containers/volatile-containers.json",
		   "[{\"id\":\"" ID_A
		   "\",\"layer\":\"l1\",\"metadata\":\"{\\\"name\\\":\\\"t\\\"}\"}]");
	assert_int_equal(read_key(&s, ID_A, &c), 0);
	assert_string_equal(c->name, "t");
	container_free(c);
	assert_int_equal(read_key(&s, PW, &c), 0);
	container_free(c);
	source_close(&s);
	world_close(&w);
}

static void zfs_has_no_upper_directory(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &podman_source_ops, (char[]){GRAPH});
	world_fixture(&w, GRAPH "/zfs-containers/containers.json", "podman-containers.json");
	assert_int_equal(read_key(&s, PW, &c), 0);
	assert_null(c->overlay.upper);
	assert_string_equal(c->storage_error, "storage driver zfs has no upper directory");
	container_free(c);
	source_close(&s);
	world_close(&w);
}

static int count_key(const char *key, void *arg)
{
	(void)key;
	(*(int *)arg)++;
	return 0;
}

static void hostile_lists_give_an_error_or_nothing(void **state)
{
	static const char *const texts[] = {
		"{}",
		"null",
		"[null,1,\"x\",[],{}]",
		"[{\"id\":\"../../etc\",\"layer\":\"l\"}]",
		"[{\"id\":\"" ID_A "\",\"layer\":\"../../../etc\",\"metadata\":\"{}\"}]",
		"[{\"id\":\"" ID_A "\",\"layer\":\"l\",\"metadata\":\"{{{{\"}]",
		"[{\"id\":\"" ID_A "\",\"layer\":\"l\",\"metadata\":7}]",
	};
	struct host_world w;
	struct source s;
	int count = 0;

	(void)state;
	world_open(&w);
	s = world_source(&w, &podman_source_ops, (char[]){GRAPH});
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		world_file(&w, LIST, texts[i]);
		s.ops->list(&s, count_key, &count);
	}
	assert_int_equal(count, 0);
	world_file(&w, LIST, "[{\"id\":");
	assert_int_equal(s.ops->list(&s, count_key, &count), -EBADMSG);
	/* One that repeats an id counts once. */
	world_file(
		&w, LIST,
		"[{\"id\":\"" ID_A "\",\"layer\":\"l\",\"metadata\":\"{\\\"name\\\":\\\"t\\\"}\"},"
		"{\"id\":\"" ID_A "\",\"layer\":\"m\",\"metadata\":\"{\\\"name\\\":\\\"u\\\"}\"}]");
	assert_int_equal(s.ops->list(&s, count_key, &count), 0);
	assert_int_equal(count, 1);
	source_close(&s);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_measured_container_is_read_whole),
		cmocka_unit_test(a_copy_of_the_image_is_compared_with_its_parent),
		cmocka_unit_test(crio_names_its_pods),
		cmocka_unit_test(a_layer_leads_to_its_container),
		cmocka_unit_test(transient_containers_stand_in_another_list),
		cmocka_unit_test(zfs_has_no_upper_directory),
		cmocka_unit_test(hostile_lists_give_an_error_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

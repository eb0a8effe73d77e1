/* SPDX-License-Identifier: GPL-2.0-only */
#include "host_world.h"

#include "base/clock.h"
#include "container/docker_mounts.h"

#define WEB1	"b5b89da17c47cbc956fc27f9cb3bbf92a57973a828eb4a54480daacdead4652c"
#define RO1	"dd73001d8c1eaee957f8d994bce518832999be0c311b2a3ad20a1ba8774eb66f"
#define DATA	"/var/lib/docker"
#define LAYERDB DATA "/image/overlay2/layerdb/mounts"

static void put_container(struct host_world *w, const char *id, const char *config,
			  const char *host_config, const char *mount_id)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DATA "/containers/%s/config.v2.json", id);
	world_file(w, path, config);
	snprintf(path, sizeof(path), DATA "/containers/%s/hostconfig.json", id);
	world_file(w, path, host_config);
	snprintf(path, sizeof(path), LAYERDB "/%s/mount-id", id);
	world_file(w, path, mount_id);
	world_layer(w, DATA "/overlay2", mount_id);
}

static struct container *read_one(struct host_world *w, const char *id)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	struct source s = world_source(w, &docker_source_ops, (char[]){DATA});
	struct container *c = NULL;

	assert_int_equal(s.ops->read(&s, id, &why, &c), 0);
	source_close(&s);
	return c;
}

static void a_measured_container_is_read_whole(void **state)
{
	auto_free char *config = fixture("docker-web1.config.v2.json");
	auto_free char *host_config = fixture("docker-web1.hostconfig.json");
	struct host_world w;
	struct container *c;
	uint64_t created, started;

	(void)state;
	world_open(&w);
	put_container(&w, WEB1, config, host_config, "m1");
	c = read_one(&w, WEB1);
	clock_parse_rfc3339("2026-11-21T19:00:11.997085562Z", &created);
	clock_parse_rfc3339("2026-11-21T19:19:05.796117961Z", &started);
	assert_string_equal(c->id, WEB1);
	assert_string_equal(c->name, "web1");
	assert_string_equal(c->runtime, "docker");
	assert_string_equal(c->image, "registry.example.com/team/eco:1.0");
	assert_string_equal(c->image_id, "sha256:d83f5bfbbfdd95facb6685d2f5f80059cce4108e589d5fb0c"
					 "7891e29bd6e6fab");
	assert_int_equal(c->state, CONTAINER_RUNNING);
	assert_int_equal(c->pid, 18656);
	assert_int_equal(c->created_wall_ns, created);
	assert_int_equal(c->started_wall_ns, started);
	assert_false(c->privileged);
	assert_string_equal(c->overlay.upper, DATA "/overlay2/m1/diff");
	assert_string_equal(c->overlay.work, DATA "/overlay2/m1/work");
	assert_int_equal(c->overlay.lowers_len, 1);
	assert_string_equal(c->overlay.lowers[0], DATA "/overlay2/base/diff");
	assert_null(c->storage_error);
	container_free(c);
	world_close(&w);
}

static void volumes_and_a_read_only_root_are_seen(void **state)
{
	auto_free char *config = fixture("docker-ro1.config.v2.json");
	auto_free char *host_config = fixture("docker-ro1.hostconfig.json");
	struct host_world w;
	struct container *c;

	(void)state;
	world_open(&w);
	put_container(&w, RO1, config, host_config, "m1");
	c = read_one(&w, RO1);
	assert_true(c->overlay.read_only);
	assert_int_equal(c->mounts_len, 1);
	assert_string_equal(c->mounts[0].destination, "/data");
	assert_int_equal(c->mounts[0].kind, MOUNT_VOLUME);
	assert_non_null(c->mounts[0].source);
	container_free(c);
	world_close(&w);
}

static void never_started_is_created_and_stopped_is_exited(void **state)
{
	struct host_world w;
	struct container *c;

	(void)state;
	world_open(&w);
	put_container(
		&w, ID_A,
		"{\"Driver\":\"overlay2\",\"State\":{\"StartedAt\":\"0001-01-01T00:00:00Z\"}}",
		"{}", "m1");
	put_container(&w, ID_B,
		      "{\"Driver\":\"overlay2\",\"State\":{\"StartedAt\":\"2026-11-21T19:00:11Z\","
		      "\"FinishedAt\":\"2026-11-21T19:00:12Z\"}}",
		      "{\"Privileged\":true}", "m2");
	c = read_one(&w, ID_A);
	assert_int_equal(c->state, CONTAINER_CREATED);
	assert_int_equal(c->started_wall_ns, 0);
	container_free(c);
	c = read_one(&w, ID_B);
	assert_int_equal(c->state, CONTAINER_EXITED);
	assert_int_equal(c->finished_wall_ns - c->started_wall_ns, NS_PER_SEC);
	assert_true(c->privileged);
	container_free(c);
	world_close(&w);
}

static void a_driver_without_upper_directories_is_said_so(void **state)
{
	struct host_world w;
	struct container *c;

	(void)state;
	world_open(&w);
	put_container(&w, ID_A, "{\"Driver\":\"zfs\"}", "{}", "m1");
	c = read_one(&w, ID_A);
	assert_null(c->overlay.upper);
	assert_string_equal(c->storage_error, "storage driver zfs has no upper directory");
	container_free(c);
	world_close(&w);
}

static void a_copy_of_the_image_is_compared_with_what_docker_made_of_it(void **state)
{
	struct host_world w;
	struct container *c;

	(void)state;
	world_open(&w);
	put_container(&w, ID_A, "{\"Driver\":\"vfs\"}", "{}", "m1");
	world_file(&w, DATA "/image/vfs/layerdb/mounts/" ID_A "/mount-id", "m1");
	c = read_one(&w, ID_A);
	assert_null(c->overlay.upper);
	assert_non_null(c->storage_error);
	container_free(c);

	world_dir(&w, DATA "/vfs/dir/m1");
	world_dir(&w, DATA "/vfs/dir/m1-init");
	c = read_one(&w, ID_A);
	assert_string_equal(c->overlay.upper, DATA "/vfs/dir/m1");
	assert_int_equal(c->overlay.lowers_len, 1);
	assert_string_equal(c->overlay.lowers[0], DATA "/vfs/dir/m1-init");
	assert_true(c->overlay.is_whole);
	assert_null(c->storage_error);
	container_free(c);
	world_close(&w);
}

static void a_mount_leads_to_its_container(void **state)
{
	struct source s;
	struct host_world w;
	char id[CONTAINER_ID_MAX];

	(void)state;
	world_open(&w);
	s = world_source(&w, &docker_source_ops, (char[]){DATA});
	put_container(&w, ID_A, "{}", "{}", "m1");
	assert_int_equal(docker_find_mount(&s, "overlay2", "m1", id), 0);
	assert_string_equal(id, ID_A);
	assert_int_equal(docker_find_mount(&s, "overlay2", "m2", id), -ENOENT);

	/* Known ones are remembered, new ones found, removed ones forgotten. */
	put_container(&w, ID_B, "{}", "{}", "m2");
	assert_int_equal(docker_find_mount(&s, "overlay2", "m2", id), 0);
	assert_string_equal(id, ID_B);
	world_remove(&w, LAYERDB "/" ID_A);
	assert_int_equal(docker_find_mount(&s, "overlay2", "m1", id), -ENOENT);
	source_close(&s);
	world_close(&w);
}

static int count_key(const char *key, void *arg)
{
	assert_int_equal(strlen(key), 64);
	(*(int *)arg)++;
	return 0;
}

static void only_ids_are_listed(void **state)
{
	struct source s;
	struct host_world w;
	int count = 0;

	(void)state;
	world_open(&w);
	s = world_source(&w, &docker_source_ops, (char[]){DATA});
	assert_int_equal(s.ops->list(&s, count_key, &count), -ENOENT);
	put_container(&w, ID_A, "{}", "{}", "m1");
	world_dir(&w, DATA "/containers/not-an-id");
	assert_int_equal(s.ops->list(&s, count_key, &count), 0);
	assert_int_equal(count, 1);
	source_close(&s);
	world_close(&w);
}

static void the_stamp_follows_the_files(void **state)
{
	struct source s;
	struct host_world w;
	uint64_t before;

	(void)state;
	world_open(&w);
	s = world_source(&w, &docker_source_ops, (char[]){DATA});
	assert_int_equal(s.ops->stamp(&s, ID_A), 0);
	put_container(&w, ID_A, "{}", "{}", "m1");
	before = s.ops->stamp(&s, ID_A);
	assert_int_not_equal(before, 0);
	assert_int_equal(s.ops->stamp(&s, ID_A), before);
	world_file(&w, DATA "/containers/" ID_A "/hostconfig.json", "{\"x\":1}");
	assert_int_not_equal(s.ops->stamp(&s, ID_A), before);
	assert_int_equal(s.ops->stamp(&s, "../etc"), 0);
	source_close(&s);
	world_close(&w);
}

static void hostile_files_are_errors_with_a_sentence(void **state)
{
	auto_strbuf struct strbuf why = STRBUF_INIT, deep = STRBUF_INIT;
	struct container *c = NULL;
	struct source s;
	struct host_world w;
	static const char *const texts[] = {
		"",
		"{",
		"null",
		"[]",
		"\"\"",
		"{\"State\":7,\"Config\":[],\"MountPoints\":\"x\"}",
		"{\"Name\":\"\\u0000\",\"Driver\":\"../../x\",\"Image\":\"sha256:../../../x\"}",
		"{\"Driver\":\"overlay2\",\"MountPoints\":{\"a\":1,\"/b\":null,\"\":{}}}",
		"{\"Created\":\"yesterday\",\"State\":{\"Pid\":-1,\"StartedAt\":9}}",
	};

	(void)state;
	world_open(&w);
	s = world_source(&w, &docker_source_ops, (char[]){DATA});
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int err;

		put_container(&w, ID_A, texts[i], texts[i], "m1");
		strbuf_reset(&why);
		c = NULL;
		err = s.ops->read(&s, ID_A, &why, &c);
		assert_true(err == 0 || (err == -EBADMSG && why.len));
		container_free(c);
	}
	for (int i = 0; i < 1000000; i++)
		strbuf_addc(&deep, '[');
	put_container(&w, ID_A, strbuf_str(&deep), "{}", "m1");
	strbuf_reset(&why);
	assert_int_equal(s.ops->read(&s, ID_A, &why, &c), -EBADMSG);
	assert_non_null(strstr(strbuf_str(&why), "config.v2.json is not JSON"));
	source_close(&s);
	world_close(&w);
}

static void a_fifo_or_a_giant_file_does_not_hold_us_up(void **state)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	auto_free char *config = NULL;
	struct container *c = NULL;
	struct source s;
	struct host_world w;

	(void)state;
	world_open(&w);
	s = world_source(&w, &docker_source_ops, (char[]){DATA});
	world_dir(&w, DATA "/containers/" ID_A);
	config = file_join(w.root, DATA "/containers/" ID_A "/config.v2.json");
	assert_int_equal(mkfifo(config, 0600), 0);
	assert_int_equal(s.ops->read(&s, ID_A, &why, &c), -EINVAL);
	assert_int_equal(unlink(config), 0);
	world_file(&w, DATA "/containers/" ID_A "/config.v2.json", "{}");
	assert_int_equal(truncate(config, (off_t)HOSTFS_FILE_MAX + 1), 0);
	assert_int_equal(s.ops->read(&s, ID_A, &why, &c), -EFBIG);
	assert_non_null(strstr(strbuf_str(&why), "larger than 16 MiB"));
	source_close(&s);
	world_close(&w);
}

static void links_do_not_lead_out_of_the_host_root(void **state)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;
	struct container *c = NULL;
	struct source s;
	struct host_world w;

	(void)state;
	world_open(&w);
	s = world_source(&w, &docker_source_ops, (char[]){DATA});
	world_dir(&w, DATA "/containers/" ID_A);
	world_link(&w, DATA "/containers/" ID_A "/config.v2.json", "/etc/passwd");
	assert_int_equal(s.ops->read(&s, ID_A, &why, &c), -ENOENT);
	world_file(&w, "/etc/passwd", "{\"Name\":\"/inside\"}");
	assert_int_equal(s.ops->read(&s, ID_A, &why, &c), 0);
	assert_string_equal(c->name, "inside");
	container_free(c);
	source_close(&s);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_measured_container_is_read_whole),
		cmocka_unit_test(volumes_and_a_read_only_root_are_seen),
		cmocka_unit_test(never_started_is_created_and_stopped_is_exited),
		cmocka_unit_test(a_driver_without_upper_directories_is_said_so),
		cmocka_unit_test(a_copy_of_the_image_is_compared_with_what_docker_made_of_it),
		cmocka_unit_test(a_mount_leads_to_its_container),
		cmocka_unit_test(only_ids_are_listed),
		cmocka_unit_test(the_stamp_follows_the_files),
		cmocka_unit_test(hostile_files_are_errors_with_a_sentence),
		cmocka_unit_test(a_fifo_or_a_giant_file_does_not_hold_us_up),
		cmocka_unit_test(links_do_not_lead_out_of_the_host_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

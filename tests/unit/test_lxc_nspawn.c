/* SPDX-License-Identifier: GPL-2.0-only */
#include "host_world.h"

static int read_key(struct source *s, const char *key, struct container **ret)
{
	auto_strbuf struct strbuf why = STRBUF_INIT;

	*ret = NULL;
	return s->ops->read(s, key, &why, ret);
}

static void lxc_overlays_are_taken_apart(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &lxc_source_ops, (char[]){"/var/lib/lxc"});
	world_file(&w, "/var/lib/lxc/l2/config",
		   "# comment\nlxc.rootfs.path = dir:/old\n"
		   "lxc.rootfs.path = overlay:/low1:/low2:/var/lib/lxc/l2/delta0\n");
	assert_int_equal(read_key(&s, "l2", &c), 0);
	assert_string_equal(c->id, "l2");
	assert_string_equal(c->name, "l2");
	assert_string_equal(c->overlay.upper, "/var/lib/lxc/l2/delta0");
	assert_string_equal(c->overlay.work, "/var/lib/lxc/l2/work");
	assert_int_equal(c->overlay.lowers_len, 2);
	assert_string_equal(c->overlay.lowers[0], "/low1");
	container_free(c);

	world_file(&w, "/var/lib/lxc/l1/config", "lxc.rootfs.path=dir:/eco/rootfs");
	assert_int_equal(read_key(&s, "l1", &c), 0);
	assert_null(c->overlay.upper);
	assert_non_null(c->storage_error);
	container_free(c);
	world_close(&w);
}

static void hostile_lxc_configurations_do_no_harm(void **state)
{
	static const char *const texts[] = {
		"",
		"lxc.rootfs.path",
		"lxc.rootfs.path =",
		"lxc.rootfs.path = overlay:",
		"lxc.rootfs.path = overlay::",
		"lxc.rootfs.path = overlay:::::/u",
		"lxc.rootfs.path = overlay:/l:relative",
		"=\n\n=\nlxc.rootfs.path\t=\t",
	};
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &lxc_source_ops, (char[]){"/var/lib/lxc"});
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		world_file(&w, "/var/lib/lxc/l2/config", texts[i]);
		assert_int_equal(read_key(&s, "l2", &c), 0);
		container_free(c);
	}
	assert_int_equal(read_key(&s, "absent", &c), -ENOENT);
	assert_int_equal(read_key(&s, "..", &c), -ENOENT);
	world_close(&w);
}

static void a_machine_tells_its_leader(void **state)
{
	struct host_world w;
	struct source s;
	struct container *c;

	(void)state;
	world_open(&w);
	s = world_source(&w, &nspawn_source_ops, (char[]){"/run/systemd/machines"});
	world_file(&w, "/run/systemd/machines/deb",
		   "# private\nNAME=deb\nCLASS=container\nLEADER=4711\nROOT=/srv/deb\n");
	assert_int_equal(read_key(&s, "deb", &c), 0);
	assert_string_equal(c->runtime, "nspawn");
	assert_int_equal(c->pid, 4711);
	container_free(c);
	world_file(&w, "/run/systemd/machines/vm", "CLASS=vm\nLEADER=5\n");
	assert_int_equal(read_key(&s, "vm", &c), -ENOENT);
	world_file(&w, "/run/systemd/machines/bad", "LEADER=-3\nLEADER");
	assert_int_equal(read_key(&s, "bad", &c), 0);
	assert_int_equal(c->pid, 0);
	container_free(c);
	assert_int_equal(s.ops->stamp(&s, "unit:machine-deb.scope"), 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lxc_overlays_are_taken_apart),
		cmocka_unit_test(hostile_lxc_configurations_do_no_harm),
		cmocka_unit_test(a_machine_tells_its_leader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

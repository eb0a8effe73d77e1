/* SPDX-License-Identifier: GPL-2.0-only */
#include "host_world.h"

#include "container/mountinfo.h"

static void parse(const char *options, struct container_overlay *ret)
{
	assert_int_equal(mountinfo_overlay_parse(options, ret), 0);
}

static int count_line(const struct mountinfo_line *line, void *arg)
{
	assert_non_null(line->mount_point);
	(*(int *)arg)++;
	return 0;
}

static int take_root(const struct mountinfo_line *line, void *arg)
{
	if (strcmp(line->mount_point, "/") != 0)
		return 0;
	assert_int_equal(mountinfo_overlay_parse(line->super_options, arg), 0);
	((struct container_overlay *)arg)->read_only =
		mountinfo_has_option(line->mount_options, "ro");
	((struct container_overlay *)arg)->dev = line->dev;
	return 1;
}

static void a_measured_root_is_understood(void **state)
{
	auto_free char *text = fixture("docker-web1.mountinfo");
	struct container_overlay o = {0};

	(void)state;
	assert_int_equal(mountinfo_foreach(text, take_root, &o, NULL), 1);
	assert_string_equal(o.upper, "/var/lib/docker/overlay2/3826e1c8f18813695d5605a9ec2adc512e8e"
				     "77b58996e5225a44d32ce6323f11/diff");
	assert_int_equal(o.lowers_len, 2);
	assert_string_equal(o.lowers[0], "/var/lib/docker/overlay2/l/YEMFF6YQT4BXAZCP5LHB5YRCH3");
	assert_int_equal(o.dev, 41);
	assert_false(o.read_only);
	assert_false(o.unsupported);
	mountinfo_overlay_done(&o);
}

static void all_of_sixty_two_lowers_are_listed(void **state)
{
	auto_free char *text = fixture("docker-many1.mountinfo");
	struct container_overlay o = {0};

	(void)state;
	assert_int_equal(mountinfo_foreach(text, take_root, &o, NULL), 1);
	assert_int_equal(o.lowers_len, 62); /* grep -c of the fixture */
	assert_string_equal(o.lowers[61], "/var/lib/docker/overlay2/l/HIDXSTL27VBK7FJZA2YZR5S6SO");
	mountinfo_overlay_done(&o);
}

static void read_only_is_the_mounts_option(void **state)
{
	auto_free char *text = fixture("docker-ro1.mountinfo");
	struct container_overlay o = {0};

	(void)state;
	assert_int_equal(mountinfo_foreach(text, take_root, &o, NULL), 1);
	assert_true(o.read_only);
	mountinfo_overlay_done(&o);
}

static void every_measured_line_parses(void **state)
{
	auto_free char *text = fixture("docker-web1.mountinfo");
	unsigned bad = 0;
	int lines = 0;

	(void)state;
	assert_int_equal(mountinfo_foreach(text, count_line, &lines, &bad), 0);
	assert_int_equal(bad, 0);
	assert_int_equal(lines, 28);
}

static void only_overlays_are_visited_when_asked(void **state)
{
	char text[] = "1 0 0:40 / / rw - overlay o rw,lowerdir=/l\n"
		      "2 1 0:41 / /x rw - ext4 overlay rw\n"
		      "3 1 0:42 / /a\\040-\\040overlay\\040b rw - tmpfs t rw\n"
		      "garbage - overlay \n";
	unsigned bad = 0;
	int lines = 0;

	(void)state;
	assert_int_equal(mountinfo_foreach_overlay(text, count_line, &lines, &bad), 0);
	assert_int_equal(lines, 1);
	assert_int_equal(bad, 1);
}

static void optional_fields_may_be_absent_or_many(void **state)
{
	char none[] = "12 3 254:1 /r /m rw,relatime - ext4 /dev/vda rw,discard";
	char many[] =
		"12 3 254:1 /r /m rw shared:1 master:2 propagate_from:3 unbindable - ext4 d rw";
	struct mountinfo_line l;

	(void)state;
	assert_int_equal(mountinfo_line_parse(none, &l), 0);
	assert_int_equal(l.mount_id, 12);
	assert_int_equal(l.parent_id, 3);
	assert_int_equal(l.dev, 254 << 20 | 1);
	assert_string_equal(l.root, "/r");
	assert_string_equal(l.super_options, "rw,discard");
	assert_int_equal(mountinfo_line_parse(many, &l), 0);
	assert_string_equal(l.type, "ext4");
}

static void octal_escapes_are_undone_in_paths(void **state)
{
	char line[] = "1 2 0:3 / /a\\040b\\011c\\012d\\134e rw - tmpfs t rw";
	struct mountinfo_line l;

	(void)state;
	assert_int_equal(mountinfo_line_parse(line, &l), 0);
	assert_string_equal(l.mount_point, "/a b\tc\nd\\e");
}

static void malformed_lines_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"1 2 0:3 / / rw -",
		"1 2 0:3 / /",
		"1 2 03 / / rw - t s o",
		"x 2 0:3 / / rw - t s o",
		"-1 2 0:3 / / rw - t s o",
		"1 2 99999:3 / / rw - t s o",
		"1 2 0:99999999 / / rw - t s o",
		"1 2 0:3 / / rw shared:1 t s o",
	};
	struct mountinfo_line l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_free char *copy = strdup(bad[i]);

		assert_int_equal(mountinfo_line_parse(copy, &l), -EBADMSG);
	}
}

/* All shown by a 6.18 kernel for real mounts with such names. */
static void escaped_separators_are_part_of_names(void **state)
{
	struct container_overlay o;

	(void)state;
	parse("rw,lowerdir=lo\\134:w:l\\134\\0542:b\\134\\134s:sp\\040ace,upperdir=u\\134\\054q,"
	      "workdir=wk,uuid=on",
	      &o);
	assert_int_equal(o.lowers_len, 4);
	assert_string_equal(o.lowers[0], "lo:w");
	assert_string_equal(o.lowers[1], "l,2");
	assert_string_equal(o.lowers[2], "b\\s");
	assert_string_equal(o.lowers[3], "sp ace");
	assert_string_equal(o.upper, "u,q");
	assert_string_equal(o.work, "wk");
	mountinfo_overlay_done(&o);

	parse("rw,lowerdir+=/o/b\\134s,lowerdir+=/o/l\\0542,lowerdir+=/o/lo:w,upperdir=/o/u\\054q,"
	      "workdir=/o/w1",
	      &o);
	assert_int_equal(o.lowers_len, 3);
	assert_string_equal(o.lowers[0], "/o/b\\s");
	assert_string_equal(o.lowers[1], "/o/l,2");
	assert_string_equal(o.lowers[2], "/o/lo:w");
	assert_string_equal(o.upper, "/o/u,q");
	mountinfo_overlay_done(&o);

	parse("rw,lowerdir+=/o/l,upperdir=/o/u\\134\\134r,workdir=/o/w1", &o);
	assert_string_equal(o.upper, "/o/u\\r");
	mountinfo_overlay_done(&o);
}

static void unknown_options_are_passed_over(void **state)
{
	struct container_overlay o;

	(void)state;
	parse("rw,lowerdir=/l,upperdir=/u,workdir=/w,volatile,uuid=on,xino=off,future=1:2", &o);
	assert_int_equal(o.lowers_len, 1);
	assert_false(o.unsupported);
	mountinfo_overlay_done(&o);
}

static void what_lists_cannot_follow_is_marked(void **state)
{
	static const char *const options[] = {
		"lowerdir=/l,upperdir=/u,redirect_dir=on",
		"lowerdir=/l,upperdir=/u,metacopy=on",
		"lowerdir=/l::/data,upperdir=/u",
		"lowerdir+=/l,datadir+=/d,upperdir=/u",
	};
	struct container_overlay o;

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		parse(options[i], &o);
		assert_true(o.unsupported);
		assert_int_equal(o.lowers_len, 1);
		mountinfo_overlay_done(&o);
	}
	parse("lowerdir=/l,upperdir=/u,redirect_dir=off,metacopy=off", &o);
	assert_false(o.unsupported);
	mountinfo_overlay_done(&o);
}

static void relative_layers_are_resolved_against_the_driver(void **state)
{
	struct container_overlay o;

	(void)state;
	parse("rw,lowerdir=l/6ZQ:l/2UF:/abs,upperdir=c1/diff,workdir=c1/work", &o);
	assert_true(mountinfo_overlay_is_relative(&o));
	assert_int_equal(mountinfo_overlay_resolve(&o, "/d/overlay2"), 0);
	assert_false(mountinfo_overlay_is_relative(&o));
	assert_string_equal(o.upper, "/d/overlay2/c1/diff");
	assert_string_equal(o.work, "/d/overlay2/c1/work");
	assert_string_equal(o.lowers[1], "/d/overlay2/l/2UF");
	assert_string_equal(o.lowers[2], "/abs");
	mountinfo_overlay_done(&o);
}

static void hostile_options_end_in_an_error_or_a_result(void **state)
{
	static const char *const texts[] = {
		"",
		",",
		"\\",
		"lowerdir=",
		"lowerdir=\\",
		"lowerdir=:::",
		"upperdir=\\134",
		"\\000\\000",
		"lowerdir=/a\\",
		"upperdir=/u,upperdir=/v,lowerdir=/a",
		"=,=,=",
	};
	auto_strbuf struct strbuf many = STRBUF_INIT;
	struct container_overlay o;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		mountinfo_overlay_parse(texts[i], &o);
		mountinfo_overlay_done(&o);
	}
	strbuf_adds(&many, "lowerdir=");
	for (int i = 0; i < 5000; i++)
		strbuf_adds(&many, "/x:");
	assert_int_equal(mountinfo_overlay_parse(strbuf_str(&many), &o), -E2BIG);
	mountinfo_overlay_done(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_measured_root_is_understood),
		cmocka_unit_test(all_of_sixty_two_lowers_are_listed),
		cmocka_unit_test(read_only_is_the_mounts_option),
		cmocka_unit_test(every_measured_line_parses),
		cmocka_unit_test(only_overlays_are_visited_when_asked),
		cmocka_unit_test(optional_fields_may_be_absent_or_many),
		cmocka_unit_test(octal_escapes_are_undone_in_paths),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(escaped_separators_are_part_of_names),
		cmocka_unit_test(unknown_options_are_passed_over),
		cmocka_unit_test(what_lists_cannot_follow_is_marked),
		cmocka_unit_test(relative_layers_are_resolved_against_the_driver),
		cmocka_unit_test(hostile_options_end_in_an_error_or_a_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

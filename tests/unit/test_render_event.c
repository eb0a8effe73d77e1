/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_render_event.c - events as lines: what they say, and that no name can make
 * them say something else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "command/render_event.h"

#define HEAD                                                                                       \
	"\"time\":\"2026-11-21T14:02:31.255393601Z\",\"container\":{\"id\":\"b5b89da1\",\"name\":" \
	"\"web1\"}"

static void render(const char *text, struct event_style *style, struct strbuf *out)
{
	json_t *event = json_loads(text, 0, NULL);

	assert_non_null(event);
	render_event(out, event, style);
	json_decref(event);
}

static void check(const char *text, const char *expected)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct event_style style = {0};

	render(text, &style, &out);
	assert_string_equal(strbuf_str(&out), expected);
}

static void a_change_tells_when_where_what_and_who(void **state)
{
	(void)state;
	check("{" HEAD ",\"type\":\"drift\",\"op\":\"create\",\"derived\":false,"
	      "\"process\":{\"pid\":7,\"name\":\"sh\",\"uid\":1000},"
	      "\"file\":{\"path\":\"/usr/local/bin/x\",\"target\":\"layer\",\"change\":\"added\","
	      "\"mode\":\"0755\",\"uid\":0,\"gid\":0,\"size\":4096},"
	      "\"reasons\":[\"new-executable\"]}",
	      "14:02:31.255  web1  ADD  create  /usr/local/bin/x  0755 0:0 4.0Ki"
	      "  by sh[7] (uid 1000)  new-executable");
}

static void verdicts_have_three_words(void **state)
{
	(void)state;
	check("{" HEAD ",\"type\":\"drift\",\"op\":\"write\",\"file\":{\"path\":\"/a\","
	      "\"change\":\"modified\"}}",
	      "14:02:31.255  web1  MOD  write  /a");
	check("{" HEAD ",\"type\":\"drift\",\"op\":\"unlink\",\"file\":{\"path\":\"/a\","
	      "\"change\":\"deleted\"}}",
	      "14:02:31.255  web1  DEL  unlink  /a");
	check("{" HEAD ",\"type\":\"drift\",\"op\":\"unlink\",\"file\":{\"path\":\"/a\","
	      "\"change\":null}}",
	      "14:02:31.255  web1   -   unlink  /a");
}

static void a_derived_operation_is_marked(void **state)
{
	(void)state;
	check("{" HEAD ",\"type\":\"drift\",\"op\":\"rename\",\"derived\":true,\"file\":"
	      "{\"path\":\"/new\",\"old_path\":\"/old\",\"change\":\"added\"}}",
	      "14:02:31.255  web1  ADD  ~rename  /old -> /new");
}

static void a_target_other_than_the_layer_is_named(void **state)
{
	(void)state;
	check("{" HEAD ",\"type\":\"drift\",\"op\":\"write\",\"file\":{\"path\":\"/data/x\","
	      "\"target\":\"volume\"}}",
	      "14:02:31.255  web1   -   write  [volume] /data/x");
}

static void a_burst_tells_bytes_and_calls(void **state)
{
	(void)state;
	check("{" HEAD ",\"type\":\"write\",\"op\":\"write\",\"count\":12,\"bytes\":49152,"
	      "\"file\":{\"path\":\"/x\",\"target\":\"layer\",\"change\":\"modified\"}}",
	      "14:02:31.255  web1  MOD  write  /x  +48.0Ki x12");
}

static void loss_is_a_line_of_its_own(void **state)
{
	(void)state;
	check("{" HEAD ",\"type\":\"lost\",\"count\":118,\"reason\":\"ring_full\"}",
	      "14:02:31.255  web1  -- lost 118 events (ring_full) --");
	check("{\"type\":\"lost\",\"reason\":\"slow_reader\",\"count\":1}",
	      "--:--:--.---  -  -- lost 1 event (slow_reader) --");
}

static void containers_that_come_and_go_are_told(void **state)
{
	(void)state;
	check("{\"time\":\"2026-11-21T14:02:31.255Z\",\"type\":\"container_start\","
	      "\"container\":{\"id\":\"b5\",\"name\":\"web1\",\"image\":{\"name\":\"nginx\"}}}",
	      "14:02:31.255  web1  -- container started, image nginx --");
	check("{" HEAD ",\"type\":\"container_remove\"}",
	      "14:02:31.255  web1  -- container removed --");
}

static void pods_are_named_in_full(void **state)
{
	(void)state;
	check("{\"time\":\"2026-11-21T14:02:31.255Z\",\"type\":\"container_stop\",\"container\":"
	      "{\"id\":\"b5\",\"name\":\"nginx\"},\"k8s\":{\"namespace\":\"shop\","
	      "\"pod\":\"web-7d\",\"container\":\"nginx\"}}",
	      "14:02:31.255  shop/web-7d/nginx  -- container stopped --");
}

/* Newline, escape sequence, right-to-left override, NUL, a byte that is no UTF-8. */
static void hostile_names_stay_on_their_line(void **state)
{
	(void)state;
	check("{\"time\":\"2026-11-21T14:02:31.255Z\",\"type\":\"drift\",\"op\":\"write\","
	      "\"container\":{\"id\":\"b5\",\"name\":\"a\\nb\"},"
	      "\"process\":{\"pid\":1,\"name\":\"\\ufffd\",\"name_b64\":\"/w==\"},"
	      "\"file\":{\"path\":\"/\\u001b[2J\\u202e\\n\",\"change\":\"added\"},"
	      "\"reasons\":[\"\\u001b]0;x\\u0007\"]}",
	      "14:02:31.255  a\\nb  ADD  write  /\\x1b[2J\\xe2\\x80\\xae\\n  by \\xff[1]"
	      "  \\x1b]0;x\\x07");
}

static void what_is_missing_leaves_no_hole(void **state)
{
	(void)state;
	check("{\"type\":\"drift\"}", "--:--:--.---  -   -     (name not known)");
	check("{\"type\":7}", "");
	check("{}", "");
}

static void names_line_up_once_seen(void **state)
{
	struct event_style style = {.align = true};
	auto_strbuf struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;

	(void)state;
	render("{\"type\":\"container_stop\",\"container\":{\"name\":\"longer-name\"}}", &style,
	       &first);
	render("{\"type\":\"container_stop\",\"container\":{\"name\":\"a\"}}", &style, &second);
	assert_int_equal(first.len, second.len);
	assert_string_equal(strbuf_str(&second),
			    "--:--:--.---  a            -- container stopped --");
}

static void an_endless_name_does_not_pad_the_others(void **state)
{
	struct event_style style = {.align = true};
	auto_strbuf struct strbuf out = STRBUF_INIT;
	char text[600];

	(void)state;
	snprintf(text, sizeof(text),
		 "{\"type\":\"container_stop\",\"container\":{\"name\":\"%0500d\"}}", 0);
	render(text, &style, &out);
	assert_int_equal(style.name_width, 0);
}

static void an_escape_from_the_container_is_red(void **state)
{
	struct event_style style = {.color = true};
	auto_strbuf struct strbuf out = STRBUF_INIT;

	(void)state;
	render("{" HEAD ",\"type\":\"drift\",\"op\":\"write\",\"file\":{\"path\":\"/etc/passwd\","
	       "\"target\":\"other\"}}",
	       &style, &out);
	assert_non_null(strstr(strbuf_str(&out), "\x1b[1;31m[other]\x1b[0m /etc/passwd"));
}

static int use_utc(void **state)
{
	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_tells_when_where_what_and_who),
		cmocka_unit_test(verdicts_have_three_words),
		cmocka_unit_test(a_derived_operation_is_marked),
		cmocka_unit_test(a_target_other_than_the_layer_is_named),
		cmocka_unit_test(a_burst_tells_bytes_and_calls),
		cmocka_unit_test(loss_is_a_line_of_its_own),
		cmocka_unit_test(containers_that_come_and_go_are_told),
		cmocka_unit_test(pods_are_named_in_full),
		cmocka_unit_test(hostile_names_stay_on_their_line),
		cmocka_unit_test(what_is_missing_leaves_no_hole),
		cmocka_unit_test(names_line_up_once_seen),
		cmocka_unit_test(an_endless_name_does_not_pad_the_others),
		cmocka_unit_test(an_escape_from_the_container_is_red),
	};

	return cmocka_run_group_tests(tests, use_utc, NULL);
}

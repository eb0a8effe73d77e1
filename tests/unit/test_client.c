/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_client.c - the commands' side of the API, against servers that answer rightly,
 * wrongly and not at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_engine.h"
#include "agent/api.h"
#include "agent/client.h"
#include "agent/socket.h"
#include "base/clock.h"

/* A server that sends one canned answer in pieces, whatever it is asked. */
struct canned {
	char dir[32];
	char path[64];
	int listener;
	const char *answer;
	size_t len;
	size_t piece; /* bytes per send; 0: all at once */
	bool hold;    /* keep the connection open until the client leaves */
	char request[512];
	pthread_t thread;
};

static void *serve_canned(void *arg)
{
	struct canned *s = arg;
	int fd = accept(s->listener, NULL, NULL);
	size_t got = 0, piece = s->piece ? s->piece : s->len;
	char byte;

	while (fd >= 0 && got < sizeof(s->request) - 1 && !strstr(s->request, "\r\n\r\n")) {
		ssize_t n = recv(fd, s->request + got, sizeof(s->request) - 1 - got, 0);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	for (size_t at = 0; fd >= 0 && at < s->len; at += piece) {
		size_t n = s->len - at < piece ? s->len - at : piece;

		if (send(fd, s->answer + at, n, MSG_NOSIGNAL) < 0)
			break;
	}
	if (s->hold)
		while (recv(fd, &byte, 1, 0) > 0)
			;
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void start(struct canned *s, const char *answer, size_t len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(s->dir, "/tmp/test_client.XXXXXX", sizeof("/tmp/test_client.XXXXXX"));
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
	memcpy(address.sun_path, s->path, strlen(s->path));
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(s->listener, 4), 0);
	s->answer = answer;
	s->len = len;
	assert_int_equal(pthread_create(&s->thread, NULL, serve_canned, s), 0);
}

static void finish(struct canned *s)
{
	pthread_join(s->thread, NULL);
	close(s->listener);
	unlink(s->path);
	rmdir(s->dir);
}

static int get_canned(const char *answer, size_t len, size_t piece, struct strbuf *body,
		      bool *complete)
{
	struct canned s = {.piece = piece};
	int status;

	start(&s, answer, len);
	status = client_get(s.path, "/x?a=1", body, complete);
	finish(&s);
	assert_int_equal(strncmp(s.request, "GET /x?a=1 HTTP/1.1\r\n", 21), 0);
	return status;
}

static void a_body_is_read_by_its_length(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n"
				     "X-Driftwatch-Complete: 1\r\n\r\nA /a\0D ";
	auto_strbuf struct strbuf body = STRBUF_INIT;
	bool complete = false;

	(void)state;
	assert_int_equal(get_canned(answer, sizeof(answer) - 1, 0, &body, &complete), 200);
	assert_int_equal(body.len, 7);
	assert_memory_equal(body.data, "A /a\0D ", 7);
	assert_true(complete);
}

static void chunks_are_joined_however_they_arrive(void **state)
{
	static const char answer[] = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
				     "3\r\nabc\r\n1;name=value\r\nd\r\nA\r\n0123456789\r\n0\r\n"
				     "Trailer: x\r\n\r\n";

	(void)state;
	for (size_t piece = 0; piece < 12; piece++) {
		auto_strbuf struct strbuf body = STRBUF_INIT;
		bool complete = true;

		assert_int_equal(get_canned(answer, sizeof(answer) - 1, piece, &body, &complete),
				 404);
		assert_string_equal(strbuf_str(&body), "abcd0123456789");
		assert_false(complete);
	}
}

static void a_body_without_length_ends_with_the_connection(void **state)
{
	static const char answer[] = "HTTP/1.0 200 OK\r\n\r\nall of it";
	auto_strbuf struct strbuf body = STRBUF_INIT;

	(void)state;
	assert_int_equal(get_canned(answer, sizeof(answer) - 1, 1, &body, NULL), 200);
	assert_string_equal(strbuf_str(&body), "all of it");
}

static void what_is_cut_short_is_an_error(void **state)
{
	static const char *const answers[] = {
		"",
		"HTTP/1.1 200 O",
		"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		auto_strbuf struct strbuf body = STRBUF_INIT;

		assert_int_equal(get_canned(answers[i], strlen(answers[i]), 0, &body, NULL),
				 -EPIPE);
	}
}

static void what_is_not_http_is_an_error(void **state)
{
	static const char *const answers[] = {
		"SSH-2.0-OpenSSH\r\n",
		"\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
	};
	auto_strbuf struct strbuf endless = STRBUF_INIT, body = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		assert_int_equal(get_canned(answers[i], strlen(answers[i]), 0, &body, NULL),
				 -EBADMSG);
	strbuf_adds(&endless, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 200; i++)
		strbuf_adds(&endless, "A: b\r\n");
	strbuf_adds(&endless, "\r\n");
	assert_int_equal(get_canned(endless.data, endless.len, 0, &body, NULL), -EBADMSG);
	strbuf_reset(&endless);
	for (int i = 0; i < 100000; i++)
		strbuf_addc(&endless, 'x');
	assert_int_equal(get_canned(endless.data, endless.len, 0, &body, NULL), -EBADMSG);
}

static void nobody_there_is_told_apart(void **state)
{
	struct canned s = {0};
	auto_strbuf struct strbuf body = STRBUF_INIT;
	char longest[200];

	(void)state;
	start(&s, "", 0);
	pthread_cancel(s.thread);
	close(s.listener);
	pthread_join(s.thread, NULL);
	assert_int_equal(client_ping(s.path), -ECONNREFUSED);
	unlink(s.path);
	assert_int_equal(client_ping(s.path), -ENOENT);
	rmdir(s.dir);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(client_ping(longest), -ENAMETOOLONG);
}

static void a_target_that_would_break_the_request_is_refused(void **state)
{
	static const char *const targets[] = {"", "x", "/a b", "/a\r\nHost: y", "/\x7f"};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		auto_strbuf struct strbuf body = STRBUF_INIT;
		struct canned s = {0};

		start(&s, "", 0);
		assert_int_equal(client_get(s.path, targets[i], &body, NULL), -EINVAL);
		finish(&s);
	}
}

static void components_are_percent_encoded(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;

	(void)state;
	client_encode(&out, "a-Z_0.~/ +%&\n\xff\0", 15);
	assert_string_equal(strbuf_str(&out), "a-Z_0.~%2F%20%2B%25%26%0A%FF%00");
}

/* --- against the real server, in a thread of its own --- */

struct world {
	struct engine *engine;
	struct ledger_container *c;
	struct api api;
	struct http *http;
	char dir[32], path[64];
	int lock;
	int stop_fd, emit_fd; /* eventfds to the server's thread */
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct world *w = arg;
	struct pollfd fds[] = {{.fd = http_fd(w->http), .events = POLLIN},
			       {.fd = w->stop_fd, .events = POLLIN},
			       {.fd = w->emit_fd, .events = POLLIN}};
	uint64_t n;

	while (!(fds[1].revents & POLLIN)) {
		http_run(w->http);
		poll(fds, 3, http_timeout_ms(w->http));
		/* Only the followers that are there hear an event. */
		if (fds[2].revents & POLLIN && fake_subscribers(w->engine) &&
		    read(w->emit_fd, &n, sizeof(n)) == sizeof(n)) {
			for (uint64_t i = 0; i < n; i++)
				fake_emit(w->engine, &(struct event){.type = EVENT_DRIFT,
								     .op = DW_OP_CREATE,
								     .container = w->c,
								     .path = "/x",
								     .path_len = 2,
								     .wall_ns = 1});
		}
	}
	w->http = http_close(w->http);
	return NULL;
}

static int setup(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct world *w = calloc(1, sizeof(*w));
	int fd;

	*w = (struct world){.engine = fake_engine_new(), .dir = "/tmp/test_client.XXXXXX"};
	w->c = fake_container(w->engine, "0123456789abcdef", "a b/%");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/s", w->dir);
	w->api = (struct api){.engine = w->engine, .node = "n1"};
	assert_int_equal(http_open(api_handle, &w->api, &w->http), 0);
	fd = socket_listen_unix(w->path, &error, &w->lock);
	assert_int_equal(http_listen(w->http, fd, true), 0);
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	w->emit_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&w->thread, NULL, serve, w), 0);
	*state = w;
	return 0;
}

static void tell(int fd, uint64_t n)
{
	assert_int_equal(write(fd, &n, sizeof(n)), sizeof(n));
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[64];

	if (w->http)
		tell(w->stop_fd, 1);
	pthread_join(w->thread, NULL);
	close(w->stop_fd);
	close(w->emit_fd);
	close(w->lock);
	fake_engine_free(w->engine);
	snprintf(command, sizeof(command), "rm -r %s", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static void an_agent_answers_a_ping(void **state)
{
	struct world *w = *state;

	assert_int_equal(client_ping(w->path), 0);
}

static void an_encoded_name_finds_its_container(void **state)
{
	auto_strbuf struct strbuf target = STRBUF_INIT, body = STRBUF_INIT;
	struct world *w = *state;
	bool complete = false;

	strbuf_adds(&target, "/api/v1/containers/");
	client_encode(&target, "a b/%", 5);
	strbuf_adds(&target, "/diff");
	assert_int_equal(client_get(w->path, strbuf_str(&target), &body, &complete), 200);
	assert_int_equal(body.len, 0);
	assert_true(complete);
}

static int count_lines(const char *line, size_t len, void *arg)
{
	int *left = arg;

	assert_int_equal(line[0], '{');
	assert_int_equal(line[len - 1], '}');
	assert_int_equal(line[len], '\0');
	return --*left ? 0 : 42;
}

static void a_stream_hands_out_lines_until_told_to_stop(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct world *w = *state;
	int left = 300;

	tell(w->emit_fd, 300);
	assert_int_equal(client_stream(w->path, "/api/v1/events", -1, count_lines, &left, &error),
			 42);
	assert_int_equal(left, 0);
}

static void a_stream_ends_when_its_stop_fd_is_readable(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	auto_close int stop = eventfd(1, EFD_CLOEXEC);
	struct world *w = *state;
	int left = 1;

	assert_int_equal(client_stream(w->path, "/api/v1/events", stop, count_lines, &left, &error),
			 0);
	assert_int_equal(left, 1);
}

static int stop_server(const char *line, size_t len, void *arg)
{
	struct world *w = arg;

	(void)line;
	(void)len;
	tell(w->stop_fd, 1);
	return 0;
}

static void a_stream_whose_agent_goes_says_so(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct world *w = *state;

	tell(w->emit_fd, 1);
	assert_int_equal(client_stream(w->path, "/api/v1/events", -1, stop_server, w, &error),
			 -EPIPE);
}

static void a_refused_stream_gives_status_and_sentence(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct world *w = *state;
	int left = 1;

	assert_int_equal(
		client_stream(w->path, "/api/v1/events?op=fly", -1, count_lines, &left, &error),
		400);
	assert_non_null(strstr(strbuf_str(&error), "unknown op 'fly'"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_read_by_its_length),
		cmocka_unit_test(chunks_are_joined_however_they_arrive),
		cmocka_unit_test(a_body_without_length_ends_with_the_connection),
		cmocka_unit_test(what_is_cut_short_is_an_error),
		cmocka_unit_test(what_is_not_http_is_an_error),
		cmocka_unit_test(nobody_there_is_told_apart),
		cmocka_unit_test(a_target_that_would_break_the_request_is_refused),
		cmocka_unit_test(components_are_percent_encoded),
		TEST(an_agent_answers_a_ping),
		TEST(an_encoded_name_finds_its_container),
		TEST(a_stream_hands_out_lines_until_told_to_stop),
		TEST(a_stream_ends_when_its_stop_fd_is_readable),
		TEST(a_stream_whose_agent_goes_says_so),
		TEST(a_refused_stream_gives_status_and_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * test_http.c - the real server and routes on a unix socket, with a fake engine behind.
 *
 * Client and server take turns in one thread: no waiting for time, only for bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "fake_engine.h"
#include "json_schema.h"
#include "agent/api.h"
#include "agent/gzip.h"
#include "agent/socket.h"
#include "agent/stream.h"
#include "base/clock.h"

#define ID	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PATIENCE_NS (10 * NS_PER_SEC)

struct world {
	struct engine *engine;
	struct api api;
	struct http *http;
	char dir[32];
	char path[64];
	int lock;
	int reloads, reload_result;
};

static int reload(struct strbuf *error, void *arg)
{
	struct world *w = arg;

	w->reloads++;
	if (w->reload_result)
		strbuf_adds(error, "f: k: no");
	return w->reload_result;
}

static int setup_with(void **state, bool is_local)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct world *w = calloc(1, sizeof(*w));
	int fd;

	assert_non_null(w);
	*w = (struct world){.engine = fake_engine_new(), .dir = "/tmp/test_http.XXXXXX"};
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/sub/s", w->dir);
	w->api = (struct api){
		.engine = w->engine,
		.node = "n1",
		.reload_successful = true,
		.reload = reload,
		.arg = w,
	};
	assert_int_equal(http_open(api_handle, &w->api, &w->http), 0);
	fd = socket_listen_unix(w->path, &error, &w->lock);
	assert_true(fd >= 0);
	assert_int_equal(http_listen(w->http, fd, is_local), 0);
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, true);
}

static int setup_public(void **state)
{
	return setup_with(state, false);
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[64];

	http_close(w->http);
	close(w->lock);
	fake_engine_free(w->engine);
	snprintf(command, sizeof(command), "rm -r %s", w->dir);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, path, strlen(path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Let the server work until the client can read, or @until_ns has come. */
static bool turn(struct world *w, int fd, uint64_t until_ns)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
			       {.fd = http_fd(w->http), .events = POLLIN}};
	int ms = http_timeout_ms(w->http);

	if (ms < 0 || ms > 100)
		ms = 100;
	poll(fds, 2, ms);
	http_run(w->http);
	return fds[0].revents || clock_mono_ns() < until_ns;
}

static int client(struct world *w, const char *request)
{
	int fd = connect_to(w->path);

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	return fd;
}

/* Read until @part has come, or the connection ends (@part NULL). */
static void receive(struct world *w, int fd, const char *part, struct strbuf *out)
{
	uint64_t until = clock_mono_ns() + PATIENCE_NS;
	char chunk[65536];

	while (turn(w, fd, until)) {
		ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

		if (n == 0)
			return;
		if (n > 0)
			strbuf_add(out, chunk, (size_t)n);
		if (part && out->len && memmem(out->data, out->len, part, strlen(part)))
			return;
	}
	fail_msg("no answer, or not the one: %s", strbuf_str(out));
}

static void exchange(struct world *w, const char *request, struct strbuf *out)
{
	auto_close int fd = client(w, request);

	strbuf_reset(out);
	receive(w, fd, NULL, out);
}

static void ask(struct world *w, const char *method, const char *target, const char *headers,
		struct strbuf *out)
{
	auto_strbuf struct strbuf request = STRBUF_INIT;

	strbuf_addf(&request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method,
		    target, headers);
	exchange(w, strbuf_str(&request), out);
}

static void get(struct world *w, const char *target, struct strbuf *out)
{
	ask(w, "GET", target, "", out);
}

static int status_of(const struct strbuf *answer)
{
	int status = 0;

	assert_int_equal(sscanf(strbuf_str(answer), "HTTP/1.1 %d ", &status), 1);
	return status;
}

static const char *body_of(const struct strbuf *answer)
{
	const char *end = strstr(strbuf_str(answer), "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

static void remove_chunks(const char *body, const char *end, struct strbuf *out)
{
	unsigned long size;

	while (body < end && (size = strtoul(body, (char **)&body, 16))) {
		strbuf_add(out, body + 2, size);
		body += 2 + size + 2;
	}
}

static json_t *json_of(const struct strbuf *answer)
{
	auto_strbuf struct strbuf whole = STRBUF_INIT;
	const char *body = body_of(answer);
	json_error_t error;
	json_t *value;

	if (strstr(strbuf_str(answer), "Transfer-Encoding: chunked"))
		remove_chunks(body, answer->data + answer->len, &whole);
	else
		strbuf_adds(&whole, body);
	value = json_loads(strbuf_str(&whole), 0, &error);
	if (!value)
		fail_msg("%s: %s", error.text, strbuf_str(&whole));
	return value;
}

static void health_and_readiness_differ(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;

	w->engine->ready = false;
	get(w, "/healthz", &out);
	assert_int_equal(status_of(&out), 200);
	get(w, "/readyz", &out);
	assert_int_equal(status_of(&out), 503);
	w->engine->ready = true;
	get(w, "/readyz", &out);
	assert_int_equal(status_of(&out), 200);
}

static void metrics_come_in_the_format_that_is_asked_for(void **state)
{
	static const char prometheus[] =
		"Accept: application/openmetrics-text;version=1.0.0,"
		"application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
		"*/*;q=0.1\r\n";
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;

	get(w, "/metrics", &out);
	assert_non_null(strstr(strbuf_str(&out), "text/plain; version=0.0.4"));
	assert_null(strstr(body_of(&out), "# EOF"));
	ask(w, "GET", "/metrics", prometheus, &out);
	assert_non_null(strstr(strbuf_str(&out), "application/openmetrics-text; version=1.0.0"));
	assert_non_null(strstr(body_of(&out), "# EOF\n"));
	assert_int_equal(w->engine->refreshes, 2);
}

static void accept_headers_are_weighed(void **state)
{
	(void)state;
	assert_false(api_prefers_openmetrics(NULL));
	assert_false(api_prefers_openmetrics(""));
	assert_false(api_prefers_openmetrics("*/*"));
	assert_false(api_prefers_openmetrics("text/plain"));
	assert_true(api_prefers_openmetrics("application/openmetrics-text"));
	assert_true(api_prefers_openmetrics("text/plain;q=0.5, Application/OpenMetrics-Text"));
	assert_false(api_prefers_openmetrics("text/plain, application/openmetrics-text;q=0.5"));
	assert_false(api_prefers_openmetrics("application/openmetrics-text;q=0"));
	assert_false(api_prefers_openmetrics("application/openmetrics-textual"));
	assert_false(api_prefers_openmetrics(",,;;q=,=;"));
}

static void inflate_all(const char *bytes, size_t len, struct strbuf *out)
{
	z_stream z = {.next_in = (Bytef *)bytes, .avail_in = (uInt)len};
	unsigned char chunk[4096];
	int state;

	assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
	do {
		z.next_out = chunk;
		z.avail_out = sizeof(chunk);
		state = inflate(&z, Z_NO_FLUSH);
		assert_true(state == Z_OK || state == Z_STREAM_END);
		strbuf_add(out, chunk, sizeof(chunk) - z.avail_out);
	} while (state != Z_STREAM_END);
	inflateEnd(&z);
}

static void what_is_compressed_comes_out_the_same(void **state)
{
	auto_strbuf struct strbuf in = STRBUF_INIT, packed = STRBUF_INIT, out = STRBUF_INIT;

	(void)state;
	for (unsigned i = 0; i < 200000; i++)
		strbuf_addc(&in, (char)(i * i >> 7));
	assert_int_equal(gzip_compress(in.data, in.len, &packed), 0);
	assert_true(packed.len < in.len);
	inflate_all(packed.data, packed.len, &out);
	assert_int_equal(out.len, in.len);
	assert_memory_equal(out.data, in.data, in.len);
}

static void a_scrape_is_compressed_on_request_only(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT, text = STRBUF_INIT;
	struct world *w = *state;

	ask(w, "GET", "/metrics", "Accept-Encoding: gzip;q=0\r\n", &out);
	assert_null(strstr(strbuf_str(&out), "Content-Encoding"));
	ask(w, "GET", "/metrics", "Accept-Encoding: deflate, gzip\r\n", &out);
	assert_non_null(strstr(strbuf_str(&out), "Content-Encoding: gzip"));
	inflate_all(body_of(&out), out.len - (size_t)(body_of(&out) - out.data), &text);
	assert_non_null(strstr(strbuf_str(&text), "driftwatch_build_info{"));
	/* Not worth it. */
	ask(w, "GET", "/healthz", "Accept-Encoding: gzip\r\n", &out);
	assert_null(strstr(strbuf_str(&out), "Content-Encoding"));
}

static void unknown_pages_and_methods_are_told_apart(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;

	get(w, "/nothing", &out);
	assert_int_equal(status_of(&out), 404);
	ask(w, "DELETE", "/metrics", "", &out);
	assert_int_equal(status_of(&out), 405);
	assert_non_null(strstr(strbuf_str(&out), "Allow: GET, HEAD"));
	get(w, "/-/reload", &out);
	assert_int_equal(status_of(&out), 405);
	assert_non_null(strstr(strbuf_str(&out), "Allow: POST"));
	ask(w, "HEAD", "/metrics", "", &out);
	assert_int_equal(status_of(&out), 200);
	assert_string_equal(body_of(&out), "");
	get(w, "/api/v1/containers//files", &out);
	assert_int_equal(status_of(&out), 404);
}

static void the_network_sees_four_pages(void **state)
{
	static const char *const closed[] = {"/api/v1/status", "/api/v1/containers",
					     "/api/v1/events", "/api/v1/containers/web/files"};
	static const char *const open[] = {"/", "/metrics", "/healthz", "/readyz"};
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;

	fake_container(w->engine, ID, "web");
	for (size_t i = 0; i < 4; i++) {
		get(w, open[i], &out);
		assert_int_equal(status_of(&out), 200);
		get(w, closed[i], &out);
		assert_int_equal(status_of(&out), 404);
	}
	ask(w, "POST", "/-/reload", "Content-Length: 0\r\n", &out);
	assert_int_equal(status_of(&out), 404);
	assert_int_equal(w->reloads, 0);
}

static void a_connection_serves_many_requests(void **state)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	struct world *w = *state;
	auto_close int fd = connect_to(w->path);

	for (int i = 0; i < 3; i++) {
		auto_strbuf struct strbuf out = STRBUF_INIT;

		assert_true(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
		receive(w, fd, "ok\n", &out);
		assert_int_equal(status_of(&out), 200);
	}
}

static void requests_are_bounded(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT, request = STRBUF_INIT;
	struct world *w = *state;

	strbuf_adds(&request, "GET /");
	for (int i = 0; i < 100000; i++)
		strbuf_addc(&request, 'x');
	exchange(w, strbuf_str(&request), &out);
	assert_true(status_of(&out) >= 400);

	ask(w, "POST", "/-/reload", "Content-Length: 99999999\r\n", &out);
	assert_int_equal(status_of(&out), 413);
	assert_int_equal(w->reloads, 0);
	exchange(w, "\x01\x02 garbage\r\n\r\n", &out);
	assert_true(!out.len || status_of(&out) >= 400);
	/* And the server lives. */
	get(w, "/healthz", &out);
	assert_int_equal(status_of(&out), 200);
}

static void reload_works_and_fails_loudly(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	json_t *answer;

	ask(w, "POST", "/-/reload", "Content-Length: 0\r\n", &out);
	assert_int_equal(status_of(&out), 200);
	assert_int_equal(w->reloads, 1);
	w->reload_result = -EINVAL;
	ask(w, "POST", "/-/reload", "Content-Length: 0\r\n", &out);
	assert_int_equal(status_of(&out), 400);
	answer = json_of(&out);
	assert_string_equal(json_string_value(json_object_get(answer, "error")), "f: k: no");
	json_decref(answer);
}

static void containers_and_status_fit_their_schemas(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	json_t *answer;

	fake_container(w->engine, ID, "web\xff");
	get(w, "/api/v1/containers?all=1", &out);
	assert_non_null(strstr(strbuf_str(&out), "Cache-Control: no-store"));
	answer = json_of(&out);
	assert_true(schema_accepts("ps-1.json", answer));
	json_decref(answer);
	get(w, "/api/v1/status", &out);
	answer = json_of(&out);
	assert_true(schema_accepts("status-1.json", answer));
	json_decref(answer);
}

static void a_verification_is_told_with_hostile_names(void **state)
{
	struct audit_mismatch listed[] = {
		{(char[]){"/a\n\xff"}, 4, TREE_NONE, TREE_ADDED},
		{(char[]){"/b"}, 2, TREE_DELETED, TREE_NONE},
	};
	struct audit_result result = {
		.lines = 7,
		.mismatches = 2,
		.listed = listed,
		.listed_len = 2,
		.began_wall_ns = 1763751970255393601ull,
		.ended_wall_ns = 1763751971255393601ull,
	};
	static const char *const verdicts[] = {"mismatch", "unsettled", "equal", "unknown"};
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	json_t *answer, *c;

	fake_container(w->engine, ID, "web\xff");
	w->engine->verified = &result;
	for (int i = 0; i < 4; i++) {
		result.error = i == 3 ? -ENODATA : 0;
		result.unsettled = i == 1;
		if (i)
			result.mismatches = result.listed_len = 0;
		get(w, "/api/v1/containers/0123/verify", &out);
		answer = json_of(&out);
		assert_true(schema_accepts("verify-1.json", answer));
		c = json_array_get(json_object_get(answer, "containers"), 0);
		assert_string_equal(json_string_value(json_object_get(c, "verdict")), verdicts[i]);
		assert_int_equal(json_is_string(json_object_get(c, "reason")), i == 3);
		json_decref(answer);
	}
	get(w, "/api/v1/containers/nope/verify", &out);
	assert_int_equal(status_of(&out), 404);
}

/* The moment first asked at survives being asked again, but cannot be in the future. */
static void a_verification_is_asked_for_again_since_the_first_time(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct audit_result result = {0};
	struct world *w = *state;
	uint64_t before_ns = clock_mono_ns();

	fake_container(w->engine, ID, "web");
	w->engine->verified = &result;
	get(w, "/api/v1/containers/web/verify?since=5", &out);
	assert_int_equal(w->engine->verified_since_ns, 5);
	get(w, "/api/v1/containers/web/verify?since=18446744073709551615", &out);
	assert_true(w->engine->verified_since_ns >= before_ns);
	assert_true(w->engine->verified_since_ns <= clock_mono_ns());
	get(w, "/api/v1/containers/web/verify?since=soon", &out);
	assert_true(w->engine->verified_since_ns >= before_ns);
}

static void a_reference_is_resolved_or_explained(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	struct ledger_container *c = fake_container(w->engine, ID, "k8s_web");

	c->meta->pod_namespace = strdup("shop");
	c->meta->pod = strdup("web-0");
	fake_container(w->engine, "0123ff", "db");
	get(w, "/api/v1/containers/shop%2Fweb-0/files", &out);
	assert_int_equal(status_of(&out), 200);
	get(w, "/api/v1/containers/0123/files", &out);
	assert_int_equal(status_of(&out), 409);
	assert_non_null(strstr(body_of(&out), "db"));
	get(w, "/api/v1/containers/nope%1b%0a/diff", &out);
	assert_int_equal(status_of(&out), 404);
	assert_non_null(strstr(body_of(&out), "\\\\x1b\\\\n"));
}

static void set_lines(struct ledger_container *c, struct fake_line *lines, size_t len)
{
	c->tree->lines = lines;
	c->tree->len = len;
}

static void a_long_list_arrives_whole(void **state)
{
	enum { FILES = 5000 };
	static struct fake_line lines[FILES];
	static char names[FILES][16];
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	struct ledger_container *c = fake_container(w->engine, ID, "web");
	json_t *answer, *files;

	for (int i = 0; i < FILES; i++) {
		snprintf(names[i], sizeof(names[i]), "/%06d", FILES - 1 - i);
		lines[i] = (struct fake_line){
			.path = names[i],
			.verdict = TREE_ADDED,
			.node.info.st.st_mode = S_IFREG | 0644,
		};
	}
	set_lines(c, lines, FILES);
	get(w, "/api/v1/containers/web/files", &out);
	assert_non_null(strstr(strbuf_str(&out), "Transfer-Encoding: chunked"));
	answer = json_of(&out);
	assert_true(schema_accepts("files-1.json", answer));
	files = json_object_get(answer, "files");
	assert_int_equal(json_array_size(files), FILES);
	for (size_t i = 0; i < FILES; i++)
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(files, i), "path")),
			names[FILES - 1 - i]);
	json_decref(answer);
}

static void a_client_that_leaves_a_long_list_is_forgotten(void **state)
{
	enum { FILES = 5000 };
	static struct fake_line lines[FILES];
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	struct ledger_container *c = fake_container(w->engine, ID, "web");
	int fd;

	for (int i = 0; i < FILES; i++)
		lines[i] = (struct fake_line){.path = "/x", .verdict = TREE_ADDED};
	set_lines(c, lines, FILES);
	fd = client(w, "GET /api/v1/containers/web/files HTTP/1.1\r\nHost: x\r\n\r\n");
	receive(w, fd, "\"files\":[", &out);
	close(fd);
	get(w, "/healthz", &out);
	assert_int_equal(status_of(&out), 200);
}

static void diff_says_whether_it_is_complete(void **state)
{
	struct fake_line lines[] = {{.path = "/b", .verdict = TREE_DELETED},
				    {.path = "/a", .verdict = TREE_ADDED}};
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	struct ledger_container *c = fake_container(w->engine, ID, "web");

	set_lines(c, lines, 2);
	get(w, "/api/v1/containers/web/diff", &out);
	assert_non_null(strstr(strbuf_str(&out), "X-Driftwatch-Complete: 1\r\n"));
	assert_non_null(
		strstr(strbuf_str(&out), "X-Driftwatch-As-Of: 2025-11-21T19:06:10.255393601Z\r\n"));
	assert_memory_equal(body_of(&out), "A /a\0D /b", 10);

	c->incomplete = 1u << LOSS_RING_FULL;
	c->limits = "a\r\nSet-Cookie: x";
	get(w, "/api/v1/containers/web/diff", &out);
	assert_non_null(strstr(strbuf_str(&out), "X-Driftwatch-Complete: 0\r\n"));
	assert_non_null(strstr(strbuf_str(&out), "X-Driftwatch-Reason: ring_full"));
	assert_null(strstr(strbuf_str(&out), "\nSet-Cookie"));
}

static void a_layer_that_is_being_read_makes_only_its_request_wait(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT, other = STRBUF_INIT;
	struct world *w = *state;
	int fd;

	fake_container(w->engine, ID, "web");
	w->engine->unsettled = 5;
	fd = client(w, "GET /api/v1/containers/web/diff HTTP/1.1\r\nHost: x\r\n"
		       "Connection: close\r\n\r\n");
	get(w, "/healthz", &other);
	assert_int_equal(status_of(&other), 200);
	receive(w, fd, NULL, &out);
	assert_int_equal(status_of(&out), 200);
	assert_int_equal(w->engine->unsettled, 0);
	close(fd);
}

static void what_never_settles_is_answered_after_a_while(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	uint64_t start = clock_mono_ns();

	w->engine->unsettled = 1000000;
	get(w, "/api/v1/containers", &out);
	assert_int_equal(status_of(&out), 200);
	assert_true(clock_mono_ns() - start < 5 * NS_PER_SEC);
}

static void the_landing_page_escapes_names(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;

	fake_container(w->engine, ID, "<script>alert('x')</script>");
	get(w, "/", &out);
	assert_int_equal(status_of(&out), 200);
	assert_non_null(strstr(strbuf_str(&out), "Content-Security-Policy: default-src 'none'"));
	assert_null(strstr(body_of(&out), "<script"));
	assert_non_null(strstr(body_of(&out), "&lt;script&gt;"));
	assert_non_null(strstr(body_of(&out), "href=/metrics"));
}

/* --- streams --- */

static int follow(struct world *w, const char *query)
{
	auto_strbuf struct strbuf request = STRBUF_INIT, out = STRBUF_INIT;
	int fd;

	strbuf_addf(&request, "GET /api/v1/events%s HTTP/1.1\r\nHost: x\r\n\r\n", query);
	fd = client(w, strbuf_str(&request));
	receive(w, fd, "\r\n\r\n", &out); /* the head comes before any event */
	assert_int_equal(status_of(&out), 200);
	return fd;
}

static struct event drift(const struct ledger_container *c, enum dw_op op, const char *path)
{
	return (struct event){
		.wall_ns = 1763751970255393601ull,
		.type = EVENT_DRIFT,
		.container = c,
		.op = op,
		.path = path,
		.path_len = strlen(path),
	};
}

static void emit(struct world *w, const struct ledger_container *c, enum dw_op op, const char *path)
{
	const struct event event = drift(c, op, path);

	fake_emit(w->engine, &event);
}

static void events_reach_a_follower_at_once(void **state)
{
	struct world *w = *state;
	struct ledger_container *c = fake_container(w->engine, ID, "web");
	auto_close int fd = follow(w, "");

	for (int i = 0; i < 3; i++) {
		auto_strbuf struct strbuf out = STRBUF_INIT;

		emit(w, c, DW_OP_CREATE, "/x");
		receive(w, fd, "}\n", &out);
		assert_non_null(strstr(strbuf_str(&out), "\"path\":\"/x\""));
	}
}

static void a_follower_gets_what_it_asked_for(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	struct ledger_container *web = fake_container(w->engine, ID, "web");
	struct ledger_container *db = fake_container(w->engine, "ffff", "db");
	auto_close int fd =
		follow(w, "?container=w%2A&op=create&op=unlink&target=layer&path=/etc/%2A");
	struct event event;

	emit(w, web, DW_OP_CREATE, "/etc/one");
	emit(w, db, DW_OP_CREATE, "/etc/other-container");
	emit(w, web, DW_OP_CHMOD, "/etc/other-op");
	emit(w, web, DW_OP_CREATE, "/usr/other-path");
	event = drift(web, DW_OP_CREATE, "/etc/other-target");
	event.target = DW_TARGET_TMPFS;
	fake_emit(w->engine, &event);
	event = (struct event){.type = EVENT_CONTAINER_START, .container = web};
	fake_emit(w->engine, &event);
	event = (struct event){.type = EVENT_LOST, .container = web, .count = 7, .reason = "path"};
	fake_emit(w->engine, &event);
	emit(w, web, DW_OP_UNLINK, "/etc/two");
	receive(w, fd, "/etc/two", &out);
	assert_non_null(strstr(strbuf_str(&out), "/etc/one"));
	assert_null(strstr(strbuf_str(&out), "other-"));
	assert_null(strstr(strbuf_str(&out), "container_start"));
	assert_non_null(strstr(strbuf_str(&out), "\"count\":7")); /* a loss is never filtered out */
}

static void raw_shows_bursts_instead_of_first_writes(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	struct ledger_container *c = fake_container(w->engine, ID, "web");
	auto_close int fd = follow(w, "?raw=1");
	struct event burst = drift(c, DW_OP_WRITE, "/burst");

	burst.type = EVENT_WRITE;
	burst.count = 12;
	burst.bytes = 49152;
	emit(w, c, DW_OP_WRITE, "/first");
	fake_emit(w->engine, &burst);
	receive(w, fd, "}\n", &out);
	assert_non_null(strstr(strbuf_str(&out), "\"count\":12,\"bytes\":49152"));
	assert_null(strstr(strbuf_str(&out), "/first"));
}

static void a_wrong_filter_is_refused(void **state)
{
	static const struct {
		const char *query;
		int status;
		const char *word;
	} cases[] = {
		{"?op=fly", 400, "unknown op 'fly'"},
		{"?target=moon", 400, "unknown target 'moon'"},
		{"?colour=red", 400, "unknown parameter 'colour'"},
		{"?container=nope", 404, "nope"},
		{"?container=0", 409, "ambiguous"},
	};
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;

	fake_container(w->engine, "01", "a");
	fake_container(w->engine, "02", "b");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_strbuf struct strbuf target = STRBUF_INIT;

		strbuf_addf(&target, "/api/v1/events%s", cases[i].query);
		get(w, strbuf_str(&target), &out);
		assert_int_equal(status_of(&out), cases[i].status);
		assert_non_null(strstr(body_of(&out), cases[i].word));
	}
	assert_int_equal(fake_subscribers(w->engine), 0);
}

static void a_follower_that_left_is_unsubscribed(void **state)
{
	struct world *w = *state;
	uint64_t until = clock_mono_ns() + PATIENCE_NS;
	int fd = follow(w, "");

	assert_int_equal(fake_subscribers(w->engine), 1);
	close(fd); /* and nothing ever happens that would show it */
	while (fake_subscribers(w->engine) && turn(w, -1, until))
		;
	assert_int_equal(fake_subscribers(w->engine), 0);
}

static void too_many_followers_are_refused(void **state)
{
	auto_strbuf struct strbuf out = STRBUF_INIT;
	struct world *w = *state;
	int fds[FAKE_SUBSCRIBERS];

	for (int i = 0; i < FAKE_SUBSCRIBERS; i++)
		fds[i] = follow(w, "");
	get(w, "/api/v1/events", &out);
	assert_int_equal(status_of(&out), 503);
	for (int i = 0; i < FAKE_SUBSCRIBERS; i++)
		close(fds[i]);
}

static uint64_t count_parts(const struct strbuf *text, const char *part)
{
	uint64_t n = 0;

	for (const char *at = strstr(strbuf_str(text), part); at; at = strstr(at + 1, part))
		n++;
	return n;
}

/* Every event is either delivered or counted as lost, and a slow reader stops nobody. */
static void a_slow_reader_loses_events_and_is_told_how_many(void **state)
{
	enum { EVENTS = 20000 };
	auto_strbuf struct strbuf out = STRBUF_INIT, text = STRBUF_INIT;
	struct world *w = *state;
	struct ledger_container *c = fake_container(w->engine, ID, "web");
	auto_close int fd = follow(w, "");
	const char *lost;
	unsigned long long count = 0, lost_total = 0;
	uint64_t until;

	for (int i = 0; i < EVENTS; i++)
		emit(w, c, DW_OP_CREATE, "/not-read-yet");
	emit(w, c, DW_OP_CREATE, "/last"); /* dropped, too: the queue is full */
	until = clock_mono_ns() + PATIENCE_NS;
	do {
		char chunk[65536];
		ssize_t n;

		if (!turn(w, fd, until) && clock_mono_ns() > until)
			fail_msg("nothing was told to be lost");
		n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n > 0)
			strbuf_add(&out, chunk, (size_t)n);
	} while (!out.len || !memmem(out.data, out.len, "slow_reader", 11) ||
		 out.data[out.len - 1] != '\n' || out.data[out.len - 3] != '\n');
	emit(w, c, DW_OP_CREATE, "/after");
	receive(w, fd, "/after", &out);
	remove_chunks(strbuf_str(&out), out.data + out.len, &text);
	for (lost = strstr(strbuf_str(&text), "\"slow_reader\",\"count\":"); lost;
	     lost = strstr(lost + 1, "\"slow_reader\",\"count\":")) {
		assert_int_equal(sscanf(lost, "\"slow_reader\",\"count\":%llu", &count), 1);
		lost_total += count;
	}
	assert_true(lost_total > 0);
	assert_int_equal(count_parts(&text, "/not-read-yet") + lost_total, EVENTS + 1);
}

static void followers_are_let_go_when_the_server_stops(void **state)
{
	struct world *w = *state;
	auto_close int fd = follow(w, "");
	char chunk[64];
	ssize_t n;

	w->http = http_close(w->http);
	assert_int_equal(fake_subscribers(w->engine), 0);
	while ((n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		;
	assert_int_equal(n, 0);
}

/* --- sockets --- */

static void a_live_socket_is_refused_and_a_dead_one_replaced(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct world *w = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, lock;

	assert_int_equal(socket_listen_unix(w->path, &error, &lock), -EADDRINUSE);
	assert_non_null(strstr(strbuf_str(&error), w->path));
	assert_non_null(strstr(strbuf_str(&error), "--socket"));

	/* One that was left behind: bound, nobody listens any more. */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/dead", w->dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	fd = socket_listen_unix(address.sun_path, &error, &lock);
	assert_true(fd >= 0);
	close(fd);
	close(lock);
}

static void a_live_socket_without_a_lock_is_refused_too(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct world *w = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int lock;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/live", w->dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(socket_listen_unix(address.sun_path, &error, &lock), -EADDRINUSE);
	assert_non_null(strstr(strbuf_str(&error), "answers"));
}

static void only_sockets_are_replaced(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct world *w = *state;
	char path[64], longest[200];
	int lock;

	snprintf(path, sizeof(path), "%s/file", w->dir);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(socket_listen_unix(path, &error, &lock), -EADDRINUSE);
	assert_int_equal(access(path, F_OK), 0);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(socket_listen_unix(longest, &error, &lock), -ENAMETOOLONG);
}

static void the_socket_is_for_its_group_only(void **state)
{
	struct world *w = *state;
	struct stat st;

	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
}

static void a_busy_port_says_what_to_do(void **state)
{
	auto_strbuf struct strbuf error = STRBUF_INIT;
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char text[32];
	auto_close int fd = socket_listen_tcp("127.0.0.1:0", &error);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(text, sizeof(text), "127.0.0.1:%d",
		 ntohs(((struct sockaddr_in *)&address)->sin_port));
	assert_int_equal(socket_listen_tcp(text, &error), -EADDRINUSE);
	assert_non_null(strstr(strbuf_str(&error), text));
	assert_non_null(strstr(strbuf_str(&error), "--web.listen-address"));
}

static void listen_addresses_are_checked(void **state)
{
	static const char *const wrong[] = {
		"",  "9470",	  "localhost", "::1:9470",	  "[::1]9470",
		":", "[::1:9470", "x:http",    "127.0.0.1:99999", "a.invalid:1"};
	auto_strbuf struct strbuf error = STRBUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		strbuf_reset(&error);
		assert_int_equal(socket_listen_tcp(wrong[i], &error), -EINVAL);
		assert_true(error.len > 0);
	}
}

#define TEST(name)	  cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_PUBLIC(name) cmocka_unit_test_setup_teardown(name, setup_public, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(health_and_readiness_differ),
		TEST(metrics_come_in_the_format_that_is_asked_for),
		cmocka_unit_test(accept_headers_are_weighed),
		cmocka_unit_test(what_is_compressed_comes_out_the_same),
		TEST(a_scrape_is_compressed_on_request_only),
		TEST(unknown_pages_and_methods_are_told_apart),
		TEST_PUBLIC(the_network_sees_four_pages),
		TEST(a_connection_serves_many_requests),
		TEST(requests_are_bounded),
		TEST(reload_works_and_fails_loudly),
		TEST(containers_and_status_fit_their_schemas),
		TEST(a_verification_is_told_with_hostile_names),
		TEST(a_verification_is_asked_for_again_since_the_first_time),
		TEST(a_reference_is_resolved_or_explained),
		TEST(a_long_list_arrives_whole),
		TEST(a_client_that_leaves_a_long_list_is_forgotten),
		TEST(diff_says_whether_it_is_complete),
		TEST(a_layer_that_is_being_read_makes_only_its_request_wait),
		TEST(what_never_settles_is_answered_after_a_while),
		TEST(the_landing_page_escapes_names),
		TEST(events_reach_a_follower_at_once),
		TEST(a_follower_gets_what_it_asked_for),
		TEST(raw_shows_bursts_instead_of_first_writes),
		TEST(a_wrong_filter_is_refused),
		TEST(a_follower_that_left_is_unsubscribed),
		TEST(too_many_followers_are_refused),
		TEST(a_slow_reader_loses_events_and_is_told_how_many),
		TEST(followers_are_let_go_when_the_server_stops),
		TEST(a_live_socket_is_refused_and_a_dead_one_replaced),
		TEST(a_live_socket_without_a_lock_is_refused_too),
		TEST(only_sockets_are_replaced),
		TEST(the_socket_is_for_its_group_only),
		cmocka_unit_test(a_busy_port_says_what_to_do),
		cmocka_unit_test(listen_addresses_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

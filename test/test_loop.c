/* What loop.c waits for, with a server in the same thread; and that it waits for nothing else. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#include "../loop.h"

#define PATIENCE_MS 10000
#define A_WHILE_MS  60
#define BODY_BYTES  ((long)8 << 20) /* more than the buffers of both sockets */

struct stage {
	struct loop loop;
	CURL       *easy;
	int         listener, server; /* -1 = no connection yet */
	long        read;             /* by the server */
	bool        answered;
};

static size_t forget(char *p, size_t size, size_t n, void *arg)
{
	(void)p;
	(void)arg;
	return size * n;
}

static int set_up(void **state)
{
	static struct stage s;
	struct sockaddr_in  at = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t           size = sizeof(at);
	char                url[64];
	struct err          err = { 0 };

	s = (struct stage){ .server = -1, .easy = curl_easy_init() };
	s.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s.listener, (struct sockaddr *)&at, size), 0);
	assert_int_equal(listen(s.listener, 1), 0);
	assert_int_equal(getsockname(s.listener, (struct sockaddr *)&at, &size), 0);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(at.sin_port));
	curl_easy_setopt(s.easy, CURLOPT_URL, url);
	curl_easy_setopt(s.easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(s.easy, CURLOPT_WRITEFUNCTION, forget);
	assert_int_equal(loop_init(&s.loop, curl_multi_init(), &err), 0);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	(void)curl_multi_remove_handle(s->loop.multi, s->easy);
	curl_easy_cleanup(s->easy);
	(void)curl_multi_cleanup(s->loop.multi);
	loop_fini(&s->loop);
	close_p(&s->server);
	close_p(&s->listener);
	return 0;
}

/* It accepts, reads @much of the request, and answers. Not one step waits. */
static void serve(struct stage *s, long much)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
	static char       some[64 << 10];
	ssize_t           n = 0;

	if (s->server < 0)
		s->server = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (s->server >= 0 && (n = read(s->server, some, sizeof(some))) > 0)
		s->read += n;
	if (s->read >= much && !s->answered)
		s->answered = write(s->server, answer, sizeof(answer) - 1) > 0;
}

static void exchange(struct stage *s, long much)
{
	int64_t  until = now_ms() + PATIENCE_MS;
	CURLMsg *m = NULL;
	int      queued;
	bool     readable;

	assert_int_equal(curl_multi_add_handle(s->loop.multi, s->easy), CURLM_OK);
	while (!m && now_ms() < until) {
		assert_int_equal(loop_act(&s->loop), CURLM_OK);
		serve(s, much);
		assert_int_equal(loop_wait(&s->loop, -1, now_ms() + 2, &readable), CURLM_OK);
		m = curl_multi_info_read(s->loop.multi, &queued);
	}
	assert_int_equal(m ? m->data.result : CURLE_OPERATION_TIMEDOUT, CURLE_OK);
}

/* It may return early, but not again and again. */
static void assert_waits(struct stage *s)
{
	int64_t  until = now_ms() + A_WHILE_MS;
	unsigned returns = 0;
	bool     readable = false;

	while (now_ms() < until && !readable) {
		assert_int_equal(loop_wait(&s->loop, -1, until, &readable), CURLM_OK);
		returns++;
	}
	assert_false(readable);
	assert_in_range(returns, 0, 5);
}

static void a_wake_ends_one_wait(void **state)
{
	struct stage *s = *state;
	int64_t       since = now_ms();
	bool          readable;

	loop_wake(&s->loop);
	loop_wake(&s->loop);
	assert_int_equal(loop_wait(&s->loop, -1, since + PATIENCE_MS, &readable), CURLM_OK);
	assert_true(now_ms() - since < PATIENCE_MS / 2);
	assert_waits(s);
}

static void a_connection_that_is_kept_wakes_nobody(void **state)
{
	struct stage *s = *state;

	exchange(s, 1);
	close_p(&s->server);
	assert_waits(s);
}

/* The server reads 64 kB at a time, and the rest has to wait until it can be written. */
static void a_body_larger_than_the_buffers_is_sent(void **state)
{
	struct stage      *s = *state;
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	char              *body = calloc(1, (size_t)BODY_BYTES);

	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE, BODY_BYTES);
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, body);
	exchange(s, BODY_BYTES);
	assert_true(s->read > BODY_BYTES);
	curl_slist_free_all(headers);
	free(body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_wake_ends_one_wait),
		TEST(a_connection_that_is_kept_wakes_nobody),
		TEST(a_body_larger_than_the_buffers_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Pages of queues and answers of RabbitMQ's management API. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../rabbitmq.h"
#include "unit.h"

/* @pattern: of job `1-1`; a `*` at its end makes a prefix. */
static int decode_page(const char *json, const char *pattern, unsigned number,
		       struct rabbitmq_page *page)
{
	struct err     err = { 0 };
	struct pattern p;

	assert_int_equal(pattern_parse(pattern, strlen(pattern), "1-1", &p, NULL), 0);
	int r = rabbitmq_page_decode(json, strlen(json), &p, "1-1", number, page, &err);

	assert_int_equal(r < 0, err.code != 0);
	return r;
}

static int decode(const char *json, const char *pattern, struct rabbitmq_page *page)
{
	return decode_page(json, pattern, 1, page);
}

static void names_that_start_with_the_prefix(void **state)
{
	struct rabbitmq_page page;

	(void)state;
	assert_int_equal(
		decode("{\"filtered_count\":7,\"item_count\":5,\"page\":1,\"page_count\":1,"
		       "\"items\":["
		       "{\"name\":\"grpc-job-1-1-a\"},{\"name\":\"grpc-job-1-10-a\"},"
		       "{\"name\":\"GRPC-job-1-1-b\"},{\"name\":\"x-grpc-job-1-1-a\"},"
		       "{\"name\":\"grpc-job-1-1-\\u00e4/ %\"},{\"name\":\"grpc-job-1-1\"},"
		       "{\"name\":\"\"}]}",
		       "grpc-job-1-1-*", &page),
		0);
	assert_int_equal(page.count, 2);
	assert_string_equal(page.names[0], "grpc-job-1-1-a");
	assert_string_equal(page.names[1], "grpc-job-1-1-\xc3\xa4/ %");
	assert_true(page.last);
}

static void the_last_page(void **state)
{
	static const struct {
		const char *json;
		bool        last;
	} rows[] = {
		{ "{\"items\":[],\"page\":1,\"page_count\":0}", true },
		{ "{\"items\":[],\"page\":1,\"page_count\":1}", true },
		{ "{\"items\":[],\"page\":1,\"page_count\":2}", false },
		{ "{\"items\":[],\"page\":2,\"page_count\":2}", true },
	};
	struct rabbitmq_page page;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(decode(rows[i].json, "1-1*", &page), 0);
		assert_int_equal(page.last, rows[i].last);
	}
}

static void what_is_no_page_is_an_error(void **state)
{
	static const char *const rows[] = {
		"",
		"{",
		"null",
		"[]",
		"[{\"name\":\"1-1\"}]",
		"{}",
		"{\"items\":null,\"page\":1,\"page_count\":1}",
		"{\"items\":[],\"page\":1}",
		"{\"items\":[],\"page\":\"1\",\"page_count\":1}",
		"{\"items\":[{}],\"page\":1,\"page_count\":1}",
		"{\"items\":[null],\"page\":1,\"page_count\":1}",
		"{\"items\":[{\"name\":7}],\"page\":1,\"page_count\":1}",
		"{\"items\":[{\"name\":\"1-1\\u0000x\"}],\"page\":1,\"page_count\":1}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rabbitmq_page page = { .count = 77 };
		print_message("  '%s'\n", rows[i]);
		assert_true(decode(rows[i], "1-1*", &page) < 0);
		assert_int_equal(page.count, 77); /* untouched */
	}
}

/* @count names of @length letters, all of them ours. */
static int decode_many(int count, int length, struct rabbitmq_page *page)
{
	struct buf b = { .max = 1 << 20 };
	char       name[400];

	memset(name, 'p', sizeof(name));
	name[0] = name[2] = '1';
	name[1] = '-';
	assert_int_equal(buf_printf(&b, "{\"page\":1,\"page_count\":1,\"items\":["), 0);
	for (int i = 0; i < count; i++)
		assert_int_equal(
			buf_printf(&b, "%s{\"name\":\"%.*s\"}", i ? "," : "", length, name), 0);
	assert_int_equal(buf_printf(&b, "]}"), 0);
	int r = decode(b.data, "1-1*", page);
	buf_fini(&b);
	return r;
}

static void names_and_pages_have_limits(void **state)
{
	struct rabbitmq_page page;

	(void)state;
	assert_int_equal(decode_many(RABBITMQ_PAGE_SIZE, 255, &page), 0);
	assert_int_equal(page.count, RABBITMQ_PAGE_SIZE);
	assert_int_equal(strlen(page.names[99]), 255);
	assert_true(decode_many(RABBITMQ_PAGE_SIZE + 1, 10, &page) < 0);
	assert_true(decode_many(1, 256, &page) < 0); /* never cut: one deletes by it */
}

/* A name needs no walk over all queues, and a page of them is no answer to it. */
static void the_one_queue(void **state)
{
	static const struct {
		const char *json;
		int         status;
	} rows[] = {
		{ "{\"name\":\"focus.1-1\"}", 0 },
		{ "{\"name\":\"focus.1-10\"}", -EBADMSG },
		{ "{\"name\":\"focus.1-1\\u0000\"}", -EBADMSG },
		{ "{\"name\":\"Focus.1-1\"}", -EBADMSG },
		{ "{\"items\":[{\"name\":\"focus.1-1\"}],\"page\":1,\"page_count\":1}", -EBADMSG },
		{ "{}", -EBADMSG },
		{ "[]", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rabbitmq_page page = { .count = 77 };
		print_message("  '%s'\n", rows[i].json);
		assert_int_equal(decode_page(rows[i].json, "focus.1-1", 0, &page), rows[i].status);
		assert_int_equal(page.count, rows[i].status ? 77 : 1);
		if (rows[i].status == 0)
			assert_true(page.last && strcmp(page.names[0], "focus.1-1") == 0);
	}
}

/* Where nobody knows if it is the virtual host that is not there: of its page, only that name. */
static void a_page_of_the_one_queue(void **state)
{
	struct rabbitmq_page page;

	(void)state;
	assert_int_equal(decode("{\"page\":1,\"page_count\":1,\"items\":[{\"name\":\"focus.1-10\"},"
				"{\"name\":\"focus.1-1\"},{\"name\":\"x-focus.1-1\"}]}",
				"focus.1-1", &page),
			 0);
	assert_int_equal(page.count, 1);
	assert_string_equal(page.names[0], "focus.1-1");
}

static void answers(void **state)
{
	static const struct {
		CURLcode             transport;
		long                 status;
		const char          *body;
		enum rabbitmq_answer want;
		const char          *words;
	} rows[] = {
		{ CURLE_OK, 200, "{}", RABBITMQ_OK, "" },
		{ CURLE_OK, 204, NULL, RABBITMQ_OK, "" },
		{ CURLE_OK, 401, "{\"error\":\"not_authorized\",\"reason\":\"Login failed\"}",
		  RABBITMQ_DENIED, "Login failed" },
		{ CURLE_OK, 401,
		  "{\"error\":\"not_authorised\",\"reason\":\"HTTP access denied: basic auth "
		  "disabled\"}",
		  RABBITMQ_DENIED,
		  "HTTP access denied: basic auth disabled (management.disable_basic_auth: it "
		  "takes "
		  "no passwords)" },
		{ CURLE_OK, 403, NULL, RABBITMQ_DENIED, "no body" },
		{ CURLE_OK, 404, "{\"error\":\"Object Not Found\",\"reason\":\"Not Found\"}",
		  RABBITMQ_ABSENT, "Not Found" },
		{ CURLE_OK, 400,
		  "{\"error\":\"bad_request\",\"reason\":\"cannot obtain exclusive access\"}",
		  RABBITMQ_REFUSED, "cannot obtain exclusive access" },
		/* in other words than the broker's: some proxy's */
		{ CURLE_OK, 404, "{\"reason\":\"Not Found\"}", RABBITMQ_TROUBLE, "Not Found" },
		{ CURLE_OK, 404, "404 page not found", RABBITMQ_TROUBLE, "404 page not found" },
		{ CURLE_OK, 400, "{\"reason\":\"no\"}", RABBITMQ_TROUBLE, "no" },
		{ CURLE_OK, 405, "no", RABBITMQ_TROUBLE, "no" },
		{ CURLE_OK, 405, "{\"error\":\"Method Not Allowed\"}", RABBITMQ_REFUSED,
		  "{\"error\":\"Method Not Allowed\"}" },
		{ CURLE_OK, 500, "{\"error\":\"x\"}", RABBITMQ_TROUBLE, "{\"error\":\"x\"}" },
		{ CURLE_OK, 408, "slow", RABBITMQ_TROUBLE, "slow" },
		{ CURLE_OK, 429, "busy", RABBITMQ_TROUBLE, "busy" },
		{ CURLE_OK, 302, "", RABBITMQ_TROUBLE, "no body" },
		{ CURLE_OK, 503, "down", RABBITMQ_TROUBLE, "down" },
		{ CURLE_RECV_ERROR, 200, "{}", RABBITMQ_TROUBLE, "cut off" },
		{ CURLE_COULDNT_CONNECT, 0, NULL, RABBITMQ_TROUBLE, "cut off" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char body[200] = "";
		(void)snprintf(body, sizeof(body), "%s", rows[i].body ? rows[i].body : "");
		struct http_response r = {
			.transport = rows[i].transport,
			.status = rows[i].status,
			.body = { .data = rows[i].body ? body : NULL, .len = strlen(body) },
			.detail = "cut off",
		};
		char words[256];
		assert_int_equal(rabbitmq_judge(&r, words, sizeof(words)), rows[i].want);
		assert_string_equal(words, rows[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_start_with_the_prefix),
		cmocka_unit_test(the_last_page),
		cmocka_unit_test(what_is_no_page_is_an_error),
		cmocka_unit_test(names_and_pages_have_limits),
		cmocka_unit_test(the_one_queue),
		cmocka_unit_test(a_page_of_the_one_queue),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

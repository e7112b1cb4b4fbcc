/* Whose memory a document is. */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/wait.h>

#include "unit.h"

#include "../json.h"

static json_t *read_text(const char *text)
{
	struct err err = { 0 };
	json_t    *root = json_read(text, strlen(text), &err);

	if (!root)
		fail_msg("%s: %s", text, err.msg);
	return root;
}

static void one_is_read_while_another_is_looked_at(void **state)
{
	(void)state;
	AUTO_JSON json_t *outer = read_text("{\"a\":\"outer\"}");
	{
		AUTO_JSON json_t *inner = read_text("{\"a\":\"inner\"}");
		assert_string_equal(json_text(inner, "a"), "inner");
		assert_null(json_read("{", 1, NULL));
		assert_null(json_read("[]", 2, NULL));
	}
	assert_string_equal(json_text(outer, "a"), "outer");
}

static void what_is_written_is_not_of_a_document(void **state)
{
	(void)state;
	json_t         *ours = json_pack("{s:s}", "b", "ours");
	AUTO_FREE char *line = NULL;
	{
		AUTO_JSON json_t *root = read_text("{\"a\":\"theirs\"}");
		line = json_dumps(root, JSON_COMPACT);
	}
	assert_string_equal(line, "{\"a\":\"theirs\"}");
	assert_string_equal(json_text(ours, "b"), "ours");
	json_decref(ours);
}

/* Larger than a chunk or not, it is there whole, and gone whole. */
static void a_document_is_as_large_as_it_is(void **state)
{
	static char text[300000];

	(void)state;
	for (int n = 1; n < 200000; n = 3 * n + 1) {
		int len = snprintf(text, sizeof(text), "{\"a\":1,\"long\":\"%0*d\",\"z\":[1,2]}", n,
				   0);
		size_t  before = mallinfo2().uordblks;
		json_t *root = json_read(text, (size_t)len, NULL);
		assert_int_equal(strlen(json_text(root, "long")), n);
		assert_int_equal(json_array_size(json_object_get(root, "z")), 2);
		json_drop(&root);
		assert_null(json_read(text, (size_t)len - 1, NULL)); /* half of it */
		assert_int_equal(mallinfo2().uordblks, before);
	}
}

#ifndef __SANITIZE_ADDRESS__ /* it has its own malloc */

#define UID   "0b9c5a5e-7f3d-4c55-9d3e-2f1a6f0c8e11"
#define LARGE ((size_t)32 << 10) /* the second chunk, and no first one */

extern void *__libc_malloc(size_t n); /* glibc's own, under a name that nobody replaces */

static bool no_large_ones;

void *malloc(size_t n) /* NOLINT(readability-inconsistent-declaration-parameter-name) */
{
	return no_large_ones && n >= LARGE ? NULL : __libc_malloc(n);
}

/* Where there is no second chunk: the exit status, 2 if the program went on. */
static int read_in_one_chunk(const char *text)
{
	int   status;
	pid_t child = fork();

	if (child == 0) {
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		no_large_ones = true;
		const char *uid = json_text(json_read(text, strlen(text), NULL), "uid");
		_exit(uid && strcmp(uid, UID) == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A string of 32 bytes and more moves: libjansson 2.14 loses a character where it cannot. */
static void nothing_is_misread_where_memory_runs_out(void **state)
{
	static char text[8000];
	unsigned    ends[3] = { 0 };

	(void)state;
	for (int items = 0; items < 500; items++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "{\"a\":[[");
		for (int i = 1; i <= items; i++) /* 32 bytes each */
			n += (size_t)snprintf(text + n, sizeof(text) - n, "1%s",
					      i % 8 ? "," : "],[");
		(void)snprintf(text + n, sizeof(text) - n, "0]],\"uid\":\"" UID "\"}");
		int status = read_in_one_chunk(text);
		assert_in_range(status, 0, 1);
		ends[status]++;
	}
	assert_true(ends[0] && ends[1]);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_ADDRESS__
		cmocka_unit_test(nothing_is_misread_where_memory_runs_out),
#endif
		cmocka_unit_test(one_is_read_while_another_is_looked_at),
		cmocka_unit_test(what_is_written_is_not_of_a_document),
		cmocka_unit_test(a_document_is_as_large_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

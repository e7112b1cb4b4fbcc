/* Whose memory a document is. */
#include <malloc.h>
#include <stdio.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_is_read_while_another_is_looked_at),
		cmocka_unit_test(what_is_written_is_not_of_a_document),
		cmocka_unit_test(a_document_is_as_large_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

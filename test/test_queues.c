/*
 * The walk over the broker's queues: pages, what stays and why, and whose a queue is. The names
 * are told without our prefix; the broker and the API server answer as a row has it.
 */
#include "walk.h"

static const struct row rows[] = {
	{ "nothing is there", { "[" }, { "list 1", "walked" } },
	{ "each goes by its name",
	  { "[a b", "ok", "ok", "[" },
	  { "list 1", "delete a", "delete b", "list 1", "walked" } },
	{ "absent is success",
	  { "[a", "absent", "[" },
	  { "list 1", "delete a", "list 1", "walked" } },
	{ "pages in their order",
	  { "[ +", "[ +", "[" },
	  { "list 1", "list 2", "list 3", "walked" } },
	{ "where queues went, those behind have moved up: the same page again",
	  { "[a +", "ok", "[b +", "ok", "[ +", "[" },
	  { "list 1", "delete a", "list 1", "delete b", "list 1", "list 2", "walked" } },
	{ "the pages have become fewer", { "[ +", "absent" }, { "list 1", "list 2", "walked" } },
	{ "... or the broker calls that a bad request",
	  { "[ +", "in-use" },
	  { "list 1", "list 2", "walked" } },
	{ "a page that went altogether, on the last one",
	  { "[ +", "[a", "ok", "absent" },
	  { "list 1", "list 2", "delete a", "list 2", "walked" } },
	{ "a broker that does not answer is asked again",
	  { "trouble", "[" },
	  { "list 1", "list 1", "walked" } },
	{ "... and in the middle",
	  { "[ +", "trouble", "[" },
	  { "list 1", "list 2", "list 2", "walked" } },
	/* one that cannot be deleted does not hold up those behind it, and is named */
	{ "one is in use",
	  { "[a b", "in-use", "ok", "[a" },
	  { "list 1", "delete a", "delete b", "list 1", "walked, stays: a" } },
	{ "one gets 500",
	  { "[a b", "trouble", "ok", "[a" },
	  { "list 1", "delete a", "delete b", "list 1", "walked, stays: a" } },
	{ "one is forbidden",
	  { "[a b", "denied", "ok", "[a" },
	  { "list 1", "delete a", "delete b", "list 1", "walked, stays: a" } },
	{ "both stay",
	  { "[a b", "in-use", "in-use" },
	  { "list 1", "delete a", "delete b", "walked, stays: a b" } },
	{ "a page of those that stay, and another behind it",
	  { "[a +", "in-use", "[b", "ok", "[" },
	  { "list 1", "delete a", "list 2", "delete b", "list 2", "walked, stays: a" } },
	{ "200, and it is still there",
	  { "[a b", "ok", "ok", "[a" },
	  { "list 1", "delete a", "delete b", "list 1", "walked, stays: a" } },
	{ "... on whichever page",
	  { "[ +", "[a b", "ok", "ok", "[b" },
	  { "list 1", "list 2", "delete a", "delete b", "list 2", "walked, stays: b" } },
	{ "a new one is none that is still there",
	  { "[a", "ok", "[b", "ok", "[" },
	  { "list 1", "delete a", "list 1", "delete b", "list 1", "walked" } },
	{ "of two lists ago: declared again",
	  { "[a", "ok", "[b", "ok", "[a", "ok", "[" },
	  { "list 1", "delete a", "list 1", "delete b", "list 1", "delete a", "list 1",
	    "walked" } },
	{ "... on a page behind it",
	  { "[a +", "ok", "[ +", "[a", "ok", "[" },
	  { "list 1", "delete a", "list 1", "list 2", "delete a", "list 2", "walked" } },
	/* names can continue each other: each dash behind our prefix is a Job to be asked about */
	{ "no such Job: it is ours",
	  { "[7-x", "absent", "ok", "[" },
	  { "list 1", "job 7", "delete 7-x", "list 1", "walked" } },
	{ "that Job's", { "[7-x", "ok" }, { "list 1", "job 7", "walked" } },
	{ "each is asked about anew",
	  { "[7-x 7-y", "absent", "ok", "absent", "ok", "[" },
	  { "list 1", "job 7", "delete 7-x", "job 7", "delete 7-y", "list 1", "walked" } },
	{ "another one behind that Job's",
	  { "[7-x y", "ok", "ok", "[7-x", "ok" },
	  { "list 1", "job 7", "delete y", "list 1", "job 7", "walked" } },
	{ "nobody can tell: it stays, and is named",
	  { "[7-x y", "trouble", "ok", "[7-x" },
	  { "list 1", "job 7", "delete y", "list 1", "walked, stays: 7-x" } },
	{ "... also where that is refused",
	  { "[7-x", "denied" },
	  { "list 1", "job 7", "walked, stays: 7-x" } },
	{ "at each dash",
	  { "[1-2-x", "absent", "absent", "ok", "[" },
	  { "list 1", "job 1", "job 1-2", "delete 1-2-x", "list 1", "walked" } },
	{ "the second is one",
	  { "[1-2-x", "absent", "ok" },
	  { "list 1", "job 1", "job 1-2", "walked" } },
	{ "a dash at the end",
	  { "[x-", "absent", "ok", "[" },
	  { "list 1", "job x", "delete x-", "list 1", "walked" } },
	{ "no Job has such a name",
	  { "[X-y", "ok", "[" },
	  { "list 1", "delete X-y", "list 1", "walked" } },
	{ "... but one behind it may",
	  { "[a.-b-c", "ok", "[" },
	  { "list 1", "delete a.-b-c", "list 1", "walked" } },
	{ "an id may have dashes in a row",
	  { "[--7-x", "absent", "ok", "[" },
	  { "list 1", "job --7", "delete --7-x", "list 1", "walked" } },
	{ "an id has at least a letter",
	  { "[7--x", "absent", "ok", "[" },
	  { "list 1", "job 7", "delete 7--x", "list 1", "walked" } },
	{ "nothing behind the prefix",
	  { "[- -7", "ok", "ok", "[" },
	  { "list 1", "delete -", "delete -7", "list 1", "walked" } },
};

static void walks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		play(&rows[i], false);
}

/* Told on one queue, in this order; what is known at the end. */
static const struct {
	const char *sentence;
	const char *answers[12];
	bool        final, hopeless, answered;
	unsigned    deleted, walks;
	const char *why;
} told[] = {
	{ "all went", { "[a b", "ok", "absent", "[" }, false, true, true, 1, 0, "" },
	{ "in use: it may be free later", { "[a", "in-use" }, false, false, true, 0, 1, "in-use" },
	{ "forbidden: another try will not help",
	  { "[a", "denied" },
	  false,
	  true,
	  true,
	  0,
	  1,
	  "denied" },
	{ "forbidden, and in use",
	  { "[a b", "denied", "in-use" },
	  false,
	  false,
	  true,
	  0,
	  1,
	  "in-use" },
	{ "in use, and forbidden",
	  { "[a b", "in-use", "denied" },
	  false,
	  false,
	  true,
	  0,
	  1,
	  "denied" },
	{ "no answer", { "[a b", "trouble", "in-use" }, false, false, false, 0, 1, "in-use" },
	{ "nobody knows whose it is",
	  { "[7-x", "trouble" },
	  false,
	  false,
	  false,
	  0,
	  1,
	  "it may be another job's" },
	{ "nor if that is refused",
	  { "[7-x", "denied" },
	  false,
	  false,
	  false,
	  0,
	  1,
	  "it may be another job's" },
	{ "still there", { "[a", "ok", "[a" }, false, false, false, 1, 1, "it is still there" },
	{ "the user is wrong for this one", { "[a", "login" }, false, true, true, 0, 1, "login" },
	{ "no such virtual host: final", { "absent" }, true, false, false, 0, 0, "" },
	{ "the user may not list: final", { "denied" }, true, false, false, 0, 0, "" },
	{ "... nor by another no", { "login" }, true, false, false, 0, 0, "" },
	{ "a bad request on the first page is none", { "in-use" }, false, false, false, 0, 0, "" },
	{ "final in the middle", { "[ +", "login" }, true, true, true, 0, 0, "" },
};

static void what_stays(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(told); i++) {
		static struct queues q;

		print_message("  %s\n", told[i].sentence);
		q = (struct queues){ 0 };
		queues_restart(&q);
		for (size_t a = 0; a < 12 && told[i].answers[a]; a++)
			take_answer(&q, told[i].answers[a], 10 * a + 10, 5000);
		assert_int_equal(q.final, told[i].final);
		assert_int_equal(q.hopeless, told[i].hopeless);
		assert_int_equal(q.answered, told[i].answered);
		assert_int_equal(q.deleted, told[i].deleted);
		assert_int_equal(q.walks, told[i].walks);
		assert_string_equal(q.why, told[i].why);
	}
}

/* Walks in a row that leave queues are counted; one that leaves none ends the row. */
static void walk_by_walk(void **state)
{
	static struct queues q;

	(void)state;
	q = (struct queues){ 0 };
	for (uint64_t n = 1; n <= 3; n++) {
		queues_restart(&q);
		assert_string_equal(at_hand(&q), "list 1");
		assert_int_equal(q.refused.count, n > 1); /* still to be named until it is listed */
		take_answer(&q, "[a", 100 * n, 5000);
		assert_int_equal(q.refused.count, 0);
		assert_true(q.began == 100 * n && q.page_at == 100 * n + 1);
		take_answer(&q, "in-use", 100 * n + 10, 5000);
		assert_int_equal(q.walks, n);
	}
	queues_restart(&q);
	take_answer(&q, "[a", 1000, 5000); /* tried again: what stayed once may go */
	assert_string_equal(at_hand(&q), "delete a");
	take_answer(&q, "ok", 1010, 5000);
	take_answer(&q, "[b +", 1020, 5000);
	assert_true(q.began == 1000 && q.page_at == 1021);
	take_answer(&q, "ok", 1030, 5000);
	take_answer(&q, "[", 1040, 5000);
	assert_string_equal(at_hand(&q), "walked");
	assert_true(q.walks == 0 && q.deleted == 2);
	queues_restart(&q);
	take_answer(&q, "[a", 2000, 5000); /* of the last walk: it may be a new one */
	assert_string_equal(at_hand(&q), "delete a");
}

/* A refused queue is tried so long since one went. */
static void since(void **state)
{
	static struct queues q;

	(void)state;
	q = (struct queues){ 0 };
	queues_restart(&q);
	take_answer(&q, "trouble", 10, 5000);
	assert_true(q.since_ms == 5000); /* the walk began, if to no avail */
	take_answer(&q, "[a b c", 20, 6000);
	assert_true(q.since_ms == 5000);
	take_answer(&q, "in-use", 30, 7000);
	assert_true(q.since_ms == 5000);
	take_answer(&q, "ok", 40, 8000);
	assert_true(q.since_ms == 8000);
	take_answer(&q, "absent", 50, 9000);
	assert_true(q.since_ms == 8000);
}

/* A broker that has ever one more page does not keep us. */
static void more_pages_than_can_be(void **state)
{
	static struct queues q;
	uint64_t             lists = 0;

	(void)state;
	q = (struct queues){ 0 };
	queues_restart(&q);
	while (q.step == QUEUES_LIST && lists < 1000) {
		take_answer(&q, "[ +", 10 * ++lists, 5000);
		assert_true(q.step == QUEUES_LIST || lists == QUEUES_MAX_PAGES);
	}
	assert_string_equal(at_hand(&q), "walked, stays: ...");
	assert_string_equal(q.why, "more pages than can be");
	assert_false(q.hopeless);
	queues_restart(&q);
	take_answer(&q, "[", 1, 5000);
	assert_string_equal(at_hand(&q), "walked");
}

/* Nor does one whose queues are declared again as soon as they have gone. */
static void queues_that_come_back(void **state)
{
	static struct queues q;
	uint64_t             lists = 0;
	char                 page[20];

	(void)state;
	q = (struct queues){ 0 };
	queues_restart(&q);
	while (q.step != QUEUES_WALKED && lists < 1000) {
		(void)snprintf(page, sizeof(page), "[%c", lists++ % 2 ? 'a' : 'b');
		take_answer(&q, page, 10, 5000);
		if (q.step == QUEUES_DELETE)
			take_answer(&q, "ok", 10, 5000);
	}
	assert_int_equal(lists, QUEUES_MAX_PAGES);
	assert_string_equal(at_hand(&q), "walked, stays: ...");
	queues_restart(&q);
	take_answer(&q, "[a", 20, 5000); /* a walk of its own */
	assert_string_equal(at_hand(&q), "delete a");
	take_answer(&q, "ok", 30, 5000);
	queues_restart(&q);
	take_answer(&q, "[a b", 40, 5000);
	assert_string_equal(at_hand(&q), "delete a");
}

/* A name that is longer than a Job's can be is not asked about. */
static void a_name_that_is_too_long(void **state)
{
	static const struct {
		size_t length; /* of the name up to the dash at its end */
		bool   asked;
	} lengths[] = { { 253, true }, { 254, false } };
	static struct rabbitmq_page page;
	static struct queues        q;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct asked_answer r = { .what = K8S_OK };

		q = (struct queues){ 0 };
		queues_restart(&q);
		page = (struct rabbitmq_page){ .last = true, .count = 1 };
		memset(page.names[0], 'x', lengths[i].length);
		memcpy(page.names[0], PREFIX, strlen(PREFIX));
		page.names[0][lengths[i].length] = '-';
		queues_fold_list(&q, &cfg, &r, &page, 1, 5000);
		assert_int_equal(q.step, lengths[i].asked ? QUEUES_NEIGHBOUR : QUEUES_DELETE);
	}
}

/*
 * More that stay than can be named: none is written behind the end, and each is counted but once,
 * also where one went and its page is listed again.
 */
static void more_than_can_be_named(void **state)
{
	static struct queues q;

	(void)state;
	q = (struct queues){ 0 };
	queues_restart(&q);
	for (int n = 0; n < 4; n++) {
		struct buf page = { .max = 1000 };

		assert_int_equal(buf_printf(&page, "[%s", n < 2 ? "+ " : ""), 0);
		for (int i = n == 3; i < 60; i++)
			assert_int_equal(buf_printf(&page, "%c%d ", "abcc"[n], i), 0);
		take_answer(&q, page.data, 10, 5000);
		if (n == 2)
			take_answer(&q, "ok", 10, 5000);
		while (q.step == QUEUES_DELETE)
			take_answer(&q, "in-use", 10, 5000);
		buf_fini(&page);
	}
	assert_int_equal(q.refused.count, RABBITMQ_PAGE_SIZE);
	assert_int_equal(q.more, 79);
	assert_int_equal(q.step, QUEUES_WALKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks),
		cmocka_unit_test(what_stays),
		cmocka_unit_test(walk_by_walk),
		cmocka_unit_test(since),
		cmocka_unit_test(more_pages_than_can_be),
		cmocka_unit_test(queues_that_come_back),
		cmocka_unit_test(a_name_that_is_too_long),
		cmocka_unit_test(more_than_can_be_named),
	};

	return cmocka_run_group_tests_name("queues", tests, NULL, NULL);
}

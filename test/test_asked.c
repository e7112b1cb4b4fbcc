/* When a request may be asked again: one kind of retry, one cap, one way to take a refusal. */
#include "unit.h"

#include "../asked.h"

#define NOW INT64_C(1000000)

/* The pause behind an answer, the last of a row of them. */
struct row {
	const char *answers; /* o: OK, n: absent, t: trouble, u: unreachable, c: conflict, x: 410,
				1: 401, r: refused */
	uint32_t rnd;
	int64_t  retry_after_ms;
	unsigned believed;
	bool     hurry;
	int64_t  pause_ms;
};

static enum k8s_answer what_of(char c)
{
	return c == 'o'   ? K8S_OK
	       : c == 'n' ? K8S_ABSENT
	       : c == 'u' ? K8S_UNREACHABLE
	       : c == 'c' ? K8S_CONFLICT
	       : c == 'x' ? K8S_EXPIRED
	       : c == '1' ? K8S_UNAUTHORIZED
	       : c == 'r' ? K8S_REFUSED
			  : K8S_TROUBLE;
}

static void take_all(struct asked *a, const struct row *row)
{
	for (const char *c = row->answers; *c; c++) {
		struct asked_answer r = { .what = what_of(*c),
					  .sent = 10,
					  .rnd = row->rnd,
					  .retry_after_ms = c[1] ? 0 : row->retry_after_ms };
		asked_take(a, &r, 11, row->believed ? row->believed : 2, row->hurry, NOW);
	}
}

static const struct row pauses_rows[] = {
	/* an answer that tells something: no pause */
	{ .answers = "o", .pause_ms = -NOW },
	{ .answers = "n", .pause_ms = -NOW },
	{ .answers = "tttttto", .pause_ms = -NOW },
	{ .answers = "rrrro", .pause_ms = -NOW },
	/* exponential backoff and jitter, 0.5 s to 30 s */
	{ .answers = "t", .pause_ms = 500 },
	{ .answers = "t", .rnd = 500, .pause_ms = 1000 },
	{ .answers = "t", .rnd = 501, .pause_ms = 500 },
	{ .answers = "u", .pause_ms = 500 },
	{ .answers = "c", .pause_ms = 500 },
	{ .answers = "x", .pause_ms = 500 },
	{ .answers = "1", .pause_ms = 500 },
	{ .answers = "tt", .pause_ms = 1000 },
	{ .answers = "ttt", .pause_ms = 2000 },
	{ .answers = "tuc", .pause_ms = 2000 },
	{ .answers = "tttttttttttt", .pause_ms = 15000 },
	{ .answers = "tttttttttttt", .rnd = 15000, .pause_ms = 30000 },
	{ .answers = "ttto"
		     "t",
	  .pause_ms = 500 },
	{ .answers = "tttn"
		     "t",
	  .pause_ms = 500 },
	{ .answers = "tttr"
		     "t",
	  .pause_ms = 500 },
	/* never sooner than Retry-After, of which at most 60 s are believed */
	{ .answers = "t", .retry_after_ms = 7000, .pause_ms = 7000 },
	{ .answers = "t", .retry_after_ms = 100, .pause_ms = 500 },
	{ .answers = "t", .retry_after_ms = 60000, .pause_ms = 60000 },
	{ .answers = "t", .retry_after_ms = 3600000, .pause_ms = 60000 },
	{ .answers = "r", .retry_after_ms = 30000, .pause_ms = 30000 },
	{ .answers = "rr", .retry_after_ms = 30000, .pause_ms = 60000 },
	{ .answers = "rr", .retry_after_ms = 3600000, .pause_ms = 60000 },
	/* a refusal is believed for a minute, then asked again, the pause doubling to 5 */
	{ .answers = "r", .pause_ms = 1000 },
	{ .answers = "rr", .pause_ms = 60000 },
	{ .answers = "rrr", .pause_ms = 120000 },
	{ .answers = "rrrr", .pause_ms = 240000 },
	{ .answers = "rrrrr", .pause_ms = 300000 },
	{ .answers = "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr",
	  .pause_ms = 300000 },
	{ .answers = "rrtr", .pause_ms = 120000 }, /* trouble is no other answer */
	{ .answers = "rror", .pause_ms = 1000 },
	{ .answers = "rrnr", .pause_ms = 1000 },
	/* ... with an eighth of jitter */
	{ .answers = "r", .rnd = 125, .pause_ms = 1125 },
	{ .answers = "r", .rnd = 126, .pause_ms = 1000 },
	{ .answers = "rr", .rnd = 7500, .pause_ms = 67500 },
	{ .answers = "rr", .rnd = 7501, .pause_ms = 60000 },
	/* where more of them make one */
	{ .answers = "rrrrr", .believed = 6, .pause_ms = 16000 },
	{ .answers = "rrrrrr", .believed = 6, .pause_ms = 60000 },
	{ .answers = "rrrrrrr", .believed = 6, .pause_ms = 120000 },
	{ .answers = "rrrrrrrrr", .believed = 20, .pause_ms = 60000 },
	{ .answers = "r", .believed = 1, .pause_ms = 60000 },
	/* in a teardown: 1, 2, 4 ... s */
	{ .answers = "r", .hurry = true, .pause_ms = 1000 },
	{ .answers = "rr", .hurry = true, .pause_ms = 2000 },
	{ .answers = "rrr", .hurry = true, .pause_ms = 4000 },
	{ .answers = "rrrrrr", .hurry = true, .pause_ms = 32000 },
	{ .answers = "rrrrrrr", .hurry = true, .pause_ms = 60000 },
	{ .answers = "rrrrrrrrrrrrrrr", .hurry = true, .pause_ms = 60000 },
};

static void pauses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pauses_rows); i++) {
		struct asked a = { 0 };

		print_message("  '%s'\n", pauses_rows[i].answers);
		take_all(&a, &pauses_rows[i]);
		assert_int_equal(a.due_ms - NOW, pauses_rows[i].pause_ms);
		assert_int_equal(a.patience_ms,
				 pauses_rows[i].retry_after_ms
					 ? NOW + min_ms(pauses_rows[i].retry_after_ms, 60000)
					 : 0);
	}
}

/* What is kept of an answer, and what of none but one that told something. */
static void what_is_kept(void **state)
{
	struct asked        a = { 0 };
	struct asked_answer r = { .what = K8S_TROUBLE, .sent = 3, .sent_ms = 30, .status = 503 };

	(void)state;
	asked_take(&a, &r, 4, 2, false, NOW);
	assert_true(a.sent == 3 && a.sent_ms == 30 && a.status == 503 && a.failed == 1);
	assert_true(a.told == 0 && a.told_at == 0 && a.told_ms == 0);

	r = (struct asked_answer){ K8S_OK, 5, 50, 200, 0, NULL, 0 };
	asked_take(&a, &r, 6, 2, false, NOW);
	assert_true(a.sent == 5 && a.told == 5 && a.told_at == 6 && a.told_ms == 50);
	assert_true(a.failed == 0 && a.refused == 0 && a.status == 200);

	r = (struct asked_answer){ K8S_REFUSED, 7, 70, 403, 0, "the server's words", 0 };
	asked_take(&a, &r, 8, 2, false, NOW);
	assert_true(a.sent == 7 && a.sent_ms == 70 && a.told == 5 && a.told_at == 6);
	assert_true(a.refused == 1 && a.failed == 0 && a.status == 403);
	assert_string_equal(a.words, "the server's words");

	r.words = NULL;
	asked_take(&a, &r, 8, 2, false, NOW);
	assert_string_equal(a.words, "");
	assert_int_equal(a.refused, 2);
}

/* Words of 300 characters fit; longer ones are cut, and never left out. */
static void long_words(void **state)
{
	static char         words[401];
	struct asked        a = { 0 };
	struct asked_answer r = { .what = K8S_REFUSED, .words = words };

	(void)state;
	memset(words, 'x', 300);
	asked_take(&a, &r, 1, 2, false, NOW);
	assert_string_equal(a.words, words);
}

static void later(void **state)
{
	struct asked a = { .patience_ms = NOW + 3000 };

	(void)state;
	asked_later(&a, 0, NOW);
	assert_true(a.due_ms == NOW + 3000 && a.failed == 1);
	a.patience_ms = 0;
	asked_later(&a, 7, NOW);
	assert_true(a.due_ms == NOW + 1007 && a.failed == 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses),
		cmocka_unit_test(what_is_kept),
		cmocka_unit_test(long_words),
		cmocka_unit_test(later),
	};

	return cmocka_run_group_tests_name("asked", tests, NULL, NULL);
}

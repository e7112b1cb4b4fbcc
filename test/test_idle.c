/* From an answer to a reading, and from readings to the idle count and its trigger. */
#include "unit.h"

#include "../metrics.h"

#define MILLI INT64_C(1000000)
#define NOW   INT64_C(1000000000)

static void readings(void **state)
{
	static const struct {
		const char  *name;
		size_t       pods;
		int64_t      nanocores, sample_ms;
		uint32_t     active;
		int64_t      date_ms;
		enum reading want;
	} rows[] = {
		{ "at the threshold", 1, 4 * MILLI, NOW, 1, NOW, READING_IDLE },
		{ "one nanocore over", 1, 4 * MILLI + 1, NOW, 1, NOW, READING_ACTIVE },
		{ "zero", 1, 0, NOW, 1, NOW, READING_IDLE },
		{ "no pods", 0, 0, 0, 1, NOW, READING_UNKNOWN },
		{ "no pods, none active", 0, 0, 0, 0, NOW, READING_UNKNOWN },
		{ "one of two pods", 1, 0, NOW, 2, NOW, READING_UNKNOWN },
		{ "one of two pods, busy", 1, 9 * MILLI, NOW, 2, NOW, READING_UNKNOWN },
		{ "more pods than active", 2, 0, NOW, 1, NOW, READING_IDLE },
		{ "no date", 1, 0, NOW, 1, -1, READING_UNKNOWN },
		{ "89.999 s old", 1, 0, NOW - 89999, 1, NOW, READING_IDLE },
		{ "90 s old", 1, 0, NOW - 90000, 1, NOW, READING_IDLE },
		{ "90.001 s old", 1, 0, NOW - 90001, 1, NOW, READING_UNKNOWN },
		{ "old and busy", 1, 9 * MILLI, NOW - 90001, 1, NOW, READING_UNKNOWN },
		{ "60 s ahead", 1, 0, NOW + 60000, 1, NOW, READING_IDLE },
		{ "60.001 s ahead", 1, 0, NOW + 60001, 1, NOW, READING_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pod_metrics m = { .pods = rows[i].pods,
					 .nanocores = rows[i].nanocores,
					 .oldest_ms = rows[i].sample_ms };
		const char        *why = NULL;

		print_message("  %s\n", rows[i].name);
		assert_int_equal(
			metrics_judge(&m, 4 * MILLI, rows[i].active, rows[i].date_ms, &why),
			rows[i].want);
		assert_int_equal(why[0] != '\0', rows[i].want == READING_UNKNOWN);
	}
}

/*
 * A run of checks at an interval of 1000 ms. i: idle with a new sample; s: idle with the same
 * sample as before; o: idle with an older one; a: active; u: unknown.
 */
static void runs(void **state)
{
	static const struct {
		const char *checks;
		uint32_t    count, distinct;
		bool        triggers; /* at 5 checks on 2 samples */
	} rows[] = {
		{ "", 0, 0, false },
		{ "i", 1, 1, false },
		{ "iiii", 4, 4, false },
		{ "iiiii", 5, 5, true },
		{ "iiiiii", 6, 6, true },
		{ "issss", 5, 1, false },
		{ "isssss", 6, 1, false },
		{ "issssi", 6, 2, true },
		{ "isiss", 5, 2, true },
		{ "iosos", 5, 1, false }, /* replicas that alternate do not make samples new */
		{ "iiiia", 0, 0, false },
		{ "iiiiai", 1, 1, false },
		{ "aiiiii", 5, 5, true },
		{ "iiiiu", 4, 4, false },
		{ "iiiiui", 5, 5, true },
		{ "iiiiuui", 5, 5, true }, /* three intervals: no gap */
		{ "iiiiuuu", 4, 4, false },
		{ "iiiiuuui", 1, 1, false }, /* more than three: cleared */
		{ "iiiiuuuu", 0, 0, false },
		{ "uuuuu", 0, 0, false },
		{ "uuuuui", 1, 1, false },
		{ "iuiuiuiui", 5, 5, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct idle_count c = { 0 };
		int64_t           at_ms = 50000, sample_ms = NOW;

		print_message("  '%s'\n", rows[i].checks);
		for (const char *s = rows[i].checks; *s; s++, at_ms += 1000) {
			sample_ms += *s == 'i' ? 15000 : 0;
			(void)idle_count_add(&c,
					     *s == 'a'   ? READING_ACTIVE
					     : *s == 'u' ? READING_UNKNOWN
							 : READING_IDLE,
					     *s == 'o' ? sample_ms - 5000 : sample_ms, at_ms, 1000);
		}
		assert_int_equal(c.count, rows[i].count);
		assert_int_equal(c.distinct, rows[i].distinct);
		assert_int_equal(idle_count_triggers(&c, 5, 2), rows[i].triggers);
	}
}

static void says_what_it_cleared(void **state)
{
	struct idle_count c = { 0 };

	(void)state;
	assert_false(idle_count_add(&c, READING_ACTIVE, 0, 0, 1000));
	assert_false(idle_count_add(&c, READING_IDLE, 1, 1000, 1000));
	assert_false(idle_count_add(&c, READING_UNKNOWN, 0, 4000, 1000));
	assert_true(idle_count_add(&c, READING_UNKNOWN, 0, 4001, 1000));
	assert_false(idle_count_add(&c, READING_UNKNOWN, 0, 4002, 1000));
	assert_false(idle_count_add(&c, READING_IDLE, 2, 5000, 1000));
	assert_true(idle_count_add(&c, READING_ACTIVE, 2, 6000, 1000));
}

static void times_of_the_run(void **state)
{
	struct idle_count c = { 0 };

	(void)state;
	for (int64_t at = 10000; at <= 50000; at += 10000)
		(void)idle_count_add(&c, READING_IDLE, at, at, 10000);
	assert_true(c.first_ms == 10000 && c.last_ms == 50000);
	assert_true(idle_count_triggers(&c, 5, 5));
	assert_false(idle_count_triggers(&c, 5, 6));
	assert_false(idle_count_triggers(&c, 6, 1));
	idle_count_clear(&c);
	assert_false(idle_count_triggers(&c, 1, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readings),
		cmocka_unit_test(runs),
		cmocka_unit_test(says_what_it_cleared),
		cmocka_unit_test(times_of_the_run),
	};

	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}

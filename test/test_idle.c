/* From an answer to a reading, and from readings to the idle count and its trigger. */
#include "unit.h"

#include "../metrics.h"

#define MILLI  INT64_C(1000000)
#define NOW    INT64_C(1000000000)
#define WINDOW INT64_C(60000)

static void readings(void **state)
{
	static const struct {
		const char  *name;
		size_t       pods;
		int64_t      nanocores, sample_ms, window_ms;
		uint32_t     active;
		int64_t      date_ms;
		enum reading want;
	} rows[] = {
		{ "at the threshold", 1, 4 * MILLI, NOW, 0, 1, NOW, READING_IDLE },
		{ "one nanocore over", 1, 4 * MILLI + 1, NOW, 0, 1, NOW, READING_ACTIVE },
		{ "zero", 1, 0, NOW, 0, 1, NOW, READING_IDLE },
		{ "no pods", 0, 0, 0, 0, 1, NOW, READING_UNKNOWN },
		{ "no pods, none active", 0, 0, NOW, 0, 0, NOW, READING_UNKNOWN },
		{ "one of two pods", 1, 0, NOW, 0, 2, NOW, READING_UNKNOWN },
		{ "one of two pods, busy", 1, 9 * MILLI, NOW, 0, 2, NOW, READING_UNKNOWN },
		{ "an active count that is unusable", 9, 0, NOW, 0, UINT32_MAX, NOW,
		  READING_UNKNOWN },
		{ "more pods than active", 2, 0, NOW, 0, 1, NOW, READING_IDLE },
		{ "no date", 1, 0, NOW, 0, 1, -1, READING_UNKNOWN },
		{ "a date of 1970", 1, 0, 0, 0, 1, 0, READING_IDLE },
		{ "90 s old", 1, 0, NOW - 90000, 0, 1, NOW, READING_IDLE },
		{ "90.001 s old", 1, 0, NOW - 90001, 0, 1, NOW, READING_UNKNOWN },
		{ "old and busy", 1, 9 * MILLI, NOW - 90001, 0, 1, NOW, READING_UNKNOWN },
		{ "90 s old, of 15 s", 1, 0, NOW - 90000, 15000, 1, NOW, READING_IDLE },
		{ "twice its window old", 1, 0, NOW - 120000, WINDOW, 1, NOW, READING_IDLE },
		{ "older than twice", 1, 0, NOW - 120001, WINDOW, 1, NOW, READING_UNKNOWN },
		{ "60 s ahead", 1, 0, NOW + 60000, 0, 1, NOW, READING_IDLE },
		{ "60.001 s ahead", 1, 0, NOW + 60001, 0, 1, NOW, READING_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pod_metrics m = { .pods = rows[i].pods,
					 .nanocores = rows[i].nanocores,
					 .window_ms = rows[i].window_ms,
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
 * One check, an interval of 1000 ms behind the last. i: idle with a new sample; s: idle with the
 * same sample as before; o: idle with an older one; a: active; u: unknown, without an answer; k:
 * unknown, with an answer about the same pods; n: unknown, as there are no items; p: idle, of other
 * pods; q: unknown, of other pods; w: idle, of a window of two intervals; 3, 4: idle, three
 * intervals in the samples' own time behind the last, or a millisecond more; 6, 7: six; z: nothing,
 * the check is left out (a node asleep).
 */
static const char *check(struct idle_count *c, char what, int64_t at_ms, int64_t *sample_ms)
{
	struct pod_metrics m = { .pods = 1, .pod_set = 11 };
	enum reading       r = READING_IDLE;

	if (what == 'z')
		return NULL;
	if (what == 'a')
		r = READING_ACTIVE;
	if (strchr("uknq", what))
		r = READING_UNKNOWN;
	if (strchr("ipw", what))
		*sample_ms += 1000;
	if (strchr("34", what))
		*sample_ms += what == '3' ? 3000 : 3001;
	if (strchr("67", what))
		*sample_ms += what == '6' ? 6000 : 6001;
	if (strchr("pq", what))
		m.pod_set = 22;
	if (what == 'n')
		m = (struct pod_metrics){ 0 };
	m.window_ms = strchr("w67", what) ? 2000 : 500;
	m.oldest_ms = what == 'o' ? *sample_ms - 500 : *sample_ms;
	return idle_count_add(c, r, what == 'u' ? NULL : &m, at_ms, 1000);
}

static const char gap[] = "too long without an idle reading", pods[] = "other pods",
		  samples[] = "too long between two samples";
static const struct {
	const char *checks;
	uint32_t    count, distinct;
	const char *cleared; /* by the last of them */
} run_rows[] = {
	{ "", 0, 0, NULL },
	{ "i", 1, 1, NULL },
	{ "iiii", 4, 4, NULL },
	{ "iiiii", 5, 5, NULL },
	{ "iiiiii", 6, 6, NULL },
	{ "issss", 5, 1, NULL },
	{ "isssss", 6, 1, NULL },
	{ "issssi", 6, 2, NULL },
	{ "isiss", 5, 2, NULL },
	{ "iosos", 5, 1, NULL }, /* replicas that alternate do not make samples new */
	{ "iiiia", 0, 0, "active" },
	{ "a", 0, 0, NULL },
	{ "iiiiaa", 0, 0, NULL },
	{ "iiiiai", 1, 1, NULL },
	{ "aiiiii", 5, 5, NULL },
	/* unknown leaves the count as it is */
	{ "iiiiu", 4, 4, NULL },
	{ "iiiik", 4, 4, NULL },
	{ "iiiiui", 5, 5, NULL },
	{ "iuiuiuiui", 5, 5, NULL },
	{ "uuuuu", 0, 0, NULL },
	{ "uuuuui", 1, 1, NULL },
	/* a gap of more than three intervals */
	{ "iiiiuui", 5, 5, NULL },
	{ "iiiiuuu", 4, 4, NULL },
	{ "iiiiuuuu", 0, 0, gap },
	{ "iiiiuuui", 1, 1, gap },
	{ "iiiizzzi", 1, 1, gap },
	{ "iiiizzi", 5, 5, NULL },
	/* ... or windows: of six intervals, here */
	{ "wuuuuuw", 2, 2, NULL },
	{ "wuuuuuuw", 1, 1, gap },
	{ "wuuuuuu", 1, 1, NULL },
	/* ... and in the samples' own time */
	{ "ii3", 3, 3, NULL },
	{ "ii4", 1, 1, samples },
	{ "w6", 2, 2, NULL },
	{ "w7", 1, 1, samples },
	/* it is about certain pods */
	{ "iiiip", 1, 1, pods },
	{ "iiiipp", 2, 2, NULL },
	{ "iiiin", 0, 0, pods },
	{ "iiiiq", 0, 0, pods },
	{ "ppppi", 1, 1, pods },
	{ "q", 0, 0, NULL },
};

static void runs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(run_rows); i++) {
		struct idle_count c = { 0 };
		int64_t           at_ms = 50000, sample_ms = NOW;
		const char       *cleared = NULL;

		print_message("  '%s'\n", run_rows[i].checks);
		for (const char *s = run_rows[i].checks; *s; s++, at_ms += 1000)
			cleared = check(&c, *s, at_ms, &sample_ms);
		assert_int_equal(c.count, run_rows[i].count);
		assert_int_equal(c.distinct, run_rows[i].distinct);
		assert_string_equal(cleared ? cleared : "",
				    run_rows[i].cleared ? run_rows[i].cleared : "");
	}
}

static void triggers(void **state)
{
	static const struct {
		uint32_t count, distinct, max_count, min_distinct;
		bool     want;
	} rows[] = {
		{ 5, 2, 5, 2, true },  { 4, 2, 5, 2, false }, { 5, 1, 5, 2, false },
		{ 6, 6, 5, 2, true },  { 5, 5, 5, 6, false }, { 0, 0, 1, 1, false },
		{ 5, 5, 6, 1, false }, { 1, 1, 1, 1, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct idle_count c = { .count = rows[i].count, .distinct = rows[i].distinct };

		assert_int_equal(idle_count_triggers(&c, rows[i].max_count, rows[i].min_distinct),
				 rows[i].want);
	}
}

/* With a 15 s resolution and steady readings the trigger comes 40 s behind the first check. */
static void times_of_the_run(void **state)
{
	struct idle_count c = { 0 };

	(void)state;
	for (int64_t at = 10000; at <= 50000; at += 10000) {
		struct pod_metrics m = { .pods = 1, .oldest_ms = at - at % 15000 };

		assert_false(idle_count_triggers(&c, 5, 2));
		assert_null(idle_count_add(&c, READING_IDLE, &m, at, 10000));
	}
	assert_true(c.first_ms == 10000 && c.last_ms == 50000);
	assert_true(idle_count_triggers(&c, 5, 2));
	assert_true(idle_count_gap_ms(&c, 10000) == 30000);
	idle_count_clear(&c);
	assert_true(c.count == 0 && c.first_ms == 0);
}

/* The first sample may be of any time: a count that is zero has none to compare with. */
static void the_first_sample(void **state)
{
	struct idle_count  c = { 0 };
	struct pod_metrics m = { .pods = 1, .oldest_ms = -5 };

	(void)state;
	assert_null(idle_count_add(&c, READING_IDLE, &m, 1000, 1000));
	assert_int_equal(c.distinct, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readings),         cmocka_unit_test(runs),
		cmocka_unit_test(triggers),         cmocka_unit_test(times_of_the_run),
		cmocka_unit_test(the_first_sample),
	};

	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}

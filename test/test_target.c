/* What is known of the Job: states only move forward, and only under one uid. */
#include "unit.h"

#include "../target.h"

static struct k8s_job job(const char *uid, enum job_finished finished, bool deleting)
{
	struct k8s_job j = { .finished = finished, .deleting = deleting, .ready = -1 };

	(void)copy_str(j.uid, sizeof(j.uid), uid);
	return j;
}

/* One letter an observation: a live, c complete, f failed, d deleting (all uid A), b live as uid B,
 * - a read that says absent, x a watch event that A was deleted, y that B was. */
static void observe(struct target *t, char what)
{
	struct k8s_job j = job(what == 'b' ? "B" : "A",
			       what == 'c'   ? JOB_COMPLETE
			       : what == 'f' ? JOB_FAILED
					     : JOB_NOT_FINISHED,
			       what == 'd');

	if (what == '-')
		target_absent(t);
	else if (what == 'x' || what == 'y')
		target_deleted(t, what == 'x' ? "A" : "B");
	else
		target_saw(t, &j);
}

static void states(void **state)
{
	static const struct {
		const char       *seen;
		enum target_state want;
	} rows[] = {
		{ "", TARGET_AWAITED },      { "-", TARGET_AWAITED },
		{ "--", TARGET_AWAITED },    { "x", TARGET_AWAITED },
		{ "a", TARGET_LIVE },        { "-a", TARGET_LIVE },
		{ "aa", TARGET_LIVE },       { "ay", TARGET_LIVE },
		{ "c", TARGET_COMPLETED },   { "f", TARGET_FAILED },
		{ "ac", TARGET_COMPLETED },  { "af", TARGET_FAILED },
		{ "aca", TARGET_COMPLETED }, /* a late event */
		{ "cf", TARGET_COMPLETED },  { "d", TARGET_GONE },
		{ "ad", TARGET_GONE },       { "a-", TARGET_GONE },
		{ "ax", TARGET_GONE },       { "c-", TARGET_GONE },
		{ "cd", TARGET_GONE },       { "dc", TARGET_GONE },
		{ "a-a", TARGET_GONE },      { "ab", TARGET_NEWCOMER },
		{ "cb", TARGET_NEWCOMER },   { "axb", TARGET_NEWCOMER },
		{ "ab-", TARGET_NEWCOMER },  { "aba", TARGET_NEWCOMER },
		{ "b", TARGET_LIVE }, /* the first one seen is ours */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct target t = { 0 };

		print_message("  '%s'\n", rows[i].seen);
		for (const char *s = rows[i].seen; *s; s++)
			observe(&t, *s);
		assert_string_equal(target_state_name(t.state), target_state_name(rows[i].want));
		assert_int_equal(target_is_over(&t), rows[i].want > TARGET_LIVE);
		assert_int_equal(target_seen(&t),
				 strspn(rows[i].seen, "-xy") != strlen(rows[i].seen));
	}
}

static void a_newcomer_leaves_what_was_known(void **state)
{
	struct target t = { 0 };

	(void)state;
	observe(&t, 'a');
	observe(&t, 'b');
	assert_string_equal(t.job.uid, "A");
}

static void ready_once_is_ready_ever(void **state)
{
	struct target  t = { 0 };
	struct k8s_job j = job("A", JOB_NOT_FINISHED, false);

	(void)state;
	target_saw(&t, &j);
	assert_false(t.ever_ready); /* -1: the server does not say */
	j.ready = 0;
	target_saw(&t, &j);
	assert_false(t.ever_ready);
	j.ready = 1;
	target_saw(&t, &j);
	j.ready = 0;
	target_saw(&t, &j);
	assert_true(t.ever_ready);
}

static void holds(void **state)
{
	static const struct {
		const char *value; /* NULL: no annotation */
		enum hold   want;
	} rows[] = {
		{ NULL, HOLD_NONE },
		{ "true", HOLD_ON },
		{ "1970-01-01T00:00:10Z", HOLD_ON },
		{ "1970-01-01T00:00:05.001Z", HOLD_ON },
		{ "1970-01-01T00:00:05Z", HOLD_OVER },
		{ "1970-01-01T02:00:06+02:00", HOLD_ON },
		{ "", HOLD_INVALID },
		{ "false", HOLD_INVALID },
		{ "True", HOLD_INVALID },
		{ "tomorrow", HOLD_INVALID },
		{ "1970-01-01", HOLD_INVALID },
		{ "1970-02-30T00:00:00Z", HOLD_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct k8s_job j = { .has_hold = rows[i].value != NULL };
		int64_t        until_ms;

		print_message("  %s\n", rows[i].value ? rows[i].value : "(none)");
		if (rows[i].value)
			(void)copy_str(j.hold, sizeof(j.hold), rows[i].value);
		enum hold h = target_hold(&j, 5000, &until_ms);
		assert_int_equal(h, rows[i].want);
		assert_int_equal(hold_holds(h), h == HOLD_ON || h == HOLD_INVALID);
		if (h == HOLD_ON)
			assert_true(until_ms > 5000);
	}
}

static void a_read_beats_the_event(void **state)
{
	struct target  t = { 0 };
	struct k8s_job job = { .uid = "1" };

	(void)state;
	target_saw(&t, &job);
	target_deleted(&t, "1");
	target_saw(&t, &job); /* a late event does not bring it back */
	assert_int_equal(t.state, TARGET_GONE);
	target_returned(&t, &job);
	assert_int_equal(t.state, TARGET_LIVE);
	job.finished = JOB_COMPLETE;
	target_returned(&t, &job);
	assert_int_equal(t.state, TARGET_COMPLETED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_beats_the_event),
		cmocka_unit_test(states),
		cmocka_unit_test(a_newcomer_leaves_what_was_known),
		cmocka_unit_test(ready_once_is_ready_ever),
		cmocka_unit_test(holds),
	};

	return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}

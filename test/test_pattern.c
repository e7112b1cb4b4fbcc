/* Patterns of queues' names: which are taken, which names they find, and whose else these may be.
 */
#include <errno.h>
#include <stdio.h>

#include "unit.h"

#include "../pattern.h"

static int parse(const char *text, const char *id, struct pattern *p)
{
	struct err err = { 0 };
	int        r = pattern_parse(text, strlen(text), id, p, &err);

	assert_int_equal(r, -err.code);
	return r;
}

/* The id counts where it stands by itself: `1` is not in `grpc-job-12-`. */
static void each_has_the_id_in_it(void **state)
{
	static const struct {
		const char *text, *id, *of_9; /* of_9: the same setting, of job 9; NULL = refused */
	} rows[] = {
		{ "grpc-job-$JOB_ID-*", "12-70788", "grpc-job-9-" },
		{ "grpc-job-12-70788-*", "12-70788", "grpc-job-9-" },
		{ "focus_baby.$JOB_ID", "12-70788", "focus_baby.9" },
		{ "focus_baby.12-70788", "12-70788", "focus_baby.9" },
		{ "12-70788", "12-70788", "9" },
		{ "$JOB_ID*", "12-70788", "9" },
		{ "12-70788.12-70788.$JOB_ID*", "12-70788", "9.9.9" },
		{ "q$JOB_IDx", "1", "q9x" },
		{ "q1x", "1", "q9x" },
		{ "11$JOB_ID11", "1", "11911" },
		{ "a-b1-b*", "b", "a-91-9" }, /* a digit ends it */
		{ "grpc-job-12-*", "1", NULL },
		{ "grpc-job-21-*", "1", NULL },
		{ "grpc-job-1-*", "12", NULL },
		{ "ab", "a", NULL },
		{ "grpc-job-12-707880*", "12-70788", NULL },
		{ "grpc-job-112-70788*", "12-70788", NULL },
		{ "grpc-job-12-7078*", "12-70788", NULL },
		{ "focus_baby", "12", NULL },
		{ "*", "12", NULL },
		{ "", "12", NULL },
		{ "$JOB_I-*", "12", NULL },
		{ "${JOB_ID}", "12", NULL },
		{ "$JOB_ID", "", NULL },
	};
	char text[QUEUE_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pattern p = { .text = "as it was" };

		print_message("  '%s' of %s\n", rows[i].text, rows[i].id);
		assert_int_equal(parse(rows[i].text, rows[i].id, &p), rows[i].of_9 ? 0 : -EINVAL);
		if (!rows[i].of_9) {
			assert_string_equal(p.text, "as it was");
			continue;
		}
		pattern_text(&p, "9", text);
		assert_string_equal(text, rows[i].of_9);
		assert_int_equal(p.prefix, rows[i].text[strlen(rows[i].text) - 1] == '*');
	}
}

/* One of a list ends where it ends; and what is asked for instead of one that is refused. */
static void one_of_a_list(void **state)
{
	struct pattern p;
	struct err     err = { 0 };

	(void)state;
	assert_int_equal(pattern_parse("q12", 2, "1", &p, &err), 0);
	assert_int_equal(pattern_parse("q1,q2", 2, "2", &p, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'q1': want the job's id in each, $JOB_ID or '2': "));
	err = (struct err){ 0 };
	assert_int_equal(pattern_parse("q1", 2, "$JOB_ID", &p, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'q1': want the job's id in each, $JOB_ID: "));
}

/* With the id in it, no name is longer than AMQP has them. */
static void how_long_a_name_may_be(void **state)
{
	char           text[400], shown[QUEUE_NAME_SIZE];
	struct pattern p;
	struct err     err = { 0 };

	(void)state;
	for (int n = 240; n < 260; n++) {
		(void)snprintf(text, sizeof(text), "$JOB_ID-%0*d", n, 0);
		bool fits = n + 1 + 8 <= 255;
		assert_int_equal(parse(text, "12-70788", &p), fits ? 0 : -EINVAL);
		if (!fits)
			continue;
		pattern_text(&p, "12-70788", shown);
		assert_int_equal(strlen(shown), n + 9);
	}
	(void)snprintf(text, sizeof(text), "%0200d$JOB_ID", 0);
	for (size_t n = strlen(text); n <= 255; n++)
		(void)snprintf(text + n, sizeof(text) - n, "1");
	assert_int_equal(pattern_parse(text, 255, "12-70788", &p, &err), -EINVAL); /* as set */
	assert_non_null(strstr(err.msg, "...': want at most 255 bytes"));
	assert_int_equal(parse(text, "1", &p), 0);
}

static void which_names_it_finds(void **state)
{
	static const struct {
		const char *text, *name;
		bool        found;
	} rows[] = {
		{ "grpc-job-$JOB_ID-*", "grpc-job-12-a", true },
		{ "grpc-job-$JOB_ID-*", "grpc-job-12-", true },
		{ "grpc-job-$JOB_ID-*", "grpc-job-12", false },
		{ "grpc-job-$JOB_ID-*", "grpc-job-120-a", false },
		{ "grpc-job-$JOB_ID-*", "GRPC-job-12-a", false },
		{ "grpc-job-$JOB_ID-*", "x-grpc-job-12-a", false },
		{ "focus_baby.$JOB_ID", "focus_baby.12", true },
		{ "focus_baby.$JOB_ID", "focus_baby.12-70788", false },
		{ "focus_baby.$JOB_ID", "focus_baby.1", false },
		{ "focus_baby.$JOB_ID", "focus_baby.", false },
		{ "focus_baby.$JOB_ID", "", false },
		{ "x-$JOB_ID*", "x-12", true },
		{ "x-$JOB_ID*", "x-12-70788", true }, /* whose it is, is another question */
		{ "x-$JOB_ID*", "x-1", false },
		{ "$JOB_ID.$JOB_ID", "12.12", true },
		{ "$JOB_ID.$JOB_ID", "12.13", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pattern p;
		print_message("  '%s': %s\n", rows[i].text, rows[i].name);
		assert_int_equal(parse(rows[i].text, "12", &p), 0);
		assert_int_equal(pattern_matches(&p, "12", 2, rows[i].name), rows[i].found);
	}
}

/* The longer ids by which the same setting of another job would find that name. */
static void whose_else_it_may_be(void **state)
{
	static const struct {
		const char *text, *id, *name;
		const char *ids; /* a space between them */
	} rows[] = {
		{ "grpc-job-$JOB_ID-*", "12", "grpc-job-12-a", "" },
		{ "grpc-job-$JOB_ID-*", "12", "grpc-job-12-70788-x", "12-70788" },
		{ "grpc-job-$JOB_ID-*", "12", "grpc-job-12-70788-x-y", "12-70788 12-70788-x" },
		{ "grpc-job-$JOB_ID-*", "1", "grpc-job-1-70788-x", "1-70788" },
		{ "grpc-job-$JOB_ID-*", "12-70788", "grpc-job-12-70788-x", "" },
		/* one name is one job's */
		{ "focus_baby.$JOB_ID", "12", "focus_baby.12", "" },
		{ "focus_baby.$JOB_ID", "1", "focus_baby.1", "" },
		{ "$JOB_ID.focus", "12", "12.focus", "12.focus" }, /* that would be an id, too */
		/* nothing stands behind the id: it may go on, letter by letter */
		{ "x-$JOB_ID*", "1", "x-12", "12" },
		{ "x-$JOB_ID*", "12", "x-12", "" },
		{ "x-$JOB_ID*", "12", "x-12-7a", "12-7 12-7a" },
		/* all ids of a pattern are the same one */
		{ "$JOB_ID.$JOB_ID*", "1", "1.12", "1.1" },
		{ "$JOB_ID.$JOB_ID*", "1", "12.12", "12" },
		/* by a setting that does not find it for us, as long an id as ours, too */
		{ "x-$JOB_ID*", "1", "x-2", "2" },
		{ "x-$JOB_ID*", "12", "x-2", "" },
		{ "x-$JOB_ID*", "1", "y-12", "" },
		/* the id of another one, written out: what stands behind ours may be the rest of it
		 */
		{ "grpc-job-12-70788-*", "12", "grpc-job-12-70788-x", "12-70788" },
		{ "focus_baby.12-70788", "12", "focus_baby.12-70788", "12-70788" },
		{ "focus_baby.12-70788*", "12", "focus_baby.12-70788x", "12-70788" },
		/* whose at all? */
		{ "grpc-job-$JOB_ID-*", "", "grpc-job-12-70788-x", "12 12-70788" },
		{ "grpc-job-$JOB_ID-*", "", "grpc-job-", "" },
		{ "grpc-job-$JOB_ID-*", "", "grpc-job-12", "" },
		{ "$JOB_ID.focus", "", "1-1.focus", "1-1" },
		{ "$JOB_ID.focus", "", ".focus", "" },
		{ "x-$JOB_ID*", "", "x-12-7", "1 12 12-7" },
		{ "b-$JOB_ID-$JOB_ID", "", "b-1-2-1-2", "1-2" },
		{ "b-$JOB_ID-$JOB_ID", "", "b-1-2-1-3", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pattern p;
		struct buf     ids = { .max = 1000 };
		size_t         start = 0;
		const char    *name = rows[i].name;
		const char    *parsed = rows[i].id[0] ? rows[i].id : "$JOB_ID"; /* a sweep's */

		print_message("  '%s' of %s: %s\n", rows[i].text, parsed, name);
		assert_int_equal(parse(rows[i].text, parsed, &p), 0);
		assert_int_equal(buf_printf(&ids, "%s", ""), 0);
		for (size_t end = 0; (end = pattern_rival(&p, rows[i].id, name, end, &start)) != 0;)
			assert_int_equal(buf_printf(&ids, "%s%.*s", ids.len ? " " : "",
						    (int)(end - start), name + start),
					 0);
		assert_string_equal(ids.len ? ids.data : "", rows[i].ids);
		buf_fini(&ids);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_the_id_in_it),  cmocka_unit_test(one_of_a_list),
		cmocka_unit_test(how_long_a_name_may_be), cmocka_unit_test(which_names_it_finds),
		cmocka_unit_test(whose_else_it_may_be),
	};

	return cmocka_run_group_tests_name("patterns", tests, NULL, NULL);
}

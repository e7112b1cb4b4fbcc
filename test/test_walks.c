/* The walk over the broker's queues where there are several patterns, and other Jobs' ids in names.
 */
#include "walk.h"

/* Pattern by pattern: `list 1/0` is the second one's, the one name of that. */
static const struct {
	const char *patterns[3];
	bool        final;
	struct row  row;
} several[] = {
	{ { "a-$JOB_ID-*", "b-$JOB_ID-*" },
	  false,
	  { "one behind the other",
	    { "[a-12-x", "ok", "[", "[b-12-x b-12-y", "ok", "ok", "[" },
	    { "list 0/1", "delete a-12-x", "list 0/1", "list 1/1", "delete b-12-x", "delete b-12-y",
	      "list 1/1", "walked" } } },
	{ { "a-$JOB_ID-*", "b-$JOB_ID-*" },
	  false,
	  { "each from its first page on",
	    { "[ +", "[", "[ +", "[" },
	    { "list 0/1", "list 0/2", "list 1/1", "list 1/2", "walked" } } },
	{ { "a-$JOB_ID-*", "b-$JOB_ID-*" },
	  false,
	  { "what stays of one does not hold up the other",
	    { "[a-12-x", "in-use", "[b-12-x", "ok", "[" },
	    { "list 0/1", "delete a-12-x", "list 1/1", "delete b-12-x", "list 1/1",
	      "walked, stays: a-12-x" } } },
	{ { "x$JOB_ID*", "x$JOB_ID-*" },
	  false,
	  { "what two of them find stays but once",
	    { "[x12-", "in-use", "[x12-" },
	    { "list 0/1", "delete x12-", "list 1/1", "walked, stays: x12-" } } },
	/* a name needs no walk over all queues */
	{ { "a-$JOB_ID-*", "f.$JOB_ID" },
	  false,
	  { "one name",
	    { "[", "[f.12", "ok", "absent" },
	    { "list 0/1", "list 1/0", "delete f.12", "list 1/0", "walked" } } },
	{ { "a-$JOB_ID-*", "f.$JOB_ID" },
	  false,
	  { "... that is not there", { "[", "absent" }, { "list 0/1", "list 1/0", "walked" } } },
	{ { "f.$JOB_ID", "g.$JOB_ID" },
	  false,
	  { "... or is it the virtual host? A list tells, once",
	    { "absent", "[", "absent" },
	    { "list 0/0", "list 0/1", "list 1/0", "walked" } } },
	{ { "f.$JOB_ID" },
	  true,
	  { "... it is", { "absent", "absent" }, { "list 0/0", "list 0/1", "list 0/1" } } },
	{ { "f.$JOB_ID" },
	  false,
	  { "... it has come meanwhile",
	    { "absent", "[f.12", "ok", "[" },
	    { "list 0/0", "list 0/1", "delete f.12", "list 0/1", "walked" } } },
	{ { "f.$JOB_ID" }, true, { "the user may not", { "denied" }, { "list 0/0", "list 0/0" } } },
	{ { "f.$JOB_ID" },
	  false,
	  { "a bad request of one name is trouble", { "in-use" }, { "list 0/0", "list 0/0" } } },
	{ { "f.$JOB_ID" },
	  false,
	  { "200, and it is still there",
	    { "[f.12", "ok", "[f.12" },
	    { "list 0/0", "delete f.12", "list 0/0", "walked, stays: f.12" } } },
	/* whose is it? */
	{ { "x-$JOB_ID*" },
	  false,
	  { "an id that may go on: each longer one is asked about",
	    { "[x-12-7a", "absent", "absent", "ok", "[" },
	    { "list 0/1", "job grpc-job-12-7", "job grpc-job-12-7a", "delete x-12-7a", "list 0/1",
	      "walked" } } },
	{ { "x-$JOB_ID*" },
	  false,
	  { "... and it is the second one's",
	    { "[x-12-7a x-12.", "absent", "ok", "ok", "[" },
	    { "list 0/1", "job grpc-job-12-7", "job grpc-job-12-7a", "delete x-12.", "list 0/1",
	      "walked" } } },
	{ { "f.12-70788" },
	  false,
	  { "a name with another id in it",
	    { "[f.12-70788", "ok" },
	    { "list 0/0", "job grpc-job-12-70788", "walked" } } },
	{ { "b$JOB_ID-*", "$JOB_ID-*" },
	  false,
	  { "found by one pattern, another job's by the other one",
	    { "[b12-x", "ok", "[" },
	    { "list 0/1", "job grpc-job-b12", "list 1/1", "walked" } } },
};

static void walks_of_several_patterns(void **state)
{
	(void)state;
	ours = "";
	for (size_t i = 0; i < ARRAY_SIZE(several); i++) {
		const char *const *p = several[i].patterns;

		for (cfg.queue_count = 0; cfg.queue_count < 3 && p[cfg.queue_count];
		     cfg.queue_count++)
			assert_int_equal(pattern_parse(p[cfg.queue_count],
						       strlen(p[cfg.queue_count]), cfg.job_id,
						       &cfg.queues[cfg.queue_count], NULL),
					 0);
		play(&several[i].row, several[i].final);
	}
	ours = PREFIX;
	cfg.queue_count = 1;
	cfg.queues[0] = (struct pattern){ .text = "grpc-job-\1-", .prefix = true };
}

/* How a Job is called whose id is another one. */
static void names_of_neighbours(void **state)
{
	static const struct {
		const char *target_job, *neighbour;
	} jobs[] = { { "grpc-job-12", "grpc-job-12-7" },
		     { "stream-12", "stream-12-7" },
		     { "12", "grpc-job-12-7" },
		     { "stream", "grpc-job-12-7" } };
	char name[600];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		static struct queues q;
		(void)copy_str(cfg.target_job, sizeof(cfg.target_job), jobs[i].target_job);
		q = (struct queues){ 0 };
		queues_restart(&q);
		take_answer(&q, "[7-x", 10, 5000);
		assert_int_equal(q.step, QUEUES_NEIGHBOUR);
		queues_neighbour(&q, &cfg, name, sizeof(name));
		assert_string_equal(name, jobs[i].neighbour);
	}
	(void)copy_str(cfg.target_job, sizeof(cfg.target_job), JOB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_of_several_patterns),
		cmocka_unit_test(names_of_neighbours),
	};

	return cmocka_run_group_tests_name("walks", tests, NULL, NULL);
}

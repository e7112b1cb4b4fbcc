/* Why nothing is decided, and when that is told. */
#include "steps.h"

#define ALIVE   "self list watch service job adopt metrics pods:p "
#define TO_LINE "+555 job metrics:cpu=9 +45 pods:"

static const char *last_reason(const struct stage *s)
{
	return s->w.waiting.reason ? s->w.waiting.reason : "-";
}

/* The reason that is told at ten minutes. */
static const struct {
	const char *sentence, *tale, *reason, *words;
} reasons[] = {
	{ "busy", ALIVE TO_LINE "p", "busy", "in use: CPU 9m > 4m" },
	{ "not before ten minutes", ALIVE "+599", "-", "" },
	{ "the API server does not answer", ALIVE "+555 job:trouble +45 pods:p", "unread",
	  "the Job cannot be read: no usable answer (status 503)" },
	{ "the Job may not be read", ALIVE "+555 job:refused job:refused +45 pods:p", "unread",
	  "the Job may not be read: no" },
	{ "it never came", "cfg:missing=9000 self list:empty watch job:absent +600", "awaited",
	  "the Job is not there yet" },
	{ "held", ALIVE "+555 job:hold=true +45 pods:p", "held", "held: cleanup-grpc/hold=true" },
	{ "suspended", ALIVE "+555 job:suspended +45 pods", "suspended", "the Job is suspended" },
	{ "its DELETE was refused",
	  ALIVE "+555 job metrics delete-job:refused delete-job:refused +45 pods:p", "refused",
	  "the Job's DELETE was refused: no" },
	{ "... but it is busy now",
	  ALIVE "+555 job metrics delete-job:refused delete-job:refused metrics:cpu=9 +45 "
		"pods:p",
	  "busy", "in use: CPU 9m > 4m" },
	{ "it is about to end", ALIVE "+555 job:ending=FailureTarget +45 pods:p", "ending",
	  "it ends, but has not: FailureTarget" },
	{ "a container has ended beside one that runs on", ALIVE TO_LINE "p/ended3/side",
	  "container-ended",
	  "container grpc has ended with exit code 3, and side runs on: see "
	  "TARGET_CONTAINER" },
	{ "... which is not the one that is judged",
	  "cfg:container=side " ALIVE TO_LINE "p/ended3/side", "unknown",
	  "CPU unknown: TARGET_CONTAINER is not in the metrics of each pod" },
	{ "... which is, and may be started again",
	  "cfg:container=grpc " ALIVE TO_LINE "p/ended3?/side", "container-ended",
	  "container grpc has ended with exit code 3, and side runs on: it may be started "
	  "again, or another pod be wanted" },
	{ "nothing runs on", ALIVE TO_LINE "p/ended3", "busy", "in use: CPU 9m > 4m" },
	{ "no pod has the container that is judged", "cfg:container=other " ALIVE TO_LINE "p",
	  "no-such-container", "no pod has the container TARGET_CONTAINER=other" },
	{ "... one of which is not scheduled yet",
	  "cfg:container=other " ALIVE TO_LINE "p,q/pending", "no-such-container",
	  "no pod has the container TARGET_CONTAINER=other" },
	{ "not scheduled", ALIVE "+555 job metrics:none +45 pods:p/pending/unscheduled",
	  "unscheduled", "pod p is " },
	{ "... which is no matter while another one works", ALIVE TO_LINE "p,q/pending/unscheduled",
	  "busy", "in use: CPU 9m > 4m" },
	{ "a container waits", ALIVE "+555 job metrics:none +45 pods:p/pending/waiting",
	  "container-waits", "pod p: " },
	{ "its node is lost", ALIVE "+555 job metrics:none +45 pods:p/lost99", "lost-node",
	  "pod p should have gone by now, its node does not tell" },
	{ "no pod", ALIVE "+555 job metrics:none +45 pods", "no-pod",
	  "none of its pods is there, or runs" },
	{ "its pods may not be listed, and its container is judged",
	  "cfg:container=grpc self list watch service job adopt metrics pods:refused pods:refused "
	  "pods:refused pods:refused pods:refused pods:refused +555 job metrics:none +45",
	  "pods-hidden", "its pods may not be listed: no" },
	{ "idleness is not checked",
	  "cfg:nocheck self list watch service job adopt +555 job +45 "
	  "pods:p",
	  "unchecked", "it has not ended; idleness is not to be checked" },
	{ "metrics are refused", ALIVE "+555 job metrics:refused metrics:refused +45 pods:p",
	  "metrics-refused", "metrics may not be read: no" },
	{ "samples come too seldom",
	  ALIVE "+500 metrics:at=500 +10 metrics:at=500 +10 metrics:at=500 +10 "
		"metrics:at=500 +10 metrics:at=500 +10 job metrics:at=500 +50 pods:p",
	  "samples", "samples come too seldom for the interval: 1 of 2 in 6 idle checks" },
	{ "the last look fails",
	  ALIVE "+560 job metrics +10 metrics +10 metrics +10 metrics +10 metrics service "
		"pods:trouble",
	  "look", "idle, but the last look at it comes to nothing" },
	{ "it is counted", ALIVE "+555 job metrics +45 pods:p", "counting",
	  "idle at 1 of 5 checks" },
	{ "nothing is known", ALIVE "+555 job metrics:trouble +45 pods:p", "unknown",
	  "CPU unknown: the metrics API did not answer" },
	{ "the list fails: what else is known", ALIVE "+555 job metrics:none +45 pods:trouble",
	  "unknown", "CPU unknown: no metrics of the job's pods" },
	{ "the list does not come", ALIVE "+555 job metrics:none +74", "-", "" },
	{ "... for half a minute", ALIVE "+555 job metrics:none +75", "unknown",
	  "CPU unknown: no metrics of the job's pods" },
	{ "one that is a minute old will do",
	  ALIVE "+545 pods:p/pending/waiting metrics:none "
		"+55",
	  "container-waits", "pod p: " },
};

/* No Event: it is as it should be, or there is no Job that it could be about. */
static bool is_quiet(const char *reason)
{
	return strstr("- busy counting unchecked awaited", reason);
}

static void the_reason(void **state)
{
	static struct stage s;
	const char         *numbers[100] = { 0 }; /* the Event's name has it */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		print_message("  %s\n", reasons[i].sentence);
		stage_open(&s, reasons[i].tale);
		assert_string_equal(last_reason(&s), reasons[i].reason);
		assert_string_equal(s.w.waiting.words, reasons[i].words);
		assert_int_equal(s.w.waiting.event_due, !is_quiet(reasons[i].reason));
		if (s.w.waiting.reason) {
			const char **told = &numbers[s.w.waiting.number];
			*told = *told ? *told : reasons[i].reason;
			assert_string_equal(*told, reasons[i].reason);
		}
		stage_close(&s);
	}
}

#define LIST "why does it wait"

SCENES(the_list,
       {
	       { "one, for the line", ALIVE "+570 job metrics service +30 job metrics", LIST },
	       { "not before", ALIVE "+570 job metrics +20 job metrics", "wait 600" },
	       { "... nor one more", ALIVE "+570 job metrics +30 job metrics pods:p", "wait 610" },
	       { "... and then it is waited for",
		 "cfg:nocheck self list watch service job adopt +545 job pods:p", "wait 600" },
	       { "not where they may not be listed",
		 "self list watch service job adopt metrics pods:refused pods:refused pods:refused "
		 "pods:refused pods:refused pods:refused +570 job metrics +30 job metrics",
		 "wait 610" },
	       { "the line has an Event", ALIVE "+570 job metrics:none +30 job metrics:none pods:p",
		 "an Event on the Job, best effort" },
	       { "... one try",
		 ALIVE "+570 job metrics:none +30 job metrics:none pods:p tell:trouble",
		 "wait 610" },
	       { "... not of a job that works",
		 ALIVE "+570 job metrics:cpu=9 +30 job metrics:cpu=9 "
		       "pods:p",
		 "wait 610" },
       });

/* Every ten minutes, since the last line or since something was decided. */
static void the_lines(void **state)
{
	static const struct {
		const char *sentence, *tale;
		unsigned    lines;
	} rows[] = {
		{ "one", ALIVE "+600 pods:p", 1 },
		{ "no second one before its time", ALIVE "+600 pods:p +599", 1 },
		{ "a second one", ALIVE "+600 pods:p +600 pods:p", 2 },
		{ "none of a teardown", ALIVE "job:deleting +5000", 0 },
		{ "ten minutes anew behind one that came to nothing",
		  ALIVE "+300 job:deleting +300 job +599 pods:p", 0 },
		{ "... then", ALIVE "+300 job:deleting +300 job +600 pods:p", 1 },
		{ "after a sleep: one", ALIVE "asleep:s=5000 pods:p", 1 },
	};
	static struct stage s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("  %s\n", rows[i].sentence);
		stage_open(&s, rows[i].tale);
		assert_int_equal(s.w.waiting.lines, rows[i].lines);
		stage_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reason),
		cmocka_unit_test(the_list),
		cmocka_unit_test(the_lines),
	};

	return cmocka_run_group_tests_name("waits", tests, NULL, NULL);
}

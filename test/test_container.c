/* TARGET_CONTAINER: one container is judged, and when it has ended for good, so has the job. */
#include "../report.h"
#include "steps.h"

/* ---- Out of what the API says ---- */

#define POD(spec, status)                                                                          \
	"{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"},\"spec\":"  \
	"{" spec "},\"status\":{\"phase\":\"Running\"," status "}}]}"
#define ENDED(code)                                                                                \
	"{\"name\":\"grpc\",\"state\":{\"terminated\":{\"exitCode\":" code                         \
	",\"finishedAt\":\"2026-11-24T00:00:00Z\"}}}"
#define SIDE "{\"name\":\"side\",\"state\":{\"running\":{}}}"

/* Whether the kubelet starts it again is told by the pod's spec. */
static void ended_for_good(void **state)
{
	static const struct {
		const char *sentence, *body;
		bool        for_good;
	} rows[] = {
		{ "Never",
		  POD("\"restartPolicy\":\"Never\"", "\"containerStatuses\":[" ENDED("3") "]"),
		  true },
		{ "OnFailure, and it did well",
		  POD("\"restartPolicy\":\"OnFailure\"", "\"containerStatuses\":[" ENDED("0") "]"),
		  true },
		{ "OnFailure, and it failed",
		  POD("\"restartPolicy\":\"OnFailure\"", "\"containerStatuses\":[" ENDED("3") "]"),
		  false },
		{ "Always",
		  POD("\"restartPolicy\":\"Always\"", "\"containerStatuses\":[" ENDED("0") "]"),
		  false },
		{ "nothing is said", POD("", "\"containerStatuses\":[" ENDED("0") "]"), false },
		{ "the container's own policy",
		  POD("\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"grpc\","
		      "\"restartPolicy\":\"Always\"}]",
		      "\"containerStatuses\":[" ENDED("0") "]"),
		  false },
		{ "another container's",
		  POD("\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"side\","
		      "\"restartPolicy\":\"Always\"}]",
		      "\"containerStatuses\":[" ENDED("0") "]"),
		  true },
		{ "a rule of any container may start all of them again",
		  POD("\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"side\","
		      "\"restartPolicyRules\":[{}]}]",
		      "\"containerStatuses\":[" ENDED("0") "]"),
		  false },
		{ "an init container has ended, as they do",
		  POD("\"restartPolicy\":\"Never\"", "\"initContainerStatuses\":[" ENDED("0") "]"),
		  false },
		{ "it runs",
		  POD("\"restartPolicy\":\"Never\"",
		      "\"containerStatuses\":[{\"name\":\"grpc\",\"state\":{\"running\":{}},"
		      "\"lastState\":{\"terminated\":{\"exitCode\":0}}}]"),
		  false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct k8s_pods pods = { 0 };

		print_message("  %s\n", rows[i].sentence);
		assert_int_equal(k8s_pods_decode(rows[i].body, strlen(rows[i].body), &pods, NULL),
				 0);
		const struct k8s_container *c = &pods.items[0].containers[0];
		assert_int_equal(c->for_good, rows[i].for_good);
		assert_int_equal(c->ended_ms, c->ended ? INT64_C(1795478400000) : -1);
		k8s_pods_fini(&pods);
	}
}

/* Whether another pod may come beside its only one, or in its place. */
static void the_jobs_only_pod(void **state)
{
	static const struct {
		const char *spec, *status;
		bool        one_pod, retries;
	} rows[] = {
		{ "\"backoffLimit\":0", "", true, false },
		{ "", "", true, true }, /* 6 is the API's default */
		{ "\"backoffLimit\":1", "", true, true },
		{ "\"backoffLimit\":1", "\"failed\":1", true, false },
		{ "\"backoffLimit\":0,\"podFailurePolicy\":{}", "", true, true },
		{ "\"backoffLimit\":\"0\"", "", true, true },
		{ "\"backoffLimit\":0,\"parallelism\":2", "", false, false },
		{ "\"backoffLimit\":0,\"parallelism\":0", "", false, false },
		{ "\"backoffLimit\":0,\"completions\":2", "", false, false },
		{ "\"backoffLimit\":0,\"completions\":2", "\"succeeded\":1", true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char           body[400];
		struct k8s_job j;

		print_message("  %s %s\n", rows[i].spec, rows[i].status);
		(void)snprintf(body, sizeof(body),
			       "{\"kind\":\"Job\",\"metadata\":{\"name\":\"x\",\"uid\":\"u\","
			       "\"resourceVersion\":\"1\"},\"spec\":{%s},\"status\":{%s}}",
			       rows[i].spec, rows[i].status);
		assert_int_equal(k8s_job_decode(body, strlen(body), "x", &j, NULL), 0);
		assert_int_equal(j.one_pod, rows[i].one_pod);
		assert_int_equal(j.retries, rows[i].retries);
	}
}

/* ---- What is made of it ---- */

#define CFG  "cfg:container=grpc "
#define LIVE CFG "self list watch service job adopt metrics pods:p/side "

TALES(its_cpu_is_the_jobs,
      {
	      { "alone", "cfg:container=grpc job metrics", "reading=idle count=1 cpu=1" },
	      { "... the sidecar's is not asked", "cfg:container=grpc job metrics:cpu=2,side=900",
		"reading=idle cpu=2" },
	      { "... but without it, it is", "job metrics:cpu=2,side=900", "reading=active" },
	      { "its own does count", "cfg:container=grpc job metrics:cpu=9,side=0",
		"reading=active" },
	      { "of several pods the sum",
		"cfg:container=grpc job:active=2 metrics:pods=p+q,cpu=2,side=900", "reading=idle" },
	      { "... all of it", "cfg:container=grpc job:active=2 metrics:pods=p+q,cpu=3,side=0",
		"reading=active" },
	      { "it is missing", "cfg:container=grpc job metrics:container=side",
		"reading=unknown why=TARGET_CONTAINER-is-not-in-the-metrics-of-each-pod" },
	      { "no metrics are another matter", "cfg:container=grpc job metrics:none",
		"reading=unknown why=no-metrics-of-the-job's-pods" },
	      { "one that no pod has is never idle",
		"cfg:container=other job metrics +10 metrics +10 metrics +10 metrics +10 metrics",
		"reading=unknown count=0 look=no" },
	      { "metrics that show it still, while the pods do not",
		"cfg:container=grpc,completed-grace=600 job " IDLE5 " pods:p/ended0/side",
		"count=0 reading=unknown why=TARGET_CONTAINER-does-not-run" },
      });

TALES(it_has_ended,
      {
	      { "it runs", LIVE, "ended=no look=no" },
	      { "it has ended for good", LIVE "pods:p/ended0/side", "ended=completed look=due" },
	      { "... and failed", LIVE "pods:p/ended3/side", "ended=failed look=due" },
	      { "the Job itself has not", LIVE "pods:p/ended0/side", "over=none live=yes" },
	      { "it is started again", LIVE "pods:p/ended3?/side", "ended=no" },
	      { "the Job has tries left", LIVE "job:retries pods:p/ended3/side", "ended=no" },
	      { "... which is no matter, if it did well", LIVE "job:retries pods:p/ended0/side",
		"ended=completed" },
	      { "two pods are to be", LIVE "job:parallel pods:p/ended0/side", "ended=no" },
	      { "two pods are there", LIVE "pods:p/ended0/side,q/side", "ended=no" },
	      { "... in whichever order", LIVE "pods:q/side,p/ended0/side", "ended=no" },
	      { "... one of which has ended", LIVE "pods:p/ended0/side,q/finished",
		"ended=completed" },
	      { "... or is lost", LIVE "pods:p/ended0/side,q/lost62", "ended=completed" },
	      { "... but not if it only terminates", LIVE "pods:p/ended0/side,q/deleting",
		"ended=no" },
	      { "its own pod terminates: it is replaced", LIVE "pods:p/ended0/side/deleting",
		"ended=no" },
	      { "its pod has ended: the Job's status will tell", LIVE "pods:p/finished",
		"ended=no" },
	      { "the Job counts two", LIVE "job:active=2 pods:p/ended0/side", "ended=no" },
	      { "the Job is suspended", LIVE "job:suspended pods:p/ended0/side", "ended=no" },
	      { "a hold does not hold what has ended", LIVE "job:hold=true pods:p/ended0/side",
		"ended=completed look=due" },
	      { "it runs again, in another pod", LIVE "pods:p/ended0/side pods:q/side",
		"ended=no look=no" },
	      { "with a grace: later",
		"cfg:container=grpc,completed-grace=60 job pods:p/ended0/side",
		"ended=no look=no" },
	      { "... then", "cfg:container=grpc,completed-grace=60 job pods:p/ended0/side +60",
		"ended=completed look=due" },
	      { "the other grace is not its",
		"cfg:container=grpc,failed-grace=60 job pods:p/ended0", "ended=completed" },
	      { "without the setting nothing is made of it", "job pods:p/ended0/side", "ended=no" },
	      { "what follows is that trigger",
		LIVE "pods:p/ended3/side service pods:p/ended3/side job delete-job",
		"trigger=failed over=failed" },
	      { "... whose grace is over",
		"cfg:container=grpc,failed-grace=9 job pods:p/ended3 +9 "
		"service pods:p/ended3 job delete-job:kept",
		"trigger=failed kept=-" },
	      { "refused: it is watched as before",
		LIVE "pods:p/ended3/side service pods:p/ended3/side job delete-job:refused +1 "
		     "service pods:p/ended3/side job delete-job:refused",
		"trigger=none live=yes event=refused" },
      });

#define LOOK_PODS "the last look: the pods"
#define LOOK_JOB  "the last look: the Job"
#define DELETE    "an idle or pending Job goes as it was looked at"
#define HAS_ENDED "has the container that is judged ended"

SCENES(when_the_pods_are_listed,
       {
	       { "once a minute", LIVE "+5 metrics +55 job metrics", HAS_ENDED },
	       { "... no sooner", LIVE, "wait 10" },
	       { "a pod is not ready any more", LIVE "+5 job:ready=0", HAS_ENDED },
	       { "... but not twice for that", LIVE "+5 job:ready=0 pods:p/side", "wait 10" },
	       { "not at any change", LIVE "+5 job:version=9", "wait 10" },
	       { "it is not in the metrics any more", LIVE "+10 metrics:container=side",
		 HAS_ENDED },
	       { "... said once",
		 LIVE "+10 metrics:container=side pods:p/side +10 "
		      "metrics:container=side job",
		 "wait 30" },
	       { "no more than twice a second", LIVE "job:ready=0", "wait 0.5" },
	       { "not without the setting",
		 "self list watch service job adopt metrics pods:p +5 "
		 "job:ready=0",
		 "wait 10" },
	       { "not of a Job that is suspended", LIVE "+60 job:suspended", "wait 120" },
	       { "a grace is waited for",
		 "cfg:container=grpc,completed-grace=25,nocheck self list watch service job adopt "
		 "pods:p/ended0/side",
		 "wait 25" },
	       { "the last look is the same", LIVE "pods:p/ended0/side service", LOOK_PODS },
	       { "... then the Job", LIVE "pods:p/ended0/side service pods:p/ended0/side",
		 LOOK_JOB },
	       { "... then it goes", LIVE "pods:p/ended0/side service pods:p/ended0/side job",
		 DELETE },
	       { "the pods may not be listed any more: nothing can tell",
		 LIVE "pods:p/ended0/side service pods:refused pods:refused pods:refused "
		      "pods:refused pods:refused pods:refused service job",
		 "wait 10" },
       });

/* ---- What is told of it ---- */

static void its_words(void **state)
{
	static struct stage s;
	char                words[100];

	(void)state;
	stage_open(&s, LIVE "pods:p/ended3/side service pods:p/ended3/side job delete-job");
	report_words(&s.w, &s.cfg, world_trigger(&s.w), words, sizeof(words));
	assert_string_equal(words, "container grpc ended with exit code 3");
	stage_close(&s);
	stage_open(&s, LIVE "pods:p/side job:failed");
	report_words(&s.w, &s.cfg, world_trigger(&s.w), words, sizeof(words));
	assert_string_equal(words, "the Job failed");
	stage_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ended_for_good),           cmocka_unit_test(the_jobs_only_pod),
		cmocka_unit_test(its_cpu_is_the_jobs),      cmocka_unit_test(it_has_ended),
		cmocka_unit_test(when_the_pods_are_listed), cmocka_unit_test(its_words),
	};

	return cmocka_run_group_tests_name("container", tests, NULL, NULL);
}

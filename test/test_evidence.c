/* What speaks against a Job that lives: readings, their count, its pods. Told as stage.h has it. */
#include "facts.h"

TALES(the_count,
      {
	      { "idle", "job metrics", "reading=idle count=1 cpu=1 idle=no" },
	      { "at the threshold", "job metrics:cpu=4", "reading=idle cpu=4" },
	      { "active", "job metrics metrics:cpu=5", "reading=active count=0 cpu=1" },
	      { "four of five", "job " IDLE4, "count=4 idle=no look=no" },
	      { "five", "job " IDLE5, "count=5 idle=due look=due" },
	      { "... of one old sample",
		"job metrics:at=0 +10 metrics:at=0 +10 metrics:at=0 +10 metrics:at=0 +10 "
		"metrics:at=0",
		"count=5 idle=no look=no" },
	      { "... of two",
		"job metrics:at=0 +10 metrics:at=0 +10 metrics:at=0 +10 metrics:at=0 +10 "
		"metrics:at=15",
		"count=5 idle=due" },
	      { "an hour asleep", "job " IDLE4 " +3600 metrics", "count=1" },
	      { "the last reading is unknown", "job " IDLE5 " +10 metrics:trouble",
		"count=5 reading=unknown idle=no look=no" },
	      { "the last reading is active", "job " IDLE5 " +10 metrics:cpu=9",
		"count=0 idle=no look=no" },
	      { "refused", "job " IDLE4 " +10 metrics:refused", "count=4 reading=unknown idle=no" },
	      { "of more pods than it had", "job " IDLE5 " job:active=2",
		"count=5 idle=no look=no" },
	      { "of other pods", "job " IDLE4 " +10 metrics:pods=q", "count=1" },
	      { "a pod of two is missing", "job:active=2 metrics", "reading=unknown count=0" },
	      { "no items", "job " IDLE4 " +10 metrics:none", "reading=unknown count=0" },
	      { "without a date", "job " IDLE4 " +10 metrics:nodate", "reading=unknown count=4" },
	      { "suspended", "job " IDLE5 " job:suspended",
		"count=0 idle=no reading=unknown look=no" },
	      { "suspend and resume", "job " IDLE4 " job:suspended job +10 metrics", "count=1" },
	      { "no selector", "job:unselectable metrics", "reading=unknown check=never" },
	      { "it has finished", "job " IDLE5 " job:complete", "idle=no look=no" },
	      { "it is gone", "job " IDLE5 " job:absent", "idle=no look=no" },
	      { "a newcomer has its name", "job " IDLE5 " job:uid=B", "idle=no look=no" },
	      { "one check is enough, if that was asked for", "cfg:count=1,distinct=1 job metrics",
		"idle=due" },
	      { "busy never ends it", "job metrics:cpu=9 +10 metrics:cpu=9",
		"count=0 reading=active idle=no" },
      });

TALES(why_a_reading_is_unknown,
      {
	      { "no items", "job metrics:none", "why=no-metrics-of-the-job's-pods" },
	      { "refused", "job metrics:refused", "why=no-permission-to-read-metrics" },
	      { "no answer", "job metrics:trouble", "why=the-metrics-API-did-not-answer" },
	      { "in the start-up grace", "cfg:startup=30 job:created=0 metrics",
		"why=start-up-grace" },
	      { "pod by pod: one has none yet",
		"job metrics:refused +1 metrics:refused +10 pods:p,q pod-metrics:absent",
		"why=metrics-of-some-pods-are-missing" },
	      { "... no answer",
		"job metrics:refused +1 metrics:refused +10 pods:p,q pod-metrics:trouble",
		"why=the-metrics-API-did-not-answer" },
	      { "... refused",
		"job metrics:refused +1 metrics:refused +10 pods:p,q pod-metrics:refused",
		"why=no-permission-to-read-metrics" },
	      { "... no pods", "job metrics:refused +1 metrics:refused +10 pods",
		"why=no-metrics-of-the-job's-pods" },
	      { "... which may not be listed",
		"job metrics:refused +1 metrics:refused +10 pods:refused",
		"why=no-permission-to-read-metrics" },
	      { "none", "job metrics:trouble +10 metrics", "why=-" },
	      { "what cleared the count", "job metrics +10 metrics:cpu=9", "cleared=active" },
	      { "... nothing", "job metrics +10 metrics", "cleared=-" },
	      { "... the last look", "job " IDLE5 " pods:p/waiting", "cleared=a-container-waits" },
	      { "suspended", "job:suspended", "why=the-job-is-suspended" },
	      { "on hold", "job:hold=true", "why=held" },
      });

TALES(startup_grace,
      {
	      { "young", "cfg:startup=30 job:created=0 +29.999 metrics",
		"reading=unknown count=0" },
	      { "old enough", "cfg:startup=30 job:created=0 +30 metrics", "reading=idle count=1" },
	      { "by its start, where it has one",
		"cfg:startup=30 job:created=-60,started=0 +20 metrics", "reading=unknown" },
	      { "... which has passed", "cfg:startup=30 job:created=0,started=-60 metrics",
		"reading=idle" },
	      { "neither is known", "cfg:startup=30 job +100 metrics", "reading=unknown" },
	      { "no date", "cfg:startup=30 job:created=-100 metrics:nodate", "reading=unknown" },
	      { "busy is unknown, too", "cfg:startup=30 job:created=0 metrics:cpu=9",
		"reading=unknown" },
	      { "no grace", "job metrics", "reading=idle" },
      });

TALES(the_grid,
      {
	      { "the first at once", "job", "grid=- check=-" },
	      { "then on it", "job +3 metrics", "grid=3 check=13" },
	      { "late is no new grid", "job +3 metrics +14 metrics", "grid=13 check=23" },
	      { "points that were missed are left out", "job +3 metrics +36 metrics",
		"grid=33 check=43" },
	      { "the answer's delay is no matter", "job >metrics +9 <metrics", "grid=0 check=10" },
	      { "a failure is on it, too", "job metrics +10 metrics:trouble", "grid=10 check=20" },
	      { "not asked for", "cfg:nocheck job", "check=never" },
	      { "suspended", "job:suspended", "check=never" },
	      { "it has finished", "job:complete", "check=never" },
	      { "the grid is pace enough", "job metrics:trouble", "due.metrics=-" },
	      { "... but for a Retry-After", "job metrics:trouble,retry=25", "due.metrics=25" },
	      { "... and a refusal", "job metrics:refused", "due.metrics=1" },
      });

/* Where metrics may not be listed they are read pod by pod. */
#define FORBIDDEN "metrics:refused +1 metrics:refused"
TALES(pod_by_pod,
      {
	      { "the pods are listed first", "job " FORBIDDEN " +9 >pods", "gather=-" },
	      { "each of them", "job " FORBIDDEN " +9 pods:p,q", "gather=p count=0" },
	      { "but for those of a lost node", "job " FORBIDDEN " +9 pods:p/lost62,q",
		"gather=q" },
	      { "... one behind the other", "job " FORBIDDEN " +10 pods:p,q pod-metrics",
		"gather=q count=0" },
	      { "... the last one makes the reading",
		"job:active=2 " FORBIDDEN " +10 pods:p,q pod-metrics pod-metrics:pods=q",
		"gather=- reading=idle count=1" },
	      { "... as old as the first", "job " FORBIDDEN " +10 >pods +2 <pods:p +2 pod-metrics",
		"grid=10 check=20" },
	      { "not those that have finished",
		"job " FORBIDDEN " +10 pods:p/finished,q pod-metrics:pods=q",
		"gather=- reading=idle" },
	      { "a sum",
		"job:active=2 " FORBIDDEN
		" +10 pods:p,q pod-metrics:cpu=3 pod-metrics:pods=q,cpu=3",
		"reading=active" },
	      { "one fails", "job " FORBIDDEN " +10 pods:p,q pod-metrics:trouble",
		"gather=- reading=unknown" },
	      { "what an earlier check had is no part of it",
		"job:active=2 " FORBIDDEN " +10 pods:p,q pod-metrics:cpu=2 pod-metrics:trouble +10 "
		"pods:p,q pod-metrics:cpu=2 pod-metrics:pods=q,cpu=2",
		"reading=idle cpu=4" },
	      { "the pods may not be listed: the check is over",
		"job " FORBIDDEN " +10 pods:refused", "grid=10 check=20" },
	      { "one has none yet", "job " FORBIDDEN " +10 pods:p,q pod-metrics:absent",
		"gather=- reading=unknown" },
	      { "no pods", "job " FORBIDDEN " +10 pods", "gather=- reading=unknown" },
	      { "the pods may not be listed either", "job " FORBIDDEN " +10 pods:refused",
		"gather=- reading=unknown" },
	      { "they may be listed", "job +10 pods:p", "gather=-" },
	      { "they may be listed again", "job " FORBIDDEN " +60 pods:p", "gather=-" },
	      { "one refusal is none", "job metrics:refused +10 pods:p", "gather=-" },
	      { "422 is another matter", "job metrics:unusable +1 metrics:unusable +10 pods:p",
		"gather=-" },
	      { "not between two checks", "job " FORBIDDEN " +9 pods:p pod-metrics pods:p",
		"gather=- count=1" },
	      { "five of them",
		"job " FORBIDDEN " +9 pods:p pod-metrics +10 pods:p pod-metrics +10 pods:p "
		"pod-metrics +10 pods:p pod-metrics +10 pods:p pod-metrics",
		"count=5 idle=due look=due" },
	      { "without any the check is over, too", "job " FORBIDDEN " +10 pods",
		"grid=10 check=20" },
	      { "the grid is pace enough", "job " FORBIDDEN " +10 pods:p pod-metrics:trouble",
		"due.pod-metrics=-" },
	      { "... but for a Retry-After",
		"job " FORBIDDEN " +10 pods:p pod-metrics:trouble,retry=25", "due.pod-metrics=36" },
	      { "... and a refusal", "job " FORBIDDEN " +10 pods:p pod-metrics:refused",
		"due.pod-metrics=12" },
	      { "a list of the pods that was sent for something else is none",
		"job " FORBIDDEN " +8.9 pods:p +0.1 >pods", "gather=-" },
      });

TALES(pending,
      {
	      { "not asked for", "job:ready=0", "pending=never" },
	      { "since it was seen", "cfg:pending=60 +5 job:ready=0", "pending=65" },
	      { "... for the first time", "cfg:pending=60 +5 job:ready=0 +5 job:ready=0",
		"pending=65" },
	      { "it was ready once", "cfg:pending=60 job:ready=1 job:ready=0",
		"pending=never ran=yes" },
	      { "the server does not say", "cfg:pending=60 job:ready=-1", "pending=60 ran=no" },
	      { "a pod of it is ready", "cfg:pending=60 job:ready=-1 pods:p",
		"pending=never ran=yes" },
	      { "... or was", "cfg:pending=60 job:ready=-1 pods:p/unready/ran", "pending=never" },
	      { "... neither", "cfg:pending=60 job:ready=-1 pods:p/unready", "pending=60" },
	      { "... one of two", "cfg:pending=60 job:ready=0 pods:p/pending,q", "pending=never" },
	      { "any reading of its CPU", "cfg:pending=60 job:ready=0 metrics:cpu=900",
		"pending=never ran=yes" },
	      { "... none", "cfg:pending=60 job:ready=0 metrics:none", "pending=60" },
	      { "suspended", "cfg:pending=60 job:ready=0,suspended", "pending=never" },
	      { "... and resumed", "cfg:pending=60 job:ready=0,suspended +30 job:ready=0",
		"pending=90" },
	      { "finished", "cfg:pending=60 job:complete,ready=0", "pending=never" },
	      { "due", "cfg:pending=60 job:ready=0 +60", "look=due" },
	      { "not yet", "cfg:pending=60 job:ready=0 +59.999", "look=no" },
	      { "held", "cfg:pending=60 job:ready=0,hold=true +60", "look=no" },
	      { "... the other one", "cfg:pending=60 job:ready=0 pods:p,q/pending",
		"pending=never" },
	      { "... once", "cfg:pending=60 job:ready=0 pods:p pods:p/pending", "pending=never" },
	      { "... and then none", "cfg:pending=60 job:ready=0 metrics:cpu=9 +10 metrics:none",
		"ran=yes" },
      });

TALES(the_pods,
      {
	      { "none", "job pods", "staying=-" },
	      { "one that neither is gone nor going", "job pods:p/deleting,q", "staying=q" },
	      { "... but a finished one, while the Job is there", "job pods:p/finished",
		"staying=-" },
	      { "... not once it is gone", "job job:absent pods:p/finished", "staying=p" },
	      { "... nor if it was never seen", "+60 job:absent pods:p/finished", "staying=p" },
	      { "a list that fails is none", "job pods:p pods:trouble", "staying=p" },
	      { "deleted", "job job:absent pods:p,q delete-pod", "staying=q" },
	      { "... both", "job job:absent pods:p,q delete-pod delete-pod:absent", "staying=-" },
	      { "... a conflict tells nothing", "job job:absent pods:p delete-pod:conflict",
		"staying=p" },
	      { "... and the list if another one has its name",
		"job job:absent pods:p delete-pod:conflict pods", "staying=-" },
	      { "refused", "job job:absent pods:p delete-pod:refused", "staying=p" },
	      { "no answer", "job job:absent pods:p delete-pod:trouble", "staying=p" },
	      { "one that stays holds up none behind it",
		"job job:absent pods:p,q,r delete-pod:refused", "staying=q" },
	      { "... but for one that goes",
		"job job:absent pods:p,q/deleting,r delete-pod:refused", "staying=r" },
	      { "... however often they are listed",
		"job job:absent pods:p,q,r delete-pod:refused pods:p,q,r delete-pod pods:p,r",
		"staying=r" },
	      { "... and is tried again behind the last of them",
		"job job:absent pods:p,q delete-pod:trouble delete-pod", "staying=p" },
	      { "the last one has gone", "job job:absent pods", "last-pod=gone" },
	      { "... not while one terminates", "job job:absent pods:p/deleting", "last-pod=-" },
	      { "... nor while the Job is there", "job pods", "last-pod=-" },
	      { "... nor by a list that was sent before it went", "job >pods job:absent <pods",
		"last-pod=-" },
	      { "... and there is one after all", "job job:absent pods pods:p", "last-pod=-" },
	      { "of a Job that never was", "+60 job:absent pods", "last-pod=gone" },
	      { "... that came after all, and has gone", "+60 job:absent pods job job:absent",
		"last-pod=-" },
      });

/* A Job that is gone, with all but its queues. */
#define OVER "cfg:broker self list watch service job job:absent pods delete-service "

TALES(whose_queues,
      {
	      { "nobody can tell whose they are",
		OVER "queues:names=a +1 job:refused +1 job:refused +57.9", "queues-fate=none" },
	      { "... for a minute", OVER "queues:names=a +1 job:refused +1 job:refused +58.1",
		"queues-fate=left self-next=yes" },
	      { "... in whatever words",
		OVER "queues:names=7-a +1 job:trouble job:trouble job:trouble +59.1",
		"queues-fate=left self-next=yes" },
	      { "... but not in those of one that is too busy to answer",
		OVER "queues:names=a +1 job:trouble,status=429 job:trouble,status=429 "
		     "job:trouble,status=429 +59.1",
		"queues-fate=none" },
	      { "... not by one answer", OVER "queues:names=a job:refused +60",
		"queues-fate=none" },
	      { "... nor by two", OVER "queues:names=a job:trouble job:trouble,retry=60 +60",
		"queues-fate=none" },
	      { "... nor where nobody was asked",
		OVER "job:refused job:refused queues:names=a job:absent +61", "queues-fate=none" },
	      { "... and then it is told after all",
		OVER "queues:names=a +1 job:refused +1 job:refused +58.1 job:absent",
		"queues-fate=none" },
	      { "... without a word: that is an outage",
		OVER "queues:names=a +1 job:unreachable job:unreachable job:unreachable +59.1",
		"queues-fate=none" },
	      { "... nor where they were told in between",
		OVER "queues:names=a+b job:absent +30 delete-queue job:absent +20 job:refused "
		     "job:refused +11",
		"queues-fate=none" },
	      { "... of one that is kept",
		"cfg:broker,completed-grace=1000 self list watch service job "
		"job:complete service delete-service queues:names=a job:refused job:refused +61",
		"queues-fate=none" },
      });

/* At most six answers, half a minute, make "forbidden" of a 403: an API server's first second. */
#define NO "pods:refused "
TALES(pods_that_may_not_be_listed,
      {
	      { "five", "job " NO NO NO NO NO, "pods-forbidden=no" },
	      { "six", "job " NO NO NO NO NO NO, "pods-forbidden=yes" },
	      { "... and allowed again", "job " NO NO NO NO NO NO "pods", "pods-forbidden=no" },
	      { "another 4xx is no such answer", "job " NO NO NO NO NO "pods:unusable",
		"pods-forbidden=no" },
	      { "asked again soon", "job " NO, "due.pods=1" },
	      { "... 1, 2, 4 s", "job " NO NO NO, "due.pods=4" },
	      { "... then believed for a minute", "job " NO NO NO NO NO NO, "due.pods=60" },
      });

/* The last look's pods. */
static void pods_that_contradict(void **state)
{
	static const struct {
		const char *sentence, *pods, *why; /* NULL: they bear the reading out */
	} rows[] = {
		{ "one that runs", "pods:p", NULL },
		{ "two", "pods:p,q", NULL },
		{ "none", "pods", "no pod is running" },
		{ "a container waits", "pods:p,q/waiting", "a container waits" },
		{ "... first", "pods:p/waiting,q", "a container waits" },
		{ "one that is not running yet", "pods:p,q/pending", "a pod is not running yet" },
		{ "a running container is not in the metrics", "pods:p/side",
		  "a running container is not in the metrics" },
		{ "a running pod is not", "pods:p,r", "a running container is not in the metrics" },
		{ "a finished one does not count", "pods:p,q/finished", NULL },
		{ "... nor is it one that runs", "pods:p/finished", "no pod is running" },
		{ "one that terminates does", "pods:p,q/pending/deleting",
		  "a pod is not running yet" },
		{ "... not if its node is lost", "pods:p,r/lost62", NULL },
		{ "... for more than a minute, by a time in whole seconds", "pods:p,r/lost61",
		  "a running container is not in the metrics" },
		{ "... to the millisecond", "pods:p,r/lost61.001", NULL },
		{ "... and it alone is none", "pods:p/lost62", "no pod is running" },
		{ "the server's clock is not known", "pods:p,r/lost62,nodate", NULL },
	};
	static struct stage s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("  %s\n", rows[i].sentence);
		stage_open(&s, "job:active=2 metrics:pods=p+q");
		stage_tell(&s, rows[i].pods);
		const char *why = pods_contradict(&s.w, &s.cfg, s.now);
		assert_string_equal(why ? why : "", rows[i].why ? rows[i].why : "");
		stage_close(&s);
	}
	/* the server's clock was never told: nobody knows that a node is lost */
	stage_open(&s, "job:nodate pods:p/lost61,nodate");
	assert_string_equal(pods_contradict(&s.w, &s.cfg, s.now),
			    "a running container is not in the metrics");
	stage_close(&s);
}

TALES(the_last_look,
      {
	      { "the pods bear it out", "job " IDLE5 " pods:p", "count=5 look=due reading=idle" },
	      { "they do not: the count is cleared", "job " IDLE5 " pods:p/waiting",
		"count=0 look=no reading=unknown idle=no" },
	      { "they are no matter before", "job " IDLE4 " pods:p/waiting",
		"count=4 reading=idle" },
	      { "nor for a pending Job", "cfg:pending=60 job:ready=0 +60 pods:p/pending",
		"look=due" },
	      { "then it is over", "job " IDLE5 " pods:p job", "looked=yes" },
	      { "... but without a reason there is none", "job pods:p job", "look=no looked=no" },
	      { "a list that fails", "job " IDLE5 " pods:trouble", "count=5 look=due" },
      });

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_count),
		cmocka_unit_test(why_a_reading_is_unknown),
		cmocka_unit_test(startup_grace),
		cmocka_unit_test(the_grid),
		cmocka_unit_test(pod_by_pod),
		cmocka_unit_test(pending),
		cmocka_unit_test(the_pods),
		cmocka_unit_test(whose_queues),
		cmocka_unit_test(pods_that_may_not_be_listed),
		cmocka_unit_test(pods_that_contradict),
		cmocka_unit_test(the_last_look),
	};

	return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}

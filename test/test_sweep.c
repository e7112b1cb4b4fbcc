/* What the plan says of a sweep's teardown: what was listed as a leftover is looked at once more.
 */
#include "steps.h"

#define READ_AGAIN     "the Job is read again at least once a minute"
#define OWN_UID        "our own uid, before anybody can have replaced us"
#define FIRST_PODS     "its pods, behind its end"
#define LIST_PODS      "its pods are gone or terminating"
#define DELETE_POD     "a pod that outlives its Job goes"
#define READ_SERVICE   "which Service is there"
#define WHOSE          "whose is it? The Job's name tells"
#define DELETE_SERVICE "the Service goes when the Job is gone or has ended"
#define SERVICE_BEFORE "the Service as it is before its Job goes"
#define DELETE_ENDED   "an ended Job goes at once, by its uid"
#define ADOPT          "the Service is adopted, right behind a read of the Job"

#define SWEEP   "cfg:sweep=-600,missing=0,teardown=120 "
#define NO_JOB  SWEEP "self job:absent "
#define SERVICE NO_JOB "pods service "
#define ENDED   "job:complete,created=-5000,finished=-601"

SCENES(a_job_that_is_not_there,
       {
	       { "first what is to go last, by its uid", SWEEP, OWN_UID },
	       { "a GET, no LIST and no watch", SWEEP "self", READ_AGAIN },
	       { "missing at once", NO_JOB, FIRST_PODS },
	       { "which Service is there", NO_JOB "pods", READ_SERVICE },
	       { "the Job is read right before the Service's DELETE", SERVICE, WHOSE },
	       { "... is not there", SERVICE "job:absent", DELETE_SERVICE },
	       { "... has come", SERVICE "job:created=0", "end spared" },
	       { "... is unknown", SERVICE "job:trouble", "wait 0.5" },
	       { "pods: the Job is read right before, too", NO_JOB "pods:p +20 pods:p", WHOSE },
	       { "... is not there", NO_JOB "pods:p +20 pods:p job:absent", DELETE_POD },
	       { "... has come", NO_JOB "pods:p +20 pods:p job:created=0", "end spared" },
	       { "a cleaner that may be at work gets its time",
		 "cfg:sweep=-600,missing=60,teardown=120 self job:absent", "wait 60" },
	       { "... a Job that comes meanwhile stays",
		 "cfg:sweep=-600,missing=60,teardown=120 self job:absent +60 job:created=50",
		 "end spared" },
       });

SCENES(what_is_young,
       {
	       { "the Service", SERVICE, WHOSE },
	       { "... stays, and all of its id", NO_JOB "pods service:created=-599", "end spared" },
	       { "... a second older", NO_JOB "pods service:created=-600", WHOSE },
	       { "its age cannot be read", NO_JOB "pods service:created=-9999999999",
		 "end spared" },
	       { "a pod", NO_JOB "pods:p,q/young", "end spared" },
	       { "... whose age cannot be read", NO_JOB "pods:p/ageless,q", "end spared" },
	       { "the cleaner", SWEEP "self:created=-599", "end spared" },
	       { "... a second older", SWEEP "self:created=-600", READ_AGAIN },
	       { "elsewhere age is no matter", "self list watch service:created=0 job", ADOPT },
       });

SCENES(a_job_that_has_ended,
       {
	       { "its Service is noted", SWEEP "self " ENDED, SERVICE_BEFORE },
	       { "it goes", SWEEP "self " ENDED " service", DELETE_ENDED },
	       { "... by now it is held",
		 SWEEP "self " ENDED " service delete-job:conflict " ENDED ",hold=true",
		 "end spared" },
	       { "... it has changed, and is left all the same",
		 SWEEP "self " ENDED " service delete-job:conflict " ENDED ",version=2 +0.5",
		 DELETE_ENDED },
	       { "an older replica says that it lives",
		 SWEEP "self " ENDED " service delete-job:conflict job:created=-5000 +0.5",
		 DELETE_ENDED },
	       { "its TTL would keep it", SWEEP "self " ENDED ",ttl=2", "end spared" },
	       { "... no longer", SWEEP "self " ENDED ",ttl=1", SERVICE_BEFORE },
	       { "a second less ago", SWEEP "self job:complete,created=-5000,finished=-599",
		 "end spared" },
	       { "nobody knows when", SWEEP "self job:complete,created=-5000", "end spared" },
	       { "a Job whose age nobody knows", SWEEP "self job:complete,finished=-601",
		 "end spared" },
	       { "failed, and the grace is not over",
		 "cfg:sweep=-600,failed-grace=10,missing=0 self job:failed,created=-5000,finished=-"
		 "601",
		 "end spared" },
	       { "... of completed ones it is",
		 "cfg:sweep=-600,failed-grace=10,missing=0 self " ENDED, SERVICE_BEFORE },
       });

SCENES(a_job_that_lives,
       {
	       { "old", SWEEP "self job:created=-5000", "end spared" },
	       { "suspended", SWEEP "self job:created=-5000,suspended,active=0", "end spared" },
	       { "pending", SWEEP "self job:created=-5000,ready=0", "end spared" },
	       { "held", SWEEP "self " ENDED ",hold=until-monday", "end spared" },
	       { "somebody is deleting it", SWEEP "self job:created=-5000,deleting", "end spared" },
       });

SCENES(nobody_can_tell,
       {
	       { "no answer", SWEEP "self job:trouble,rnd=1 +118 job:trouble,retry=60",
		 "wait 120" },
	       { "... behind the minute of a cleaner that may be at work",
		 "cfg:sweep=-600,missing=60,teardown=120 self job:trouble,rnd=1 +178 "
		 "job:trouble,retry=60",
		 "wait 180" },
	       { "... for two minutes", SWEEP "self job:trouble,rnd=1 +120", "end left" },
	       { "refused once", SWEEP "self job:refused", "wait 1" },
	       { "... and again", SWEEP "self job:refused +1 job:refused", "end left" },
	       { "a signal", SWEEP "self job:trouble signal job:trouble", "end signalled" },
       });

SCENES(what_is_left_counts,
       {
	       { "a cleaner's Job that may not be deleted",
		 SERVICE "job:absent delete-service delete-self:refused +1 delete-self:refused +3 "
			 "service:absent job:absent delete-self:refused",
		 "end left" },
	       { "... elsewhere it has a TTL",
		 "cfg:missing=0 self list:empty job:absent watch pods service job:absent "
		 "delete-service delete-self:refused +1 delete-self:refused +3 service:absent "
		 "job:absent delete-self:refused",
		 "end torn-down" },
	       { "queues",
		 "cfg:sweep=-600,missing=0,teardown=120,broker self job:absent pods service "
		 "job:absent delete-service queues:refused delete-self",
		 "end left" },
       });

SCENES(orphans_beside_another_job,
       {
	       { "the Job that has the name is read", "cfg:sweep=-600,noself ours:B", READ_AGAIN },
	       { "it is another", "cfg:sweep=-600,noself ours:B job:created=0", FIRST_PODS },
	       { "orphans go", "cfg:sweep=-600,noself ours:B job:created=0 pods:p +20", LIST_PODS },
	       { "... by uid", "cfg:sweep=-600,noself ours:B job:created=0 pods:p +20 pods:p",
		 DELETE_POD },
	       { "and nothing else",
		 "cfg:sweep=-600,noself ours:B job:created=0 pods:p +20 pods:p delete-pod pods",
		 "end torn-down" },
	       { "it is theirs after all", "cfg:sweep=-600,noself ours:A job:created=-5000",
		 "end spared" },
       });

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_that_is_not_there),
		cmocka_unit_test(what_is_young),
		cmocka_unit_test(a_job_that_has_ended),
		cmocka_unit_test(a_job_that_lives),
		cmocka_unit_test(nobody_can_tell),
		cmocka_unit_test(what_is_left_counts),
		cmocka_unit_test(orphans_beside_another_job),
	};

	return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}

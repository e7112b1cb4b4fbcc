/* The end: the queues, our own Job, signals, deadlines, dry runs; how the program ends. */
#include "steps.h"

#define DELETE_ENDED   "an ended Job goes at once, by its uid"
#define DELETE_SERVICE "the Service goes when the Job is gone or has ended"
#define FIRST_PODS     "its pods, behind its end"
#define LIST_PODS      "its pods are gone or terminating"
#define LIST_QUEUES    "the queues, behind the Job"
#define NEIGHBOUR      "a queue of a Job whose id continues ours stays"
#define DELETE_QUEUE   "a queue goes"
#define WHOSE          "whose is it? The Job's name tells"
#define SERVICE_LAST   "no slot is free while its Service is there"
#define OWN_UID        "our own uid, before anybody can have replaced us"
#define DELETE_SELF    "our own Job is the last"
#define ON_SIGNAL      "a signal: one read of the Job"
#define SERVICE_BEFORE "the Service as it is before its Job goes"
#define LOOK_JOB       "the last look: the Job"
#define CHECK          "a check on its grid"
#define READ_SERVICE   "which Service is there"
#define ON_NEWS        "news of the Job: it is read"
#define TELL           "an Event on the Job, best effort"
#define READ_AGAIN     "the Job is read again at least once a minute"

#define LIVE       "self list watch service job adopt metrics pods:p "
#define IDLE       LIVE "+10 metrics +10 metrics +10 metrics +10 metrics "
#define ENDED      LIVE "+5 job:complete service delete-job tell "
#define GONE       ENDED "+0.1 job:absent " /* at 5.1 s */
#define NO_PODS    GONE "pods "
#define NO_SERVICE NO_PODS "delete-service "
#define BROKER     "cfg:broker " NO_SERVICE
#define MISSING    "self list:empty watch job:absent +60 job:absent "
#define GRACE      "cfg:completed-grace=100 " LIVE "+5 job:complete "

SCENES(a_grace,
       {
	       { "it is kept",
		 "cfg:completed-grace=100,noadopt self list watch service:absent metrics pods:p +5 "
		 "job:complete",
		 READ_SERVICE },
	       { "... Service and queues go at once",
		 "cfg:completed-grace=100 " LIVE "+5 job:complete", DELETE_SERVICE },
	       { "... and it is watched as before",
		 "cfg:completed-grace=100 " LIVE "+5 job:complete service delete-service",
		 "wait 60" },
	       { "... read once a minute",
		 "cfg:completed-grace=100 " LIVE "+5 job:complete service delete-service +55",
		 READ_AGAIN },
	       { "... events are news",
		 "cfg:completed-grace=100 " LIVE
		 "+5 job:complete service delete-service +1 seen:complete",
		 ON_NEWS },
	       { "... listed when the watch has ended",
		 "cfg:completed-grace=100 " LIVE "+5 job:complete service delete-service ended",
		 "wait 5.5" },
	       { "it is over",
		 "cfg:completed-grace=50 " LIVE "+5 job:complete service delete-service +50",
		 SERVICE_BEFORE },
	       { "... the Job goes",
		 "cfg:completed-grace=50 " LIVE
		 "+5 job:complete service delete-service +50 service:absent",
		 DELETE_ENDED },
	       { "... not a millisecond sooner",
		 "cfg:completed-grace=50 " LIVE "+5 job:complete service delete-service +49.999",
		 "wait 55" },
	       { "it goes by itself",
		 "cfg:completed-grace=100 " LIVE
		 "+5 job:complete service delete-service +1 job:absent",
		 FIRST_PODS },
	       { "... and all is done",
		 "cfg:completed-grace=100 " LIVE
		 "+5 job:complete service delete-service +1 job:absent pods service:absent",
		 DELETE_SELF },
	       { "a failed one has its own",
		 "cfg:completed-grace=100 " LIVE "+5 job:failed service", DELETE_ENDED },
	       { "the queues",
		 "cfg:completed-grace=100,broker " LIVE "+5 job:complete service delete-service",
		 LIST_QUEUES },
       });

SCENES(the_queues,
       {
	       { "behind Job, pods and Service", BROKER, LIST_QUEUES },
	       { "never before the Job", "cfg:broker " LIVE, "wait 10" },
	       { "... nor while it is about to go", "cfg:broker " ENDED, "wait 5.1" },
	       { "none, where there is no broker", NO_SERVICE, DELETE_SELF },
	       { "whose is the Job's name now? Each page anew", BROKER "queues:names=a", WHOSE },
	       { "nobody's", BROKER "queues:names=a job:absent", DELETE_QUEUE },
	       { "a newcomer's", BROKER "queues:names=a job:uid=B", "end torn-down" },
	       { "nobody can tell", BROKER "queues:names=a job:trouble", "wait 5.6" },
	       { "... for a minute", BROKER "queues:names=a +50 job:refused job:refused,retry=30",
		 "wait 65.1" },
	       { "... then they are left",
		 BROKER "queues:names=a +50 job:refused job:refused,retry=30 +10", SERVICE_LAST },
	       { "another one behind it", BROKER "queues:names=a+b job:absent delete-queue",
		 DELETE_QUEUE },
	       { "one that may be another job's", BROKER "queues:names=7-a job:absent", NEIGHBOUR },
	       { "... nobody's", BROKER "queues:names=7-a job:absent neighbour:absent",
		 DELETE_QUEUE },
	       { "... its", BROKER "queues:names=7-a job:absent neighbour", DELETE_SELF },
	       { "... no answer: it stays", BROKER "queues:names=7-a job:absent neighbour:trouble",
		 "wait 6.1" },
	       { "the next page", BROKER "queues:more", LIST_QUEUES },
	       { "no answer: in time", BROKER "queues:trouble", "wait 5.6" },
	       { "... then", BROKER "queues:trouble +0.5", LIST_QUEUES },
	       { "all went: once more", BROKER "queues:names=a job:absent delete-queue",
		 LIST_QUEUES },
	       { "all are gone", BROKER "queues", DELETE_SELF },
	       { "refused: the next one at once",
		 BROKER "queues:names=a+b job:absent delete-queue:refused", DELETE_QUEUE },
	       { "in use: the next one at once",
		 BROKER "queues:names=a+b job:absent delete-queue:conflict", DELETE_QUEUE },
	       { "5xx: the next one in time",
		 BROKER "queues:names=a+b job:absent delete-queue:trouble", "wait 5.6" },
	       { "one that stays: the walk anew",
		 BROKER "queues:names=a job:absent delete-queue:conflict", "wait 6.1" },
	       { "... then", BROKER "queues:names=a job:absent delete-queue:conflict +1",
		 LIST_QUEUES },
	       { "... until the minute is over",
		 BROKER "queues:names=a job:absent delete-queue:conflict +18 queues:names=a "
			"job:absent delete-queue:conflict +18 queues:names=a job:absent "
			"delete-queue:conflict +19 queues:names=a job:absent delete-queue:conflict",
		 "wait 65.1" },
	       { "... slower",
		 BROKER "queues:names=a job:absent delete-queue:conflict +1 queues:names=a "
			"job:absent delete-queue:conflict",
		 "wait 8.1" },
	       { "forbidden, all of it: final",
		 BROKER "queues:names=a+b job:absent delete-queue:refused delete-queue:refused",
		 DELETE_SELF },
	       { "the user is wrong: final", BROKER "queues:refused", DELETE_SELF },
	       { "no such virtual host: final", BROKER "queues:absent", DELETE_SELF },
	       { "a kept Job's go at once",
		 "cfg:broker,completed-grace=100 " LIVE "+5 job:complete service delete-service",
		 LIST_QUEUES },
	       { "... whose name is still ours",
		 "cfg:broker,completed-grace=100 " LIVE
		 "+5 job:complete service delete-service queues:names=a job:complete",
		 DELETE_QUEUE },
	       { "of a Job that never was", "cfg:broker " MISSING "pods service:absent",
		 LIST_QUEUES },
	       { "... that came after all, and has ended: they are listed anew",
		 "cfg:broker,completed-grace=100 " MISSING
		 "pods service:absent queues:names=a job:complete service:absent",
		 LIST_QUEUES },
       });

/* A pod that is terminating may declare its queue again: behind the last pod, once more. */
SCENES(the_last_walk,
       {
	       { "one terminates: the queues are listed",
		 "cfg:broker " GONE "pods:p/deleting delete-service", LIST_QUEUES },
	       { "... and then not at once",
		 "cfg:broker " GONE "pods:p/deleting delete-service queues", "wait 5.2" },
	       { "... the pods are listed until they are gone",
		 "cfg:broker " GONE "pods:p/deleting delete-service queues +0.1", LIST_PODS },
	       { "... then the queues once more",
		 "cfg:broker " GONE "pods:p/deleting delete-service queues +0.1 pods",
		 LIST_QUEUES },
	       { "... and all is done",
		 "cfg:broker " GONE "pods:p/deleting delete-service queues +0.1 pods queues",
		 DELETE_SELF },
	       { "no longer than 60 s",
		 "cfg:broker " GONE
		 "pods:p/deleting delete-service queues +58 pods:p/deleting job:absent",
		 "wait 65.1" },
	       { "... then",
		 "cfg:broker " GONE "pods:p/deleting delete-service queues +58 pods:p/deleting +2",
		 LIST_QUEUES },
	       { "... and no more",
		 "cfg:broker " GONE
		 "pods:p/deleting delete-service queues +58 pods:p/deleting +2 queues",
		 SERVICE_LAST },
	       { "no list of them was behind the end: nothing is to wait for",
		 "cfg:broker " GONE "pods delete-service queues", DELETE_SELF },
	       { "without a broker nobody waits", GONE "pods:p/deleting delete-service",
		 DELETE_SELF },
	       { "nor where pods may not be listed",
		 "cfg:broker " GONE "pods:refused pods:refused pods:refused pods:refused "
		 "pods:refused pods:refused delete-service queues",
		 DELETE_SELF },
	       { "... and were walked before that: once more",
		 "cfg:broker " GONE "pods:refused delete-service queues pods:refused pods:refused "
		 "pods:refused pods:refused pods:refused",
		 LIST_QUEUES },
	       { "nor beside a newcomer", "cfg:broker " LIVE "+5 job:uid=B pods:p/deleting",
		 "end torn-down" },
       });

/* A queue that stays is tried for a minute since one went, and for four walks; then it is left. */
#define STAYS "job:absent delete-queue:conflict "
TALES(queues_that_stay,
      {
	      { "not yet", BROKER "queues:names=a " STAYS, "queues-fate=none" },
	      { "three walks",
		BROKER "queues:names=a " STAYS "+30 queues:names=a " STAYS
		       "+31 queues:names=a " STAYS,
		"queues-fate=none" },
	      { "four, but not a minute",
		BROKER "queues:names=a " STAYS "+9 queues:names=a " STAYS "+9 queues:names=a " STAYS
		       "+9 queues:names=a " STAYS,
		"queues-fate=none" },
	      { "four, and a minute",
		BROKER "queues:names=a " STAYS "+20 queues:names=a " STAYS
		       "+20 queues:names=a " STAYS "+20 queues:names=a " STAYS,
		"queues-fate=left complete=yes self-next=yes" },
	      { "... a millisecond less",
		BROKER "queues:names=a " STAYS "+20 queues:names=a " STAYS
		       "+20 queues:names=a " STAYS "+19.999 queues:names=a " STAYS,
		"queues-fate=none" },
	      { "... and meanwhile one went",
		BROKER "queues:names=a " STAYS
		       "+20 queues:names=b+a job:absent delete-queue delete-queue:conflict "
		       "queues:names=a +20 queues:names=a " STAYS "+20 queues:names=a " STAYS
		       "+10 queues:names=a " STAYS,
		"queues-fate=none" },
	      { "... and one went, and then the machine slept",
		BROKER "queues:names=a " STAYS
		       "+20 queues:names=b+a job:absent delete-queue delete-queue:conflict "
		       "queues:names=a +25 queues:names=a " STAYS
		       "+25 asleep:s=1000 queues:names=a " STAYS,
		"queues-fate=none" },
	      { "without an answer it is tried on",
		BROKER "queues:names=a job:absent delete-queue:trouble +20 queues:names=a "
		       "job:absent delete-queue:trouble +20 queues:names=a job:absent "
		       "delete-queue:trouble +20 queues:names=a job:absent delete-queue:trouble",
		"queues-fate=none" },
	      { "... until time is up",
		BROKER "queues:names=a job:absent delete-queue:trouble +600",
		"queues-fate=left complete=yes" },
	      { "forbidden: at once", BROKER "queues:names=a job:absent delete-queue:refused",
		"queues-fate=left self-next=yes" },
	      { "the broker's no", BROKER "queues:refused", "queues-fate=forbidden self-next=yes" },
	      { "deleted", BROKER "queues:names=a job:absent delete-queue queues",
		"queues-fate=deleted" },
	      { "none", BROKER "queues", "queues-fate=absent" },
	      { "in the middle", BROKER "queues:names=a job:absent",
		"queues-fate=none self-next=no" },
	      { "not asked for", NO_SERVICE, "queues-fate=off" },
	      { "a newcomer's", BROKER "job:uid=B", "queues-fate=newcomer" },
	      { "the Job is kept: not left while it is there",
		"cfg:broker,completed-grace=1000 " LIVE
		"+5 job:complete service delete-service queues:names=a job:complete "
		"delete-queue:conflict +20 queues:names=a job:complete delete-queue:conflict +20 "
		"queues:names=a job:complete delete-queue:conflict +21 queues:names=a job:complete "
		"delete-queue:conflict",
		"queues-fate=none" },
      });

TALES(fates,
      {
	      { "nothing", LIVE,
		"job-fate=none pods-fate=none service-fate=none deadline=never self-next=no" },
	      { "its DELETE was accepted", ENDED, "job-fate=none" },
	      { "it is gone", GONE, "job-fate=deleted pods-fate=none" },
	      { "by somebody else", LIVE "+5 job:absent", "job-fate=absent" },
	      { "as idle, without an answer",
		IDLE "service pods:p job delete-job:trouble job:absent", "job-fate=deleted" },
	      { "it never was", MISSING, "job-fate=absent pods-fate=none" },
	      { "a newcomer", LIVE "+5 job:uid=B",
		"job-fate=newcomer service-fate=newcomer self-next=no complete=yes" },
	      { "pods are gone", NO_PODS, "pods-fate=deleted service-fate=none" },
	      { "... listed while it lives", LIVE "pods", "pods-fate=none" },
	      { "... listed before it went", LIVE "pods +5 job:absent", "pods-fate=none" },
	      { "... or terminating", GONE "pods:p/deleting", "pods-fate=deleted" },
	      { "... or neither", GONE "pods:p", "pods-fate=none" },
	      { "... that may not be listed for a moment, and never were",
		"self list:complete service delete-job job:absent pods:refused pods:refused",
		"pods-fate=none" },
	      { "... forbidden",
		GONE
		"pods:refused pods:refused pods:refused pods:refused pods:refused pods:refused",
		"pods-fate=off" },
	      { "... five times",
		GONE "pods:refused pods:refused pods:refused pods:refused pods:refused",
		"pods-fate=none" },
	      { "... before it went, which is believed still",
		LIVE "pods:refused pods:refused pods:refused pods:refused pods:refused "
		     "pods:refused +5 job:absent",
		"pods-fate=off" },
	      { "... which was believed",
		LIVE "pods:refused pods:refused pods:refused pods:refused pods:refused "
		     "pods:refused +61 job:absent",
		"pods-fate=none" },
	      { "the Service is deleted", NO_SERVICE, "service-fate=deleted self-next=yes" },
	      { "... was absent", NO_PODS "service:absent", "service-fate=absent self-next=yes" },
	      { "... was absent before the Job's end", LIVE "service:absent +5 job:absent pods",
		"service-fate=none" },
	      { "... is kept", NO_PODS "delete-service:kept", "service-fate=none self-next=no" },
	      { "... and goes", NO_PODS "delete-service:kept service:absent",
		"service-fate=deleted" },
	      { "... is another one's", NO_PODS "delete-service:conflict service:uid=T job:absent",
		"service-fate=newcomer self-next=yes" },
	      { "the deadline", GONE, "deadline=605" },
	      { "... of a Job that is kept: behind the grace", GRACE, "deadline=705" },
	      { "... that went by itself", GRACE "+10 job:absent", "deadline=615" },
	      { "... as it is set", "cfg:teardown=20 " GONE, "deadline=25" },
	      { "a signal leaves 22.5 s", GONE "+3 signal", "deadline=30.6" },
	      { "... no more than there was", "cfg:teardown=20 " GONE "+3 signal", "deadline=25" },
	      { "... a second one half a second", GONE "+3 signal +1 signal", "deadline=9.6" },
	      { "... a third one no more", GONE "+3 signal +1 signal +0.1 signal", "deadline=9.7" },
	      { "time that was slept is not time that was tried", GONE "asleep:s=1000",
		"deadline=1605" },
	      { "out of time: the Job",
		"cfg:teardown=20 " LIVE "+5 job:complete service delete-job:trouble +20",
		"job-fate=left service-fate=left complete=no" },
	      { "... kept by finalizers", "cfg:teardown=20 " ENDED "job:complete,deleting +20",
		"job-fate=deleting complete=no" },
	      { "... refused",
		"cfg:teardown=20 " LIVE
		"+5 job:complete service delete-job:refused delete-job:refused +20",
		"job-fate=forbidden complete=no" },
	      { "... by one answer",
		"cfg:teardown=20 " LIVE "+5 job:complete service delete-job:refused +20",
		"job-fate=left" },
	      { "... a millisecond sooner",
		"cfg:teardown=20 " LIVE "+5 job:complete service delete-job:trouble +19.999",
		"job-fate=none service-fate=none" },
	      { "... the pods", "cfg:teardown=20 " GONE "pods:p +20",
		"pods-fate=left complete=no" },
	      { "... refused",
		"cfg:teardown=20 " GONE "pods:p +10 delete-pod:refused delete-pod:refused +10",
		"pods-fate=forbidden complete=no" },
	      { "... that may not be listed",
		"cfg:teardown=20 " GONE "pods:refused pods:refused +20", "pods-fate=off" },
	      { "... once", "cfg:teardown=20 " GONE "pods:refused +20", "pods-fate=left" },
	      { "... for another reason", "cfg:teardown=20 " GONE "pods:unusable pods:unusable +20",
		"pods-fate=left" },
	      { "... are no matter while the Job is there", "cfg:teardown=20 " ENDED "+20",
		"pods-fate=none" },
	      { "... the Service", "cfg:teardown=20 " NO_PODS "delete-service:trouble +20",
		"service-fate=left complete=no" },
	      { "... kept by finalizers", "cfg:teardown=20 " NO_PODS "delete-service:kept +20",
		"service-fate=deleting complete=no" },
	      { "... refused",
		"cfg:teardown=20 " NO_PODS "delete-service:refused delete-service:refused +20",
		"service-fate=forbidden complete=no" },
	      { "... that may not be read",
		"cfg:teardown=20 self list watch service:refused +5 job:complete service:refused "
		"delete-job tell +0.1 job:absent pods +20",
		"service-fate=forbidden" },
	      { "... the queues", "cfg:broker,teardown=20 " NO_SERVICE "+20",
		"queues-fate=left complete=yes self-next=yes" },
	      { "... by a signal: they are cut short", "cfg:broker " NO_SERVICE "signal +23",
		"queues-fate=left cut-short=yes self-next=no" },
	      { "... not before that", "cfg:broker " NO_SERVICE "signal +22",
		"queues-fate=none cut-short=no" },
	      { "... not if they are settled", "cfg:broker " NO_SERVICE "queues signal +23",
		"cut-short=no self-next=yes" },
	      { "... nor without a signal", "cfg:broker,teardown=20 " NO_SERVICE "+23",
		"cut-short=no" },
      });

SCENES(our_own_job,
       {
	       { "is the last", NO_SERVICE, DELETE_SELF },
	       { "... then the end", NO_SERVICE "delete-self", "end torn-down" },
	       { "... not while a pod stays", GONE "pods:p", "wait 5.2" },
	       { "... nor the Service", NO_PODS "delete-service:kept service:deleting",
		 "wait 5.2" },
	       { "... nor beside a newcomer", NO_PODS "job:uid=B", "end torn-down" },
	       { "not asked for", "cfg:noself " NO_SERVICE, "end torn-down" },
	       { "not known: asked once more",
		 "self:refused list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service ",
		 OWN_UID },
	       { "... refused again",
		 "self:refused list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service self:refused",
		 "end torn-down" },
	       { "... no answer: in time",
		 "self:trouble list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service self:trouble",
		 "end torn-down" },
	       { "... it was ours all the time",
		 "self:refused list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service self:created=-60",
		 DELETE_SELF },
	       { "... no younger than we are, as far as clocks go",
		 "self:refused list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service self:created=15",
		 DELETE_SELF },
	       { "... a newer cleaner's",
		 "self:refused list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service self:created=15.001",
		 "end torn-down" },
	       { "... it is gone",
		 "self:refused list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service self:absent",
		 "end torn-down" },
	       { "... read in time, that is no matter",
		 "self:created=100 list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service ",
		 DELETE_SELF },
	       { "gone already",
		 "self:absent list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service",
		 "end torn-down" },
	       { "the Job is read once a minute all the while",
		 NO_SERVICE "delete-self:trouble,retry=60", "wait 60" },
	       { "... a Service that was kept, and has gone, is polled no more",
		 NO_PODS "delete-service:kept service:absent delete-self:trouble", "wait 5.6" },
	       { "nothing is watched any more, and the Job is read once a minute",
		 NO_SERVICE "ended delete-self:trouble,retry=50", "wait 55.1" },
	       { "read late, and that clock was set meanwhile",
		 "self:refused list watch service job adopt metrics pods:p +5 job:absent,clock=100 "
		 "pods:clock=100 delete-service:clock=100 self:created=50,clock=100",
		 "end torn-down" },
	       { "read late, by an API server that was first heard late",
		 "+50 self:refused list watch service job adopt metrics pods:p +5 job:absent pods "
		 "delete-service self:created=80",
		 "end torn-down" },
	       { "no answer: in time", NO_SERVICE "delete-self:trouble", "wait 5.6" },
	       { "... then", NO_SERVICE "delete-self:trouble +0.5", DELETE_SELF },
	       { "... three times",
		 NO_SERVICE "delete-self:trouble delete-self:trouble delete-self:trouble",
		 "end torn-down" },
	       { "another one has its name", NO_SERVICE "delete-self:conflict", "end torn-down" },
	       { "no slot is free while its Service is there: an old tale", NO_SERVICE "+2",
		 SERVICE_LAST },
	       { "... not that old", NO_SERVICE "+1.999", DELETE_SELF },
	       { "... it is not", NO_SERVICE "+2 service:absent", DELETE_SELF },
	       { "... it is: made anew, whose is it", NO_SERVICE "+2 service:uid=T", WHOSE },
	       { "of a Job that never was: who has the name by now", MISSING "pods service:absent",
		 WHOSE },
	       { "... nobody", MISSING "pods service:absent job:absent", DELETE_SELF },
	       { "... it came after all", MISSING "pods service:absent job",
		 "the Service is noted while the Job lives" },
	       { "... with queues, which are listed anew",
		 "cfg:broker " MISSING "pods queues service:absent job +5 job:complete "
		 "service:absent delete-job tell +0.1 job:absent pods service:absent",
		 LIST_QUEUES },
	       { "... with a Service, which is looked for anew",
		 MISSING "pods service:absent job +5 service:absent +1 service:absent +2 "
			 "service:absent job:complete delete-job tell +0.1 job:absent pods",
		 "which Service is there" },
       });

SCENES(the_end,
       {
	       { "all went", NO_SERVICE "delete-self", "end torn-down" },
	       { "a newcomer, and nothing of ours", LIVE "+5 job:uid=B pods", "end torn-down" },
	       { "... not while our pods stay", LIVE "+5 job:uid=B pods:p", "wait 5.1" },
	       { "... nor while they are not known", LIVE "+5 job:uid=B pods:trouble", "wait 5.5" },
	       { "out of time",
		 "cfg:teardown=20 " LIVE "+5 job:complete service delete-job:trouble tell +20",
		 "end left" },
	       { "... not sooner",
		 "cfg:teardown=20 " NO_PODS
		 "delete-service:trouble,retry=60 service:trouble,retry=60 +19",
		 "wait 25" },
	       { "... a pod", "cfg:teardown=20 " GONE "pods:p +20", "end left" },
	       { "... the Service", "cfg:teardown=20 " NO_PODS "delete-service:trouble +20",
		 "end left" },
	       { "... a queue: our own Job goes all the same",
		 "cfg:broker,teardown=20 " NO_SERVICE "+19.9 queues:trouble +0.1 service:absent",
		 DELETE_SELF },
	       { "... and it is a teardown",
		 "cfg:broker,teardown=20 " NO_SERVICE
		 "+19.9 queues:trouble +0.1 service:absent delete-self",
		 "end torn-down" },
	       { "... our own Job has ten seconds more",
		 "cfg:broker,teardown=20 " NO_SERVICE
		 "+19.9 queues:trouble +9.9 service:absent delete-self:trouble",
		 "wait 35" },
	       { "... no more",
		 "cfg:broker,teardown=20 " NO_SERVICE
		 "+19.9 queues:trouble +9.9 service:absent delete-self:trouble +0.1",
		 "end torn-down" },
	       { "an Event that failed is no matter for the next one",
		 LIVE "+5 job:complete service delete-job:refused delete-job:refused tell:trouble "
		      "delete-job",
		 TELL },
	       { "an Event is told before",
		 "cfg:teardown=20,noself " LIVE
		 "+5 job:complete service delete-job +0.1 job:absent pods delete-service",
		 TELL },
	       { "... then the end",
		 "cfg:teardown=20,noself " LIVE "+5 job:complete service delete-job +0.1 "
		 "job:absent pods delete-service tell:trouble",
		 "end torn-down" },
       });

SCENES(signals,
       {
	       { "one read of the Job", LIVE "+5 signal", ON_SIGNAL },
	       { "... at once, whatever failed before", LIVE "+5 job:trouble signal", ON_SIGNAL },
	       { "... in spite of a Retry-After", LIVE "+5 job:trouble,retry=30 signal",
		 ON_SIGNAL },
	       { "it lives: nothing is touched", LIVE "+5 signal job", "end signalled" },
	       { "no answer: nothing is touched", LIVE "+5 signal job:trouble", "end signalled" },
	       { "an answer to a read of before is none", LIVE "+5 >job signal <job", ON_SIGNAL },
	       { "it is gone: tear down", LIVE "+5 signal job:absent", FIRST_PODS },
	       { "it has finished: tear down", LIVE "+5 signal job:complete", SERVICE_BEFORE },
	       { "in the middle of a last look", IDLE "service pods:p signal", ON_SIGNAL },
	       { "... it lives", IDLE "service pods:p signal job", "end signalled" },
	       { "before anything is known", "signal", ON_SIGNAL },
	       { "... it is not there", "signal job:absent", "end signalled" },
	       { "in a teardown: go on", GONE "signal", FIRST_PODS },
	       { "... for 22.5 s",
		 NO_PODS "delete-service:trouble,retry=60 service:trouble,retry=60 signal +22",
		 "wait 27.6" },
	       { "... then",
		 NO_PODS "delete-service:trouble,retry=60 service:trouble,retry=60 signal +22.5",
		 "end left" },
	       { "... a second one: half a second", GONE "pods:p signal +1 signal +0.5",
		 "end left" },
	       { "a signal leaves no time for the queues", BROKER "signal queues:trouble +22.5",
		 "end left" },
	       { "... they are settled", BROKER "signal queues", DELETE_SELF },
	       { "our own Job has no time more then", NO_SERVICE "signal delete-self:trouble +22.5",
		 "end torn-down" },
	       { "a finished Job is kept: is it still there", GRACE "service delete-service signal",
		 ON_SIGNAL },
	       { "... it is", GRACE "service delete-service signal job:complete", "end signalled" },
	       { "... Service and queues go first", GRACE "signal job:complete", DELETE_SERVICE },
	       { "... while there is time", GRACE "delete-service:trouble signal +22.5",
		 "end signalled" },
	       { "... not sooner",
		 GRACE "service:trouble delete-service:refused delete-service:refused signal "
		       "job:complete",
		 "wait 5.5" },
	       { "... its queues, too",
		 "cfg:broker,completed-grace=100 " LIVE
		 "+5 job:complete delete-service signal job:complete",
		 LIST_QUEUES },
	       { "... are gone; the last walk is for whoever comes behind the Job",
		 "cfg:broker,completed-grace=100 " LIVE
		 "+5 job:complete delete-service queues signal job:complete",
		 "end signalled" },
	       { "... its grace is over",
		 "cfg:completed-grace=20 " LIVE "+5 job:complete service delete-service +20 signal",
		 SERVICE_BEFORE },
       });

SCENES(a_dry_run, {
			  { "nothing is decided", "cfg:dry " LIVE, "wait 10" },
			  { "finished", "cfg:dry " LIVE "+5 job:complete", "end dry-run" },
			  { "gone", "cfg:dry " LIVE "+5 job:absent", "end dry-run" },
			  { "missing", "cfg:dry " MISSING, "end dry-run" },
			  { "idle: a last look first", "cfg:dry " IDLE "service pods:p", LOOK_JOB },
			  { "... then", "cfg:dry " IDLE "service pods:p job", "end dry-run" },
			  { "... not if it is on hold",
			    "cfg:dry " IDLE "service pods:p job:hold=true", "wait 100" },
			  { "a signal", "cfg:dry " LIVE "signal job", "end signalled" },
		  });

/* What a step has besides: whether it may cut in, and how long it may take. */
static void how_it_is_asked(void **state)
{
	static const struct {
		const char *tale, *rule;
		bool        urgent;
		int64_t     limit_ms;
	} rows[] = {
		{ LIVE "signal", ON_SIGNAL, true, 1000 },
		{ LIVE "job:complete", SERVICE_BEFORE, true, 2000 },
		{ LIVE "job:complete service", DELETE_ENDED, true, 0 },
		{ IDLE, "the last look: the Service", false, 2000 },
		{ IDLE "service", "the last look: the pods", false, 0 },
		{ IDLE "service pods:p job", "an idle or pending Job goes as it was looked at",
		  false, 0 },
		{ LIVE "+5 job seen:complete", "an event of its end: the Job is read", true, 0 },
		{ LIVE "seen +0.5", "news of the Job: it is read", false, 0 },
		{ LIVE "+5 job:complete service delete-job", TELL, false, 2000 },
		{ LIVE "+10", CHECK, false, 0 },
		{ "", "our own uid, before anybody can have replaced us", false, 0 },
		{ NO_SERVICE, DELETE_SELF, false, 0 },
		{ GONE, FIRST_PODS, false, 0 },
	};
	static struct stage s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("  %s\n", rows[i].rule);
		stage_open(&s, rows[i].tale);
		struct step p = step_at(&s, s.now);
		assert_string_equal(step_text(&p), rows[i].rule);
		assert_int_equal(p.urgent, rows[i].urgent);
		assert_int_equal(p.limit_ms, rows[i].limit_ms);
		stage_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_grace),       cmocka_unit_test(the_queues),
		cmocka_unit_test(the_last_walk), cmocka_unit_test(queues_that_stay),
		cmocka_unit_test(fates),         cmocka_unit_test(our_own_job),
		cmocka_unit_test(the_end),       cmocka_unit_test(signals),
		cmocka_unit_test(a_dry_run),     cmocka_unit_test(how_it_is_asked),
	};

	return cmocka_run_group_tests_name("ends", tests, NULL, NULL);
}

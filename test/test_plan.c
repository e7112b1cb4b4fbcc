/*
 * What is to be done next: for each rule a world in which it is, and the nearest ones in which it
 * must not be. Where the step is a wait, it is also tried that nothing is due sooner (steps.h).
 */
#include "steps.h"

/* The rules' words, in their order. */
#define ON_SIGNAL      "a signal: one read of the Job"
#define OWN_UID        "our own uid, before anybody can have replaced us"
#define SERVICE_BEFORE "the Service as it is before its Job goes"
#define DELETE_ENDED   "an ended Job goes at once, by its uid"
#define LOOK_SERVICE   "the last look: the Service"
#define LOOK_PODS      "the last look: the pods"
#define LOOK_JOB       "the last look: the Job"
#define DELETE_IDLE    "an idle or pending Job goes as it was looked at"
#define ON_FINISH      "an event of its end: the Job is read"
#define ON_NEWS        "news of the Job: it is read"
#define UNTIL_GONE     "200 is not gone"
#define WHOSE          "whose is it? The Job's name tells"
#define FIRST_PODS     "its pods, behind its end"
#define LIST_PODS      "its pods are gone or terminating"
#define DELETE_POD     "a pod that outlives its Job goes"
#define READ_SERVICE   "which Service is there"
#define DELETE_SERVICE "the Service goes when the Job is gone or has ended"
#define TELL           "an Event on the Job, best effort"
#define LIST_QUEUES    "the queues, behind the Job"
#define NEIGHBOUR      "a queue of a Job whose id continues ours stays"
#define DELETE_QUEUE   "a queue goes"
#define SERVICE_LAST   "no slot is free while its Service is there"
#define DELETE_SELF    "our own Job is the last"
#define OPEN_WATCH     "a watch resumes behind the last event"
#define LIST_JOB       "where to watch from"
#define READ_AGAIN     "the Job is read again at least once a minute"
#define NOTE_SERVICE   "the Service is noted while the Job lives"
#define FOR_SERVICE    "it is ours if the Job lives behind that"
#define ADOPT          "the Service is adopted, right behind a read of the Job"
#define CHECK          "a check on its grid"
#define CHECK_PODS     "a check pod by pod, where metrics may not be listed"
#define CHECK_POD      "... one pod's"
#define MAY_LIST       "may the pods be listed"
#define EVER_READY     "was a pod ever ready"

/* A job that lives, and all that is asked once: then it is watched. */
#define UNMEASURED "self list watch service job adopt "
#define LIVE       UNMEASURED "metrics pods:p "
#define NEARLY     LIVE "+10 metrics +10 metrics +10 metrics "
#define IDLE       NEARLY "+10 metrics " /* at 40 s */
#define LOOKED     IDLE "service pods:p job "
#define DELETED    LOOKED "delete-job tell +0.1 job:absent "
#define ENDED      LIVE "+5 job:complete service delete-job tell "
#define GONE       ENDED "+0.1 job:absent " /* at 5.1 s */
#define NO_PODS    GONE "pods "
#define NO_SERVICE NO_PODS "delete-service "
#define MISSING    "self list:empty watch job:absent +60 job:absent "
#define BROKER     "cfg:broker " NO_SERVICE

SCENES(the_start,
       {
	       { "our own uid first", "", OWN_UID },
	       { "... again, when it could not be read", "self:trouble", LIST_JOB },
	       { "... not before it may be asked again",
		 "self:trouble list watch service job adopt metrics pods:p", "wait 0.5" },
	       { "... then", "self:trouble list watch service job adopt metrics pods:p +0.5",
		 OWN_UID },
	       { "... not when it is not there", "self:absent", LIST_JOB },
	       { "... not when it is not to go", "cfg:noself", LIST_JOB },
	       { "... not once all is decided", "list:complete", SERVICE_BEFORE },
	       { "where to watch from", "self", LIST_JOB },
	       { "the Job is not there: that must be confirmed", "self list:empty", ON_NEWS },
	       { "... and waited for", "self list:empty job:absent watch", "wait 60" },
	       { "... no longer than that", "cfg:missing=5 self list:empty job:absent watch",
		 "wait 5" },
	       { "the list's version is where to watch from", "self list", OPEN_WATCH },
	       { "no list: read it", "self list:trouble", READ_AGAIN },
	       { "... and list again in time",
		 "self list:trouble job service job adopt metrics pods:p", "wait 0.5" },
	       { "... then", "self list:trouble job service job adopt metrics pods:p +0.5",
		 LIST_JOB },
	       { "the Service, to note it", "self list watch", NOTE_SERVICE },
	       { "the Job behind it", "self list watch service", FOR_SERVICE },
	       { "adoption, right behind that", "self list watch service job", ADOPT },
	       { "CPU, the first time at once", UNMEASURED, CHECK },
	       { "may the pods be listed", UNMEASURED "metrics", MAY_LIST },
	       { "then wait for the next check", LIVE, "wait 10" },
       });

SCENES(watching,
       {
	       { "a check on its grid", LIVE "+10", CHECK },
	       { "... not sooner", LIVE "+9.999", "wait 10" },
	       { "... whatever the last one said", LIVE "+10 metrics:trouble", "wait 20" },
	       { "... a Retry-After is kept", LIVE "+10 metrics:trouble,retry=15", "wait 25" },
	       { "... late is no new grid", LIVE "+14 metrics", "wait 20" },
	       { "not where it is switched off", "cfg:nocheck " LIVE, "wait 60" },
	       { "not of a Job that is suspended", LIVE "job:suspended", "wait 60" },
	       { "... nor on hold", LIVE "job:hold=true", "wait 60" },
	       { "... which ends", LIVE "job:hold=2026-11-24T00:26:43Z", "wait 3" },
	       { "... and then it is measured", LIVE "+10 job:hold=2026-11-24T00:26:53Z +3",
		 CHECK },
	       { "... nor without a selector", LIVE "job:unselectable", "wait 60" },
	       { "it is read with every sixth check",
		 LIVE "+10 metrics +10 metrics:cpu=9 +10 metrics +10 metrics +10 metrics +10",
		 READ_AGAIN },
	       { "... and the check is behind it",
		 LIVE "+10 metrics +10 metrics:cpu=9 +10 metrics +10 metrics +10 metrics +10 job",
		 CHECK },
	       { "at least once a minute, at long intervals", "cfg:interval=3600 " LIVE,
		 "wait 60" },
	       { "... also with a grid that has no point then",
		 "cfg:interval=25 " LIVE "+25 metrics", "wait 50" },
	       { "... then", "cfg:interval=25 " LIVE "+25 metrics:cpu=9 +25 metrics:cpu=9",
		 READ_AGAIN },
	       { "... on the grid", "cfg:interval=30 +3 " LIVE "+30 metrics:cpu=9", "wait 63" },
	       { "... more often at short ones",
		 "cfg:interval=1 " LIVE "+1 metrics:cpu=9 +1 metrics:cpu=9 +1 metrics:cpu=9 +1 "
		 "metrics:cpu=9 +1 metrics:cpu=9 +1",
		 READ_AGAIN },
	       { "without a watch, at each check",
		 LIVE "ended:refused +1 list:refused +1 list:refused +8", READ_AGAIN },
	       { "... at long intervals, once a minute",
		 "cfg:interval=3600 " LIVE "ended:refused +1 list:refused +1 list:refused",
		 "wait 60" },
	       { "a read that failed, in time",
		 LIVE "+10 metrics:cpu=9 +50 job:trouble metrics:cpu=9", "wait 60.5" },
	       { "... when it may be",
		 "cfg:interval=25 " LIVE
		 "+25 metrics:cpu=9 +25 metrics:cpu=9 +10 job:trouble,retry=20 +15 metrics:cpu=9",
		 "wait 80" },
	       { "... that is refused: no end", LIVE "job:refused +1 job:refused", "wait 10" },
	       { "a watch that ended is resumed", LIVE "+10 metrics:cpu=9 ended", OPEN_WATCH },
	       { "... and listed besides", LIVE "+10 metrics:cpu=9 ended watch", LIST_JOB },
	       { "... once", LIVE "+10 metrics:cpu=9 ended watch list", "wait 20" },
	       { "one that broke: listed in time", LIVE "ended:trouble", "wait 0.5" },
	       { "... then", LIVE "ended:trouble +0.5", LIST_JOB },
	       { "... and watched", LIVE "ended:trouble +0.5 list", OPEN_WATCH },
	       { "a refusal is asked again", LIVE "ended:refused", "wait 1" },
	       { "... then", LIVE "ended:refused +1", LIST_JOB },
	       { "the server asks to wait", LIVE "ended:trouble,retry=7", "wait 7" },
	       { "a grid without a first point", "cfg:nocheck self list watch service job adopt",
		 "wait 60" },
       });

SCENES(news,
       {
	       { "an event: it is read", LIVE "+5 seen", ON_NEWS },
	       { "... no more than twice a second", LIVE "+5 job +0.1 seen", "wait 5.5" },
	       { "... then", LIVE "+5 job +0.1 seen +0.4", ON_NEWS },
	       { "... but an event of its end at once", LIVE "+5 job +0.1 seen:complete",
		 ON_FINISH },
	       { "... not another one's", LIVE "+5 job +0.1 seen:complete,uid=B", "wait 5.5" },
	       { "... not sooner than it may be asked again", LIVE "+5 job:trouble seen:complete",
		 "wait 5.5" },
	       { "read behind it", LIVE "+5 seen job", "wait 10" },
	       { "a read that was sent before it is none", LIVE "+5 >job seen <job", "wait 5.5" },
	       { "a bookmark is no news", LIVE "+5 bookmark", "wait 10" },
	       { "an empty LIST is", LIVE "+5 list:empty", ON_NEWS },
	       { "of a newcomer there are none", LIVE "+5 job:uid=B pods:p +0.05 seen",
		 "wait 5.1" },
       });

SCENES(the_service,
       {
	       { "not there yet: asked for again, later",
		 "self list watch service:absent job metrics pods:p", "wait 0.5" },
	       { "... then", "self list watch service:absent job metrics pods:p +0.5",
		 NOTE_SERVICE },
	       { "the Job went: it is not noted", "self list watch job:absent", FIRST_PODS },
	       { "adopted already", "self list watch service:owned metrics pods:p", "wait 10" },
	       { "not asked for: only noted", "cfg:noadopt self list watch service", FOR_SERVICE },
	       { "... and no more", "cfg:noadopt self list watch service job metrics pods:p",
		 "wait 10" },
	       { "a dry run does not", "cfg:dry self list watch service job metrics pods:p",
		 "wait 10" },
	       { "one that goes is not adopted",
		 "self list watch service:deleting job metrics pods:p", "wait 10" },
	       { "the read is too old", "self list watch service job +2", FOR_SERVICE },
	       { "... not yet", "self list watch service job +1.999", ADOPT },
	       { "... there is news", "self list watch service >job seen <job", FOR_SERVICE },
	       { "no answer: a pause",
		 "self list watch service job adopt:trouble service metrics pods:p", "wait 0.5" },
	       { "... then a read of the Job",
		 "self list watch service job adopt:trouble service metrics pods:p +0.5",
		 FOR_SERVICE },
	       { "... which may be just behind the Service's",
		 "self list watch service job adopt:trouble service job metrics pods:p +0.5",
		 ADOPT },
	       { "a refusal: asked again",
		 "self list watch service job adopt:refused service job metrics pods:p", "wait 1" },
	       { "... in a minute",
		 "self list watch service job adopt:refused service job metrics pods:p +1 "
		 "adopt:refused service job",
		 "wait 10" },
	       { "the Service is another one by now", "self list watch service job adopt:unusable",
		 NOTE_SERVICE },
	       { "a newcomer's is let be", "self list watch service job:uid=B", FIRST_PODS },
       });

SCENES(the_last_look,
       {
	       { "four of five", NEARLY, "wait 40" },
	       { "five: the Service", IDLE, LOOK_SERVICE },
	       { "... one try", IDLE "service:trouble", LOOK_PODS },
	       { "the pods", IDLE "service", LOOK_PODS },
	       { "... until they are known", IDLE "service pods:trouble", "wait 40.5" },
	       { "... they do not bear it out", IDLE "service pods:p/waiting", "wait 50" },
	       { "the Job", IDLE "service pods:p", LOOK_JOB },
	       { "... behind them", IDLE "service >job pods:p <job", LOOK_JOB },
	       { "... until it is known", IDLE "service pods:p job:trouble", "wait 40.5" },
	       { "then it goes", LOOKED, DELETE_IDLE },
	       { "... not one that is on hold by now", IDLE "service pods:p job:hold=true",
		 "wait 100" },
	       { "... suspended", IDLE "service pods:p job:suspended", "wait 100" },
	       { "... has finished", IDLE "service pods:p job:complete", SERVICE_BEFORE },
	       { "... is a newcomer", IDLE "service pods:p job:uid=B", FIRST_PODS },
	       { "... has one more pod", IDLE "service pods:p job:active=2", "wait 50" },
	       { "the look is too old", LOOKED "+20", LOOK_PODS },
	       { "... and the reading, too", LOOKED "+20 pods:p job", CHECK },
	       { "... a look of before the reading", IDLE "service pods:p job +10 metrics",
		 LOOK_SERVICE },
	       { "the reading is old: a new one first", IDLE "service +20 pods:p job", CHECK },
	       { "... younger than two intervals", IDLE "service +1 pods:p +8 job", DELETE_IDLE },
	       { "at long intervals, a minute",
		 "cfg:interval=3600,count=1,distinct=1 " LIVE "service pods:p job", DELETE_IDLE },
	       { "... no more",
		 "cfg:interval=3600,count=1,distinct=1 " LIVE "service pods:p job +60", LOOK_PODS },
	       { "... then a new reading",
		 "cfg:interval=3600,count=1,distinct=1 " LIVE "service pods:p job +60 pods:p job",
		 CHECK },
	       { "where pods may not be listed they are left out",
		 UNMEASURED
		 "metrics pods:refused pods:refused pods:refused pods:refused pods:refused "
		 "pods:refused +10 metrics +10 metrics +10 metrics +10 metrics service",
		 LOOK_JOB },
	       { "... until they may be asked for again",
		 UNMEASURED "metrics pods:refused pods:refused pods:refused pods:refused "
			    "pods:refused pods:refused +10 metrics +10 metrics +10 metrics +10 "
			    "metrics +10 metrics +10 job metrics service",
		 LOOK_PODS },
	       { "... not by five answers",
		 UNMEASURED "metrics pods:refused pods:refused pods:refused pods:refused "
			    "pods:refused +10 metrics +10 metrics +10 metrics +10 metrics service",
		 LOOK_PODS },
	       { "409: look again", LOOKED "delete-job:conflict", "wait 40.5" },
	       { "... then", LOOKED "delete-job:conflict +0.5", LOOK_SERVICE },
	       { "... all of it", LOOKED "delete-job:conflict +0.5 service", LOOK_PODS },
	       { "... all of it", LOOKED "delete-job:conflict +0.5 service pods:p", LOOK_JOB },
	       { "... and again", LOOKED "delete-job:conflict +0.5 service pods:p job",
		 DELETE_IDLE },
	       { "503: read what became of it", LOOKED "delete-job:trouble", "wait 40.5" },
	       { "... then", LOOKED "delete-job:trouble +0.5", LOOK_SERVICE },
	       { "refused once", LOOKED "delete-job:refused", "wait 41" },
	       { "... look again", LOOKED "delete-job:refused +1", LOOK_SERVICE },
	       { "refused: an Event",
		 LOOKED "delete-job:refused +1 service pods:p job delete-job:refused", TELL },
	       { "... nothing else goes",
		 LOOKED "delete-job:refused +1 service pods:p job delete-job:refused tell",
		 "wait 50" },
	       { "... and all goes on",
		 LOOKED "delete-job:refused +1 service pods:p job delete-job:refused tell +9",
		 CHECK },
	       { "... it has ended meanwhile: that was refused to a Job that lived",
		 LOOKED "delete-job:refused +1 service pods:p job delete-job:refused tell "
			"job:complete service",
		 DELETE_ENDED },
	       { "... due anew, and not before it may be asked again",
		 LOOKED "delete-job:refused +1 service pods:p job delete-job:refused tell +9 "
			"metrics +10 metrics +10 metrics +10 metrics +10 metrics",
		 "wait 100" },
	       { "... then",
		 LOOKED
		 "delete-job:refused +1 service pods:p job delete-job:refused tell +9 metrics +10 "
		 "metrics +10 metrics +10 metrics +10 metrics +10 job metrics +1",
		 LOOK_SERVICE },
       });

#define PENDING                                                                                    \
	"cfg:pending=60 self list:ready=0 watch service job:ready=0 adopt metrics:none "           \
	"pods:p/pending "
#define WAITED                                                                                     \
	PENDING "+10 metrics:none +10 metrics:none +10 metrics:none +10 metrics:none +10 "         \
		"metrics:none "
SCENES(pending,
       {
	       { "not yet", WAITED, "wait 60" },
	       { "then the last look", WAITED "+10", LOOK_SERVICE },
	       { "... not where it is off",
		 "self list:ready=0 watch service job:ready=0 adopt metrics:none pods:p/pending "
		 "+10 metrics:none",
		 "wait 20" },
	       { "... the pods", WAITED "+10 service", LOOK_PODS },
	       { "... the Job", WAITED "+10 service pods:p/pending", LOOK_JOB },
	       { "then it goes", WAITED "+10 service pods:p/pending job:ready=0", DELETE_IDLE },
	       { "... it is ready by now", WAITED "+10 service pods:p/pending job", CHECK },
	       { "... its pod ran", WAITED "+10 service pods:p/pending/ran", READ_AGAIN },
	       { "on hold",
		 "cfg:pending=60 self list:ready=0 watch service job:ready=0,hold=true adopt "
		 "pods:p/pending",
		 "wait 60" },
	       { "without status.ready the pods tell",
		 "cfg:pending=60 self list:ready=-1 watch service job:ready=-1 adopt metrics:none "
		 "pods:p/pending +9.999",
		 "wait 10" },
	       { "... at each check",
		 "cfg:pending=60 self list:ready=-1 watch service job:ready=-1 adopt metrics:none "
		 "pods:p/pending +10 metrics:none",
		 EVER_READY },
	       { "... not with it", PENDING "+10 metrics:none", "wait 20" },
	       { "... at least a second apart",
		 "cfg:pending=60,interval=0.05 self list:ready=-1 watch service job:ready=-1 adopt "
		 "metrics:none pods:p/pending",
		 "wait 0.05" },
	       { "... without either nobody can know: never",
		 "cfg:pending=30 self list:ready=-1 watch service job:ready=-1 adopt metrics:none "
		 "pods:refused pods:refused pods:refused pods:refused pods:refused pods:refused "
		 "+10 metrics:none +10 metrics:none +10 metrics:none service job:ready=-1",
		 "wait 40" },
	       { "... with status.ready it is known",
		 "cfg:pending=30 self list:ready=0 watch service job:ready=0 adopt metrics:none "
		 "pods:refused pods:refused pods:refused pods:refused pods:refused pods:refused "
		 "+10 metrics:none +10 metrics:none +10 metrics:none service job:ready=0",
		 DELETE_IDLE },
       });

#define FORBIDDEN UNMEASURED "metrics:refused pods:p +1 metrics:refused "
SCENES(pod_by_pod,
       {
	       { "one refusal is none", UNMEASURED "metrics:refused pods:p", "wait 10" },
	       { "two are: the pods are listed", FORBIDDEN "+9", CHECK_PODS },
	       { "... on the grid", FORBIDDEN, "wait 10" },
	       { "each pod's metrics", FORBIDDEN "+9 pods:p,q", CHECK_POD },
	       { "... one behind the other", FORBIDDEN "+9 pods:p,q pod-metrics", CHECK_POD },
	       { "... no more", FORBIDDEN "+9 pods:p,q pod-metrics pod-metrics:pods=q", "wait 20" },
	       { "the Job has ended meanwhile", FORBIDDEN "+9 pods:p,q job:absent", FIRST_PODS },
	       { "refused, too: asked again", FORBIDDEN "+9 pods:p,q pod-metrics:refused",
		 "wait 20" },
	       { "listed again, when that may be asked",
		 FORBIDDEN
		 "+9 pods:p pod-metrics +10 pods:p pod-metrics +10 pods:p pod-metrics +10 pods:p "
		 "pod-metrics +10 pods:p pod-metrics:cpu=9 +10 job pods:p pod-metrics:cpu=9 +1",
		 "wait 70" },
	       { "... then",
		 FORBIDDEN
		 "+9 pods:p pod-metrics +10 pods:p pod-metrics +10 pods:p pod-metrics +10 pods:p "
		 "pod-metrics +10 pods:p pod-metrics:cpu=9 +10 job pods:p pod-metrics:cpu=9 +10",
		 CHECK },
       });

SCENES(an_ended_job,
       {
	       { "the Service as it is, before", LIVE "+5 job:complete", SERVICE_BEFORE },
	       { "... at once, whatever failed before", LIVE "service:trouble job:complete",
		 SERVICE_BEFORE },
	       { "... one try", LIVE "+5 job:complete service:trouble", DELETE_ENDED },
	       { "then the Job, at once", LIVE "+5 job:complete service", DELETE_ENDED },
	       { "... accepted: an Event", LIVE "+5 job:complete service delete-job", TELL },
	       { "... and a poll until it is gone", ENDED, "wait 5.1" },
	       { "... soon", ENDED "+0.1", UNTIL_GONE },
	       { "... at once, as the answer took its time: a pause would hold up all that follows",
		 LIVE "+5 job:complete service >delete-job +0.002 <delete-job tell", UNTIL_GONE },
	       { "200 is not gone", ENDED "job:complete,deleting", "wait 5.1" },
	       { "... the poll slows down",
		 ENDED "job:complete,deleting +0.1 job:complete,deleting +0.1 "
		       "job:complete,deleting +0.2 job:complete,deleting",
		 "wait 5.8" },
	       { "... to 2 s", ENDED "+9 job:complete,deleting", "wait 16" },
	       { "it is there, as if nothing had happened: not at once",
		 ENDED "job:complete +0.1 job:complete", "wait 35" },
	       { "... once more in a minute",
		 ENDED "job:complete +30 delete-service +30 job:complete", DELETE_ENDED },
	       { "a queue waits too long for its DELETE: whose is it by now?",
		 "cfg:broker " NO_SERVICE "queues:names=a+b job:absent delete-queue +30", WHOSE },
	       { "... or the machine slept",
		 "cfg:broker " NO_SERVICE "queues:names=a+b job:absent asleep:s=3600", WHOSE },
	       { "... not sooner",
		 "cfg:broker " NO_SERVICE "queues:names=a+b job:absent delete-queue +29.9",
		 DELETE_QUEUE },
	       { "refused: again, soon", LIVE "+5 job:complete service delete-job:refused",
		 "wait 6" },
	       { "... then", LIVE "+5 job:complete service delete-job:refused +1", DELETE_ENDED },
	       { "409: read again", LIVE "+5 job:complete service delete-job:conflict",
		 "wait 5.5" },
	       { "... then", LIVE "+5 job:complete service delete-job:conflict +0.5", ON_NEWS },
	       { "... before another DELETE",
		 LIVE "+5 job:complete service delete-job:conflict +0.5 job:complete",
		 DELETE_ENDED },
	       { "504: read again, before another DELETE",
		 LIVE "+5 job:complete service delete-job:trouble +0.5", ON_NEWS },
	       { "our own uid was refused early on: once more, now that it counts",
		 "self:refused +1 self:refused list watch service job adopt metrics pods:p +5 "
		 "job:complete service delete-job tell +0.1 job:absent pods delete-service",
		 "our own uid, before anybody can have replaced us" },
	       { "somebody else is deleting it", LIVE "+5 job:deleting", SERVICE_BEFORE },
	       { "... it is left to them", LIVE "+5 job:deleting service", "wait 5.1" },
	       { "... an event tells, and a read is to tell how",
		 LIVE "+5 job:complete service seen:deleting", "wait 5.5" },
	       { "... in the foreground", LIVE "+5 job:deleting,foreground service", "wait 5.1" },
	       { "... but not if it would orphan its pods",
		 LIVE "+5 job:deleting,orphaning service", DELETE_ENDED },
	       { "... both", LIVE "+5 job:deleting,orphaning,foreground service", "wait 5.1" },
	       { "finished, and they delete it", LIVE "+5 job:complete,deleting,foreground service",
		 "wait 5.1" },
	       { "a newcomer is let be", LIVE "+5 job:complete service job:uid=B", FIRST_PODS },
       });

SCENES(its_pods,
       {
	       { "listed behind its end", GONE, FIRST_PODS },
	       { "... whatever was refused before",
		 UNMEASURED "metrics pods:refused pods:refused pods:refused pods:refused "
			    "pods:refused pods:refused +5 job:absent",
		 FIRST_PODS },
	       { "... but for a Retry-After",
		 UNMEASURED "metrics pods:trouble,retry=20 +5 job:absent", "wait 20" },
	       { "one that terminates is no matter", GONE "pods:p/deleting", DELETE_SERVICE },
	       { "one that stays holds up the Service", GONE "pods:p", "wait 5.2" },
	       { "... for 30 s", GONE "pods:p +10 pods:p +10 pods:p delete-pod pods:p +9.9 pods:p",
		 "wait 35.1" },
	       { "... then no longer",
		 GONE "pods:p +9 pods:p +9 pods:p +2.1 delete-pod pods:p/deleting",
		 DELETE_SERVICE },
	       { "... is listed until it goes", GONE "pods:p +0.1", LIST_PODS },
	       { "... every 2 s", GONE "pods:p +9 pods:p", "wait 16.1" },
	       { "... and deleted after 20 s", GONE "pods:p +9 pods:p +9 pods:p +2", LIST_PODS },
	       { "... by us", GONE "pods:p +9 pods:p +9 pods:p +2 pods:p", DELETE_POD },
	       { "... not sooner", GONE "pods:p +9 pods:p +9 pods:p +1.999 pods:p", "wait 25.1" },
	       { "... half the time that there is for a teardown",
		 "cfg:teardown=10 " GONE "pods:p +5 pods:p", DELETE_POD },
	       { "... not sooner", "cfg:teardown=10 " GONE "pods:p +4.999 pods:p", "wait 10.1" },
	       { "... one that stays nevertheless: once more in 20 s",
		 GONE "pods:p +10 pods:p +10 pods:p delete-pod pods:p", "wait 27.1" },
	       { "... then", GONE "pods:p +10 pods:p +10 pods:p delete-pod +20 pods:p",
		 DELETE_POD },
	       { "refused: again", GONE "pods:p +10 pods:p +10 pods:p delete-pod:refused",
		 "wait 26.1" },
	       { "of a Job that a newcomer replaced, too",
		 LIVE "+5 job:uid=B pods:p +10 pods:p +10 pods:p", DELETE_POD },
	       { "... not the last look's", IDLE "service pods:p job:uid=B", FIRST_PODS },
	       { "the Job is kept by finalizers: after 20 s",
		 ENDED "job:complete,deleting +9 job:complete,deleting +9 job:complete,deleting "
		       "+1.9 job:complete,deleting",
		 "wait 25" },
	       { "... its pods, too",
		 ENDED "job:complete,deleting +9 job:complete,deleting +9 job:complete,deleting +2 "
		       "job:complete,deleting",
		 LIST_PODS },
	       { "... those that have finished are let be",
		 ENDED "job:complete,deleting +10 job:complete,deleting +10 job:complete,deleting "
		       "pods:p/finished",
		 "wait 27" },
	       { "... not those that run",
		 ENDED
		 "job:complete,deleting +10 job:complete,deleting +10 job:complete,deleting pods:p",
		 DELETE_POD },
	       { "forbidden: nobody knows, and Background takes them along",
		 GONE
		 "pods:refused pods:refused pods:refused pods:refused pods:refused pods:refused",
		 DELETE_SERVICE },
	       { "... one refusal: they hold up nothing", GONE "pods:refused", DELETE_SERVICE },
	       { "... but it is asked again", GONE "pods:refused delete-service", "wait 6.1" },
	       { "trouble holds it up", GONE "pods:trouble", "wait 5.6" },
	       { "of a Job that never was", "self list:empty watch job:absent +60 job:absent",
		 FIRST_PODS },
	       { "... whose are they?", "self list:empty watch job:absent +60 job:absent pods:p",
		 WHOSE },
	       { "... nobody can tell",
		 MISSING "pods:p job:absent +10 pods:p job:absent +10 pods:p job:trouble",
		 "wait 80.5" },
	       { "... nobody has the name: they go",
		 "self list:empty watch job:absent +60 job:absent pods:p job:absent +10 pods:p "
		 "job:absent +10 pods:p job:absent",
		 DELETE_POD },
       });

SCENES(the_service_goes,
       {
	       { "when the Job is gone", NO_PODS, DELETE_SERVICE },
	       { "... it was not noted: which one is there",
		 "self list watch service:absent job:complete service:absent delete-job tell +0.1 "
		 "job:absent pods",
		 READ_SERVICE },
	       { "... whose is it",
		 "self list watch service:absent job:complete service:absent delete-job tell +0.1 "
		 "job:absent pods service",
		 WHOSE },
	       { "... ours",
		 "self list watch service:absent job:complete service:absent delete-job tell +0.1 "
		 "job:absent pods service job:absent",
		 DELETE_SERVICE },
	       { "... a newcomer's",
		 "self list watch service:absent job:complete service:absent delete-job tell +0.1 "
		 "job:absent pods service job:uid=B",
		 "end torn-down" },
	       { "... nobody can tell",
		 "self list watch service:absent job:complete service:absent delete-job tell +0.1 "
		 "job:absent pods service job:refused",
		 "wait 1.1" },
	       { "another one than was noted", NO_PODS "delete-service:conflict service:uid=T",
		 WHOSE },
	       { "... is left alone", NO_PODS "delete-service:conflict service:uid=T job:absent",
		 DELETE_SELF },
	       { "... also one that goes",
		 NO_PODS
		 "delete-service:conflict service:uid=T,deleting job:absent delete-self:trouble",
		 "wait 5.6" },
	       { "409: which one is there", NO_PODS "delete-service:conflict", READ_SERVICE },
	       { "503: which one is there", NO_PODS "delete-service:trouble", READ_SERVICE },
	       { "... the same: in time", NO_PODS "delete-service:trouble service", "wait 5.6" },
	       { "... then", NO_PODS "delete-service:trouble service +0.5", DELETE_SERVICE },
	       { "refused: which one is there", NO_PODS "delete-service:refused", READ_SERVICE },
	       { "... the same: in time", NO_PODS "delete-service:refused service", "wait 6.1" },
	       { "200, but finalizers keep it: polled", NO_PODS "delete-service:kept",
		 READ_SERVICE },
	       { "... slower", NO_PODS "delete-service:kept service:deleting", "wait 5.2" },
	       { "... until it is gone", NO_PODS "delete-service:kept service:absent",
		 DELETE_SELF },
	       { "not while the Job lives on", LIVE "+5 job", "wait 10" },
	       { "... nor while it is about to go", ENDED "job:complete,deleting", "wait 5.1" },
	       { "... for 30 s",
		 ENDED "+10 job:complete,deleting +10 job:complete,deleting pods +9.9 "
		       "job:complete,deleting pods",
		 "wait 35" },
	       { "... however late its DELETE was accepted",
		 LIVE "+5 job:complete service delete-job:trouble +20 job:complete delete-job tell "
		      "+11 job:complete,deleting pods",
		 "wait 38" },
	       { "... a finalizer keeps it: no longer",
		 ENDED "+10 job:complete,deleting +10 job:complete,deleting pods +10 "
		       "job:complete,deleting pods",
		 DELETE_SERVICE },
	       { "... deleted by somebody else: 30 s, too",
		 LIVE "+5 job:deleting service +10 job:deleting +10 job:deleting pods +10 "
		      "job:deleting pods",
		 DELETE_SERVICE },
	       { "... not sooner",
		 LIVE "+5 job:deleting service +10 job:deleting +10 job:deleting pods +9.9 "
		      "job:deleting pods",
		 "wait 35" },
	       { "... three quarters of the time that there is for a teardown",
		 "cfg:teardown=20 " LIVE "+5 job:deleting service +10 job:deleting +5 job:deleting",
		 DELETE_SERVICE },
	       { "... or that a signal leaves",
		 LIVE "+5 job:deleting service signal +16 job:deleting +0.875 job:deleting",
		 DELETE_SERVICE },
	       { "... not sooner",
		 LIVE "+5 job:deleting service signal +16 job:deleting +0.5 job:deleting",
		 "wait 21.875" },
	       { "... counted from the signal on",
		 LIVE "+5 job:deleting service +4 signal job:deleting +16.5 job:deleting pods",
		 "wait 25.875" },
	       { "a finished Job's DELETE is refused: then it goes",
		 LIVE "+5 job:complete service delete-job:refused +1 delete-job:refused tell",
		 DELETE_SERVICE },
	       { "... that a second answer has confirmed",
		 LIVE "+5 job:complete service delete-job:refused", "wait 6" },
	       { "of a Job that never was", "self list:empty watch job:absent +60 job:absent pods",
		 READ_SERVICE },
	       { "... whose is it", "self list:empty watch job:absent +60 job:absent pods service",
		 WHOSE },
	       { "... it goes",
		 "self list:empty watch job:absent +60 job:absent pods service job:absent",
		 DELETE_SERVICE },
	       { "... it came after all",
		 "self list:empty watch job:absent +60 job:absent pods service job", ADOPT },
       });

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_start),     cmocka_unit_test(watching),
		cmocka_unit_test(news),          cmocka_unit_test(the_service),
		cmocka_unit_test(the_last_look), cmocka_unit_test(pending),
		cmocka_unit_test(pod_by_pod),    cmocka_unit_test(an_ended_job),

		cmocka_unit_test(its_pods),      cmocka_unit_test(the_service_goes),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}

/* Whole lives as the plan has them: what is asked, in which order, and when. */
#include "steps.h"

#define LIVES(name, ...)                                                                           \
	static const struct life name##_lives[] = __VA_ARGS__;                                     \
	static void              name(void **state)                                                \
	{                                                                                          \
		(void)state;                                                                       \
		assert_lives(name##_lives, ARRAY_SIZE(name##_lives));                              \
	}

/* With a watch the Job is read with every sixth check; without one, with each. */
LIVES(watching,
      {
	      { "busy", "", "metrics:cpu=9 pods:p", 65,
		"self list watch service job adopt metrics pods +10 metrics +10 metrics "
		"+10 metrics +10 metrics +10 metrics +10 job metrics" },
	      { "only get", "", "list:refused metrics:cpu=9 pods:p", 75,
		"self list job service job adopt metrics pods +1 list +9 job metrics +10 "
		"job metrics +10 job metrics +10 job metrics +10 job metrics +10 job "
		"metrics +1 list +9 job metrics" },
	      { "at long intervals: once a minute", "cfg:interval=600", "metrics:cpu=9 pods:p", 300,
		"self list watch service job adopt metrics pods +60 job +60 job +60 job "
		"+60 job +60 job" },
	      { "at short ones: every sixth check", "cfg:interval=1", "metrics:cpu=9 pods:p", 13,
		"self list watch service job adopt metrics pods +1 metrics +1 metrics +1 "
		"metrics +1 metrics +1 metrics +1 job metrics +1 metrics +1 metrics +1 "
		"metrics +1 metrics +1 metrics +1 job metrics +1 metrics" },
	      { "an owner that is taken off again: no hot loop", "",
		"adopt:stripped metrics:cpu=9 pods:p", 75,
		"self list watch service job adopt service metrics pods +10 metrics +10 "
		"metrics +10 metrics +10 metrics +10 metrics +10 job adopt service "
		"metrics +10 metrics" },
	      { "a Service that only the PATCH does not find: neither", "",
		"adopt:absent metrics:cpu=9 pods:p", 15,
		"self list watch service job adopt service metrics pods +10 metrics" },
	      { "a Service that never comes", "", "service:absent metrics:cpu=9 pods:p", 65,
		"self list watch service metrics pods +0.5 service +1 service +2 service "
		"+4 service +2.5 metrics +5.5 service +4.5 metrics +10 metrics +0.5 "
		"service +9.5 metrics +5.5 service +4.5 metrics +10 job metrics +0.5 "
		"service" },
	      { "a LIST that is empty, and a GET that is not: no hot loop", "",
		"list:empty metrics:cpu=9 pods:p", 15,
		"self list job watch service job adopt metrics pods +10 metrics" },
	      { "metrics pod by pod", "", "metrics:refused pods:p,q pod-metrics:cpu=9", 35,
		"self list watch service job adopt metrics pods +10 metrics +10 pods "
		"pod-metrics pod-metrics +10 pods pod-metrics pod-metrics" },
      });

LIVES(teardowns,
      {
	      { "idle", "", "pods:p pods:p pods job job job:absent", 100,
		"self list watch service job adopt metrics pods +10 metrics +10 metrics "
		"+10 metrics +10 metrics service pods job delete-job tell +0.1 job pods "
		"delete-service delete-self end torn-down" },
	      { "... and a pod that stays", "cfg:teardown=60", "pods:p job job job:absent", 200,
		"self list watch service job adopt metrics pods +10 metrics +10 metrics "
		"+10 metrics +10 metrics service pods job delete-job tell +0.1 job pods "
		"+0.1 pods +0.1 pods +0.2 pods +0.4 pods +0.8 pods +1.6 pods +2 pods +2 "
		"pods +2 pods +2 pods +2 pods +2 pods +2 pods +2 pods +0.8 delete-pod "
		"delete-service delete-self end torn-down" },
	      { "completed", "",
		"list:complete job:complete,deleting job:complete,deleting job:absent", 100,
		"self list service delete-job job tell +0.1 job +0.1 job pods "
		"delete-service delete-self end torn-down" },
	      { "completed, with a broker", "cfg:broker",
		"list:complete job:absent queues:names=a+7-b queues neighbour:absent", 100,
		"self list service delete-job job pods delete-service tell queues job "
		"delete-queue neighbour delete-queue queues delete-self end torn-down" },
	      { "kept for its grace", "cfg:completed-grace=120",
		"list:complete job:complete job:complete job:absent service service:absent", 300,
		"self list service job delete-service watch +60 job +60 service "
		"delete-job job pods service tell delete-self end torn-down" },
	      { "gone", "", "list job:absent", 100,
		"self list watch service job pods delete-service delete-self end "
		"torn-down" },
	      { "missing", "", "list:empty job:absent service:absent", 100,
		"self list job watch +60 job pods service job delete-self end torn-down" },
	      { "a newcomer", "", "list job:uid=B pods:p pods:p/deleting", 100,
		"self list watch service job pods +0.1 pods end torn-down" },
	      { "pending", "cfg:pending=30",
		"list:ready=0 job:ready=0 job:ready=0 job:absent metrics:none pods:p/pending "
		"pods:p/pending pods",
		200,
		"self list watch service job adopt metrics pods +10 metrics +10 metrics "
		"+10 service pods job delete-job tell +0.1 job pods delete-service "
		"delete-self end torn-down" },
	      { "a DELETE that is refused: all is left, and the trigger comes due anew", "",
		"delete-job:refused pods:p", 175,
		"self list watch service job adopt metrics pods +10 metrics +10 metrics "
		"+10 metrics +10 metrics service pods job delete-job +1 service pods job "
		"delete-job tell +9 metrics +10 metrics +10 metrics +10 metrics +10 "
		"metrics +10 job metrics +1 service pods job delete-job +9 metrics +10 "
		"metrics +10 metrics +10 metrics +10 metrics +10 job metrics +10 metrics" },
	      { "an API server that is down: backoff, to the deadline", "cfg:teardown=60",
		"list:complete job:trouble service:trouble delete-job:trouble", 100,
		"self list service delete-job job watch +0.5 job +1 job +2 job +4 job +8 "
		"job +14.5 service +0.5 job +0.5 service +2 service +4 service +8 "
		"service +0.5 job +14.5 end left" },
      });

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watching),
		cmocka_unit_test(teardowns),
	};

	return cmocka_run_group_tests_name("lives", tests, NULL, NULL);
}

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
LIVES(watching, {
	{ "busy", "", "metrics:cpu=9 pods:p", 65, "" },
	{ "only get", "", "list:refused metrics:cpu=9 pods:p", 75, "" },
	{ "at long intervals: once a minute", "cfg:interval=600", "metrics:cpu=9 pods:p", 300, "" },
	{ "at short ones: every sixth check", "cfg:interval=1", "metrics:cpu=9 pods:p", 13, "" },
	{ "an owner that is taken off again: no hot loop", "", "adopt:stripped metrics:cpu=9 pods:p", 15, "" },
	{ "a Service that never comes", "", "service:absent metrics:cpu=9 pods:p", 65, "" },
	{ "a LIST that is empty, and a GET that is not: no hot loop", "", "list:empty metrics:cpu=9 pods:p", 15, "" },
	{ "metrics pod by pod", "", "metrics:refused pods:p,q pod-metrics:cpu=9", 35, "" },
});

LIVES(teardowns, {
	{ "idle", "", "pods:p pods:p pods job job job job:absent", 100, "" },
	{ "... and a pod that stays", "", "pods:p pods:p pods:p pods:p pods:p pods:p pods:p pods:p pods:p pods:p pods:p pods:p pods:p pods:p pods job job job job:absent", 100, "" },
	{ "completed", "", "list:complete job:complete,deleting job:complete,deleting job:absent", 100, "" },
	{ "completed, with a broker", "cfg:broker", "list:complete job:absent queues:names=a+7-b queues neighbour:absent", 100, "" },
	{ "kept for its grace", "cfg:completed-grace=120", "list:complete job:complete job:complete job:complete job:absent", 300, "" },
	{ "gone", "", "list job:absent", 100, "" },
	{ "missing", "", "list:empty job:absent service:absent", 100, "" },
	{ "a newcomer", "", "list job:uid=B pods:p pods:p/deleting", 100, "" },
	{ "pending", "cfg:pending=30", "list:ready=0 job:ready=0 job:ready=0 job:absent metrics:none pods:p/pending pods:p/pending pods", 200, "" },
	{ "a DELETE that is refused: all is left, and the trigger comes due anew", "", "delete-job:refused pods:p", 175, "" },
	{ "an API server that is down: backoff, to the deadline", "cfg:teardown=60", "list:complete job:trouble service:trouble delete-job:trouble", 100, "" },
});

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watching),
		cmocka_unit_test(teardowns),
	};

	return cmocka_run_group_tests_name("lives", tests, NULL, NULL);
}

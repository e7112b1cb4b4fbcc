/* Whole lives as the plan has them: what is asked, in which order, and when. */
#include "steps.h"

#define LIVES(name, ...)                                                                           \
	static const struct life name##_lives[] = __VA_ARGS__;                                     \
	static void              name(void **state)                                                \
	{                                                                                          \
		(void)state;                                                                       \
		assert_lives(name##_lives, ARRAY_SIZE(name##_lives));                              \
	}

LIVES(watching, {
	{ "a job that idles", "", "metrics metrics:cpu=9", 65, "" },
	{ "idle", "", "job job job job:absent pods pods pods", 100, "" },
	{ "completed", "", "list:complete job:complete job:absent", 100, "" },
	{ "completed, with a broker", "cfg:broker", "list:complete job:complete job:absent queues:names=a+b queues", 100, "" },
	{ "missing", "", "list:empty job:absent service:absent", 100, "" },
	{ "gone", "", "list job:absent", 100, "" },
	{ "newcomer", "", "list job:uid=B", 100, "" },
	{ "only get", "", "list:refused metrics:cpu=9", 200, "" },
	{ "pending", "cfg:pending=30", "list:ready=0 job:ready=0 job:ready=0 job:ready=0 job:absent metrics:none pods:p/pending pods:p/pending pods", 200, "" },
});

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watching),
	};

	return cmocka_run_group_tests_name("lives", tests, NULL, NULL);
}

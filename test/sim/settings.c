#include <stdio.h>
#include <stdlib.h>

#include "broker.h"
#include "settings.h"
#include "sweeper.h"

struct settings settings;

void settings_reset(void)
{
	settings = (struct settings){ .threshold = 4000000,
				      .max_count = 5,
				      .min_distinct = 2,
				      .check_cpu = true,
				      .interval_ms = SEC(10),
				      .missing_ms = SEC(60),
				      .teardown_ms = SEC(600),
				      .adopt = true,
				      .delete_self = true };
}

static void put(const char *name, const char *value)
{
	if (setenv(name, value, 1) != 0)
		sim_fatal("setenv");
}

static void put_seconds(const char *name, int64_t ms)
{
	char value[32];

	(void)snprintf(value, sizeof(value), "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
	put(name, value);
}

static void put_number(const char *name, int64_t n)
{
	char value[32];

	(void)snprintf(value, sizeof(value), "%lld", (long long)n);
	put(name, value);
}

static void put_path(const char *name, const char *dir, const char *file)
{
	char value[300];

	(void)snprintf(value, sizeof(value), "%s%s%s", dir, file[0] ? "/" : "", file);
	put(name, value);
}

void settings_export(const char *id, const char *dir)
{
	const struct settings *s = &settings;

	put("JOB_ID", id);
	put("KUBERNETES_SERVICE_HOST", "10.0.0.1");
	put("KUBERNETES_SERVICE_PORT", "443");
	put_path("SERVICE_ACCOUNT_DIR", dir, "");
	put_path("TERMINATION_LOG", dir, "termination-log");
	put_number("MAX_CPU_USAGE_COUNT", s->max_count);
	put_number("MIN_DISTINCT_SAMPLES", s->min_distinct);
	put("ENABLE_CPU_USAGE_CHECK", s->check_cpu ? "true" : "false");
	put_seconds("CHECK_INTERVAL_SECONDS", s->interval_ms);
	put_seconds("STARTUP_GRACE_SECONDS", s->startup_grace_ms);
	put_seconds("PENDING_TIMEOUT_SECONDS", s->pending_ms);
	put_seconds("MISSING_JOB_TIMEOUT_SECONDS", s->missing_ms);
	put_seconds("COMPLETED_GRACE_SECONDS", s->completed_grace_ms);
	put_seconds("FAILED_GRACE_SECONDS", s->failed_grace_ms);
	put_seconds("TEARDOWN_TIMEOUT_SECONDS", s->teardown_ms);
	put("ADOPT_SERVICE", s->adopt ? "true" : "false");
	put("DELETE_SELF", s->delete_self ? "true" : "false");
	put("DRY_RUN", s->dry_run ? "true" : "false");
	put("TARGET_CONTAINER", s->target_container ? "grpc-server" : "");
	put("RABBITMQ_URL", s->broker ? "http://rabbitmq:15672" : "");
	put("RABBITMQ_QUEUES", broker_patterns(s->queues));
	put("RABBITMQ_USER", s->broker ? "cleaner" : "");
	put("RABBITMQ_PASSWORD", s->broker ? SIM_PASSWORD : "");
	put_number("SWEEP_AFTER_SECONDS", SWEEP_AFTER_S);
	put("LOG_LEVEL", sim_verbose ? "debug" : "info");
}

/* One setting at a time: what each takes, and the words for what it does not. */
#include "environment.h"

static const char *const bad_values[] = {
	"CPU_USAGE_THRESHOLD=four",
	"CPU_USAGE_THRESHOLD=-4",
	"CPU_USAGE_THRESHOLD=4 m",
	"MAX_CPU_USAGE_COUNT=0",
	"MAX_CPU_USAGE_COUNT=10001",
	"MAX_CPU_USAGE_COUNT=-5",
	"MAX_CPU_USAGE_COUNT=5.0",
	"ENABLE_CPU_USAGE_CHECK=2",
	"ENABLE_CPU_USAGE_CHECK=ja",
	"JOB_ID=A",
	"JOB_ID=1/2",
	"JOB_ID=../x",
	"JOB_ID=a b",
	"JOB_ID=-1",
	"TARGET_JOB=a/b",
	"TARGET_JOB=..",
	"TARGET_JOB=a%2fb",
	"TARGET_JOB=UPPER",
	"TARGET_SERVICE=a.b",
	"TARGET_SERVICE=a?b",
	"SELF_JOB=-x",
	"NAMESPACE=a.b",
	"NAMESPACE=/",
	"TARGET_JOB=cleanup-job-12-70788",
	"CHECK_INTERVAL_SECONDS=0.04",
	"CHECK_INTERVAL_SECONDS=3600.1",
	"CHECK_INTERVAL_SECONDS=10s",
	"CHECK_INTERVAL_SECONDS=0",
	"STARTUP_GRACE_SECONDS=-1",
	"MIN_DISTINCT_SAMPLES=0",
	"PENDING_TIMEOUT_SECONDS=x",
	"MISSING_JOB_TIMEOUT_SECONDS=1e3",
	"COMPLETED_GRACE_SECONDS=1m",
	"ADOPT_SERVICE=maybe",
	"DELETE_SELF=o",
	"TEARDOWN_TIMEOUT_SECONDS=0",
	"DRY_RUN=perhaps",
	"KUBERNETES_SERVICE_HOST=a/b",
	"KUBERNETES_SERVICE_HOST=fd00::zz",
	"KUBERNETES_SERVICE_HOST=.",
	"KUBERNETES_SERVICE_PORT=0",
	"KUBERNETES_SERVICE_PORT=65536",
	"KUBERNETES_SERVICE_PORT=443/x",
	"KUBE_API_URL=http://10.0.0.1",
	"KUBE_API_URL=http://127.0.0.1.evil.example",
	"KUBE_API_URL=ftp://127.0.0.1",
	"KUBE_API_URL=https://",
	"KUBE_API_URL=https://h:0",
	"KUBE_API_URL=https://h/a/../b",
	"KUBE_API_URL=https://h/..",
	"KUBE_API_URL=https://h/./a",
	"KUBE_API_URL=https://h//",
	"KUBE_API_URL=https://h/a//b",
	"KUBE_API_URL=https://h/a//",
	"KUBE_API_URL=https://h/a?b=c",
	"KUBE_API_URL=https://h/a#b",
	"KUBE_API_URL=https://h/%2e%2e",
	"KUBE_API_URL=https://h/a b",
	"KUBE_API_URL=https://h/a\\b",
	"KUBE_API_URL=https://h..",
	"KUBE_API_URL=https://.",
	"KUBE_API_URL=https://[::1].",
	"KUBE_API_URL=http://10.0.0.1/127.0.0.1",
	"KUBE_API_URL=https://h:70000",
	"KUBE_API_URL=https://h?x",
	"KUBE_API_URL=https://[::1",
	"KUBE_API_URL=https://[1.2.3.4]",
	"KUBE_API_URL=https://h h",
	"KUBE_API_URL=10.0.0.1",
	"KUBE_API_URL=HTTPS://h",
	"RABBITMQ_URL=amqp://h",
	"RABBITMQ_URL=http://h:15672/a?b",
	"RABBITMQ_URL=http://h:15672/../a",
	"RABBITMQ_URL=http://h:15672/%2e",
	"TERMINATION_LOG=/dev/term\nlog",
};

/* One variable, one bad value: exactly one complaint, which starts with NAME='value': */
static void each_bad_value_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_values); i++) {
		struct config     cfg;
		const char       *eq = strchr(bad_values[i], '=');
		char              want[256];
		const char *const env[] = { bad_values[i], "RABBITMQ_USER=u", "RABBITMQ_PASSWORD=p",
					    NULL };

		print_message("  %s\n", bad_values[i]);
		struct complaints c = load(&cfg, env, "h");
		(void)snprintf(want, sizeof(want), "%.*s='%s': ", (int)(eq - bad_values[i]),
			       bad_values[i], eq + 1);
		assert_int_equal(c.count, 1);
		assert_memory_equal(c.text, want, strlen(want));
		assert_true(strlen(c.text) > strlen(want) + 10); /* says what is allowed */
	}
}

static void good_values(void **state)
{
	struct config cfg;

	(void)state;
	static const char *const truths[] = { "true", "1", "yes", "on", "TRUE", "Yes", "On" };
	static const char *const lies[] = { "false", "0", "no", "off", "FALSE", "No", "oFF" };
	for (size_t i = 0; i < ARRAY_SIZE(truths); i++) {
		char set[32];
		(void)snprintf(set, sizeof(set), "DRY_RUN=%s", truths[i]);
		assert_int_equal(load(&cfg, ENV(set), "h").count, 0);
		assert_true(cfg.dry_run);
		(void)snprintf(set, sizeof(set), "ADOPT_SERVICE=%s", lies[i]);
		assert_int_equal(load(&cfg, ENV(set), "h").count, 0);
		assert_false(cfg.adopt_service);
	}
	assert_int_equal(load(&cfg,
			      ENV("CHECK_INTERVAL_SECONDS=0.05", "LOG_LEVEL=debug",
				  "LOG_FORMAT=json", "CPU_USAGE_THRESHOLD=250000n"),
			      "h")
				 .count,
			 0);
	assert_int_equal(cfg.interval_ms, 50);
	assert_int_equal(cfg.log_level, LOG_DEBUG);
	assert_int_equal(cfg.log_format, LOG_JSON);
	assert_true(cfg.threshold_nanocores == 250000);
}

static void api_addresses(void **state)
{
	static const struct {
		const char *set, *want;
	} rows[] = {
		{ "KUBERNETES_SERVICE_HOST=fd00::1", "https://[fd00::1]:443" },
		{ "KUBERNETES_SERVICE_HOST=kubernetes.default.svc",
		  "https://kubernetes.default.svc:443" },
		{ "KUBERNETES_SERVICE_HOST=kubernetes.default.svc.cluster.local.",
		  "https://kubernetes.default.svc.cluster.local.:443" },
		{ "KUBE_API_URL=https://h:6443/", "https://h:6443" },
		{ "KUBE_API_URL=https://h.:6443", "https://h.:6443" },
		{ "KUBE_API_URL=https://rancher.example/k8s/clusters/c-m-x7k2p8z9",
		  "https://rancher.example/k8s/clusters/c-m-x7k2p8z9" },
		{ "KUBE_API_URL=https://h:6443/k8s/clusters/local/",
		  "https://h:6443/k8s/clusters/local" },
		{ "KUBE_API_URL=https://h/clusters/root:org:Team_1~a/..b.",
		  "https://h/clusters/root:org:Team_1~a/..b." },
		{ "KUBE_API_URL=http://127.0.0.1:8001/proxy", "http://127.0.0.1:8001/proxy" },
		{ "KUBE_API_URL=https://[::1]:6443", "https://[::1]:6443" },
		{ "KUBE_API_URL=http://127.0.0.1:8001", "http://127.0.0.1:8001" },
		{ "KUBE_API_URL=http://127.8.9.10", "http://127.8.9.10" },
		{ "KUBE_API_URL=http://localhost:8001", "http://localhost:8001" },
		{ "KUBE_API_URL=http://[::1]:8001", "http://[::1]:8001" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config cfg;

		print_message("  %s\n", rows[i].set);
		assert_int_equal(load(&cfg, ENV(rows[i].set), "h").count, 0);
		assert_string_equal(cfg.api_url, rows[i].want);
	}
	struct config     cfg;
	struct complaints c = load(&cfg, ENV("KUBERNETES_SERVICE_HOST="), "h");
	assert_int_equal(c.count, 1);
	assert_non_null(strstr(c.text, "KUBE_API_URL"));
}

static void a_placeholder_that_was_left_in_is_called_one(void **state)
{
	static const struct {
		const char *set;
		bool        said;
	} rows[] = {
		{ "JOB_ID=$JOB_ID", true },
		{ "JOB_ID=${JOB_ID}", true },
		{ "JOB_ID=$(JOB_ID)", true },
		{ "TARGET_JOB=grpc-job-$JOB_ID", true },
		{ "TARGET_SERVICE=grpc-service-$_ID", true },
		{ "SELF_JOB=cleanup-job-${JOB_ID}", true },
		{ "NAMESPACE=$NS", true },
		{ "MAX_CPU_USAGE_COUNT=$COUNT", true },
		{ "TARGET_JOB=a$", false },
		{ "TARGET_JOB=a$1", false },
		{ "TARGET_JOB=JOB_ID", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config     cfg;
		struct complaints c = load(&cfg, ENV(rows[i].set), "h");

		print_message("  %s\n", rows[i].set);
		assert_int_equal(c.count, 1);
		assert_int_equal(strstr(c.text, "a placeholder was not replaced") != NULL,
				 rows[i].said);
	}
}

static void a_value_of_thousands_of_letters(void **state)
{
	static char   set[8000];
	struct config cfg;

	(void)state;
	(void)snprintf(set, sizeof(set), "CHECK_INTERVAL_SECONDS=%05000d", 7);
	assert_int_equal(load(&cfg, ENV(set), "h").count, 0);
	assert_int_equal(cfg.interval_ms, 7000);
	(void)snprintf(set, sizeof(set), "TARGET_JOB=%05000d", 7);
	assert_int_equal(load(&cfg, ENV(set), "h").count, 1);
	(void)snprintf(set, sizeof(set), "RABBITMQ_URL=http://u:geheim@%05000d", 7);
	struct complaints c = load(&cfg, ENV(set, "RABBITMQ_USER=u", "RABBITMQ_PASSWORD=p"), "h");
	assert_int_equal(c.count, 1);
	assert_null(strstr(c.text, "geheim"));
}

static void secrets_are_not_said(void **state)
{
	struct config cfg;
	char          set[600] = "RABBITMQ_PASSWORD=";

	(void)state;
	memset(set + strlen(set), 'S', 300);
	struct complaints c = load(&cfg, ENV("RABBITMQ_URL=http://h", "RABBITMQ_USER=u", set), "h");
	assert_int_equal(c.count, 1);
	assert_null(strstr(c.text, "SSS"));
	c = load(&cfg,
		 ENV("RABBITMQ_URL=http://user:geheim@h:15672", "RABBITMQ_USER=u",
		     "RABBITMQ_PASSWORD=p"),
		 "h");
	assert_int_equal(c.count, 1);
	assert_null(strstr(c.text, "geheim"));
	c = load(&cfg, ENV("KUBE_API_URL=https://user:geheim@h"), "h");
	assert_int_equal(c.count, 1);
	assert_null(strstr(c.text, "geheim"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bad_value_is_named),
		cmocka_unit_test(a_placeholder_that_was_left_in_is_called_one),
		cmocka_unit_test(good_values),
		cmocka_unit_test(api_addresses),
		cmocka_unit_test(a_value_of_thousands_of_letters),
		cmocka_unit_test(secrets_are_not_said),
	};

	return cmocka_run_group_tests_name("setting", tests, NULL, NULL);
}

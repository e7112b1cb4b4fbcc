/* The environment: defaults, what is worked out, and that every bad value is named in one run. */
#include "environment.h"

#include <sys/stat.h>

#include "jwt.h"

static char account_dir[64];

static void defaults(void **state)
{
	struct config cfg;

	(void)state;
	assert_int_equal(load(&cfg, NULL, "host").count, 0);
	assert_string_equal(cfg.target_job, "grpc-job-12-70788");
	assert_string_equal(cfg.target_service, "grpc-service-12-70788");
	assert_string_equal(cfg.self_job, "cleanup-job-12-70788");
	assert_string_equal(cfg.ns, "panda");
	assert_string_equal(cfg.api_url, "https://10.0.0.1:443");
	assert_true(cfg.threshold_nanocores == 4000000);
	assert_int_equal(cfg.max_idle_count, 5);
	assert_int_equal(cfg.min_distinct_samples, 2);
	assert_true(cfg.check_cpu && cfg.adopt_service && cfg.delete_self && !cfg.dry_run);
	assert_int_equal(cfg.interval_ms, 10000);
	assert_int_equal(cfg.startup_grace_ms + cfg.pending_timeout_ms + cfg.completed_grace_ms +
				 cfg.failed_grace_ms,
			 0);
	assert_int_equal(cfg.missing_timeout_ms, 60000);
	assert_int_equal(cfg.teardown_timeout_ms, 600000);
	assert_int_equal(cfg.log_level, LOG_INFO);
	assert_int_equal(cfg.log_format, LOG_TEXT);
	assert_string_equal(cfg.rabbitmq_url, "");
	assert_string_equal(cfg.rabbitmq_vhost, "/");
	assert_string_equal(cfg.service_account_dir,
			    "/var/run/secrets/kubernetes.io/serviceaccount");
	assert_string_equal(cfg.termination_log, "/dev/termination-log");
}

static void empty_means_default(void **state)
{
	struct config cfg;

	(void)state;
	assert_int_equal(load(&cfg,
			      ENV("CPU_USAGE_THRESHOLD=", "LOG_LEVEL=", "DRY_RUN=", "TARGET_JOB= ",
				  "KUBE_API_URL=\t\n", "RABBITMQ_URL= "),
			      "h")
				 .count,
			 0);
	assert_true(cfg.threshold_nanocores == 4000000);
	assert_string_equal(cfg.target_job, "grpc-job-12-70788");
	assert_string_equal(cfg.rabbitmq_url, "");
}

static void white_space_around_a_value_does_not_count(void **state)
{
	struct config     cfg;
	struct complaints c = load(
		&cfg,
		ENV("CPU_USAGE_THRESHOLD= 7\n", "MAX_CPU_USAGE_COUNT=\t3 ", "DRY_RUN= yes\r\n",
		    "CHECK_INTERVAL_SECONDS= 2 ", "JOB_ID=5-5\n", "NAMESPACE= n ",
		    "KUBERNETES_SERVICE_HOST= 10.0.0.2 ", "KUBERNETES_SERVICE_PORT=6443\n",
		    "LOG_FORMAT= json ", "RABBITMQ_URL= http://h:15672/ ", "RABBITMQ_USER=u v ",
		    "RABBITMQ_PASSWORD=\v geheim  geheim \n", "TERMINATION_LOG=/x \f"),
		"h");

	(void)state;
	assert_int_equal(c.count + c.warning_count, 0);
	assert_true(cfg.threshold_nanocores == 7000000);
	assert_int_equal(cfg.max_idle_count, 3);
	assert_true(cfg.dry_run);
	assert_int_equal(cfg.interval_ms, 2000);
	assert_string_equal(cfg.target_job, "grpc-job-5-5");
	assert_string_equal(cfg.ns, "n");
	assert_string_equal(cfg.api_url, "https://10.0.0.2:6443");
	assert_int_equal(cfg.log_format, LOG_JSON);
	assert_string_equal(cfg.rabbitmq_url, "http://h:15672");
	assert_string_equal(cfg.rabbitmq_user, "u v");
	assert_string_equal(cfg.rabbitmq_password, "geheim  geheim");
	assert_string_equal(cfg.termination_log, "/x");
}

static void as_1_1_had_them(void **state)
{
	struct config cfg;

	(void)state;
	assert_int_equal(load(&cfg,
			      ENV("CPU_USAGE_THRESHOLD=7", "MAX_CPU_USAGE_COUNT=3",
				  "ENABLE_CPU_USAGE_CHECK=false", "SOMETHING_ELSE=?"),
			      "h")
				 .count,
			 0);
	assert_true(cfg.threshold_nanocores == 7000000);
	assert_int_equal(cfg.max_idle_count, 3);
	assert_false(cfg.check_cpu);
}

static void all_of_them_in_one_run(void **state)
{
	struct config cfg;

	(void)state;
	struct complaints c = load(&cfg,
				   ENV("CPU_USAGE_THRESHOLD=x", "MAX_CPU_USAGE_COUNT=x",
				       "DRY_RUN=x", "TARGET_JOB=X", "KUBE_API_URL=x"),
				   "h");
	assert_int_equal(c.count, 5);
}

static void a_typo_in_how_to_log_only_warns(void **state)
{
	struct config     cfg;
	struct complaints c = load(&cfg, ENV("LOG_LEVEL=loud", "LOG_FORMAT=xml"), "h");

	(void)state;
	assert_int_equal(c.count, 0);
	assert_int_equal(c.warning_count, 2);
	assert_non_null(strstr(c.warnings, "LOG_LEVEL='loud': want debug, info, warn or error"));
	assert_non_null(strstr(c.warnings, "LOG_FORMAT='xml': want text or json"));
	assert_int_equal(cfg.log_level, LOG_INFO);
	assert_int_equal(cfg.log_format, LOG_TEXT);
	c = load(&cfg, ENV("LOG_LEVEL=WARN", "LOG_FORMAT=Json"), "h");
	assert_int_equal(c.count + c.warning_count, 0);
	assert_int_equal(cfg.log_level, LOG_WARN);
	assert_int_equal(cfg.log_format, LOG_JSON);
}

static const struct config *looked_at;

static void note_in_json(void *arg, enum log_level level, const char *complaint)
{
	note(arg, level, complaint);
	assert_int_equal(looked_at->log_format, LOG_JSON);
	assert_int_equal(looked_at->log_level, strncmp(complaint, "LOG_", 4) ? LOG_ERROR : 0);
}

/* Whoever is complained to can already log as was asked for, whatever the order of the table. */
static void how_to_log_is_known_before_any_complaint(void **state)
{
	struct config     cfg;
	struct complaints c = { 0 };

	(void)state;
	looked_at = &cfg;
	extra = ENV("CPU_USAGE_THRESHOLD=x", "LOG_LEVEL=error", "LOG_FORMAT=json");
	assert_int_equal(config_load(&cfg, from_table, "h", note_in_json, &c), -EINVAL);
	extra = ENV("LOG_LEVEL=x", "LOG_FORMAT=json");
	assert_int_equal(config_load(&cfg, from_table, "h", note_in_json, &c), 0);
	assert_int_equal(c.count, 1);
	assert_int_equal(c.warning_count, 1);
}

/* Rows of names are in test_identity.c. */
static void job_id_from_the_host_name(void **state)
{
	struct config     cfg;
	struct complaints c = load(&cfg, ENV("JOB_ID="), "cleanup-job-12-70788-x7k2p.panda.svc");

	(void)state;
	assert_int_equal(c.count + c.warning_count, 0);
	assert_string_equal(cfg.job_id, "12-70788");
	assert_string_equal(cfg.self_job, "cleanup-job-12-70788");
	c = load(&cfg, ENV("JOB_ID=9-9"), "cleanup-job-12-70788-x7k2p");
	assert_int_equal(c.warning_count, 0); /* a host name is not a claim */
	c = load(&cfg, ENV("JOB_ID="), "cleanup-job-12-70788");
	assert_int_equal(c.count, 1); /* one, not one for each name */
	assert_memory_equal(c.text, "JOB_ID='': set it, ", 19);
	assert_non_null(
		strstr(c.text, "the host name is 'cleanup-job-12-70788', not cleanup-job-"));
	assert_null(strstr(c.text, "placeholder"));
	c = load(&cfg, ENV("JOB_ID="), "cleanup-job-$JOB_ID-x7k2p");
	assert_int_equal(c.count, 1);
	assert_non_null(strstr(c.text, "a placeholder was not replaced"));
}

static void account_file(const char *name, const char *content)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", account_dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(content, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void token_of(const char *pod)
{
	struct buf claims = { .max = 1024 }, token = { .max = 4096 };

	assert_int_equal(
		buf_printf(&claims, "{\"kubernetes.io\":{\"pod\":{\"name\":\"%s\"}}}", pod), 0);
	jwt(claims.data, claims.len, &token);
	account_file("token", token.data);
	buf_fini(&claims);
	buf_fini(&token);
}

static void job_id_from_the_token(void **state)
{
	static const struct {
		const char *pod, *host, *job_id, *want; /* NULL: refused */
		unsigned    warnings;
	} rows[] = {
		{ "cleanup-job-12-70788-x7k2p", "node-7", "", "12-70788", 0 },
		{ "cleanup-job-12-70788-x7k2p", "cleanup-job-1-bcdfg", "", "12-70788", 0 },
		/* not the name of a cleaner's pod: then the host name is nobody's word either */
		{ "debug", "cleanup-job-1-bcdfg", "", NULL, 0 },
		{ "cleanup-job-12-$JOB_ID-x", "node-7", "", NULL, 0 },
		/* JOB_ID wins, and a pod of another job is said */
		{ "cleanup-job-12-70788-x7k2p", "node-7", "12-70788", "12-70788", 0 },
		{ "cleanup-job-12-70788-x7k2p", "node-7", "9-9", "9-9", 1 },
		{ "debug", "node-7", "9-9", "9-9", 0 },
		{ "cleanup-job-12-70788-x7k2p", "node-7", "$JOB_ID", NULL, 0 },
	};
	char set[128], path[128];

	(void)state;
	(void)copy_str(account_dir, sizeof(account_dir), "/tmp/test_config_XXXXXX");
	assert_non_null(mkdtemp(account_dir));
	(void)snprintf(set, sizeof(set), "SERVICE_ACCOUNT_DIR=%s", account_dir);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config cfg;
		char          job_id[64];

		print_message("  %s, %s, %s\n", rows[i].pod, rows[i].host, rows[i].job_id);
		token_of(rows[i].pod);
		(void)snprintf(job_id, sizeof(job_id), "JOB_ID=%s", rows[i].job_id);
		struct complaints c = load(&cfg, ENV(set, job_id), rows[i].host);
		assert_int_equal(c.count, rows[i].want ? 0 : 1);
		assert_int_equal(c.warning_count, rows[i].warnings);
		if (rows[i].want)
			assert_string_equal(cfg.job_id, rows[i].want);
		else if (!rows[i].job_id[0])
			assert_non_null(strstr(c.text, rows[i].pod));
		if (rows[i].warnings)
			assert_memory_equal(c.warnings, "JOB_ID='9-9': ", 14);
		assert_int_equal(strchr(c.text, '$') != NULL,
				 strstr(c.text, "a placeholder was not replaced") != NULL);
	}
	(void)snprintf(path, sizeof(path), "%s/token", account_dir);
	(void)unlink(path);
	(void)rmdir(account_dir);
}

static void no_job_id_where_all_names_are_given(void **state)
{
	struct config cfg;

	(void)state;
	assert_int_equal(
		load(&cfg, ENV("JOB_ID=", "TARGET_JOB=a", "TARGET_SERVICE=b", "SELF_JOB=c"), "h")
			.count,
		0);
	assert_string_equal(cfg.target_job, "a");
	assert_string_equal(cfg.target_service, "b");
	assert_string_equal(cfg.self_job, "c");
	struct complaints c =
		load(&cfg,
		     ENV("JOB_ID=", "TARGET_JOB=a", "TARGET_SERVICE=b", "SELF_JOB=c",
			 "RABBITMQ_URL=http://h", "RABBITMQ_USER=u", "RABBITMQ_PASSWORD=p"),
		     "h");
	assert_int_equal(c.count, 1); /* the queue prefix needs it */
}

static void a_job_id_too_long_for_a_service(void **state)
{
	struct config     cfg;
	struct complaints c =
		load(&cfg, ENV("JOB_ID=123456789012345678901234567890123456789012345678901"), "h");

	(void)state;
	assert_int_equal(c.count, 1);
	assert_memory_equal(c.text, "TARGET_SERVICE='grpc-service-12", 31);
}

static void namespace_of_the_service_account(void **state)
{
	static const struct {
		const char *content, *want;
	} rows[] = { { "panda", "panda" }, { "panda\n", "panda" }, { "", NULL },
		     { "a/b", NULL },      { "a b", NULL },        { "a.b", NULL } };
	char          set[128], path[128];
	struct config cfg;

	(void)state;
	(void)copy_str(account_dir, sizeof(account_dir), "/tmp/test_config_XXXXXX");
	assert_non_null(mkdtemp(account_dir));
	(void)snprintf(set, sizeof(set), "SERVICE_ACCOUNT_DIR=%s", account_dir);
	assert_int_equal(load(&cfg, ENV(set, "NAMESPACE="), "h").count, 1); /* no file */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("  '%s'\n", rows[i].content);
		account_file("namespace", rows[i].content);
		assert_int_equal(load(&cfg, ENV(set, "NAMESPACE="), "h").count,
				 rows[i].want ? 0 : 1);
		if (rows[i].want)
			assert_string_equal(cfg.ns, rows[i].want);
	}
	(void)snprintf(path, sizeof(path), "%s/namespace", account_dir);
	(void)unlink(path);
	(void)rmdir(account_dir);
}

static void distinct_samples_never_exceed_the_count(void **state)
{
	struct config cfg;

	(void)state;
	assert_int_equal(load(&cfg, ENV("MAX_CPU_USAGE_COUNT=1"), "h").warning_count, 0);
	assert_int_equal(cfg.min_distinct_samples, 1);
	assert_int_equal(
		load(&cfg, ENV("MAX_CPU_USAGE_COUNT=3", "MIN_DISTINCT_SAMPLES=3"), "h").count, 0);
	assert_int_equal(cfg.min_distinct_samples, 3);
	struct complaints c =
		load(&cfg, ENV("MAX_CPU_USAGE_COUNT=4", "MIN_DISTINCT_SAMPLES=7"), "h");
	assert_int_equal(c.count, 0);
	assert_int_equal(cfg.min_distinct_samples, 4);
	assert_int_equal(c.warning_count, 1);
	assert_memory_equal(c.warnings, "MIN_DISTINCT_SAMPLES='7': ", 26);
	c = load(&cfg, ENV("MAX_CPU_USAGE_COUNT=x", "MIN_DISTINCT_SAMPLES=7"), "h");
	assert_int_equal(c.warning_count, 0); /* less than what? */
}

static void the_broker(void **state)
{
	struct config cfg;

	(void)state;
	assert_int_equal(
		load(&cfg,
		     ENV("RABBITMQ_URL=https://rabbit.default.svc:15671/", "RABBITMQ_USER=u",
			 "RABBITMQ_PASSWORD_FILE=/x", "RABBITMQ_CA_FILE=/ca"),
		     "h")
			.count,
		0);
	assert_string_equal(cfg.rabbitmq_url, "https://rabbit.default.svc:15671");
	assert_int_equal(
		load(&cfg,
		     ENV("RABBITMQ_URL=http://h/mq/x/", "RABBITMQ_USER=u", "RABBITMQ_PASSWORD=p"),
		     "h")
			.count,
		0);
	assert_string_equal(cfg.rabbitmq_url, "http://h/mq/x");
	assert_string_equal(cfg.rabbitmq_queues, "grpc-job-12-70788-*");
	assert_int_equal(cfg.queue_count, 1);
	assert_int_equal(
		load(&cfg, ENV("RABBITMQ_URL=https://h", "RABBITMQ_USER=u", "RABBITMQ_PASSWORD=p"),
		     "h")
			.count,
		1); /* nothing to verify it against */
	assert_int_equal(
		load(&cfg, ENV("RABBITMQ_URL=http://h", "RABBITMQ_USER=u:v", "RABBITMQ_PASSWORD=p"),
		     "h")
			.count,
		1); /* HTTP would take what follows the colon for the password */
	assert_int_equal(load(&cfg, ENV("RABBITMQ_URL=http://h"), "h").count,
			 2); /* user, password */
	assert_int_equal(load(&cfg,
			      ENV("RABBITMQ_URL=http://h", "RABBITMQ_USER=u", "RABBITMQ_PASSWORD=p",
				  "RABBITMQ_PASSWORD_FILE=/x"),
			      "h")
				 .count,
			 1); /* not both */
}

#define BROKER "RABBITMQ_URL=http://h", "RABBITMQ_USER=u", "RABBITMQ_PASSWORD=p"

/* What is set, what it comes to, and how many patterns that are. */
static void which_queues(void **state)
{
	static const struct {
		const char *set, *shown;
		size_t      count;
	} rows[] = {
		{ "RABBITMQ_QUEUES=", "grpc-job-12-70788-*", 1 },
		{ "RABBITMQ_QUEUES=focus_baby.$JOB_ID", "focus_baby.12-70788", 1 },
		{ "RABBITMQ_QUEUES=focus_baby.12-70788", "focus_baby.12-70788", 1 },
		{ "RABBITMQ_QUEUES=grpc-job-$JOB_ID-* ,  focus_baby.$JOB_ID, x$JOB_ID*",
		  "grpc-job-12-70788-*,focus_baby.12-70788,x12-70788*", 3 },
		{ "RABBITMQ_QUEUE_PREFIX=x-$JOB_ID.", "x-12-70788.*", 1 },
		{ "RABBITMQ_QUEUE_PREFIX=x,12-70788*", "x,12-70788*", 1 },      /* the one prefix */
		{ "RABBITMQ_QUEUE_PREFIX=x-*-12-70788-", "x-*-12-70788-*", 1 }, /* literally */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config cfg;
		print_message("  %s\n", rows[i].set);
		struct complaints c = load(&cfg, ENV(BROKER, rows[i].set), "h");
		assert_int_equal(c.count, 0);
		assert_string_equal(cfg.rabbitmq_queues, rows[i].shown);
		assert_int_equal(cfg.queue_count, rows[i].count);
	}
}

/* One complaint each, and what it says. */
static void which_queues_are_refused(void **state)
{
#define TEN "1$JOB_ID,2$JOB_ID,3$JOB_ID,4$JOB_ID,5$JOB_ID,6$JOB_ID,7$JOB_ID,8$JOB_ID,"
	static const struct {
		const char *set, *with, *says;
	} rows[] = {
		{ "RABBITMQ_QUEUES=focus_baby", "",
		  "RABBITMQ_QUEUES='focus_baby': 'focus_baby': want the job's id" },
		{ "RABBITMQ_QUEUES=*", "", "RABBITMQ_QUEUES='*': '*': want the job's id" },
		{ "RABBITMQ_QUEUES=a-$JOB_ID,", "", "RABBITMQ_QUEUES='a-$JOB_ID,': an empty name" },
		{ "RABBITMQ_QUEUES=,", "", "RABBITMQ_QUEUES=',': an empty name" },
		{ "RABBITMQ_QUEUES=a-$JOB_ID,,b-$JOB_ID", "",
		  "RABBITMQ_QUEUES='a-$JOB_ID,,b-$JOB_ID': an empty name" },
		{ "RABBITMQ_QUEUES=a-$JOB_ID,*", "",
		  "RABBITMQ_QUEUES='a-$JOB_ID,*': '*': want the job's id" },
		{ "RABBITMQ_QUEUES=*-$JOB_ID", "",
		  "RABBITMQ_QUEUES='*-$JOB_ID': '*-$JOB_ID': want a * only" },
		{ "RABBITMQ_QUEUES=grpc-job-12-707880-*", "",
		  "RABBITMQ_QUEUES='grpc-job-12-707880-*': 'grpc-job-12-707880-*': want the job's "
		  "id" },
		{ "RABBITMQ_QUEUES=a-${JOB_ID}*", "",
		  "RABBITMQ_QUEUES='a-${JOB_ID}*': 'a-${JOB_ID}*': want the job's id in each, "
		  "$JOB_ID or '12-70788'" },
		{ "RABBITMQ_QUEUES=" TEN  TEN "x$JOB_ID", "",
		  "RABBITMQ_QUEUES='" TEN TEN "x$JOB_ID': want at most 16" },
		{ "RABBITMQ_QUEUE_PREFIX=focus", "",
		  "RABBITMQ_QUEUE_PREFIX='focus': 'focus': want the job's id" },
		{ "RABBITMQ_QUEUE_PREFIX=a-12-70788-", "RABBITMQ_QUEUES=a-$JOB_ID-*",
		  "RABBITMQ_QUEUE_PREFIX='a-12-70788-': want either this or RABBITMQ_QUEUES" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct config cfg;
		print_message("  %s\n", rows[i].set);
		struct complaints c = load(&cfg, ENV(BROKER, rows[i].set, rows[i].with), "h");
		assert_int_equal(c.count, 1);
		assert_memory_equal(c.text, rows[i].says, strlen(rows[i].says));
	}
	struct config cfg; /* without a broker nothing is meant */
	assert_int_equal(load(&cfg, ENV("RABBITMQ_QUEUES=*"), "h").count, 0);
}

/* A sweep's names are made of one id after the other, of the same patterns. */
static void each_id_of_a_sweep(void **state)
{
	char          longest[QUEUE_NAME_SIZE + 30];
	struct config cfg;

	(void)state;
	(void)snprintf(longest, sizeof(longest), "RABBITMQ_QUEUES=%0*d$JOB_ID,$JOB_ID.in",
		       QUEUE_NAME_SIZE - 9, 0);
	assert_int_equal(load(&cfg, ENV(BROKER, longest, "JOB_ID=3-3", "TARGET_JOB=x"), NULL).count,
			 0);
	assert_int_equal(cfg.queue_count, 2);
	assert_int_equal(config_name(&cfg, "1-1"), 0);
	assert_string_equal(cfg.target_job, "grpc-job-1-1");
	assert_string_equal(cfg.target_service, "grpc-service-1-1");
	assert_string_equal(cfg.self_job, "cleanup-job-1-1");
	assert_non_null(strstr(cfg.rabbitmq_queues, "0001-1,1-1.in"));
	assert_int_equal(config_name(&cfg, "12-70788"), 0); /* as long as there can be */
	assert_int_equal(config_name(&cfg, "12-707880"), -EINVAL);
	assert_int_equal(config_name(&cfg, "1.1"), -EINVAL);
	struct complaints c = load(&cfg, ENV(BROKER, "RABBITMQ_QUEUES=a-3-3", "JOB_ID=3-3"), NULL);
	assert_int_equal(c.count, 1);
	assert_non_null(strstr(c.text, "want the job's id in each, $JOB_ID: others'"));
	assert_int_equal(load(&cfg, ENV(BROKER, "RABBITMQ_QUEUE_PREFIX=a-3-3-"), NULL).count, 1);
}

static void described_from_the_same_table(void **state)
{
	struct buf md = { .max = 1 << 20 }, text = { .max = 1 << 20 };
	size_t     rows = 0;

	(void)state;
	assert_int_equal(config_describe(&md, true), 0);
	assert_int_equal(config_describe(&text, false), 0);
	for (const char *p = md.data; (p = strstr(p, "\n| `")); p++)
		rows++;
	assert_int_equal(rows, 37);
	assert_non_null(strstr(md.data, "| `CPU_USAGE_THRESHOLD` | `4` | "));
	assert_non_null(strstr(text.data, "CPU_USAGE_THRESHOLD (4)"));
	assert_null(strchr(text.data, '`'));
	buf_fini(&md);
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(empty_means_default),
		cmocka_unit_test(white_space_around_a_value_does_not_count),
		cmocka_unit_test(as_1_1_had_them),
		cmocka_unit_test(all_of_them_in_one_run),
		cmocka_unit_test(a_typo_in_how_to_log_only_warns),
		cmocka_unit_test(how_to_log_is_known_before_any_complaint),
		cmocka_unit_test(job_id_from_the_host_name),
		cmocka_unit_test(job_id_from_the_token),
		cmocka_unit_test(no_job_id_where_all_names_are_given),
		cmocka_unit_test(a_job_id_too_long_for_a_service),
		cmocka_unit_test(namespace_of_the_service_account),
		cmocka_unit_test(distinct_samples_never_exceed_the_count),
		cmocka_unit_test(the_broker),
		cmocka_unit_test(which_queues),
		cmocka_unit_test(which_queues_are_refused),
		cmocka_unit_test(each_id_of_a_sweep),
		cmocka_unit_test(described_from_the_same_table),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}

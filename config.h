/*
 * config.h - the environment, as one table that parses it, prints --help and fills the README.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "log.h"
#include "pattern.h"
#include "util.h"

#define NAME_SIZE  254 /* an RFC 1123 subdomain and its NUL */
#define LABEL_SIZE 64  /* an RFC 1123 label and its NUL */
#define PATH_SIZE  1024
#define URL_SIZE   512

/* What the names of a job's objects begin with; its id follows. */
#define JOB_PREFIX     "grpc-job-"
#define SERVICE_PREFIX "grpc-service-"
#define SELF_PREFIX    "cleanup-job-"

struct config {
	/* names */
	char job_id[NAME_SIZE]; /* "" if it was not needed */
	char target_job[NAME_SIZE];
	char target_service[LABEL_SIZE];
	char self_job[NAME_SIZE];
	char ns[LABEL_SIZE];

	/* idleness */
	int64_t  threshold_nanocores;
	uint32_t max_idle_count;
	bool     check_cpu;
	int64_t  interval_ms;
	int64_t  startup_grace_ms;
	uint32_t min_distinct_samples;
	char     target_container[LABEL_SIZE]; /* judged alone; "" = all are */

	/* other triggers and graces; 0 = off */
	int64_t pending_timeout_ms;
	int64_t missing_timeout_ms;
	int64_t completed_grace_ms;
	int64_t failed_grace_ms;

	/* teardown */
	bool    adopt_service;
	bool    delete_self;
	int64_t teardown_timeout_ms;
	bool    dry_run;

	/* the sweep */
	int64_t  sweep_after_ms;
	uint32_t sweep_max;
	int64_t  swept_before_ms; /* Unix: this teardown is a sweep's, and takes nothing that was
				   * created, or ended, after this; 0 = it is none */
	char swept_uid[64];       /* ... of the Job with this uid; "" = of whoever has the name */

	/* broker; rabbitmq_url[0] == '\0' = no queues to delete */
	char rabbitmq_url[URL_SIZE]; /* scheme://host[:port][/path], no user info, no final '/' */
	char rabbitmq_user[256];
	char rabbitmq_password[256];            /* secret: never logged */
	char rabbitmq_password_file[PATH_SIZE]; /* "" or read at each use */
	char rabbitmq_vhost[256];
	char rabbitmq_ca_file[PATH_SIZE];
	char rabbitmq_queues[1024]; /* as given, then for people: with the id in them */
	char rabbitmq_queue_prefix[QUEUE_NAME_SIZE]; /* as given */
	struct pattern queues[PATTERNS];             /* what these come to */
	size_t         queue_count;

	/* log */
	enum log_level  log_level;
	enum log_format log_format;
	char            termination_log[PATH_SIZE];

	/* API server */
	char api_url[URL_SIZE]; /* https://host:port[/path]; http:// only to loopback; no final '/'
				 */
	char service_account_dir[PATH_SIZE];
};

/*
 * Fills @ret from the environment, through @getenv_fn (getenv, or a test's table). JOB_ID, when it
 * is unset, comes from our pod's name: see identity.h for @hostname. Reads two files of the service
 * account: its token, and its namespace when NAMESPACE is unset. Blocks on nothing else; makes no
 * request.
 * Every bad value is reported through @complain, one call each, as
 * `NAME='value': what is allowed` (the value of a secret is replaced by ***): at LOG_ERROR, or at
 * LOG_WARN if it harms nobody and another one is taken for it.
 * Returns 0, or -EINVAL after at least one LOG_ERROR; of @ret then only log_level and log_format
 * may be used. These two hold from the first complaint about another variable.
 */
typedef const char *config_getenv_fn(const char *name);
typedef void        config_complain_fn(void *arg, enum log_level level, const char *complaint);

int config_load(struct config *ret, config_getenv_fn *getenv_fn, const char *hostname,
		config_complain_fn *complain, void *arg);

/* As config_load(), for a sweep: names no job, and `$JOB_ID` in the queues' patterns is any one's.
 */
int config_load_for_sweep(struct config *ret, config_getenv_fn *getenv_fn,
			  config_complain_fn *complain, void *arg);

/*
 * Makes the names in @cfg those of the job @id. Returns 0, or -EINVAL where they cannot be names:
 * then @cfg is of no use.
 */
int config_name(struct config *cfg, const char *id);

/* Logs one line at info with the effective settings, without secrets. */
void config_log(const struct config *cfg);

/*
 * Writes the table of variables (name, default, meaning) to @b as aligned text for --help, or as
 * the Markdown table that stands in the README. Returns 0 or -errno.
 */
int config_describe(struct buf *b, bool markdown);

#endif

#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "metrics.h"
#include "url.h"

#define WEEK_MS INT64_C(604800000)

enum kind {
	CFG_U32,
	CFG_SECONDS, /* min and max in milliseconds */
	CFG_BOOL,
	CFG_CPU,
	CFG_NAME,  /* RFC 1123 subdomain */
	CFG_LABEL, /* RFC 1123 label */
	CFG_TEXT,
	CFG_SECRET, /* text that is never shown */
	CFG_URL,
	CFG_LEVEL,
	CFG_FORMAT,
	CFG_HOST, /* read by api_url(): nothing is stored */
};

struct cfg_var {
	const char *env;
	enum kind   kind;
	size_t      offset; /* of the field in struct config */
	size_t      size;   /* of the field; texts only */
	const char *def;    /* as one would set it; NULL: unset, or worked out */
	int64_t     min, max;
	const char *shown;   /* default as shown, where it is worked out */
	const char *meaning; /* one line, for --help and the README */
};

#define AT(f)   offsetof(struct config, f), 0
#define STR(f)  offsetof(struct config, f), sizeof(((struct config *)NULL)->f)
#define NOWHERE 0, 0

static const struct cfg_var vars[] = {
	{ "CPU_USAGE_THRESHOLD", CFG_CPU, AT(threshold_nanocores), "4", 0, 0, NULL,
	  "idle at or below this: millicores (`4`, `0.5`) or a quantity with a suffix (`4m`, "
	  "`250000n`)" },
	{ "MAX_CPU_USAGE_COUNT", CFG_U32, AT(max_idle_count), "5", 1, 10000, NULL,
	  "consecutive idle checks that trigger, 1..10000" },
	{ "ENABLE_CPU_USAGE_CHECK", CFG_BOOL, AT(check_cpu), "true", 0, 0, NULL,
	  "`false`: never ask the metrics API, no idle trigger" },
	{ "JOB_ID", CFG_NAME, STR(job_id), NULL, 0, 0, "from the host name",
	  "the streaming job's id; unset: cut out of the host name `cleanup-job-<JOB_ID>-<5 "
	  "chars>`" },
	{ "TARGET_JOB", CFG_NAME, STR(target_job), NULL, 0, 0, "grpc-job-$JOB_ID",
	  "the Job to watch and tear down" },
	{ "TARGET_SERVICE", CFG_LABEL, STR(target_service), NULL, 0, 0, "grpc-service-$JOB_ID",
	  "its Service" },
	{ "SELF_JOB", CFG_NAME, STR(self_job), NULL, 0, 0, "cleanup-job-$JOB_ID",
	  "the cleaner's own Job" },
	{ "NAMESPACE", CFG_LABEL, STR(ns), NULL, 0, 0, "the service account's",
	  "namespace of all of them" },
	{ "CHECK_INTERVAL_SECONDS", CFG_SECONDS, AT(interval_ms), "10", 50, 3600000, NULL,
	  "seconds between checks, decimals allowed, 0.05..3600" },
	{ "STARTUP_GRACE_SECONDS", CFG_SECONDS, AT(startup_grace_ms), "0", 0, WEEK_MS, NULL,
	  "readings within this time of the Job's start are unknown" },
	{ "MIN_DISTINCT_SAMPLES", CFG_U32, AT(min_distinct_samples), "2", 1, 10000, NULL,
	  "different sample times the idle count must rest on, 1..`MAX_CPU_USAGE_COUNT`; 1.1 did "
	  "1" },
	{ "PENDING_TIMEOUT_SECONDS", CFG_SECONDS, AT(pending_timeout_ms), "0", 0, WEEK_MS, NULL,
	  "tear down a Job of which no pod was ever ready for this long; 0: never" },
	{ "MISSING_JOB_TIMEOUT_SECONDS", CFG_SECONDS, AT(missing_timeout_ms), "60", 0, WEEK_MS,
	  NULL, "how long to wait for a Job that does not exist yet" },
	{ "COMPLETED_GRACE_SECONDS", CFG_SECONDS, AT(completed_grace_ms), "0", 0, WEEK_MS, NULL,
	  "keep a completed Job (for its logs) this long; its Service goes at once" },
	{ "FAILED_GRACE_SECONDS", CFG_SECONDS, AT(failed_grace_ms), "0", 0, WEEK_MS, NULL,
	  "the same for a failed Job" },
	{ "ADOPT_SERVICE", CFG_BOOL, AT(adopt_service), "true", 0, 0, NULL,
	  "make the Job an owner of the Service, so that it goes with the Job even without a "
	  "cleaner" },
	{ "DELETE_SELF", CFG_BOOL, AT(delete_self), "true", 0, 0, NULL,
	  "delete `SELF_JOB` as the last act" },
	{ "TEARDOWN_TIMEOUT_SECONDS", CFG_SECONDS, AT(teardown_timeout_ms), "600", 1000, 86400000,
	  NULL, "give up tearing down after this, 1..86400" },
	{ "RABBITMQ_URL", CFG_URL, STR(rabbitmq_url), NULL, 0, 0, "off",
	  "RabbitMQ's management API, `http(s)://host:15672`, without user info" },
	{ "RABBITMQ_USER", CFG_TEXT, STR(rabbitmq_user), NULL, 0, 0, "-", "its user" },
	{ "RABBITMQ_PASSWORD", CFG_SECRET, STR(rabbitmq_password), NULL, 0, 0, "-",
	  "the user's password, or:" },
	{ "RABBITMQ_PASSWORD_FILE", CFG_TEXT, STR(rabbitmq_password_file), NULL, 0, 0, "-",
	  "a file that holds it" },
	{ "RABBITMQ_VHOST", CFG_TEXT, STR(rabbitmq_vhost), "/", 0, 0, NULL,
	  "virtual host of the queues" },
	{ "RABBITMQ_CA_FILE", CFG_TEXT, STR(rabbitmq_ca_file), NULL, 0, 0, "-",
	  "CA certificates (PEM) to verify an https broker against" },
	{ "RABBITMQ_QUEUE_PREFIX", CFG_TEXT, STR(rabbitmq_queue_prefix), NULL, 0, 0,
	  "grpc-job-$JOB_ID-", "queues whose names start with this belong to the job" },
	{ "DRY_RUN", CFG_BOOL, AT(dry_run), "false", 0, 0, NULL,
	  "change nothing: log what would be deleted, then exit 0" },
	{ "LOG_LEVEL", CFG_LEVEL, AT(log_level), "info", 0, 0, NULL,
	  "`debug`, `info`, `warn`, `error`" },
	{ "LOG_FORMAT", CFG_FORMAT, AT(log_format), "text", 0, 0, NULL,
	  "`text` (key=value) or `json` (one object a line)" },
	{ "KUBERNETES_SERVICE_HOST", CFG_HOST, NOWHERE, NULL, 0, 0, "set by Kubernetes",
	  "the API server's address" },
	{ "KUBERNETES_SERVICE_PORT", CFG_HOST, NOWHERE, NULL, 0, 0, "set by Kubernetes",
	  "its port" },
	{ "KUBE_API_URL", CFG_URL, STR(api_url), NULL, 0, 0, "-",
	  "overrides these two; `http://` only to a loopback address" },
	{ "SERVICE_ACCOUNT_DIR", CFG_TEXT, STR(service_account_dir),
	  "/var/run/secrets/kubernetes.io/serviceaccount", 0, 0, NULL,
	  "holds `token`, `ca.crt`, `namespace`" },
	{ "TERMINATION_LOG", CFG_TEXT, STR(termination_log), "/dev/termination-log", 0, 0, NULL,
	  "where the summary goes as JSON, if it can be written" },
};

struct loader {
	struct config      *cfg;
	config_getenv_fn   *getenv_fn;
	config_complain_fn *complain;
	void               *arg;
	const char         *hostname;
	unsigned            complaints;
	bool                job_id_bad; /* has been said: the names made of it need no words */
};

/* ---- Complaints ---- */

static void complain(struct loader *l, const char *name, const char *value, const char *allowed)
{
	struct buf b = { .max = 4096 };

	l->complaints++;
	if (buf_printf(&b, "%s='%.200s': %s", name, value, allowed) == 0)
		l->complain(l->arg, b.data);
	else
		l->complain(l->arg, name);
	buf_fini(&b);
}

static const char *get(const struct loader *l, const char *name)
{
	const char *v = l->getenv_fn(name);

	return v ? v : "";
}

/* ---- Values ---- */

static bool parse_bool(const char *s, bool *ret)
{
	static const char *const words[] = { "false", "true", "0", "1", "no", "yes", "off", "on" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(s, words[i]) == 0) {
			*ret = i % 2;
			return true;
		}
	return false;
}

static bool parse_word(const char *s, const char *const *words, size_t n, size_t *ret)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(s, words[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

static void set_url(struct loader *l, const struct cfg_var *v, const char *value)
{
	char      *dst = (char *)l->cfg + v->offset;
	struct url url;
	bool       api = dst == l->cfg->api_url;

	if (strchr(value, '@')) /* what stands before it may be a password */
		complain(l, v->env, "***", "no user info in the URL");
	else if (strlen(value) >= v->size || !url_parse(value, &url) ||
		 (url.path[0] && strcmp(url.path, "/") != 0))
		complain(l, v->env, value, "want http(s)://host[:port] without a path");
	else if (api && !url.tls && !url_is_loopback(url.host))
		complain(l, v->env, value, "want https://; http:// only to a loopback address");
	else
		(void)copy_str(dst, v->size, value);
	size_t n = strlen(dst);
	if (n && dst[n - 1] == '/')
		dst[n - 1] = '\0';
}

static void complain_range(struct loader *l, const struct cfg_var *v, const char *value)
{
	char allowed[96];

	if (v->kind == CFG_U32)
		(void)snprintf(allowed, sizeof(allowed), "want a whole number, %lld..%lld",
			       (long long)v->min, (long long)v->max);
	else
		(void)snprintf(allowed, sizeof(allowed),
			       "want seconds, at most three decimals, %g..%g",
			       (double)v->min / 1000, (double)v->max / 1000);
	complain(l, v->env, value, allowed);
}

static void set_text(struct loader *l, const struct cfg_var *v, const char *value)
{
	char  *dst = (char *)l->cfg + v->offset;
	size_t n = strlen(value);
	bool   bad = false;

	while (v->kind == CFG_SECRET && n && (value[n - 1] == '\n' || value[n - 1] == '\r'))
		n--; /* of a Secret that was made from a file */
	for (size_t i = 0; i < n; i++)
		bad |= iscntrl((unsigned char)value[i]);
	if (bad || n >= v->size) {
		char allowed[80];
		(void)snprintf(allowed, sizeof(allowed),
			       "want at most %zu characters, no control characters", v->size - 1);
		complain(l, v->env, v->kind == CFG_SECRET ? "***" : value, allowed);
		return;
	}
	memcpy(dst, value, n);
	dst[n] = '\0';
}

static void set_name(struct loader *l, const struct cfg_var *v, const char *value)
{
	char *dst = (char *)l->cfg + v->offset;
	bool  label = v->kind == CFG_LABEL;

	if (is_rfc1123_name(value, v->size - 1) && !(label && strchr(value, '.'))) {
		(void)copy_str(dst, v->size, value);
		return;
	}
	l->job_id_bad |= dst == l->cfg->job_id;
	complain(l, v->env, value,
		 label ? "want an RFC 1123 label: at most 63 of a-z 0-9 -, a letter or digit at "
			 "each end"
		       : "want an RFC 1123 name: at most 253 of a-z 0-9 - ., a letter or digit at "
			 "each "
			 "end");
}

static void set_value(struct loader *l, const struct cfg_var *v, const char *value)
{
	static const char *const levels[] = { "debug", "info", "warn", "error" };
	static const char *const formats[] = { "text", "json" };
	char                    *dst = (char *)l->cfg + v->offset;
	size_t                   word = 0;

	switch (v->kind) {
	case CFG_U32:
		if (parse_u32(value, (uint32_t)v->min, (uint32_t)v->max, (uint32_t *)(void *)dst) <
		    0)
			complain_range(l, v, value);
		break;
	case CFG_SECONDS:
		if (parse_seconds(value, v->min, v->max, (int64_t *)(void *)dst) < 0)
			complain_range(l, v, value);
		break;
	case CFG_BOOL:
		if (!parse_bool(value, (bool *)(void *)dst))
			complain(l, v->env, value,
				 "want true or false, 1 or 0, yes or no, on or off");
		break;
	case CFG_CPU:
		if (cpu_parse_threshold(value, (int64_t *)(void *)dst) < 0)
			complain(l, v->env, value,
				 "want millicores (4, 0.5) or a Kubernetes quantity (4m, 250000n), "
				 "not "
				 "negative");
		break;
	case CFG_NAME:
	case CFG_LABEL: set_name(l, v, value); break;
	case CFG_TEXT:
	case CFG_SECRET: set_text(l, v, value); break;
	case CFG_URL: set_url(l, v, value); break;
	case CFG_LEVEL:
		if (!parse_word(value, levels, ARRAY_SIZE(levels), &word))
			complain(l, v->env, value, "want debug, info, warn or error");
		*(enum log_level *)(void *)dst = (enum log_level)word;
		break;
	case CFG_FORMAT:
		if (!parse_word(value, formats, ARRAY_SIZE(formats), &word))
			complain(l, v->env, value, "want text or json");
		*(enum log_format *)(void *)dst = (enum log_format)word;
		break;
	case CFG_HOST: break;
	}
}

/* ---- What is worked out ---- */

/* JOB_ID out of `cleanup-job-<JOB_ID>-<5 chars>`; false if the host name is not of this form. */
static bool job_id_from_host(const char *host, char *ret, size_t size)
{
	static const char prefix[] = "cleanup-job-";
	size_t            n = strlen(host), skip = sizeof(prefix) - 1;

	if (n >= 63 || n < skip + 7 || strncmp(host, prefix, skip) != 0 || host[n - 6] != '-')
		return false; /* 63: the kubelet may have cut it */
	for (size_t i = n - 5; i < n; i++)
		if (!islower((unsigned char)host[i]) && !isdigit((unsigned char)host[i]))
			return false;
	size_t len = n - 6 - skip;
	if (len >= size)
		return false;
	memcpy(ret, host + skip, len);
	ret[len] = '\0';
	return is_rfc1123_name(ret, size - 1);
}

static void need_job_id(struct loader *l)
{
	if (l->cfg->job_id[0] || l->job_id_bad ||
	    job_id_from_host(l->hostname, l->cfg->job_id, sizeof(l->cfg->job_id)))
		return;
	l->job_id_bad = true;
	complain(l, "JOB_ID", "",
		 "set it, or run as a pod of the Job cleanup-job-<JOB_ID>, whose host name "
		 "cleanup-job-<JOB_ID>-<5 chars> (less than 63 in all) tells it");
}

/* A name that was not given is made of a prefix and JOB_ID. */
static void derive_name(struct loader *l, const char *env, const char *prefix, char *dst,
			size_t size, bool label)
{
	char name[NAME_SIZE + 32];

	if (get(l, env)[0])
		return; /* given, or complained about */
	need_job_id(l);
	if (l->job_id_bad)
		return;
	(void)snprintf(name, sizeof(name), "%s%s", prefix, l->cfg->job_id);
	if (is_rfc1123_name(name, size - 1) && !(label && strchr(name, '.')))
		(void)copy_str(dst, size, name);
	else
		complain(l, env, name,
			 "made of JOB_ID, and not an RFC 1123 name of the right length");
}

static void derive_namespace(struct loader *l)
{
	struct config *cfg = l->cfg;
	struct buf     text = { .max = 256 };
	struct err     err = { 0 };
	char           path[PATH_SIZE + 16];

	if (get(l, "NAMESPACE")[0])
		return;
	(void)snprintf(path, sizeof(path), "%s/namespace", cfg->service_account_dir);
	int r = read_file(path, &text, &err);
	while (text.len && isspace((unsigned char)text.data[text.len - 1]))
		text.data[--text.len] = '\0';
	if (r == 0 && text.len && is_rfc1123_name(text.data, sizeof(cfg->ns) - 1) &&
	    !strchr(text.data, '.'))
		(void)copy_str(cfg->ns, sizeof(cfg->ns), text.data);
	else
		complain(l, "NAMESPACE", "",
			 r < 0 ? "set it, or mount a service account (its file namespace cannot be "
				 "read)"
			       : "set it: the service account's file namespace holds no RFC 1123 "
				 "label");
	buf_fini(&text);
}

static void derive_api_url(struct loader *l)
{
	const char *host = get(l, "KUBERNETES_SERVICE_HOST");
	const char *port = get(l, "KUBERNETES_SERVICE_PORT");
	bool        v6 = strchr(host, ':') != NULL;

	if (get(l, "KUBE_API_URL")[0])
		return;
	if (!url_is_host(host))
		complain(l, "KUBERNETES_SERVICE_HOST", host,
			 "want the API server's address, which Kubernetes sets in every pod; "
			 "elsewhere "
			 "set KUBE_API_URL");
	else if (!url_is_port(port))
		complain(l, "KUBERNETES_SERVICE_PORT", port, "want a port, 1..65535");
	else
		(void)snprintf(l->cfg->api_url, sizeof(l->cfg->api_url), "https://%s%s%s:%s",
			       v6 ? "[" : "", host, v6 ? "]" : "", port);
}

static void derive_samples(struct loader *l)
{
	struct config *cfg = l->cfg;

	if (cfg->min_distinct_samples <= cfg->max_idle_count || !cfg->max_idle_count)
		return;
	if (get(l, "MIN_DISTINCT_SAMPLES")[0])
		complain(l, "MIN_DISTINCT_SAMPLES", get(l, "MIN_DISTINCT_SAMPLES"),
			 "want at most MAX_CPU_USAGE_COUNT");
	else
		cfg->min_distinct_samples = cfg->max_idle_count;
}

static void check_rabbitmq(struct loader *l)
{
	struct config *cfg = l->cfg;
	char          *prefix = cfg->rabbitmq_queue_prefix;

	if (!get(l, "RABBITMQ_URL")[0])
		return;
	if (!prefix[0] && !get(l, "RABBITMQ_QUEUE_PREFIX")[0]) {
		need_job_id(l);
		if (!l->job_id_bad &&
		    snprintf(prefix, sizeof(cfg->rabbitmq_queue_prefix), "grpc-job-%s-",
			     cfg->job_id) >= (int)sizeof(cfg->rabbitmq_queue_prefix))
			complain(l, "RABBITMQ_QUEUE_PREFIX", "",
				 "JOB_ID is too long for it: set it");
	}
	if (strncmp(cfg->rabbitmq_url, "https:", 6) == 0 && !get(l, "RABBITMQ_CA_FILE")[0])
		complain(l, "RABBITMQ_CA_FILE", "",
			 "want a file with the broker's CA, as RABBITMQ_URL is https");
	if (strchr(cfg->rabbitmq_user, ':'))
		complain(l, "RABBITMQ_USER", cfg->rabbitmq_user, "want a user without a colon");
	if (!cfg->rabbitmq_user[0] && !get(l, "RABBITMQ_USER")[0])
		complain(l, "RABBITMQ_USER", "", "want a user, as RABBITMQ_URL is set");
	if (!get(l, "RABBITMQ_PASSWORD")[0] == !get(l, "RABBITMQ_PASSWORD_FILE")[0])
		complain(l, "RABBITMQ_PASSWORD", "***",
			 "want either this or RABBITMQ_PASSWORD_FILE, as RABBITMQ_URL is set");
}

static void check_names(struct loader *l)
{
	struct config *cfg = l->cfg;

	derive_name(l, "TARGET_JOB", "grpc-job-", cfg->target_job, sizeof(cfg->target_job), false);
	derive_name(l, "TARGET_SERVICE", "grpc-service-", cfg->target_service,
		    sizeof(cfg->target_service), true);
	derive_name(l, "SELF_JOB", "cleanup-job-", cfg->self_job, sizeof(cfg->self_job), false);
	if (cfg->target_job[0] && strcmp(cfg->target_job, cfg->self_job) == 0)
		complain(l, "TARGET_JOB", cfg->target_job, "want another Job than SELF_JOB");
}

int config_load(struct config *ret, config_getenv_fn *getenv_fn, const char *hostname,
		config_complain_fn *complain_fn, void *arg)
{
	struct loader l = { .cfg = ret,
			    .getenv_fn = getenv_fn,
			    .complain = complain_fn,
			    .arg = arg,
			    .hostname = hostname };

	*ret = (struct config){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(vars); i++) {
		const char *value = get(&l, vars[i].env);
		if (!value[0])
			value = vars[i].def;
		if (value)
			set_value(&l, &vars[i], value);
	}
	check_names(&l);
	derive_namespace(&l);
	derive_api_url(&l);
	derive_samples(&l);
	check_rabbitmq(&l);
	return l.complaints ? -EINVAL : 0;
}

/* ---- What people see ---- */

static const char *yes_no(bool b)
{
	return b ? "true" : "false";
}

void config_log(const struct config *cfg)
{
	char threshold[CPU_TEXT_SIZE];

	cpu_format(threshold, cfg->threshold_nanocores);
	log_info("settings", LS("api", cfg->api_url), LS("check_cpu", yes_no(cfg->check_cpu)),
		 LS("threshold", threshold), LI("max_idle_count", cfg->max_idle_count),
		 LI("min_distinct_samples", cfg->min_distinct_samples),
		 LI("interval_ms", cfg->interval_ms), LI("startup_grace_ms", cfg->startup_grace_ms),
		 LI("pending_timeout_ms", cfg->pending_timeout_ms),
		 LI("missing_timeout_ms", cfg->missing_timeout_ms),
		 LI("completed_grace_ms", cfg->completed_grace_ms),
		 LI("failed_grace_ms", cfg->failed_grace_ms),
		 LI("teardown_timeout_ms", cfg->teardown_timeout_ms),
		 LS("adopt_service", yes_no(cfg->adopt_service)),
		 LS("delete_self", yes_no(cfg->delete_self)), LS("dry_run", yes_no(cfg->dry_run)),
		 LS("rabbitmq", cfg->rabbitmq_url[0] ? cfg->rabbitmq_url : "off"));
}

static const char *shown_default(const struct cfg_var *v)
{
	return v->shown ? v->shown : v->def;
}

int config_describe(struct buf *b, bool markdown)
{
	int r = markdown ? buf_printf(b, "| variable | default | meaning |\n|---|---|---|\n") : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(vars); i++) {
		const struct cfg_var *v = &vars[i];
		if (markdown) {
			r = buf_printf(b, "| `%s` | `%s` | %s |\n", v->env, shown_default(v),
				       v->meaning);
			continue;
		}
		r = buf_printf(b, "  %s (%s)\n      ", v->env, shown_default(v));
		for (const char *p = v->meaning; r == 0 && *p; p++)
			if (*p != '`') /* Markdown's, of no use on a terminal */
				r = buf_append(b, p, 1);
		r = r < 0 ? r : buf_append(b, "\n", 1);
	}
	return r;
}

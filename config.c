#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "identity.h"
#include "metrics.h"
#include "setting.h"
#include "url.h"

#define WEEK_MS    INT64_C(604800000)
#define VALUE_SIZE 2048 /* more than any setting may have, with its NUL */
#define SPACE      " \t\n\v\f\r"
#define SHOWN_BYTES                                                                                \
	400 /* of a list, in each line and Event about queues: what is left is longer              \
	     */
#define QUEUES "RABBITMQ_QUEUES"
#define PREFIX "RABBITMQ_QUEUE_PREFIX"

_Static_assert(NAME_SIZE >= IDENTITY_POD_SIZE, "a name that a pod has is one that we take");

#define AT(f)   offsetof(struct config, f), 0
#define STR(f)  offsetof(struct config, f), sizeof(((struct config *)NULL)->f)
#define NOWHERE 0, 0

static const struct setting vars[] = {
	{ "CPU_USAGE_THRESHOLD", SETTING_CPU, AT(threshold_nanocores), "4", 0, 0, NULL,
	  "idle at or below this: millicores (`4`, `0.5`) or a quantity with a suffix (`4m`, "
	  "`250000n`)" },
	{ "MAX_CPU_USAGE_COUNT", SETTING_U32, AT(max_idle_count), "5", 1, 10000, NULL,
	  "consecutive idle checks that trigger, 1..10000" },
	{ "ENABLE_CPU_USAGE_CHECK", SETTING_BOOL, AT(check_cpu), "true", 0, 0, NULL,
	  "`false`: never ask the metrics API, no idle trigger" },
	{ "JOB_ID", SETTING_NAME, STR(job_id), NULL, 0, 0, "from the pod's name",
	  "the streaming job's id; unset: cut out of the pod's name `cleanup-job-<JOB_ID>-<5 "
	  "letters>`, by the service account's token, else by the host name" },
	{ "TARGET_JOB", SETTING_NAME, STR(target_job), NULL, 0, 0, "grpc-job-$JOB_ID",
	  "the Job to watch and tear down" },
	{ "TARGET_SERVICE", SETTING_LABEL, STR(target_service), NULL, 0, 0, "grpc-service-$JOB_ID",
	  "its Service" },
	{ "SELF_JOB", SETTING_NAME, STR(self_job), NULL, 0, 0, "cleanup-job-$JOB_ID",
	  "the cleaner's own Job" },
	{ "NAMESPACE", SETTING_LABEL, STR(ns), NULL, 0, 0, "the service account's",
	  "namespace of all of them" },
	{ "CHECK_INTERVAL_SECONDS", SETTING_SECONDS, AT(interval_ms), "10", 50, 3600000, NULL,
	  "seconds between checks, decimals allowed, 0.05..3600" },
	{ "STARTUP_GRACE_SECONDS", SETTING_SECONDS, AT(startup_grace_ms), "0", 0, WEEK_MS, NULL,
	  "readings within this time of the Job's start are unknown" },
	{ "MIN_DISTINCT_SAMPLES", SETTING_U32, AT(min_distinct_samples), "2", 1, 10000, NULL,
	  "different sample times the idle count must rest on, never more than "
	  "`MAX_CPU_USAGE_COUNT`; 1.1 did 1" },
	{ "PENDING_TIMEOUT_SECONDS", SETTING_SECONDS, AT(pending_timeout_ms), "0", 0, WEEK_MS, NULL,
	  "tear down a Job of which no pod was ever ready for this long; 0: never" },
	{ "MISSING_JOB_TIMEOUT_SECONDS", SETTING_SECONDS, AT(missing_timeout_ms), "60", 0, WEEK_MS,
	  NULL, "how long to wait for a Job that does not exist yet" },
	{ "COMPLETED_GRACE_SECONDS", SETTING_SECONDS, AT(completed_grace_ms), "0", 0, WEEK_MS, NULL,
	  "keep a completed Job (for its logs) this long; its Service goes at once" },
	{ "FAILED_GRACE_SECONDS", SETTING_SECONDS, AT(failed_grace_ms), "0", 0, WEEK_MS, NULL,
	  "the same for a failed Job" },
	{ "ADOPT_SERVICE", SETTING_BOOL, AT(adopt_service), "true", 0, 0, NULL,
	  "make the Job an owner of the Service, so that it goes with the Job even without a "
	  "cleaner" },
	{ "DELETE_SELF", SETTING_BOOL, AT(delete_self), "true", 0, 0, NULL,
	  "delete `SELF_JOB` as the last act" },
	{ "TEARDOWN_TIMEOUT_SECONDS", SETTING_SECONDS, AT(teardown_timeout_ms), "600", 1000,
	  86400000, NULL, "give up tearing down after this, 1..86400" },
	{ "RABBITMQ_URL", SETTING_URL, STR(rabbitmq_url), NULL, 0, 0, "off",
	  "RabbitMQ's management API, `http(s)://host:15672`; a path is allowed, user info is "
	  "not" },
	{ "RABBITMQ_USER", SETTING_TEXT, STR(rabbitmq_user), NULL, 0, 0, "-", "its user" },
	{ "RABBITMQ_PASSWORD", SETTING_SECRET, STR(rabbitmq_password), NULL, 0, 0, "-",
	  "the user's password, or:" },
	{ "RABBITMQ_PASSWORD_FILE", SETTING_TEXT, STR(rabbitmq_password_file), NULL, 0, 0, "-",
	  "a file that holds it; needed if it begins or ends with a space" },
	{ "RABBITMQ_VHOST", SETTING_TEXT, STR(rabbitmq_vhost), "/", 0, 0, NULL,
	  "virtual host of the queues" },
	{ "RABBITMQ_CA_FILE", SETTING_TEXT, STR(rabbitmq_ca_file), NULL, 0, 0, "-",
	  "CA certificates (PEM) to verify an https broker against" },
	{ QUEUES, SETTING_TEXT, STR(rabbitmq_queues), "grpc-job-$JOB_ID-*", 0, 0, NULL,
	  "the job's queues: names, or prefixes that end in `*`, with commas between them; "
	  "`$JOB_ID` stands for the id, and each must contain it" },
	{ PREFIX, SETTING_TEXT, STR(rabbitmq_queue_prefix), NULL, 0, 0, "-",
	  "one prefix, without the `*`, in place of that list" },
	{ "TARGET_CONTAINER", SETTING_LABEL, STR(target_container), NULL, 0, 0, "-",
	  "judge this container alone: its CPU is the job's, and when it has ended for good, so "
	  "has "
	  "the job, whatever sidecar runs on" },
	{ "SWEEP_AFTER_SECONDS", SETTING_SECONDS, AT(sweep_after_ms), "600", 60000, WEEK_MS, NULL,
	  "`--sweep` touches nothing younger than this, 60..604800" },
	{ "SWEEP_MAX", SETTING_U32, AT(sweep_max), "50", 1, 1000000, NULL,
	  "more leftovers than this, or than half of more than ten ids, `--sweep` only lists" },
	{ "DRY_RUN", SETTING_BOOL, AT(dry_run), "false", 0, 0, NULL,
	  "change nothing: log what would be deleted, then exit 0" },
	{ "LOG_FORMAT", SETTING_LOG_FORMAT, AT(log_format), "text", 0, 0, NULL,
	  "`text` (key=value) or `json` (one object a line)" },
	{ "LOG_LEVEL", SETTING_LOG_LEVEL, AT(log_level), "info", 0, 0, NULL,
	  "`debug`, `info`, `warn`, `error`" },
	{ "KUBERNETES_SERVICE_HOST", SETTING_ADDRESS, NOWHERE, NULL, 0, 0, "set by Kubernetes",
	  "the API server's address" },
	{ "KUBERNETES_SERVICE_PORT", SETTING_ADDRESS, NOWHERE, NULL, 0, 0, "set by Kubernetes",
	  "its port" },
	{ "KUBE_API_URL", SETTING_API_URL, STR(api_url), NULL, 0, 0, "-",
	  "overrides these two; a path is allowed; `http://` only to a loopback address" },
	{ "SERVICE_ACCOUNT_DIR", SETTING_TEXT, STR(service_account_dir),
	  "/var/run/secrets/kubernetes.io/serviceaccount", 0, 0, NULL,
	  "holds `token`, `ca.crt`, `namespace`" },
	{ "TERMINATION_LOG", SETTING_TEXT, STR(termination_log), "/dev/termination-log", 0, 0, NULL,
	  "where the summary goes as JSON, if it can be written" },
};

struct loader {
	struct config      *cfg;
	config_getenv_fn   *getenv_fn;
	config_complain_fn *complain;
	void               *arg;
	struct identity     identity;
	unsigned            errors;
	bool                job_id_bad; /* has been said: the names made of it need no words */
};

/* ---- Complaints ---- */

/* `$NAME`, `${NAME}`, `$(NAME)`: what a template that was not filled in has in it. */
static bool has_placeholder(const char *s)
{
	for (; (s = strchr(s, '$')) != NULL; s++)
		if (isalpha((unsigned char)s[1]) || (s[1] && strchr("_{(", s[1])))
			return true;
	return false;
}

static void say(struct loader *l, enum log_level level, const char *name, const char *value,
		const char *words)
{
	struct buf b = { .max = 4096 };
	bool       patterns = strcmp(name, QUEUES) == 0 || strcmp(name, PREFIX) == 0;
	bool       left_in = !patterns && /* in these it is replaced by us */
		       (has_placeholder(value) || has_placeholder(words));
	const char *why = left_in ? "a placeholder was not replaced: " : "";

	l->errors += level == LOG_ERROR;
	if (buf_printf(&b, "%s='%.200s': %s%s", name, value, why, words) == 0)
		l->complain(l->arg, level, b.data);
	else
		l->complain(l->arg, level, name);
	buf_fini(&b);
}

static void complain(struct loader *l, const char *name, const char *value, const char *allowed)
{
	say(l, LOG_ERROR, name, value, allowed);
}

static void warn(struct loader *l, const char *name, const char *value, const char *words)
{
	say(l, LOG_WARN, name, value, words);
}

/* ---- The environment ---- */

/* What stands in the variable behind white space; "" if nothing does. */
static const char *start_of(const struct loader *l, const char *name)
{
	const char *v = l->getenv_fn(name);

	return v ? v + strspn(v, SPACE) : "";
}

static bool is_set(const struct loader *l, const char *name)
{
	return start_of(l, name)[0] != '\0';
}

/* The value without white space around it, in @room; one too long for any setting as it is. */
static const char *get(const struct loader *l, const char *name, char room[VALUE_SIZE])
{
	const char *v = start_of(l, name);

	if (copy_str(room, VALUE_SIZE, v) < 0)
		return v;
	trim_end(room, SPACE);
	return room;
}

/* A typo in what can harm nobody must not stop all cleaning. */
static bool is_harmless(const struct setting *s)
{
	return s->kind == SETTING_LOG_LEVEL || s->kind == SETTING_LOG_FORMAT;
}

static void load(struct loader *l, const struct setting *s)
{
	char        room[VALUE_SIZE];
	const char *value = is_set(l, s->env) ? get(l, s->env, room) : s->def;
	struct err  err = { 0 };

	if (!value || setting_parse(s, value, l->cfg, &err) == 0)
		return;
	say(l, is_harmless(s) ? LOG_WARN : LOG_ERROR, s->env, setting_shown(s, value), err.msg);
	if (is_harmless(s))
		(void)setting_parse(s, s->def, l->cfg, NULL);
	l->job_id_bad |= strcmp(s->env, "JOB_ID") == 0;
}

/* How complaints look is loaded before there are any. */
static void load_all(struct loader *l)
{
	for (const struct setting *s = vars; s < vars + ARRAY_SIZE(vars); s++)
		if (is_harmless(s))
			load(l, s);
	for (const struct setting *s = vars; s < vars + ARRAY_SIZE(vars); s++)
		if (!is_harmless(s))
			load(l, s);
}

/* ---- What is worked out ---- */

/* A pod that is another job's, by its token, may be a template with a wrong JOB_ID in it. */
static void compare_job_id(struct loader *l)
{
	char other[NAME_SIZE], words[2 * NAME_SIZE];

	if (!l->cfg->job_id[0] || !l->identity.bound || !identity_job_id(l->identity.pod, other) ||
	    strcmp(l->cfg->job_id, other) == 0)
		return;
	(void)snprintf(words, sizeof(words), "taken, though the pod's name, by its token, is '%s'",
		       l->identity.pod);
	warn(l, "JOB_ID", l->cfg->job_id, words);
}

static void need_job_id(struct loader *l)
{
	char words[512];

	if (l->cfg->job_id[0] || l->job_id_bad || identity_job_id(l->identity.pod, l->cfg->job_id))
		return;
	l->job_id_bad = true;
	(void)snprintf(
		words, sizeof(words),
		"set it, or run as a pod of the Job cleanup-job-<JOB_ID>: %s is '%.100s', not "
		"cleanup-job-<JOB_ID>-<5 of " IDENTITY_SUFFIX_LETTERS
		">, less than 63 letters in all",
		l->identity.bound ? "the pod's name, by its token," : "the host name",
		l->identity.pod);
	complain(l, "JOB_ID", "", words);
}

/* A name that was not given is made of a prefix and JOB_ID. */
static void derive_name(struct loader *l, const char *env, const char *prefix, char *dst,
			size_t size, bool label)
{
	char name[NAME_SIZE + 32];

	if (is_set(l, env))
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

	if (is_set(l, "NAMESPACE"))
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
	char        host_room[VALUE_SIZE], port_room[VALUE_SIZE];
	const char *host = get(l, "KUBERNETES_SERVICE_HOST", host_room);
	const char *port = get(l, "KUBERNETES_SERVICE_PORT", port_room);
	bool        v6 = strchr(host, ':') != NULL;

	if (is_set(l, "KUBE_API_URL"))
		return;
	if (!url_is_host(host))
		complain(l, "KUBERNETES_SERVICE_HOST", host,
			 "want the API server's address, which Kubernetes sets in every pod; "
			 "elsewhere "
			 "set KUBE_API_URL");
	else if (!url_is_port(port))
		complain(l, "KUBERNETES_SERVICE_PORT", port, "want a port, 1..65535");
	else if (snprintf(l->cfg->api_url, sizeof(l->cfg->api_url), "https://%s%s%s:%s",
			  v6 ? "[" : "", host, v6 ? "]" : "", port) >= URL_SIZE)
		complain(l, "KUBERNETES_SERVICE_HOST", host, "too long");
}

/* A count cannot rest on more samples than it has readings. */
static void limit_samples(struct loader *l)
{
	struct config *cfg = l->cfg;
	char           room[VALUE_SIZE];

	if (cfg->min_distinct_samples <= cfg->max_idle_count || !cfg->max_idle_count)
		return;
	cfg->min_distinct_samples = cfg->max_idle_count;
	if (is_set(l, "MIN_DISTINCT_SAMPLES"))
		warn(l, "MIN_DISTINCT_SAMPLES", get(l, "MIN_DISTINCT_SAMPLES", room),
		     "MAX_CPU_USAGE_COUNT is less, and is taken");
}

/* One of the list. @only_prefix: of a setting that has no other ones. */
static int take_pattern(struct config *cfg, const char *s, size_t n, bool only_prefix,
			struct err *err)
{
	struct pattern *p = &cfg->queues[cfg->queue_count];

	while (n && strchr(SPACE, *s)) {
		s++;
		n--;
	}
	while (n && strchr(SPACE, s[n - 1]))
		n--;
	if (cfg->queue_count == PATTERNS)
		return err_set(err, EINVAL, "want at most %d of them", PATTERNS);
	if (!only_prefix && n && memchr(s, '*', n - 1))
		return err_set(err, EINVAL, "'%.*s': want a * only at its end", (int)n, s);
	if (pattern_parse(s, n, cfg->job_id, p, err) < 0)
		return -EINVAL;
	p->prefix |= only_prefix;
	cfg->queue_count++;
	return 0;
}

/* For people: with the id in each. */
static void show_queues(struct config *cfg)
{
	struct buf shown = { .max = SHOWN_BYTES };
	char       text[QUEUE_NAME_SIZE];

	for (size_t i = 0; i < cfg->queue_count && shown.max == SHOWN_BYTES; i++) {
		(void)pattern_text(&cfg->queues[i], cfg->job_id, text);
		if (buf_printf(&shown, "%s%s%s", i ? "," : "", text,
			       cfg->queues[i].prefix ? "*" : "") == 0)
			continue;
		shown.max += sizeof(",...");
		(void)buf_printf(&shown, ",..."); /* it fits */
	}
	(void)copy_str(cfg->rabbitmq_queues, sizeof(cfg->rabbitmq_queues),
		       shown.data ? shown.data : "");
	buf_fini(&shown);
}

static void check_queues(struct loader *l)
{
	struct config *cfg = l->cfg;
	bool           old = is_set(l, PREFIX);
	const char    *list = old ? cfg->rabbitmq_queue_prefix : cfg->rabbitmq_queues;
	struct err     err = { 0 };

	if (!list[0])
		return; /* complained about */
	if (old && is_set(l, QUEUES))
		err_set(&err, EINVAL, "want either this or " QUEUES ", where it is '%s*'", list);
	for (const char *p = list, *end; p && !err.code; p = *end ? end + 1 : NULL) {
		end = p + strcspn(p, old ? "" : ",");
		(void)take_pattern(cfg, p, (size_t)(end - p), old, &err);
	}
	if (err.code)
		complain(l, old ? PREFIX : QUEUES, list, err.msg);
	else
		show_queues(cfg);
}

static void check_rabbitmq(struct loader *l)
{
	struct config *cfg = l->cfg;

	if (!is_set(l, "RABBITMQ_URL"))
		return;
	need_job_id(l);
	if (!l->job_id_bad)
		check_queues(l);
	if (strncmp(cfg->rabbitmq_url, "https:", 6) == 0 && !is_set(l, "RABBITMQ_CA_FILE"))
		complain(l, "RABBITMQ_CA_FILE", "",
			 "want a file with the broker's CA, as RABBITMQ_URL is https");
	if (strchr(cfg->rabbitmq_user, ':'))
		complain(l, "RABBITMQ_USER", cfg->rabbitmq_user, "want a user without a colon");
	if (!cfg->rabbitmq_user[0] && !is_set(l, "RABBITMQ_USER"))
		complain(l, "RABBITMQ_USER", "", "want a user, as RABBITMQ_URL is set");
	if (!is_set(l, "RABBITMQ_PASSWORD") == !is_set(l, "RABBITMQ_PASSWORD_FILE"))
		complain(l, "RABBITMQ_PASSWORD", "***",
			 "want either this or RABBITMQ_PASSWORD_FILE, as RABBITMQ_URL is set");
}

static void check_names(struct loader *l)
{
	struct config *cfg = l->cfg;

	derive_name(l, "TARGET_JOB", JOB_PREFIX, cfg->target_job, sizeof(cfg->target_job), false);
	derive_name(l, "TARGET_SERVICE", SERVICE_PREFIX, cfg->target_service,
		    sizeof(cfg->target_service), true);
	derive_name(l, "SELF_JOB", SELF_PREFIX, cfg->self_job, sizeof(cfg->self_job), false);
	if (cfg->target_job[0] && strcmp(cfg->target_job, cfg->self_job) == 0)
		complain(l, "TARGET_JOB", cfg->target_job, "want another Job than SELF_JOB");
}

static int load_rest(struct loader *l)
{
	derive_namespace(l);
	derive_api_url(l);
	limit_samples(l);
	check_rabbitmq(l);
	return l->errors ? -EINVAL : 0;
}

int config_load(struct config *ret, config_getenv_fn *getenv_fn, const char *hostname,
		config_complain_fn *complain_fn, void *arg)
{
	struct loader l = {
		.cfg = ret, .getenv_fn = getenv_fn, .complain = complain_fn, .arg = arg
	};

	*ret = (struct config){ 0 };
	load_all(&l);
	identity_load(&l.identity, ret->service_account_dir, hostname);
	compare_job_id(&l);
	check_names(&l);
	return load_rest(&l);
}

int config_load_for_sweep(struct config *ret, config_getenv_fn *getenv_fn,
			  config_complain_fn *complain_fn, void *arg)
{
	struct loader l = {
		.cfg = ret, .getenv_fn = getenv_fn, .complain = complain_fn, .arg = arg
	};

	*ret = (struct config){ 0 };
	load_all(&l);
	/* the id is every one's: no pattern may have one job's in it instead */
	(void)copy_str(ret->job_id, sizeof(ret->job_id), "$JOB_ID"); /* fits */
	return load_rest(&l);
}

int config_name(struct config *cfg, const char *id)
{
	char name[NAME_SIZE + 32], queue[QUEUE_NAME_SIZE];
	bool fits = is_rfc1123_name(id, NAME_SIZE - 1) && !strchr(id, '.') &&
		    strlen(SERVICE_PREFIX) + strlen(id) < sizeof(cfg->target_service);

	for (size_t i = 0; i < cfg->queue_count; i++)
		fits = fits && pattern_text(&cfg->queues[i], id, queue);
	if (!fits)
		return -EINVAL;
	(void)copy_str(cfg->job_id, sizeof(cfg->job_id), id); /* fits, as do all of these */
	(void)snprintf(name, sizeof(name), SERVICE_PREFIX "%s", id);
	(void)copy_str(cfg->target_service, sizeof(cfg->target_service), name);
	(void)snprintf(cfg->target_job, sizeof(cfg->target_job), JOB_PREFIX "%.99s", id);
	(void)snprintf(cfg->self_job, sizeof(cfg->self_job), SELF_PREFIX "%.99s", id);
	show_queues(cfg);
	return 0;
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
		 LI("interval_ms", cfg->interval_ms),
		 LIF(cfg->target_container[0], LS("container", cfg->target_container)),
		 LI("startup_grace_ms", cfg->startup_grace_ms),
		 LI("pending_timeout_ms", cfg->pending_timeout_ms),
		 LI("missing_timeout_ms", cfg->missing_timeout_ms),
		 LI("completed_grace_ms", cfg->completed_grace_ms),
		 LI("failed_grace_ms", cfg->failed_grace_ms),
		 LI("teardown_timeout_ms", cfg->teardown_timeout_ms),
		 LS("adopt_service", yes_no(cfg->adopt_service)),
		 LS("delete_self", yes_no(cfg->delete_self)), LS("dry_run", yes_no(cfg->dry_run)),
		 LS("rabbitmq", cfg->rabbitmq_url[0] ? cfg->rabbitmq_url : "off"),
		 LIF(cfg->rabbitmq_url[0], LS("queues", cfg->rabbitmq_queues)));
}

static const char *shown_default(const struct setting *s)
{
	return s->shown ? s->shown : s->def;
}

int config_describe(struct buf *b, bool markdown)
{
	int r = markdown ? buf_printf(b, "| variable | default | meaning |\n|---|---|---|\n") : 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(vars); i++) {
		const struct setting *s = &vars[i];
		if (markdown) {
			r = buf_printf(b, "| `%s` | `%s` | %s |\n", s->env, shown_default(s),
				       s->meaning);
			continue;
		}
		r = buf_printf(b, "  %s (%s)\n      ", s->env, shown_default(s));
		for (const char *p = s->meaning; r == 0 && *p; p++)
			if (*p != '`') /* Markdown's, of no use on a terminal */
				r = buf_append(b, p, 1);
		r = r < 0 ? r : buf_append(b, "\n", 1);
	}
	return r;
}
